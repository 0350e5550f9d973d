#pragma once
// The two-step game: a safe table, and a better one that takes coordination.

#include <algorithm>
#include <array>
#include <span>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/games/payoffs.hpp"

namespace qatten::inline QATTEN_ABI {

/// The two-step game (Rashid et al. 2018, QMIX, section 6). Two agents with two actions. The first step pays nothing
/// and agent 1's action picks the table of the second: 2A, which pays 7 whatever they do, or 2B, which pays 0, 1, 1
/// or 8. Everyone sees the state (one-hot: first step, 2A, 2B); the unit features are the agent's one-hot number. At
/// gamma 0.99 additive values rate 2B at 0.99 * 6.5 and prefer 2A (return 7), QMIX's find 8.
class TwoStepGame {
 public:
  using Table = std::array<double, 4>;  ///< by `joint_index`: (0,0), (0,1), (1,0), (1,1)

  /// Throws when a payoff is not a finite float.
  explicit TwoStepGame(const Table& payoff_2a = {7, 7, 7, 7}, const Table& payoff_2b = {0, 1, 1, 8})
      : payoff_{payoff_2a, payoff_2b} {
    for (const Table& table : payoff_) detail::check_payoffs("TwoStepGame", table);
  }

  EnvironmentInfo info() const {
    return {.n_agents = 2, .n_actions = 2, .obs_shape = 3, .state_shape = 3, .unit_dim = 2, .episode_limit = 2};
  }

  void reset(const Random&) {
    state_ = 0;
    ended_ = false;
  }

  void observe(Observation o) const {
    o.obs.row(state_).setOnes();
    o.state(state_, 0) = 1;
    o.units.setIdentity();
  }

  /// Throws when the episode has ended, and unless there are two actions, each 0 or 1.
  StepResult step(std::span<const int> actions) {
    detail::require(!ended_, "TwoStepGame::step", "the episode has ended; call reset() first");
    detail::check_actions("TwoStepGame::step", actions, 2, 2);
    if (state_ == 0) {
      state_ = 1 + actions[0];
      return {};
    }
    ended_ = true;
    const Table& table = payoff_[static_cast<std::size_t>(state_ - 1)];
    return {.reward = static_cast<float>(table[static_cast<std::size_t>(joint_index(actions, 2))]), .terminated = true};
  }

  double optimal_return() const {
    const auto best = [](const Table& table) { return *std::max_element(table.begin(), table.end()); };
    return std::max(best(payoff_[0]), best(payoff_[1]));
  }

 private:
  std::array<Table, 2> payoff_;
  Index state_ = 0;
  bool ended_ = false;
};
static_assert(Environment<TwoStepGame>);

}  // namespace qatten::inline QATTEN_ABI
