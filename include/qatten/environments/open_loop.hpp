#pragma once
// A control: what can be learned of an environment by those who never look.

#include <span>
#include <string>
#include <utility>

#include "qatten/environments/any_environment.hpp"

namespace qatten::inline QATTEN_ABI {

/// `E` for agents that see nothing but how far the episode is: an observation is step / episode_limit, one number. All
/// else is E's; the masks still say what is possible. Who wins here plays by heart, which an environment that is worth
/// learning should not allow (Ellis et al. 2023, arXiv 2212.07489, on SMAC).
template <Environment E>
class OpenLoop {
 public:
  /// E's constructor takes the arguments.
  template <class... Arguments>
  explicit OpenLoop(Arguments&&... arguments) : environment_(std::forward<Arguments>(arguments)...) {
    const EnvironmentInfo whole = environment_.info();
    unseen_.resize(whole.obs_shape, whole.n_agents);
  }

  EnvironmentInfo info() const {
    EnvironmentInfo info = environment_.info();
    info.obs_shape = 1;
    return info;
  }

  void reset(const Random& stream) {
    environment_.reset(stream);
    step_ = 0;
  }

  void observe(Observation o) const {
    unseen_.setZero();
    environment_.observe({unseen_, o.state, o.units, o.available, o.alive});
    o.obs.setConstant(static_cast<float>(step_) / static_cast<float>(environment_.info().episode_limit));
  }

  StepResult step(std::span<const int> actions) {
    ++step_;
    return environment_.step(actions);
  }

  std::span<const Metric> metrics() const requires ReportsMetrics<E> { return environment_.metrics(); }
  std::string description() const {
    if constexpr (DescribesItself<E>) return environment_.description() + ", unseen";
    return "unseen";
  }

 private:
  E environment_;
  mutable Matrix<float> unseen_;  ///< what E shows of it
  Index step_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
