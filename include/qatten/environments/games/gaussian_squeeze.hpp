#pragma once
// Gaussian squeeze: many agents must together hit a narrow peak.

#include <cmath>
#include <span>
#include <string>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// Whether there is one peak to squeeze into or two.
enum class SqueezeDomains { single, multi };

/// Gaussian squeeze (HolmesParker et al. 2014) as QTRAN's authors play it (Son et al. 2019). One step; every agent has
/// a weight s_i, uniform in [0, 2), and picks a_i in 0 ... 10. With x = (1/n) sum_i s_i a_i all receive
///
///   single:  x exp(-(x - 8)^2 / 0.25)
///   multi:   x exp(-(x - 8)^2 / 0.25) + x exp(-(x - 5)^2)
///
/// An agent sees its own s_i, which is its unit feature too; the state is all of them. The best return depends on the
/// weights.
class GaussianSqueeze {
 public:
  /// Throws unless n_agents >= 1.
  explicit GaussianSqueeze(Index n_agents = 10, SqueezeDomains domains = SqueezeDomains::single) : domains_(domains) {
    detail::require(n_agents >= 1, "GaussianSqueeze", "got " + std::to_string(n_agents) + " agents, expected >= 1");
    weights_.setZero(n_agents);
  }

  EnvironmentInfo info() const {
    return {.n_agents = weights_.size(),
            .n_actions = 11,
            .obs_shape = 1,
            .state_shape = weights_.size(),
            .unit_dim = 1,
            .episode_limit = 1};
  }

  void reset(const Random& stream) {
    Random random = stream;
    for (double& weight : weights_) weight = random.uniform(0, 2);
  }

  void observe(Observation o) const {
    for (Index i = 0; i < weights_.size(); ++i)
      o.obs(0, i) = o.units(0, i) = o.state(i, 0) = static_cast<float>(weights_[i]);
  }

  /// Throws unless there is one action per agent, each in 0 ... 10.
  StepResult step(std::span<const int> actions) {
    detail::check_actions("GaussianSqueeze::step", actions, weights_.size(), 11);
    double sum = 0;
    for (Index i = 0; i < weights_.size(); ++i) sum += weights_[i] * actions[static_cast<std::size_t>(i)];
    const double x = sum / static_cast<double>(weights_.size());
    return {.reward = static_cast<float>(payoff(x)), .terminated = true};
  }

  /// The payoff of x, the mean weighted action.
  double payoff(double x) const {
    const double at_8 = std::exp(-(x - 8) * (x - 8) / 0.25), at_5 = std::exp(-(x - 5) * (x - 5));
    return x * (domains_ == SqueezeDomains::single ? at_8 : at_8 + at_5);
  }

  /// (n_agents): s_i of this episode.
  const Vector<double>& weights() const { return weights_; }

 private:
  SqueezeDomains domains_;
  Vector<double> weights_;
};
static_assert(Environment<GaussianSqueeze>);

}  // namespace qatten::inline QATTEN_ABI
