#pragma once
// Which actions a batch's agents took, and which their values prefer.

#include <cstdint>

#include "qatten/replay/episode_batch.hpp"

namespace qatten::inline QATTEN_ABI {

/// The available action of the largest value in a column of q (n_actions, …); the first of equals. Throws when no
/// action is available.
template <class Scalar>
Index greedy_action(ConstView<Scalar> q, const Matrix<std::uint8_t>& available, Index column) {
  Index best = -1;
  for (Index a = 0; a < q.rows(); ++a)
    if (available(a, column) != 0 && (best < 0 || q(a, column) > q(best, column))) best = a;
  detail::require(best >= 0, "greedy_action", "an agent has no available action");
  return best;
}

/// f(agent, transition column k, action taken, column of the agent's values at the observation that k starts from).
template <class Scalar, class F>
void for_each_action(const EpisodeBatch<Scalar>& batch, F&& f) {
  for (Index t = 0; t < batch.transitions.steps(); ++t)
    for (Index b = 0; b < batch.transitions.living(t); ++b)
      for (Index i = 0; i < batch.n_agents; ++i) {
        const Index k = batch.transitions.column(b, t);
        f(i, k, Index(batch.actions(i, k)), batch.ragged.column(b, t) * batch.n_agents + i);
      }
}

}  // namespace qatten::inline QATTEN_ABI
