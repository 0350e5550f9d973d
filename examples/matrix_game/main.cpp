// Trains mixers on small games and shows what they learned beside what they can learn at best.
//
// The batch is the whole game: every joint action (or trajectory) once, which is what uniform exploration sees in the
// long run. So the result is exact enough to compare with projections.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>

#include "run.hpp"
#include "table_shape.hpp"

using namespace qatten;

namespace {

MatrixGame game_from(const std::string& text) {
  if (text.find(',') != std::string::npos) return matrix_game_from_text(text);
  if (std::filesystem::exists(text)) return matrix_game_from_file(text);
  return named_game(text);
}

std::vector<Game> games(const Options& options) {
  if (options.game == "two-step") return {two_step()};
  if (options.game == "spotlight") return {spotlight()};
  if (!options.game.empty()) return {one_shot(options.game, "a one-shot game", game_from(options.game))};
  return {one_shot("QTRAN's matrix", "one step, no state: the best joint action hides behind a wall of -12",
                   named_game("qtran")),
          two_step(), spotlight()};
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& [name, description] : mixer_names()) names.push_back(name);
  names.insert(names.end(), std::begin(systems), std::end(systems));
  return names;
}

void show_payoffs(const Game& game) {
  const TableShape shape(game.info);
  std::vector<std::string> titles;
  std::vector<Matrix<double>> tables;
  for (const State& state : game.states) {
    titles.push_back(state.title.empty() ? "payoff" : state.title);
    tables.push_back(shape(state.payoff));
    if (tables.size() == 3) break;
  }
  if (shape.cols > 3) titles.resize(1), tables.resize(1);
  print_tables(titles, tables, shape.row_names, shape.col_names);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.mixer.qatten.attend_reg_coef = 0.001;  // the authors' setting for MMM2: 0.01 holds the attention back here
  bool brief = false, list = false;
  CLI::App app{"Trains mixers on small games and compares what they learn with exact projections."};
  app.add_option("--game", options.game,
                 "two-step, spotlight, a matrix game by name (--list), a payoff such as \"8,-12;-12,0\", or a file");
  app.add_option("--mixer", options.mixers, "one or more of them, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(names()));
  app.add_option("--updates", options.updates, "gradient steps for each")->check(CLI::Range(1, 1000000));
  app.add_option("--lr", options.lr, "learning rate at the start; it falls to a hundredth")->check(CLI::PositiveNumber);
  app.add_option("--attend_reg_coef", options.mixer.qatten.attend_reg_coef, "Qatten's attention regulariser")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the initial parameters");
  app.add_flag("--brief", brief, "a tenth of the updates: to see that it runs");
  app.add_flag("--list", list, "the matrix games that have a name");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const NamedGame& game : named_games())
      std::printf("  %-26s %s\n", game.name.c_str(), game.description.c_str());
    return 0;
  }
  if (brief) options.updates = std::max(options.updates / 10, 1);

  try {
    const Terminal terminal;
    double seconds = 0;
    for (const Game& game : games(options)) {
      std::printf("\n%s\n%s\n\n", terminal.bold(game.title).c_str(), terminal.dim(game.about).c_str());
      show_payoffs(game);
      std::printf("\n");
      for (const std::string& mixer : options.mixers) {
        const bool system = std::count(std::begin(systems), std::end(systems), mixer) > 0;
        seconds += (system ? run_system : run_mixer)(game, mixer, options, terminal);
      }
    }
    std::printf("\nTrained in %.1f s.\n", seconds);
  } catch (const Error& error) {
    std::fprintf(stderr, "matrix_game: %s\n", error.what());
    return 1;
  }
  return 0;
}
