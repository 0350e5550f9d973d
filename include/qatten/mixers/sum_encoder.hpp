#pragma once
// A team as one vector, whatever its size and order (Son et al. 2019, arXiv 1905.05408):
//
//   y = Σ_i f(x_i),   f = two layers with a ReLU between
//
// Backward, with δ = ∂L/∂y: each f(x_i) has the gradient δ.

#include <string>

#include "qatten/nn/mlp.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (size, n_agents · R), agents of a sample side by side; y (size, R). Parameters `name`.0 and `name`.2.
template <class Scalar>
class SumEncoder {
 public:
  struct Cache {
    typename Mlp<Scalar>::Cache mlp;
    Matrix<Scalar> each;  ///< f(x_i), (size, n_agents · R)
  };
  struct Scratch {
    typename Mlp<Scalar>::Scratch mlp;
    Matrix<Scalar> each;
  };

  SumEncoder(ParameterLayout& layout, const std::string& name, Index size, Index n_agents)
      : mlp_(layout, name, {size, size, size}), n_agents_(n_agents) {}

  Index size() const { return mlp_.outputs(); }
  void initialise(Vector<Scalar>& p, Random& random) const { mlp_.initialise(p, random); }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    mlp_.prepare(cache.mlp, scratch.mlp, n_agents_ * rows);
    for (auto* m : {&cache.each, &scratch.each}) m->resize(size(), n_agents_ * rows);
  }

  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y, Cache& cache) const {
    detail::check_shape("SumEncoder", "x", x, size(), n_agents_ * y.cols());
    detail::check_prepared("SumEncoder", cache.each, x.cols());
    View<Scalar> each = cache.each.leftCols(x.cols());
    mlp_.forward(p, x, each, cache.mlp);
    for (Index r = 0; r < y.cols(); ++r) {
      y.col(r) = each.col(r * n_agents_);
      for (Index i = 1; i < n_agents_; ++i) y.col(r) += each.col(r * n_agents_ + i);
    }
  }

  /// Adds to `gradients`, overwrites `dx`; an empty `dx` is not computed.
  void backward(const Vector<Scalar>& p, const Cache& cache, ConstView<Scalar> x, ConstView<Scalar> dy,
                Vector<Scalar>& gradients, View<Scalar> dx, Scratch& scratch) const {
    View<Scalar> each = scratch.each.leftCols(x.cols());
    for (Index c = 0; c < x.cols(); ++c) each.col(c) = dy.col(c / n_agents_);
    mlp_.backward(p, cache.mlp, x, each, gradients, dx, scratch.mlp);
  }

 private:
  Mlp<Scalar> mlp_;
  Index n_agents_;
};

}  // namespace qatten::inline QATTEN_ABI
