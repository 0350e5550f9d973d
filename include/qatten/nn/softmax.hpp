#pragma once
// Softmax over the rows of each column.
//
//   y_i = exp(x_i − m) / Σ_j exp(x_j − m),   m = max_j x_j
//
// Backward, with δ = ∂L/∂y, from the output alone:   ∂x_i = y_i (δ_i − Σ_j y_j δ_j)

#include <algorithm>
#include <limits>

#include "qatten/core/lanes.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// eˣ of x <= 0, and 0 where that is no normal number: Eigen's packets would stop at the smallest one.
template <class Value>
Value decay(const Value& x) {
  return exponential(x);
}
template <class Scalar>
Pack<Scalar> decay(Pack<Scalar> x) {
  return where_at_least(x, Scalar(std::numeric_limits<Scalar>::min_exponent) * Scalar(0.6931), exponential(x));
}

}  // namespace detail

/// x = softmax(x) in place, column by column; the columns lie one behind the other. Allocates nothing.
template <class Scalar>
void softmax(View<Scalar> x) {
  eigen_assert(x.cols() <= 1 || x.outerStride() == x.rows());
  const Index n = x.rows();
  Scalar* const all = x.data();
  for (Scalar* column = all; column != all + x.size(); column += n) {
    const Scalar largest = *std::max_element(column, column + n);
    for (Index i = 0; i < n; ++i) column[i] -= largest;
  }
  lanes<Scalar>(x.size(), [&](auto at) { at.store(all, detail::decay(at(all))); });
  for (Scalar* column = all; column != all + x.size(); column += n) {
    const Scalar scale = Scalar(1) / sum(column, n);
    for (Index i = 0; i < n; ++i) column[i] *= scale;
  }
}

/// dx from y = softmax(x) and dy. dx may be dy.
template <class Scalar>
void softmax_backward(ConstView<Scalar> y, ConstView<Scalar> dy, View<Scalar> dx) {
  for (Index j = 0; j < y.cols(); ++j) {
    const Scalar *yj = y.col(j).data(), *dyj = dy.col(j).data();
    Scalar* const dxj = dx.col(j).data();
    const Scalar mean = dot(yj, dyj, y.rows());
    for (Index i = 0; i < y.rows(); ++i) dxj[i] = yj[i] * (dyj[i] - mean);
  }
}

}  // namespace qatten::inline QATTEN_ABI
