#pragma once
// Softmax over the rows of each column.
//
//   y_i = exp(x_i − m) / Σ_j exp(x_j − m),   m = max_j x_j
//
// Backward, with δ = ∂L/∂y, from the output alone:   ∂x_i = y_i (δ_i − Σ_j y_j δ_j)

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// x = softmax(x) in place, column by column. Allocates nothing.
template <class Scalar>
void softmax(View<Scalar> x) {
  for (Index j = 0; j < x.cols(); ++j) x.col(j).array() -= x.col(j).maxCoeff();
  x = x.array().exp();
  for (Index j = 0; j < x.cols(); ++j) x.col(j) /= x.col(j).sum();
}

/// dx from y = softmax(x) and dy. dx may be dy.
template <class Scalar>
void softmax_backward(ConstView<Scalar> y, ConstView<Scalar> dy, View<Scalar> dx) {
  for (Index j = 0; j < y.cols(); ++j) {
    const Scalar mean = y.col(j).dot(dy.col(j));
    dx.col(j) = y.col(j).array() * (dy.col(j).array() - mean);
  }
}

}  // namespace qatten::inline QATTEN_ABI
