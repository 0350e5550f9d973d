#pragma once
// Small kernels that several rooms share.

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// acc (n, 1) += sum of the columns of x (n, R): a bias gradient. Column by column, because Eigen's row-wise sum walks
/// a column-major matrix across its columns.
template <class Scalar>
void add_columns(View<Scalar> acc, ConstView<Scalar> x) {
  for (Index j = 0; j < x.cols(); ++j) acc.col(0) += x.col(j);
}

}  // namespace qatten::inline QATTEN_ABI
