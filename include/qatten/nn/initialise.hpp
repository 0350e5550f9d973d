#pragma once
// Initial weights, as PyTorch draws them, and orthogonal ones.

#include <cmath>
#include <string_view>

#include "qatten/core/parameters.hpp"
#include "qatten/core/random.hpp"

namespace qatten::inline QATTEN_ABI {

/// Every entry uniform in ±bound, column by column.
template <class Scalar>
void initialise_uniform(View<Scalar> w, double bound, Random& random) {
  for (Index j = 0; j < w.cols(); ++j)
    for (Index i = 0; i < w.rows(); ++i) w(i, j) = Scalar(random.uniform(-bound, bound));
}

/// PyTorch's default for the weights and biases of a layer: 1/√inputs, and 0 where there are no inputs.
inline double default_bound(Index inputs) { return inputs > 0 ? 1 / std::sqrt(double(inputs)) : 0; }

/// gain times a matrix with orthonormal rows (wide) or columns (tall), uniformly distributed: Gram-Schmidt on a normal
/// matrix, twice for accuracy (Saxe, McClelland, Ganguli 2014; Giraud et al. 2005). Allocates.
template <class Scalar>
void initialise_orthogonal(View<Scalar> w, double gain, Random& random) {
  const bool tall = w.rows() >= w.cols();
  Matrix<double> q(tall ? w.rows() : w.cols(), tall ? w.cols() : w.rows());
  for (double& x : q.reshaped()) x = random.normal();
  for (Index j = 0; j < q.cols(); ++j) {
    for (int pass = 0; pass < 2; ++pass)
      for (Index k = 0; k < j; ++k) q.col(j) -= q.col(k).dot(q.col(j)) * q.col(k);
    q.col(j).normalize();
  }
  for (Index j = 0; j < w.cols(); ++j)
    for (Index i = 0; i < w.rows(); ++i) w(i, j) = Scalar(gain * (tall ? q(i, j) : q(j, i)));
}

/// PyMARL2's `use_orthogonal`: every matrix whose name starts with `prefix` becomes orthogonal, every vector zero.
template <class Scalar>
void initialise_orthogonal(const ParameterLayout& layout, std::string_view prefix, Vector<Scalar>& p, double gain,
                           Random& random) {
  for (const NamedBlock& b : layout.blocks()) {
    if (!b.name.starts_with(prefix)) continue;
    if (b.rank == 2) {
      initialise_orthogonal(block(p, b), gain, random);
    } else {
      block(p, b).setZero();
    }
  }
}

}  // namespace qatten::inline QATTEN_ABI
