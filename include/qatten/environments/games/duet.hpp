#pragma once
// Duet: two of n agents play a matrix game, and which two changes from episode to episode.

#include <algorithm>
#include <span>
#include <utility>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/games/payoffs.hpp"

namespace qatten::inline QATTEN_ABI {

/// One step. A light falls on a pair i < j of n agents, each pair equally likely; all act, and the reward is
/// payoff(a_i, a_j), whatever the others do. Everyone sees the light: observation k is 1 where agent k is in it, and
/// the state is the same, the units stacked (u_k is 1 for the two and 0 for the others, as in Spotlight). Who one is
/// oneself says the agent's index (obs_agent_id, or parameters of one's own).
///
/// What an agent's action is worth depends on a single team-mate's action, another one each time: a critic that is to
/// tell must find that one. By default the two earn 1 where their actions differ, so that
///
///   1          is what agents get who agree for every pair on who does what,
///   k (n − k) / C(n, 2), k = ⌊n/2⌋, is the most where nobody heeds the light: that many pairs can be told apart
///   1/2        is what chance gets.
class Duet {
 public:
  /// Throws unless n_agents >= 2 and the payoffs (n_actions, n_actions) are square, not empty and finite.
  explicit Duet(Index n_agents = 5, Matrix<double> payoff = Matrix<double>{{0, 1}, {1, 0}})
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
            .state_shape = n_agents_,
            .unit_dim = 1,
            .episode_limit = 1};
  }

  void reset(const Random& stream) {
    Random random = stream;
    const Index one = random.integer(n_agents_), other = random.integer(n_agents_ - 1);
    lit_ = std::minmax(one, other + (other >= one ? 1 : 0));
  }

  void observe(Observation o) const {
    for (const Index k : {lit_.first, lit_.second}) {
      o.obs.row(k).setOnes();
      o.state(k, 0) = 1;
      o.units(0, k) = 1;
    }
  }

  /// Throws unless there is one action per agent, each in 0 ... n_actions - 1.
  StepResult step(std::span<const int> actions) {
    detail::check_actions("Duet::step", actions, n_agents_, payoff_.rows());
    const auto of = [&](Index k) { return actions[static_cast<std::size_t>(k)]; };
    return {.reward = static_cast<float>(payoff_(of(lit_.first), of(lit_.second))), .terminated = true};
  }

  /// The two in the light, the lower index first.
  std::pair<Index, Index> lit() const { return lit_; }

  double optimal_return() const { return payoff_.maxCoeff(); }

 private:
  Index n_agents_;
  Matrix<double> payoff_;
  std::pair<Index, Index> lit_{0, 1};
};
static_assert(Environment<Duet>);

}  // namespace qatten::inline QATTEN_ABI
