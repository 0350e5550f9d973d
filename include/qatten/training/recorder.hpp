#pragma once
// One environment in the middle of an episode, and what has happened in it so far.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "qatten/environments/environment.hpp"
#include "qatten/replay/episode.hpp"

namespace qatten::inline QATTEN_ABI {

/// begin(stream), then step(actions) while it says that the episode goes on; then episode(), unless aborted(). Reuses
/// its memory from episode to episode.
template <Environment E>
class Recorder {
 public:
  /// Throws when the environment's sizes make no sense.
  explicit Recorder(E& environment) : environment_(environment), info_(environment.info()) {
    for (const auto& [what, size] : {std::pair{"n_agents", info_.n_agents},
                                     {"n_actions", info_.n_actions},
                                     {"obs_shape", info_.obs_shape},
                                     {"episode_limit", info_.episode_limit}})
      detail::require(
          size >= 1, "Rollout",
          "the environment's " + std::string(what) + " is " + std::to_string(size) + ", expected at least 1");
    record_.resize(info_.n_agents, info_.n_actions, info_.obs_shape, info_.state_shape, info_.unit_dim,
                   info_.episode_limit);
    last_actions_.resize(1, info_.n_agents);
  }

  const EnvironmentInfo& info() const { return info_; }

  /// A new episode on the given stream. Like `step`, throws for an observation that is not finite and for an agent
  /// without an available action.
  void begin(const Random& stream) {
    environment_.reset(stream);
    last_actions_.setConstant(-1);
    record_.terminated = false;
    aborted_ = false;
    t_ = 0;
    observe();
  }

  /// One joint step; whether the episode goes on. One that reaches the environment's episode_limit without ending is
  /// cut off there. Throws for an action that is not available and for a reward that is not finite.
  bool step(std::span<const int> actions) {
    check(actions);
    const StepResult result = environment_.step(actions);
    if (result.aborted) {
      aborted_ = true;
      return false;
    }
    if (!std::isfinite(result.reward)) [[unlikely]]
      throw Error("Rollout: the environment's reward is " + std::to_string(result.reward) + " at step " +
                  std::to_string(t_) + ", expected a finite number");
    record_.rewards(t_) = result.reward;
    record_.terminated = result.terminated;
    for (Index i = 0; i < info_.n_agents; ++i)
      record_.actions(i, t_) = last_actions_(0, i) = actions[static_cast<std::size_t>(i)];
    ++t_;
    observe();
    return !result.terminated && !result.truncated && t_ < info_.episode_limit;
  }

  /// Steps taken so far.
  Index t() const { return t_; }
  /// The environment failed: nothing of the episode counts.
  bool aborted() const { return aborted_; }

  /// What there is to see before step t(), and the actions of the step before (1, n_agents), −1 at the start.
  Observation observation() {
    const Index n = info_.n_agents;
    return {record_.obs.middleCols(t_ * n, n), record_.state.col(t_),
            View<float>(record_.units.data() + t_ * record_.units.rows(), info_.unit_dim, n, info_.unit_dim),
            record_.available.middleCols(t_ * n, n), record_.alive.col(t_)};
  }
  ConstView<std::int32_t> last_actions() const { return last_actions_; }

  /// The steps taken, in memory of their own.
  Episode<float> episode() const { return record_.first(t_); }

 private:
  /// Lets the environment write observation t over the ordinary case.
  void observe() {
    Observation o = observation();
    o.obs.setZero();
    o.state.setZero();
    o.units.setZero();
    o.available.setOnes();
    o.alive.setOnes();
    environment_.observe(o);
    check_finite("obs", o.obs);
    check_finite("state", o.state);
    check_finite("units", o.units);
    for (Index i = 0; i < info_.n_agents; ++i)
      if (count_set(o.available.col(i)) == 0) [[unlikely]]
        throw Error("Rollout: agent " + std::to_string(i) + " has no available action at step " + std::to_string(t_));
  }

  /// All columns at once: they lie one behind the other.
  void check_finite(const char* what, const View<float>& x) const {
    constexpr std::uint32_t infinite = 0x7F800000;
    std::uint32_t largest = 0;
    for (Index k = 0; k < x.size(); ++k)
      largest = std::max(largest, std::bit_cast<std::uint32_t>(x.data()[k]) & infinite);
    if (largest == infinite) [[unlikely]]
      throw Error("Rollout: the environment's " + std::string(what) + " at step " + std::to_string(t_) +
                  " holds a number that is not finite");
  }

  void check(std::span<const int> actions) {
    const Observation o = observation();
    detail::require(actions.size() == static_cast<std::size_t>(info_.n_agents), "Rollout",
                    "expected one action an agent");
    for (Index i = 0; i < info_.n_agents; ++i) {
      const int a = actions[static_cast<std::size_t>(i)];
      if (a < 0 || a >= info_.n_actions || o.available(a, i) == 0) [[unlikely]]
        throw Error("Rollout: agent " + std::to_string(i) + " chose action " + std::to_string(a) + " at step " +
                    std::to_string(t_) + ", which is not available");
    }
  }

  E& environment_;
  EnvironmentInfo info_;
  Episode<float> record_;  ///< of episode_limit steps
  Matrix<std::int32_t> last_actions_;
  Index t_ = 0;
  bool aborted_ = false;
};

}  // namespace qatten::inline QATTEN_ABI
