#pragma once
// Duet: the smallest game in which a critic must look at one team-mate, another one each time.

#include <span>
#include <utility>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/games/payoffs.hpp"

namespace qatten::inline QATTEN_ABI {

/// One step. Of n agents one, i, is told the name of another, j, each pair equally likely; all act, and the reward is
/// payoff(a_i, a_j), whatever the others do. Agent i's observation is j's one-hot number, those of all others are 0, so
/// that j does not know that it was named. The state is the one-hot numbers of i and of j, u_k is (k is i, k is j). Who
/// one is oneself says the agent's index (obs_agent_id, or parameters of one's own).
///
/// What i's action is worth depends on a single team-mate's action, and who that is i alone has seen: neither j's
/// observation nor j's action gives it away. A critic has to find j by i's observation. By default the two earn 10
/// where their actions differ, so that
///
///   10          is what agents get who keep to one action each, and to the other one than j's when they are told of j,
///   10 k (n − k) / C(n, 2), k = ⌊n/2⌋, is the most where nobody heeds what it is told,
///   5           is what chance gets, and 25 the variance of the reward then: the mean squared error of a critic that
///               sees no team-mate's action.
class Duet {
 public:
  /// Throws unless n_agents >= 2 and the payoffs (n_actions, n_actions) are square, not empty and finite.
  explicit Duet(Index n_agents = 6, Matrix<double> payoff = Matrix<double>{{0, 10}, {10, 0}})
      : n_agents_(n_agents), payoff_(std::move(payoff)) {
    detail::require(n_agents >= 2, "Duet", "n_agents must be at least 2");
    detail::require(payoff_.size() >= 1 && payoff_.rows() == payoff_.cols(), "Duet",
                    "payoff must be square and not empty");
    detail::check_payoffs("Duet", {payoff_.data(), static_cast<std::size_t>(payoff_.size())});
  }

  EnvironmentInfo info() const {
    return {.n_agents = n_agents_,
            .n_actions = payoff_.rows(),
            .obs_shape = n_agents_,
            .state_shape = 2 * n_agents_,
            .unit_dim = 2,
            .episode_limit = 1};
  }

  void reset(const Random& stream) {
    Random random = stream;
    told_ = random.integer(n_agents_);
    const Index other = random.integer(n_agents_ - 1);
    named_ = other + (other >= told_ ? 1 : 0);
  }

  void observe(Observation o) const {
    o.obs(named_, told_) = 1;
    o.state(told_, 0) = o.state(n_agents_ + named_, 0) = 1;
    o.units(0, told_) = o.units(1, named_) = 1;
  }

  /// Throws unless there is one action per agent, each in 0 ... n_actions - 1.
  StepResult step(std::span<const int> actions) {
    detail::check_actions("Duet::step", actions, n_agents_, payoff_.rows());
    const auto of = [&](Index k) { return actions[static_cast<std::size_t>(k)]; };
    return {.reward = static_cast<float>(payoff_(of(told_), of(named_))), .terminated = true};
  }

  /// Agent i, who is told, and agent j, whose name it is.
  Index told() const { return told_; }
  Index named() const { return named_; }
  const Matrix<double>& payoff() const { return payoff_; }

  double optimal_return() const { return payoff_.maxCoeff(); }

 private:
  Index n_agents_;
  Matrix<double> payoff_;
  Index told_ = 0, named_ = 1;
};
static_assert(Environment<Duet>);

}  // namespace qatten::inline QATTEN_ABI
