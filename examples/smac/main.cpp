// Trains a team on StarCraft's challenge behind a socket (docs/remote.md says what to install), on anything else of
// that kind, or with --mock on a stand-in that needs nothing.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "training/training.hpp"

using namespace qatten;

int main(int argc, char** argv) {
  bool mock = false;
  std::string map = "3m", environments = "4";
  CLI::App app(
      "Trains a team on SMAC behind a socket. All options of train (train --help) can follow: --mixer qmix, --t_max "
      "100000, --env_args.python PATH, --env_args.endpoint unix:PATH, --resume FOLDER, --evaluate FOLDER, ...");
  app.option_defaults()->always_capture_default();
  app.add_flag("--mock", mock, "a stand-in for SMAC that needs no StarCraft II");
  const CLI::Option* const map_given = app.add_option("--map", map, "SMAC's map");
  const CLI::Option* const envs_given = app.add_option("--envs", environments, "environments side by side");
  app.allow_extras();
  CLI11_PARSE(app, argc, argv);
  try {
    const Assignments env = {{"env", (mock ? "smac-mock:" : "smac:") + map}},
                      width = {{"batch_size_run", environments}, {"env_threads", environments}};
    Assignments words, program = {{"mixer", "qatten"}};
    const auto add = [](Assignments& to, const Assignments& more) { to.insert(to.end(), more.begin(), more.end()); };
    add(mock || *map_given ? words : program, env);
    add(*envs_given ? words : program, width);
    add(words, parse_command_line(app.remaining(), training_words));
    return run_training(words, program);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "smac: %s\n", error.what());
    return 1;
  }
}
