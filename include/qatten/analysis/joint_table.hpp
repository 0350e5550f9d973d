#pragma once
// The joint value of every joint action at one state.

#include <algorithm>

#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

/// Q_tot (n_actions^n_agents), by `joint_index`, from the agents' values q (n_actions, n_agents), a state (state_dim,
/// 1) and unit features (unit_dim · n_agents, 1). For mixers of one output; throws for others. Allocates.
template <Mixer M>
Vector<typename M::Scalar> joint_table(const M& mixer, const Vector<typename M::Scalar>& p,
                                       ConstView<typename M::Scalar> q, ConstView<typename M::Scalar> state,
                                       ConstView<typename M::Scalar> units) {
  using Scalar = typename M::Scalar;
  constexpr Index chunk = 1024;
  detail::require(mixer.outputs() == 1, "joint_table", "the mixer has no joint value");
  detail::check_shape("joint_table", "q", q, -1, mixer.n_agents());
  const Index n = mixer.n_agents(), count = n_joint_actions(n, q.rows()), rows = std::min(chunk, count);
  typename M::Cache cache;
  typename M::Scratch scratch;
  mixer.prepare(cache, scratch, rows);
  const Matrix<Scalar> states = state.replicate(1, rows), all_units = units.replicate(1, rows);
  Matrix<Scalar> qs(n, rows), q_tot(1, rows);
  Vector<Scalar> table(count);
  for (Index first = 0; first < count; first += rows) {
    const Index now = std::min(rows, count - first);
    for (Index r = 0; r < now; ++r) {
      const std::vector<int> actions = joint_action(first + r, n, q.rows());
      for (Index i = 0; i < n; ++i) qs(i, r) = q(actions[static_cast<std::size_t>(i)], i);
    }
    mixer.evaluate(p, {qs.leftCols(now), states.leftCols(now), all_units.leftCols(now)}, q_tot.leftCols(now), scratch);
    table.segment(first, now) = q_tot.leftCols(now).transpose();
  }
  return table;
}

}  // namespace qatten::inline QATTEN_ABI
