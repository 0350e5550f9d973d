#pragma once
// How far QTRAN's conditions hold (Son et al. 2019, theorem 1). With δ(u) = Σ_i Q_i(u_i) − Q_jt(u) + V_jt and ū the
// agents' greedy actions,
//
//   (4a)   δ(ū) = 0          (4b)   δ(u) >= 0 for all u
//
// together are enough for IGM, so that ū maximises Q_jt.

#include <algorithm>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

struct QtranConditions {
  double greedy = 0;  ///< δ(ū), the residual of (4a)
  double lowest = 0;  ///< min δ(u), the residual of (4b)
};

/// Of agents' values q (n_actions, n_agents), Q_jt of every joint action by `joint_index` and V_jt, at one state. Ties
/// go to the first of equals. Throws when `joint` has another size. Allocates.
template <class Scalar>
QtranConditions qtran_conditions(ConstView<Scalar> q, const Vector<Scalar>& joint, Scalar v) {
  const Index n = q.cols(), n_actions = q.rows();
  detail::check_shape("qtran_conditions", "joint", joint, n_joint_actions(n, n_actions), 1);
  const auto delta = [&](Index u) {
    const std::vector<int> actions = joint_action(u, n, n_actions);
    double sum = double(v) - double(joint(u));
    for (Index i = 0; i < n; ++i) sum += double(q(actions[static_cast<std::size_t>(i)], i));
    return sum;
  };
  std::vector<int> greedy(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    Index best;
    q.col(i).maxCoeff(&best);
    greedy[static_cast<std::size_t>(i)] = static_cast<int>(best);
  }
  QtranConditions conditions{delta(joint_index(greedy, n_actions)), delta(0)};
  for (Index u = 1; u < joint.size(); ++u) conditions.lowest = std::min(conditions.lowest, delta(u));
  return conditions;
}

}  // namespace qatten::inline QATTEN_ABI
