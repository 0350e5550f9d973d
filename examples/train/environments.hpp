#pragma once
// The environments that this program knows: one line each.

#include <string>
#include <vector>

#include "qatten/environments/any_environment.hpp"
#include "qatten/environments/arguments.hpp"
#include "qatten/environments/games/gaussian_squeeze.hpp"
#include "qatten/environments/games/mmdp.hpp"
#include "qatten/environments/games/n_step_game.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/environments/games/two_context_game.hpp"
#include "qatten/environments/games/two_step_game.hpp"
#include "qatten/training/options.hpp"

/// --env <name> or <name>:<variant>; `make(variant, arguments, k)` makes the k-th of those that are played side by
/// side.
struct EnvironmentEntry {
  std::string name, usage, description;
  std::function<qatten::AnyEnvironment(const std::string&, qatten::EnvironmentArguments&, qatten::Index)> make;
};

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
