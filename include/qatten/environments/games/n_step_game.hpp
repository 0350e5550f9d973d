#pragma once
// The n-step matrix game: K decisions in a row that must agree with the first.

#include <span>
#include <string>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// MAVEN's n-step matrix game (Mahajan et al. 2019, section 4). Two agents with two actions, K steps. The first joint
/// action picks one of four branches; every step pays 1 while the joint action is that of a good branch and stays the
/// same, anything else pays 0 and ends the episode. All branches are good, or only (0,0) and (1,1). At the last step of
/// branch (0,0) the table [[1, 1], [1, 4]] pays instead, so that the best return K + 3 takes a change of mind at the
/// very end; keeping to one branch yields K.
///
/// Everyone sees the state: the number of steps taken, one-hot over 0 ... K, and the branch, one-hot over four and zero
/// before the first step. The unit features are the agent's one-hot number.
class NStepGame {
 public:
  /// Throws unless steps >= 2 and good_branches is 2 or 4.
  explicit NStepGame(Index steps = 10, int good_branches = 4) : steps_(steps), good_branches_(good_branches) {
    detail::require(steps >= 2, "NStepGame", "got " + std::to_string(steps) + " steps, expected at least 2");
    detail::require(good_branches == 2 || good_branches == 4, "NStepGame",
                    "got " + std::to_string(good_branches) + " good branches, expected 2 or 4");
  }

  EnvironmentInfo info() const {
    const Index width = steps_ + 1 + 4;
    return {.n_agents = 2,
            .n_actions = 2,
            .obs_shape = width,
            .state_shape = width,
            .unit_dim = 2,
            .episode_limit = steps_};
  }

  void reset(const Random&) {
    taken_ = 0;
    ended_ = false;
  }

  void observe(Observation o) const {
    o.state(taken_, 0) = 1;
    if (taken_ > 0) o.state(steps_ + 1 + branch_, 0) = 1;
    o.obs.colwise() = o.state.col(0);
    o.units.setIdentity();
  }

  /// Throws when the episode has ended, and unless there are two actions, each 0 or 1.
  StepResult step(std::span<const int> actions) {
    detail::require(!ended_, "NStepGame::step", "the episode has ended; call reset() first");
    detail::check_actions("NStepGame::step", actions, 2, 2);
    const Index joint = joint_index(actions, 2);
    if (taken_ == 0) branch_ = joint;
    ++taken_;
    const float reward = taken_ == steps_ && branch_ == 0 ? (joint == 3 ? 4.0f : 1.0f)
                         : joint == branch_ && good()     ? 1.0f
                                                          : 0.0f;
    ended_ = reward == 0 || taken_ == steps_;
    return {.reward = reward, .terminated = ended_};
  }

  double optimal_return() const { return static_cast<double>(steps_ + 3); }

 private:
  bool good() const { return good_branches_ == 4 || branch_ == 0 || branch_ == 3; }

  Index steps_;
  int good_branches_;
  Index taken_ = 0;
  Index branch_ = 0;
  bool ended_ = false;
};
static_assert(Environment<NStepGame>);

}  // namespace qatten::inline QATTEN_ABI
