#pragma once
// Small kernels that several rooms share.

#include "qatten/core/lanes.hpp"

namespace qatten::inline QATTEN_ABI {

/// x as a constant (PyTorch's detach): a scalar that carries a derivative, as a Dual does, loses it here.
template <class Scalar>
Scalar stop_gradient(const Scalar& x) {
  return x;
}

/// acc (n, 1) += sum of the columns of x (n, R): a bias gradient.
template <class Scalar>
void add_columns(View<Scalar> acc, ConstView<Scalar> x) {
  lanes<Scalar>(x.rows(), [&](auto at) {
    auto sum = at(acc.data());
    for (Index j = 0; j < x.cols(); ++j) sum = sum + at(x.col(j).data());
    at.store(acc.data(), sum);
  });
}

/// ReLU's gradient and the bias gradient below it in one pass: dy = dy ∘ [y > 0], then acc (n, 1) += its columns.
template <class Scalar>
void rectify_backward(ConstView<Scalar> y, View<Scalar> dy, View<Scalar> acc) {
  lanes<Scalar>(y.rows(), [&](auto at) {
    auto sum = at(acc.data());
    for (Index j = 0; j < y.cols(); ++j) {
      Scalar* const d = dy.col(j).data();
      const auto kept = where_positive(at(y.col(j).data()), at(d));
      at.store(d, kept);
      sum = sum + kept;
    }
    at.store(acc.data(), sum);
  });
}

}  // namespace qatten::inline QATTEN_ABI
