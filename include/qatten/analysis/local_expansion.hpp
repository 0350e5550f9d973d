#pragma once
// Theorem 1 of Qatten (Yang et al. 2020), for any smooth Q_tot(Q): near a maximising joint action, where Q = α,
//
//   Q_tot ≈ c + Σ_h Σ_i λ_{i,h} Q_i,   c = Q_tot(0) − Σ_h (h−1)/h! Σ ∂^h Q_tot α_{i1} … α_{ih}
//   λ_{i,h} = 1/(h−1)! Σ_{i2 … ih} ∂^h Q_tot / ∂Q_i ∂Q_{i2} … ∂Q_{ih} α_{i2} … α_{ih}      (derivatives at Q = 0)
//
// Along the line t α that is a Taylor coefficient: λ_{i,h} = [t^{h−1}] ∂Q_tot/∂Q_i(t α), which a dual number over jets
// gives exactly. The order-h part of c follows from Euler's identity, Σ_i α_i λ_{i,h} = 1/(h−1)! ∂^h Q_tot α^h:
//
//   c = Q_tot(0) − Σ_h (h−1)/h Σ_i α_i λ_{i,h}
//
// Summed over all h it is the tangent plane at α: Σ_h λ_{i,h} = ∂Q_tot/∂Q_i(α), c = Q_tot(α) − Σ_i α_i ∂Q_tot/∂Q_i(α).

#include <utility>

#include "qatten/analysis/dual.hpp"
#include "qatten/analysis/jet.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

struct LocalExpansion {
  Matrix<double> lambda;  ///< λ_{i,h} (n_agents, H) in column h - 1
  double c = 0;           ///< of the orders up to H
  Vector<double> slope;   ///< ∂Q_tot/∂Q_i(α) (n_agents), what the rows of λ sum to as H grows
  double offset = 0;      ///< Q_tot(α) - α · slope, what c tends to

  /// How far Σ_h λ_{i,h} still is from the slope, over all agents. It stays away from 0 where the series does not
  /// converge: α beyond the radius of convergence, or a kink between 0 and α.
  double remainder() const { return (lambda.rowwise().sum() - slope).cwiseAbs().maxCoeff(); }

  /// c + Σ_h Σ_i λ_{i,h} Q_i
  double operator()(const Vector<double>& q) const { return c + lambda.rowwise().sum().dot(q); }
};

/// The first H orders of a function q_tot(const Vector<S>& q) -> S templated on its scalar S, at α (n_agents). Calls it
/// twice for each agent.
template <int H, class F>
LocalExpansion local_expansion(const F& q_tot, const Vector<double>& alpha) {
  using Series = Jet<double, H>;
  const Index n = alpha.size();
  detail::require(n > 0, "local_expansion", "alpha is empty");
  Vector<Dual<Series>> line(n);
  for (Index i = 0; i < n; ++i) line(i).value = Series::line(0, alpha(i));
  Vector<Dual<double>> point = alpha.cast<Dual<double>>();

  LocalExpansion expansion{Matrix<double>(n, H), 0, Vector<double>(n), 0};
  for (Index i = 0; i < n; ++i) {
    line(i).derivative = 1;
    const Dual<Series> along = q_tot(std::as_const(line));
    line(i).derivative = 0;
    for (int k = 0; k < H; ++k) expansion.lambda(i, k) = along.derivative[k];
    expansion.c = along.value[0];

    point(i).derivative = 1;
    const Dual<double> at = q_tot(std::as_const(point));
    point(i).derivative = 0;
    expansion.slope(i) = at.derivative;
    expansion.offset = at.value;
  }
  for (int h = 1; h <= H; ++h) expansion.c -= (h - 1.) / h * alpha.dot(expansion.lambda.col(h - 1));
  expansion.offset -= alpha.dot(expansion.slope);
  return expansion;
}

/// A mixer at one state as the function that `local_expansion` wants. make(S{}, layout) builds the mixer over scalar S,
/// as in
///
///   [](auto scalar, ParameterLayout& layout) { return Qmix<decltype(scalar)>(layout, "mixer", n_agents, state_dim); }
///
/// `parameters`, `state` (state_dim) and `units` (unit_dim · n_agents) are cast to S.
template <class Make>
auto mixer_function(Make make, Vector<double> parameters, Vector<double> state = {}, Vector<double> units = {}) {
  return [=]<class S>(const Vector<S>& agent_qs) {
    ParameterLayout layout;
    const auto mixer = make(S{}, layout);
    detail::check_shape("mixer_function", "parameters", parameters, layout.size(), 1);
    detail::require(mixer.outputs() == 1, "mixer_function", "the mixer has no joint value");
    typename decltype(mixer)::Cache cache;
    typename decltype(mixer)::Scratch scratch;
    mixer.prepare(cache, scratch, 1);
    const Vector<S> p = parameters.cast<S>(), s = state.cast<S>(), u = units.cast<S>();
    Vector<S> q_tot(1);
    mixer.evaluate(p, {agent_qs, s, u}, q_tot, scratch);
    return q_tot(0);
  };
}

}  // namespace qatten::inline QATTEN_ABI
