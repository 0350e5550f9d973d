#pragma once
// Spotlight: the smallest game in which a mixer must look at the state.

#include <span>
#include <utility>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/games/payoffs.hpp"

namespace qatten::inline QATTEN_ABI {

/// One step. A light falls on one of n agents, each equally likely; all act, and the reward is the lit agent's own
/// payoff p(a). The agents do not see the light (their observation is a constant 1), the state does: it is the lit
/// agent's one-hot number, and u_i is 1 for the lit agent and 0 for the others, so that the units stacked are the
/// state, as in SMAC.
///
/// A mixer that weighs agents by the state, such as Qatten, is exact: all attention on the agent in the light. Acting
/// well is easy for every mixer (everyone plays argmax p); rating the actions is not:
///
/// No state-blind sum can fit this game. Let all actions be independent and uniform, L the light. The best prediction
/// from the actions alone is E[p(a_L) | a] = (1/n) sum_i p(a_i), which is a sum of utilities, so it is also the best
/// such sum. What is left is the variance over L of p(a_L), that of n independent draws around their own mean:
///
///   MSE = E[(1/n) sum_i p(a_i)^2 - ((1/n) sum_i p(a_i))^2] = (n - 1)/n Var(p)
///
/// with Var(p) over uniform actions.
class Spotlight {
 public:
  /// The default payoffs have mean 2 and variance 3.5. Throws unless n_agents >= 1 and p is not empty and finite.
  explicit Spotlight(Index n_agents = 4, Vector<double> p = Vector<double>{{0, 1, 2, 5}})
      : n_agents_(n_agents), p_(std::move(p)) {
    detail::require(n_agents >= 1, "Spotlight", "n_agents must be positive");
    detail::require(p_.size() >= 1, "Spotlight", "p is empty, expected one payoff per action");
    detail::check_payoffs("Spotlight", {p_.data(), static_cast<std::size_t>(p_.size())});
  }

  EnvironmentInfo info() const {
    return {.n_agents = n_agents_,
            .n_actions = p_.size(),
            .obs_shape = 1,
            .state_shape = n_agents_,
            .unit_dim = 1,
            .episode_limit = 1};
  }

  void reset(const Random& stream) {
    Random random = stream;
    lit_ = random.integer(n_agents_);
  }

  void observe(Observation o) const {
    o.obs.setOnes();
    o.state(lit_, 0) = 1;
    o.units(0, lit_) = 1;
  }

  /// Throws unless there is one action per agent, each in 0 ... n_actions - 1.
  StepResult step(std::span<const int> actions) {
    detail::check_actions("Spotlight::step", actions, n_agents_, p_.size());
    return {.reward = static_cast<float>(p_[actions[static_cast<std::size_t>(lit_)]]), .terminated = true};
  }

  /// The agent in the light.
  Index lit() const { return lit_; }
  /// (n_actions): what the lit agent's actions pay.
  const Vector<double>& payoffs() const { return p_; }

  /// The mean of p over its actions.
  double mean() const { return p_.mean(); }
  /// The variance of p over its actions.
  double variance() const { return (p_.array() - mean()).square().mean(); }
  /// The least mean squared error of a state-blind sum of utilities under uniform actions, as derived above.
  double vdn_mse() const { return static_cast<double>(n_agents_ - 1) / static_cast<double>(n_agents_) * variance(); }

  double optimal_return() const { return p_.maxCoeff(); }

 private:
  Index n_agents_;
  Vector<double> p_;
  Index lit_ = 0;
};
static_assert(Environment<Spotlight>);

}  // namespace qatten::inline QATTEN_ABI
