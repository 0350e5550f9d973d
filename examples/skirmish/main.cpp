// Trains a team on a map; or plays it with a scripted one: in numbers, in the terminal, or as a page to watch in a
// browser.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/recording.hpp"
#include "qatten/environments/skirmish/terminal_view.hpp"
#include "qatten/io/replay_file.hpp"
#include "training/training.hpp"

using namespace qatten;

namespace {

struct Arguments {
  std::vector<std::string> maps = {"3m"}, policies = {"nearest"};
  std::string mixer, rules = "sc2", record;
  int episodes = 100;
  std::uint64_t seed = 1;
  double start_jitter = 0;
  bool watch = false, table = false, list = false;
};

/// Means over episodes.
struct Row {
  double won = 0, returned = 0, length = 0, dead_allies = 0, dead_enemies = 0, timeouts = 0;
};

/// Plays one episode; `each(actions)` before every step, `after(reward)` after it.
template <class Each, class After>
void play(Skirmish& game, skirmish::ScriptedTeam& team, std::uint64_t seed, std::uint64_t episode, Each&& each,
          After&& after) {
  std::vector<int> actions(static_cast<std::size_t>(game.info().n_agents));
  Random random(seed, "actions", episode);
  game.reset(Random(seed, "environment", episode));
  team.reset();
  for (bool ended = false; !ended;) {
    team.act(game, random, actions);
    each(actions);
    const StepResult result = game.step(actions);
    after(double(result.reward));
    ended = result.terminated || result.truncated;
  }
}

Row measure(Skirmish& game, const std::string& policy, const Arguments& arguments) {
  skirmish::ScriptedTeam team(skirmish::script_named(policy));
  Row row;
  const double share = 1.0 / arguments.episodes;
  for (int episode = 0; episode < arguments.episodes; ++episode) {
    play(
        game, team, arguments.seed, std::uint64_t(episode), [](const std::vector<int>&) {},
        [&](double reward) {
          row.returned += share * reward;
          row.length += share;
        });
    const auto metrics = game.metrics();
    row.won += share * metrics[0].value;
    row.dead_allies += share * metrics[1].value;
    row.dead_enemies += share * metrics[2].value;
    row.timeouts += share * metrics[3].value;
  }
  return row;
}

void show_rows(const Arguments& arguments, const skirmish::Options& options) {
  std::printf("%-17s %-8s %6s %7s %7s %7s %7s %8s\n", "map", "policy", "won %", "return", "steps", "allies-",
              "enemies-", "timeout%");
  for (const std::string& map : arguments.maps) {
    Skirmish game(map, options);
    for (const std::string& policy : arguments.policies) {
      const Row row = measure(game, policy, arguments);
      std::printf("%-17s %-8s %6.1f %7.2f %7.1f %7.2f %7.2f %8.1f\n", map.c_str(), policy.c_str(), 100 * row.won,
                  row.returned, row.length, row.dead_allies, row.dead_enemies, 100 * row.timeouts);
      std::fflush(stdout);
    }
  }
}

/// The rows as a table in Markdown, a map a line: won % and mean return of each policy.
void show_table(const Arguments& arguments, const skirmish::Options& options) {
  std::printf("| map |");
  for (const std::string& policy : arguments.policies) std::printf(" %s |", policy.c_str());
  std::printf("\n| --- |");
  for (std::size_t k = 0; k < arguments.policies.size(); ++k) std::printf(" --- |");
  for (const std::string& map : arguments.maps) {
    std::printf("\n| %s |", map.c_str());
    Skirmish game(map, options);
    for (const std::string& policy : arguments.policies) {
      const Row row = measure(game, policy, arguments);
      std::printf(" %.1f · %.1f |", 100 * row.won, row.returned);
      std::fflush(stdout);
    }
  }
  std::printf("\n");
}

void watch(const Arguments& arguments, const skirmish::Options& options) {
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  Skirmish game(arguments.maps.front(), options);
  skirmish::ScriptedTeam team(skirmish::script_named(arguments.policies.front()));
  double sum = 0;
  int step = 0;
  const auto show = [&] {
    if (terminal) std::printf("\033[H\033[2J");
    std::printf("%s, %s, step %d, return %.2f\n%s", arguments.maps.front().c_str(), arguments.policies.front().c_str(),
                step, sum, skirmish::draw(game, terminal).c_str());
    std::fflush(stdout);
    if (terminal) std::this_thread::sleep_for(std::chrono::milliseconds(120));
  };
  play(
      game, team, arguments.seed, 0, [&](const std::vector<int>&) { show(); },
      [&](double reward) {
        sum += reward;
        ++step;
      });
  show();
}

void record(const Arguments& arguments, const skirmish::Options& options) {
  Skirmish game(arguments.maps.front(), options);
  skirmish::ScriptedTeam team(skirmish::script_named(arguments.policies.front()));
  skirmish::Recorder recorder;
  std::vector<float> rewards;
  play(
      game, team, arguments.seed, 0,
      [&](const std::vector<int>& actions) {
        if (rewards.empty()) recorder.begin(game, "scripted team: " + arguments.policies.front());
        recorder.step(game, actions);
      },
      [&](double reward) { rewards.push_back(static_cast<float>(reward)); });
  write_html(recorder.finish(game, rewards), arguments.record);
  std::printf("%s: %zu steps\n", arguments.record.c_str(), rewards.size());
}

/// What 2 cores learn fast with, unless something else is said: eight battles side by side, an update for each, Adam
/// and λ-returns. `given` are words of the command line.
int train(const Arguments& arguments, Assignments given, const std::vector<std::string>& options) {
  const Assignments program = {{"env", "skirmish:" + arguments.maps.front()},
                               {"batch_size_run", "8"},
                               {"optimizer", "adam"},
                               {"lr", "0.001"},
                               {"td_lambda", "0.6"},
                               {"learner_threads", "2"}};
  const Assignments more = parse_command_line(options, training_words);
  given.insert(given.end(), more.begin(), more.end());
  return run_training(given, program);
}

/// "all" stands for everything there is.
template <class Names>
void expand(std::vector<std::string>& chosen, const Names& names) {
  if (chosen != std::vector<std::string>{"all"}) return;
  chosen.clear();
  for (const auto& name : names) chosen.emplace_back(name);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{
      "SMAC's battles, simulated: trains a team (--mixer, and any option of train), or plays maps with scripted ones."};
  app.add_option("--map", arguments.maps, "one or more maps, or all")->delimiter(',');
  app.add_option("--mixer", arguments.mixer, "train with this mixer: qatten, qmix, vdn, iql, ...");
  app.add_option("--policy", arguments.policies,
                 "one or more of nearest, focus, weakest, sticky, kite, hold, random; or all")
      ->delimiter(',');
  app.add_option("--episodes", arguments.episodes, "for each row")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed)->capture_default_str();
  app.add_option("--rules", arguments.rules, "sc2 or smaclite")->capture_default_str();
  app.add_option("--start_jitter", arguments.start_jitter, "every unit starts up to this far aside");
  app.add_flag("--watch", arguments.watch, "show one episode in the terminal");
  app.add_option("--record", arguments.record, "write one episode to FILE, a page that plays it in a browser");
  app.add_flag("--table", arguments.table, "won % · return of every map and policy, in Markdown");
  app.add_flag("--list", arguments.list, "the maps there are");
  app.allow_extras();
  CLI11_PARSE(app, argc, argv);
  try {
    if (!arguments.mixer.empty()) {
      Assignments given = {{"mixer", arguments.mixer}};
      if (app.count("--map")) given.emplace_back("env", "skirmish:" + arguments.maps.front());
      using Word = std::pair<const char*, const char*>;
      for (const auto& [option, name] :
           {Word{"--seed", "seed"}, {"--rules", "env_args.rules"}, {"--start_jitter", "env_args.start_jitter"}})
        if (app.count(option)) given.emplace_back(name, app[option]->results().front());
      return train(arguments, given, app.remaining());
    }
    if (!app.remaining().empty())
      throw Error("no option is called " + app.remaining().front() + " (options of a training go with --mixer)");
    std::vector<std::string> names;
    for (const skirmish::Map& map : skirmish::maps) names.emplace_back(map.name);
    expand(arguments.maps, names);
    expand(arguments.policies, skirmish::script_names);
    skirmish::Options options;
    options.rules = skirmish::ruleset(arguments.rules);
    options.start_jitter = arguments.start_jitter;
    if (arguments.list) {
      for (const std::string& name : names) std::printf("%s\n", name.c_str());
    } else if (arguments.watch) {
      watch(arguments, options);
    } else if (!arguments.record.empty()) {
      record(arguments, options);
    } else if (arguments.table) {
      show_table(arguments, options);
    } else {
      show_rows(arguments, options);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "skirmish: %s\n", error.what());
    return 1;
  }
  return 0;
}
