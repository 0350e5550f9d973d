#pragma once
// One-shot games given by their table of payoffs.

#include <span>
#include <string>
#include <utility>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/games/payoffs.hpp"

namespace qatten::inline QATTEN_ABI {

/// n agents choose once, at the same time and without seeing anything; all receive the payoff of their joint action.
/// Observations and state are a constant 1; the unit features are the agent's one-hot number.
class MatrixGame {
 public:
  /// `payoff` has n_actions^n_agents entries, that of a joint action at `joint_index`: a two-player table row by row,
  /// rows agent 1, columns agent 2. Throws when the count differs or a payoff is not a finite float.
  MatrixGame(Index n_agents, Index n_actions, Vector<double> payoff)
      : n_agents_(n_agents), n_actions_(n_actions), payoff_(std::move(payoff)) {
    const Index count = n_joint_actions(n_agents, n_actions);
    if (payoff_.size() != count)
      throw Error("MatrixGame: got " + std::to_string(payoff_.size()) + " payoffs, expected " + std::to_string(count) +
                  " (" + std::to_string(n_actions) + " actions, " + std::to_string(n_agents) + " agents)");
    detail::check_payoffs("MatrixGame", {payoff_.data(), static_cast<std::size_t>(count)});
  }

  EnvironmentInfo info() const {
    return {.n_agents = n_agents_,
            .n_actions = n_actions_,
            .obs_shape = 1,
            .state_shape = 1,
            .unit_dim = n_agents_,
            .episode_limit = 1};
  }

  void reset(const Random&) {}

  void observe(Observation o) const {
    o.obs.setOnes();
    o.state.setOnes();
    o.units.setIdentity();
  }

  /// Throws unless there is one action per agent, each in 0 ... n_actions - 1.
  StepResult step(std::span<const int> actions) {
    return {.reward = static_cast<float>(payoff(actions)), .terminated = true};
  }

  /// The payoff of a joint action; throws as `step` does.
  double payoff(std::span<const int> actions) const {
    detail::check_actions("MatrixGame", actions, n_agents_, n_actions_);
    return payoff_[joint_index(actions, n_actions_)];
  }

  /// The whole table, by `joint_index`.
  const Vector<double>& payoffs() const { return payoff_; }

  double optimal_return() const { return payoff_.maxCoeff(); }

 private:
  Index n_agents_;
  Index n_actions_;
  Vector<double> payoff_;
};
static_assert(Environment<MatrixGame>);

}  // namespace qatten::inline QATTEN_ABI
