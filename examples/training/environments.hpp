#pragma once
// The environments that these programs know: a few lines each.

#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "qatten/environments/any_environment.hpp"
#include "qatten/environments/arguments.hpp"
#include "qatten/environments/games/duet.hpp"
#include "qatten/environments/games/gaussian_squeeze.hpp"
#include "qatten/environments/games/hearsay.hpp"
#include "qatten/environments/games/mmdp.hpp"
#include "qatten/environments/games/n_step_game.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/environments/games/two_context_game.hpp"
#include "qatten/environments/games/two_step_game.hpp"
#include "qatten/environments/grid/predator_prey.hpp"
#include "qatten/environments/grid/stag_hunt.hpp"
#include "qatten/environments/open_loop.hpp"
#include "qatten/environments/remote/remote_environment.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "qatten/training/options.hpp"
#include "skirmish_options.hpp"

/// --env <name> or <name>:<variant>; `make(variant, arguments, k)` makes the k-th of those that are played side by
/// side.
struct EnvironmentEntry {
  std::string name, usage, description;
  std::function<qatten::AnyEnvironment(const std::string&, qatten::EnvironmentArguments&, qatten::Index)> make;
};

/// The k-th of a team of servers: one that runs already (endpoint), or one started for it, which serves `environment`
/// (MODULE:CLASS) with map_name = `map` unless that is empty. The environment variable QATTEN_TOKEN holds a server's
/// token: an argument could be seen by others.
inline qatten::AnyEnvironment remote_environment(qatten::EnvironmentArguments& a, const std::string& environment,
                                                 const std::string& map, qatten::Index k) {
  qatten::RemoteOptions o;
  o.endpoint = a.text("endpoint", "");
  const std::string python = a.text("python", QATTEN_PYTHON),
                    server = a.text("server", QATTEN_SOURCE_DIR "/python/qatten_env_server.py"),
                    json = a.text("args_json", ""), words = a.text("server_options", "");
  if (const char* token = std::getenv("QATTEN_TOKEN")) o.token = token;
  o.allow_remote = !o.token.empty();
  o.seed = static_cast<std::uint64_t>(a.integer("seed", 0) + k);
  o.step_timeout = a.real("step_timeout", o.step_timeout);
  o.log = a.text("log", "");
  o.record = a.text("record", "");
  for (std::string* file : {&o.log, &o.record})
    if (!file->empty() && k > 0) *file += "." + std::to_string(k);
  if (o.endpoint.empty()) {
    o.command = {python, server, "--env", environment};
    if (!map.empty()) o.command.insert(o.command.end(), {"--arg", "map_name=" + map});
    if (!json.empty()) o.command.insert(o.command.end(), {"--args-json", json});
    std::istringstream split(words);
    for (std::string word; split >> word;) o.command.push_back(word);
  }
  return qatten::make_environment<qatten::RemoteEnvironment>(std::move(o));
}

