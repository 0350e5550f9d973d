#pragma once
// Exploration among the available actions: ε-greedy on values, or draws from a policy.

#include <cstdint>
#include <span>
#include <string>

#include "qatten/agents/policy.hpp"
#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// ε falls in a straight line from start to finish over anneal_time environment steps, then stays (PyMARL's
/// epsilon_start, epsilon_finish, epsilon_anneal_time and defaults).
struct EpsilonSchedule {
  double start = 1.0;
  double finish = 0.05;
  std::int64_t anneal_time = 50000;

  /// ε after t_env environment steps.
  double operator()(std::int64_t t_env) const {
    if (t_env >= anneal_time) return finish;
    return start + (finish - start) * (double(t_env) / double(anneal_time));
  }
};

/// For each agent (column of q (n_actions, n_agents)), with probability ε a uniform draw among its available actions,
/// otherwise the available action of the largest value (the first of equals). An unavailable action cannot be drawn.
/// Throws when an agent has no available action.
template <class Scalar>
void epsilon_greedy(ConstView<Scalar> q, ConstView<std::uint8_t> available, double epsilon, Random& random,
                    std::span<int> actions) {
  detail::check_shape("epsilon_greedy", "available", available, q.rows(), q.cols());
  for (Index i = 0; i < q.cols(); ++i) {
    const Index choices = count_set(available.col(i));
    detail::require(choices > 0, "epsilon_greedy", "agent " + std::to_string(i) + " has no available action");
    const bool explore = random.uniform() < epsilon;
    Index skip = explore ? random.integer(choices) : 0, chosen = -1;
    for (Index a = 0; a < q.rows(); ++a) {
      if (available(a, i) == 0) continue;
      if (explore ? skip-- == 0 : chosen < 0 || q(a, i) > q(chosen, i)) chosen = a;
    }
    actions[static_cast<std::size_t>(i)] = static_cast<int>(chosen);
  }
}

/// For each agent (column of logits (n_actions, n_agents)) a draw from its policy with exploration ε
/// (agents/policy.hpp). Uses up the logits. Throws when an agent has no available action.
template <class Scalar>
void sample_policy(View<Scalar> logits, ConstView<std::uint8_t> available, double epsilon, Random& random,
                   std::span<int> actions) {
  masked_softmax<Scalar>(logits, available);
  for (Index i = 0; i < logits.cols(); ++i)
    actions[static_cast<std::size_t>(i)] =
        static_cast<int>(Policy<Scalar>(logits, available, i, epsilon).sample(random));
}

}  // namespace qatten::inline QATTEN_ABI
