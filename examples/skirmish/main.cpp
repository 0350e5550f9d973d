// Trains a team on a map; or plays it, with a scripted team or with what a run has learned: in numbers, in the
// terminal, or as a page to watch in a browser.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/recording.hpp"
#include "qatten/environments/skirmish/terminal_view.hpp"
#include "qatten/io/replay_file.hpp"
#include "qatten/training/learned_team.hpp"
#include "training/skirmish_options.hpp"
#include "training/training.hpp"

using namespace qatten;

namespace {

struct Arguments {
  std::vector<std::string> maps = {"3m"}, policies = {"nearest"};
  std::string mixer, run, record;
  int episodes = 100;
  std::optional<std::uint64_t> chosen_seed;
  std::uint64_t seed() const { return chosen_seed.value_or(1); }
  bool watch = false, table = false, list = false;
  bool shows() const { return watch || !record.empty(); }
};

/// Means over episodes.
struct Row {
  double won = 0, returned = 0, length = 0, dead_allies = 0, dead_enemies = 0, timeouts = 0;
};

/// Who plays.
struct Team {
  std::string name;
  std::function<void(const Decision&)> decide;
  std::function<const skirmish::Thoughts*()> thoughts;  ///< of the last decision; null of those who have none
};

Team scripted(const Skirmish& game, const std::string& policy, std::uint64_t seed) {
  auto decide = [&game, team = skirmish::ScriptedTeam(skirmish::script_named(policy)), random = Random(seed), seed,
                 episode = std::uint64_t{0}](const Decision& d) mutable {
    if (d.t == 0) {
      team.reset();
      random = Random(seed, "actions", episode++);
    }
    team.act(game, random, d.actions);
  };
  return {"scripted team: " + policy, std::move(decide), [] { return nullptr; }};
}

Team learned(const LearnedRun& run, const EnvironmentInfo& info) {
  const auto team = std::make_shared<LearnedTeam<float>>(run.options, info, run.parameters);
  return {run.options.mixer + ", seed " + std::to_string(run.options.seed) + ", after " + std::to_string(run.t_env) +
              " steps",
          [team](const Decision& d) { (*team)(d); }, [team] { return &team->thoughts(); }};
}

Row measure(Skirmish& game, const std::string& policy, const Arguments& arguments) {
  const Team team = scripted(game, policy, arguments.seed());
  Rollout<Skirmish> rollout(game);
  Row row;
  const double share = 1.0 / arguments.episodes;
  for (int episode = 0; episode < arguments.episodes; ++episode) {
    const auto played = rollout.play(Random(arguments.seed(), "environment", std::uint64_t(episode)), team.decide);
    row.returned += share * played.rewards.cast<double>().sum();
    row.length += share * double(played.length());
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

/// One episode, told in text.
void watch(Skirmish& game, const Team& team, std::uint64_t seed) {
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  const auto show = [&](const std::string& what) {
    if (terminal) std::printf("\033[H\033[2J");
    std::printf("%s, %s, %s\n%s", std::string(game.battle().map().name).c_str(), team.name.c_str(), what.c_str(),
                skirmish::draw(game, terminal).c_str());
    std::fflush(stdout);
    if (terminal) std::this_thread::sleep_for(std::chrono::milliseconds(120));
  };
  const auto played = Rollout<Skirmish>(game).play(Random(seed, "environment", 0), [&](const Decision& d) {
    team.decide(d);
    show("step " + std::to_string(d.t));
  });
  show(std::string(skirmish::name_of(skirmish::outcome(game.units()))) + " after " + std::to_string(played.length()) +
       " steps, return " + std::to_string(played.rewards.sum()));
}

/// One episode, as a page.
void record(Skirmish& game, const Team& team, std::uint64_t seed, const std::string& file) {
  skirmish::Recorder recorder;
  const auto played = Rollout<Skirmish>(game).play(Random(seed, "environment", 0), [&](const Decision& d) {
    team.decide(d);
    if (d.t == 0) recorder.begin(game, team.name);
    if (const skirmish::Thoughts* thoughts = team.thoughts()) {
      recorder.step(game, d.actions, *thoughts);
    } else {
      recorder.step(game, d.actions);
    }
  });
  const skirmish::Recording recording = recorder.finish(game, {played.rewards.data(), std::size_t(played.length())});
  write_html(recording, file);
  std::printf("%s: %s after %zu steps\n", file.c_str(), recording.outcome.c_str(), recording.actions.size());
}

/// What 2 cores learn fast with, unless something else is said: eight battles side by side, an update for each, Adam
/// and λ-returns.
Assignments training_defaults(const std::string& map) {
  return {{"env", "skirmish:" + map}, {"batch_size_run", "8"}, {"optimizer", "adam"}, {"lr", "0.001"},
          {"td_lambda", "0.6"},       {"learner_threads", "2"}};
}

/// The battle of these options.
Skirmish battle(const TrainingOptions& options) {
  const std::string prefix = "skirmish:";
  if (!options.env.starts_with(prefix))
    throw Error("a run of " + options.env + " cannot be watched, expected one of skirmish:<map>");
  EnvironmentArguments arguments(options.env_args);
  const skirmish::Options chosen = skirmish_options(arguments);
  arguments.check_all_known();
  return Skirmish(options.env.substr(prefix.size()), chosen);
}

/// The rules of a battle of scripted teams; `words` may be arguments of the environment alone.
skirmish::Options battle_options(const Assignments& words) {
  const std::string prefix = "env_args.";
  std::map<std::string, std::string> given;
  for (const auto& [name, value] : words) {
    if (!name.starts_with(prefix))
      throw Error("no option is called --" + name + " (options of a training go with --mixer)");
    given[name.substr(prefix.size())] = value;
  }
  EnvironmentArguments arguments(std::move(given));
  skirmish::Options options = skirmish_options(arguments);
  arguments.check_all_known();
  return options;
}

void show(Skirmish& game, const Team& team, const Arguments& arguments) {
  if (arguments.watch) {
    watch(game, team, arguments.seed());
  } else {
    record(game, team, arguments.seed(), arguments.record);
  }
}

/// "all" stands for everything there is.
template <class Names>
void expand(std::vector<std::string>& chosen, const Names& names) {
  if (chosen != std::vector<std::string>{"all"}) return;
  chosen.clear();
  for (const auto& name : names) chosen.emplace_back(name);
}

void run_scripted(Arguments& arguments, const Assignments& words) {
  std::vector<std::string> names;
  for (const skirmish::Map& map : skirmish::maps) names.emplace_back(map.name);
  expand(arguments.maps, names);
  expand(arguments.policies, skirmish::script_names);
  const skirmish::Options options = battle_options(words);
  if (arguments.list) {
    for (const std::string& name : names) std::printf("%s\n", name.c_str());
  } else if (arguments.shows()) {
    Skirmish game(arguments.maps.front(), options);
    show(game, scripted(game, arguments.policies.front(), arguments.seed()), arguments);
  } else if (arguments.table) {
    show_table(arguments, options);
  } else {
    show_rows(arguments, options);
  }
}

/// `words` are those of the command line that are not in `arguments`.
int run(Arguments& arguments, Assignments words) {
  const bool trains = !arguments.mixer.empty(), learned_before = !arguments.run.empty();
  if (trains && learned_before) throw Error("of --mixer and --evaluate only one can be given");
  if (!trains && !learned_before) {
    run_scripted(arguments, words);
    return 0;
  }
  if (learned_before && arguments.shows()) {
    const LearnedRun run = load_run(arguments.run, words);
    Skirmish game = battle(run.options);
    show(game, learned(run, game.info()), arguments);
    return 0;
  }
  if (arguments.shows()) throw Error("--watch and --record go with --policy or --evaluate, not with --mixer");
  if (arguments.chosen_seed) words.emplace_back("seed", std::to_string(*arguments.chosen_seed));
  words.emplace_back(trains ? "mixer" : "evaluate", trains ? arguments.mixer : arguments.run);
  return run_training(words, trains ? training_defaults(arguments.maps.front()) : Assignments{});
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{
      "SMAC's battles, simulated: trains a team (--mixer, and any option of train), or plays maps with scripted teams "
      "or what a run has learned."};
  app.add_option("--map", arguments.maps, "one or more maps, or all")->delimiter(',');
  app.add_option("--mixer", arguments.mixer, "train with this mixer: qatten, qmix, vdn, iql, ...");
  app.add_option("--policy", arguments.policies,
                 "one or more of nearest, focus, weakest, sticky, kite, hold, random; or all")
      ->delimiter(',');
  app.add_option("--evaluate", arguments.run, "play with what the run in this folder has learned");
  app.add_option("--episodes", arguments.episodes, "for each row")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  app.add_option("--seed", arguments.chosen_seed, "1 if nothing else was said");
  app.add_option("--rules", "sc2, as when nothing is said, or smaclite: short for --env_args.rules");
  app.add_option("--start_jitter", "every unit starts up to this far aside: short for --env_args.start_jitter");
  app.add_flag("--watch", arguments.watch, "show one episode in the terminal");
  app.add_option("--record", arguments.record, "write one episode to FILE, a page that plays it in a browser");
  app.add_flag("--table", arguments.table, "won % · return of every map and policy, in Markdown");
  app.add_flag("--list", arguments.list, "the maps there are");
  app.allow_extras();
  CLI11_PARSE(app, argc, argv);
  try {
    const bool learns = !arguments.mixer.empty() || !arguments.run.empty();
    Assignments words;
    if (learns && app.count("--map")) words.emplace_back("env", "skirmish:" + arguments.maps.front());
    using Word = std::pair<const char*, const char*>;
    for (const auto& [option, name] : {Word{"--rules", "env_args.rules"}, {"--start_jitter", "env_args.start_jitter"}})
      if (app.count(option)) words.emplace_back(name, app[option]->results().front());
    const Assignments more = parse_command_line(app.remaining(), training_words);
    words.insert(words.end(), more.begin(), more.end());
    return run(arguments, std::move(words));
  } catch (const Error& error) {
    std::fprintf(stderr, "skirmish: %s\n", error.what());
    return 1;
  }
}
