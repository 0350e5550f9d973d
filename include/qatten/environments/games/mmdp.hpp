#pragma once
// The two-state decision process on which additive values diverge.

#include <cmath>
#include <limits>
#include <span>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// The multi-agent MDP of QPLEX (Wang et al. 2021). Two agents with two actions. In the first state (0,0) pays R and
/// stays, (0,1) and (1,0) pay nothing and stay, (1,1) pays nothing and leads to the second state, which pays nothing
/// for ever. The episode is cut off (truncated, not terminated) at its limit, so the values are those of the endless
/// game: V* = R / (1 - gamma), 100 at R = 1 and gamma 0.99. From uniform data the additive fit obeys V <- 3/4 R + 5/4
/// gamma V, which diverges for gamma > 0.8.
///
/// Everyone sees the state (one-hot); the unit features are the agent's one-hot number.
class Mmdp {
 public:
  /// Throws unless the reward is a positive, finite float and the limit positive.
  explicit Mmdp(double reward = 1, Index episode_limit = 100) : reward_(reward), episode_limit_(episode_limit) {
    detail::require(reward > 0 && reward <= std::numeric_limits<float>::max(), "Mmdp",
                    "reward must be positive and finite as a float");
    detail::require(episode_limit >= 1, "Mmdp", "episode_limit must be positive");
  }

  EnvironmentInfo info() const {
    return {.n_agents = 2,
            .n_actions = 2,
            .obs_shape = 2,
            .state_shape = 2,
            .unit_dim = 2,
            .episode_limit = episode_limit_};
  }

  void reset(const Random&) {
    state_ = 0;
    taken_ = 0;
  }

  void observe(Observation o) const {
    o.obs.row(state_).setOnes();
    o.state(state_, 0) = 1;
    o.units.setIdentity();
  }

  /// Throws when the episode has ended, and unless there are two actions, each 0 or 1.
  StepResult step(std::span<const int> actions) {
    detail::require(taken_ < episode_limit_, "Mmdp::step", "the episode has ended; call reset() first");
    detail::check_actions("Mmdp::step", actions, 2, 2);
    const Index joint = joint_index(actions, 2);
    const bool paid = state_ == 0 && joint == 0;
    if (joint == 3) state_ = 1;
    ++taken_;
    return {.reward = paid ? static_cast<float>(reward_) : 0.0f, .truncated = taken_ == episode_limit_};
  }

  double optimal_return() const { return reward_ * static_cast<double>(episode_limit_); }

  /// V* of the first state at a discount in [0, 1).
  double optimal_value(double gamma) const {
    detail::require(gamma >= 0 && gamma < 1, "Mmdp::optimal_value", "gamma must lie in [0, 1)");
    return reward_ / (1 - gamma);
  }

 private:
  double reward_;
  Index episode_limit_;
  Index state_ = 0;
  Index taken_ = 0;
};
static_assert(Environment<Mmdp>);

}  // namespace qatten::inline QATTEN_ABI
