#pragma once
// How far QTRAN's conditions hold (Son et al. 2019, theorem 1). With δ(u) = Σ_i Q_i(u_i) − Q_jt(u) + V_jt and ū the
// agents' greedy actions,
//
//   (4a)   δ(ū) = 0          (4b)   δ(u) >= 0 for all u
//
// together are enough for IGM, so that ū maximises Q_jt.

#include <algorithm>
#include <vector>

#include "qatten/analysis/igm.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

template <class Scalar>
QtranConditions qtran_conditions(ConstView<Scalar> q, ConstView<std::uint8_t> available, const Vector<Scalar>& joint,
                                 double v) {
  const ActionSets sets = available_actions<Scalar>(q, available);
  const auto delta = [&](const std::vector<int>& u) {
    double sum = v - double(joint(joint_index(u, q.rows())));
    for (std::size_t i = 0; i < u.size(); ++i) sum += double(q(u[i], static_cast<Index>(i)));
    return sum;
  };
  const double greedy = delta(product_element(local_argmax<Scalar>(q, sets), 0));
  QtranConditions conditions{greedy, greedy};
  for (Index k = 0; k < static_cast<Index>(product_size(sets)); ++k)
    conditions.lowest = std::min(conditions.lowest, delta(product_element(sets, k)));
  return conditions;
}

}  // namespace detail

/// `check_igm` of QTRAN's joint value at one state, its conditions among what it reports: agents' values q (n_actions,
/// n_agents), Q_jt of every joint action by `joint_index`, V_jt. Of ties in q the first is ū. Throws as `check_igm`
/// does. Allocates.
template <class Q>
IgmReport check_igm(const Eigen::MatrixBase<Q>& q, ConstView<std::uint8_t> available,
                    const Vector<typename Q::Scalar>& joint, typename Q::Scalar v, const IgmOptions& options = {}) {
  IgmReport report = check_igm(q, available, joint, options);
  const Matrix<typename Q::Scalar> qs = q;
  report.qtran = detail::qtran_conditions<typename Q::Scalar>(qs, available, joint, double(v));
  return report;
}

}  // namespace qatten::inline QATTEN_ABI
