#pragma once
// Two tables, each additive, and a coin that says which is played.

#include <array>
#include <span>
#include <string>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// QTRAN's game with random state (Son et al. 2019, the two-context matrix of the authors' code). One step, two agents
/// with three actions, two equally likely contexts with the tables
///
///   10 8 5      0 3  5
///    8 6 3      3 6  8
///    5 3 0      5 8 10
///
/// Each is a sum f(a_1) + f(a_2), so every mixer whose agents see the context fits it exactly. Everyone sees the
/// context (one-hot); the unit features are the agent's one-hot number.
class TwoContextGame {
 public:
  EnvironmentInfo info() const {
    return {.n_agents = 2, .n_actions = 3, .obs_shape = 2, .state_shape = 2, .unit_dim = 2, .episode_limit = 1};
  }

  void reset(const Random& stream) {
    Random random = stream;
    context_ = random.integer(2);
  }

  void observe(Observation o) const {
    o.obs.row(context_).setOnes();
    o.state(context_, 0) = 1;
    o.units.setIdentity();
  }

  /// Throws unless there are two actions, each 0, 1 or 2.
  StepResult step(std::span<const int> actions) {
    return {.reward = static_cast<float>(payoff(context_, actions)), .terminated = true};
  }

  /// The payoff of a joint action in context 0 or 1; throws for any other.
  static double payoff(Index context, std::span<const int> actions) {
    static constexpr std::array<std::array<double, 9>, 2> tables = {
        {{10, 8, 5, 8, 6, 3, 5, 3, 0}, {0, 3, 5, 3, 6, 8, 5, 8, 10}}};
    detail::require(context == 0 || context == 1, "TwoContextGame::payoff",
                    "got context " + std::to_string(context) + ", expected 0 or 1");
    detail::check_actions("TwoContextGame", actions, 2, 3);
    return tables[static_cast<std::size_t>(context)][static_cast<std::size_t>(joint_index(actions, 3))];
  }

  /// Which table this episode plays.
  Index context() const { return context_; }

  double optimal_return() const { return 10; }

 private:
  Index context_ = 0;
};
static_assert(Environment<TwoContextGame>);

}  // namespace qatten::inline QATTEN_ABI
