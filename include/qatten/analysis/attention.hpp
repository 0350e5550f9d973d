#pragma once
// What a mixer's attention does: which agents it looks at, how sharply, and whether its values keep what attention
// promises.
//
// Attention of R samples is (n_agents · heads, R) with λ_{h,i} in row h · n_agents + i, head weights w are (heads, R):
// what Qatten::attention and Qatten::head_weights give.

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

struct AttentionReport {
  /// (n_agents): the part of Σ_i ∂Q_tot/∂Q_i that falls to agent i, Σ_{r,h} w_h λ_{h,i} / Σ_{r,h} w_h. Sums to 1; NaN
  /// when every head weight is 0.
  Vector<double> share;
  Matrix<double> head_share;    ///< (n_agents, heads): mean of λ_{h,i}; each head sums to 1
  Vector<double> head_weights;  ///< (heads): mean of w_h
  Vector<double> entropy;       ///< (heads): mean entropy in nats
  double entropy_bound = 0;     ///< log n_agents: a head that looks at all agents alike; 0 is one that looks at one
};

/// Entropy -Σ_i λ_{h,i} log λ_{h,i} (heads, R) in nats, with 0 log 0 = 0. Throws when the rows are not a multiple of
/// n_agents.
template <class A>
Matrix<double> attention_entropy(const Eigen::MatrixBase<A>& attention, Index n_agents) {
  detail::require(n_agents > 0 && attention.rows() % n_agents == 0, "attention_entropy",
                  "attention has " + std::to_string(attention.rows()) + " rows, expected a multiple of " +
                      std::to_string(n_agents) + " agents");
  const auto term = [](double p) { return p == 0 ? 0 : -p * std::log(p); };
  const Matrix<double> terms = attention.template cast<double>().unaryExpr(term);
  Matrix<double> entropy(attention.rows() / n_agents, attention.cols());
  for (Index h = 0; h < entropy.rows(); ++h) entropy.row(h) = terms.middleRows(h * n_agents, n_agents).colwise().sum();
  return entropy;
}

/// Means over the samples. Empty head weights are ones. Throws when shapes do not fit, or there is no sample.
template <class A>
AttentionReport analyse_attention(const Eigen::MatrixBase<A>& attention, Index n_agents,
                                  ConstView<typename A::Scalar> head_weights = {}) {
  detail::require(attention.size() > 0, "analyse_attention", "attention is empty");
  const Matrix<double> entropy = attention_entropy(attention, n_agents);
  const Index heads = entropy.rows(), samples = entropy.cols();
  if (head_weights.size() > 0) detail::check_shape("analyse_attention", "head_weights", head_weights, heads, samples);
  Matrix<double> w = Matrix<double>::Ones(heads, samples);
  if (head_weights.size() > 0) w = head_weights.template cast<double>();

  AttentionReport report{Vector<double>::Zero(n_agents), Matrix<double>(n_agents, heads), w.rowwise().mean(),
                         entropy.rowwise().mean(), std::log(double(n_agents))};
  for (Index h = 0; h < heads; ++h) {
    const Matrix<double> lambda = attention.middleRows(h * n_agents, n_agents).template cast<double>();
    report.head_share.col(h) = lambda.rowwise().mean();
    report.share += lambda * w.row(h).transpose();
  }
  report.share /= w.sum();
  return report;
}

/// One line for each head, and one for all.
inline std::string to_string(const AttentionReport& report) {
  const Eigen::IOFormat row(3, Eigen::DontAlignCols, ", ", ", ", "", "", "[", "]");
  std::ostringstream text;
  text.precision(3);
  for (Index h = 0; h < report.entropy.size(); ++h)
    text << "head " << h << ": attention " << report.head_share.col(h).format(row) << ", weight "
         << report.head_weights(h) << ", entropy " << report.entropy(h) << " of at most " << report.entropy_bound
         << "\n";
  text << "all heads: share " << report.share.format(row) << "\n";
  return text.str();
}

namespace detail {

/// The largest entry; infinite if one is NaN.
inline double largest(const Matrix<double>& x) {
  return x.array().isNaN().any() ? std::numeric_limits<double>::infinity() : x.maxCoeff();
}

}  // namespace detail

/// How far Σ_i ∂Q_tot/∂Q_i = Σ_h w_h is from true: the largest distance over samples, from slopes (n_agents, R) and
/// head weights (heads, R). Infinite if a number is NaN.
template <class S, class W>
double sum_rule_error(const Eigen::MatrixBase<S>& slopes, const Eigen::MatrixBase<W>& head_weights) {
  detail::check_shape("sum_rule_error", "head_weights", head_weights, -1, slopes.cols());
  const Matrix<double> sum = slopes.template cast<double>().colwise().sum();
  return detail::largest((sum - head_weights.template cast<double>().colwise().sum()).cwiseAbs());
}

/// How far Q_tot - c lies outside [W min_i Q_i, W max_i Q_i], W = Σ_h w_h: the largest excess over samples, at most 0
/// where attention mixes. Shapes: agent_qs (n_agents, R), head weights (heads, R), q_tot and c (1, R). Infinite if a
/// number is NaN.
template <class Q>
double bounds_excess(const Eigen::MatrixBase<Q>& agent_qs, ConstView<typename Q::Scalar> head_weights,
                     ConstView<typename Q::Scalar> q_tot, ConstView<typename Q::Scalar> c) {
  detail::check_shape("bounds_excess", "head_weights", head_weights, -1, agent_qs.cols());
  detail::check_shape("bounds_excess", "q_tot", q_tot, 1, agent_qs.cols());
  detail::check_shape("bounds_excess", "c", c, 1, agent_qs.cols());
  const Matrix<double> q = agent_qs.template cast<double>();
  const Matrix<double> weight = head_weights.template cast<double>().colwise().sum();
  const Matrix<double> mixed = q_tot.template cast<double>() - c.template cast<double>();
  const Matrix<double> above = mixed - weight.cwiseProduct(q.colwise().maxCoeff());
  const Matrix<double> below = weight.cwiseProduct(q.colwise().minCoeff()) - mixed;
  return std::max(detail::largest(above), detail::largest(below));
}

}  // namespace qatten::inline QATTEN_ABI