inline const std::vector<EnvironmentEntry>& environments() {
  using namespace qatten;
  using Args = EnvironmentArguments;
  using Name = const std::string;
  static const std::vector<EnvironmentEntry> table = {
      {"matrix", "matrix:<game>", "a matrix game of the literature; --list names them",
       [](Name& game, Args&, Index) { return make_environment<MatrixGame>(named_game(game)); }},
      {"two-step", "", "the two-step game (Rashid 2018)",
       [](Name&, Args&, Index) { return make_environment<TwoStepGame>(); }},
      {"n-step", "env_args.steps=10 env_args.good_branches=4", "MAVEN's n-step matrix game",
       [](Name&, Args& a, Index) {
         return make_environment<NStepGame>(a.integer("steps", 10), static_cast<int>(a.integer("good_branches", 4)));
       }},
      {"spotlight", "env_args.n_agents=4", "the smallest game in which a mixer must look at the state",
       [](Name&, Args& a, Index) { return make_environment<Spotlight>(a.integer("n_agents", 4)); }},
      {"duet", "env_args.n_agents=6", "the smallest game in which a critic must look at one team-mate",
       [](Name&, Args& a, Index) { return make_environment<Duet>(a.integer("n_agents", 6)); }},
      {"hearsay", "env_args.n_agents=4 env_args.n_symbols=4", "a game that cannot be played without messages",
       [](Name&, Args& a, Index) {
         return make_environment<Hearsay>(a.integer("n_agents", 4), a.integer("n_symbols", 4));
       }},
      {"two-context", "", "QTRAN's game with random state",
       [](Name&, Args&, Index) { return make_environment<TwoContextGame>(); }},
      {"mmdp", "env_args.reward=1 env_args.episode_limit=100", "QPLEX's MDP, in which additive values diverge",
       [](Name&, Args& a, Index) {
         return make_environment<Mmdp>(a.real("reward", 1), a.integer("episode_limit", 100));
       }},
      {"gaussian-squeeze", "env_args.n_agents=10 env_args.multi=false", "Gaussian squeeze, as QTRAN's authors play it",
       [](Name&, Args& a, Index) {
         return make_environment<GaussianSqueeze>(
             a.integer("n_agents", 10), a.boolean("multi", false) ? SqueezeDomains::multi : SqueezeDomains::single);
       }},
      {"predator-prey", "predator-prey:<5x5 or 7x7> env_args.penalty=0.5",
       "QTRAN's predator-prey, in which two must touch a prey",
       [](Name& setting, Args& a, Index) {
         PredatorPreyOptions o = predator_prey_setting(setting);
         o.penalty = a.real("penalty", o.penalty);
         return make_environment<PredatorPrey>(o);
       }},
      {"stag-hunt", "stag-hunt:<miscapture_punishment>, 0 or -2", "WQMIX's stag hunt, in which two must catch a stag",
       [](Name& punishment, Args&, Index) {
         Args variant({{"miscapture_punishment", punishment}});
         return make_environment<StagHunt>(StagHuntOptions{variant.real("miscapture_punishment", 0)});
       }},
      {"skirmish", "skirmish:<map> env_args.rules=sc2 env_args.<SMAC's option> env_args.open_loop=false",
       "SMAC's battles, simulated here; with open_loop the agents see the time alone",
       [](Name& map, Args& a, Index) {
         return a.boolean("open_loop", false) ? make_environment<OpenLoop<Skirmish>>(map, skirmish_options(a))
                                              : make_environment<Skirmish>(map, skirmish_options(a));
       }},
      {"smac", "smac:<map> env_args.python=<Python that has smac> env_args.args_json={...}",
       "StarCraft II, by a socket",
       [](Name& map, Args& a, Index k) { return remote_environment(a, "smac.env:StarCraft2Env", map, k); }},
      {"smac-mock", "smac-mock:<map>", "a stand-in with SMAC's sizes, by a socket",
       [](Name& map, Args& a, Index k) { return remote_environment(a, "mock_smac:MockSmac", map, k); }},
      {"remote", "remote:<module>:<class> env_args.server_options=--metrics=a,b, or env_args.endpoint=unix:<path>",
       "any Python environment, or a server that runs already",
       [](Name& environment, Args& a, Index k) { return remote_environment(a, environment, "", k); }},
  };
  return table;
}

/// Makes the environments that the options name. Throws for a name that is not known, and, when one is made, for
/// arguments that it does not have.
inline qatten::EnvironmentFactory environment_factory(const qatten::TrainingOptions& options) {
  const std::string name = options.env.substr(0, options.env.find(':'));
  const std::string variant = name.size() < options.env.size() ? options.env.substr(name.size() + 1) : "";
  std::string known;
  for (const EnvironmentEntry& entry : environments()) {
    known += (known.empty() ? "" : ", ") + entry.name;
    if (entry.name != name) continue;
    if (!variant.empty() && !entry.usage.starts_with(name + ":"))
      throw qatten::Error("option env: got '" + options.env + "', but " + name + " has no variants");
    return [&entry, variant, args = options.env_args](qatten::Index k) {
      qatten::EnvironmentArguments arguments(args);
      qatten::AnyEnvironment environment = entry.make(variant, arguments, k);
      arguments.check_all_known();
      return environment;
    };
  }
  throw qatten::Error("option env: got '" + options.env + "', expected one of " + known);
}
