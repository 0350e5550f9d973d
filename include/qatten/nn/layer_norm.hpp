#pragma once
// Layer normalisation (Ba, Kiros, Hinton 2016), over the features of each sample.
//
//   μ = mean x,  s = 1/√(var x + ε),  x̂ = (x − μ) s,  y = γ ∘ x̂ + β          (var with 1/F, ε = 1e-5: PyTorch)
//
// Backward, with δ = ∂L/∂y and g = γ ∘ δ:
//
//   ∂γ += Σ δ ∘ x̂,  ∂β += Σ δ,  ∂x = s (g − mean g − x̂ mean(g ∘ x̂))

#include <cmath>
#include <string>

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x, y (features, B). Parameters weight (γ) and bias (β).
template <class Scalar>
class LayerNorm {
 public:
  struct Cache {
    Matrix<Scalar> normalised;  ///< x̂ (features, B)
    Matrix<Scalar> scale;       ///< s (1, B)
  };

  LayerNorm(ParameterLayout& layout, const std::string& name, Index features)
      : weight_(layout.add(name + ".weight", features)), bias_(layout.add(name + ".bias", features)) {}

  void initialise(Vector<Scalar>& p) const {
    block(p, weight_).setOnes();
    block(p, bias_).setZero();
  }

  void prepare(Cache& cache, Index batch) const {
    cache.normalised.resize(weight_.rows, batch);
    cache.scale.resize(1, batch);
  }

  /// y may be x.
  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y, Cache& cache) const {
    detail::check_prepared("LayerNorm", cache.normalised, x.cols());
    const auto gamma = block(p, weight_).col(0).array(), beta = block(p, bias_).col(0).array();
    for (Index j = 0; j < x.cols(); ++j) {
      cache.scale(0, j) = normalise(x.col(j).data(), cache.normalised.col(j).data());
      y.col(j) = gamma * cache.normalised.col(j).array() + beta;
    }
  }

  /// y must not be x.
  void evaluate(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y) const {
    const auto gamma = block(p, weight_).col(0).array(), beta = block(p, bias_).col(0).array();
    for (Index j = 0; j < x.cols(); ++j) {
      normalise(x.col(j).data(), y.col(j).data());
      y.col(j) = gamma * y.col(j).array() + beta;
    }
  }

  /// Adds to `gradients`, overwrites `dx`, which may be dy.
  void backward(const Vector<Scalar>& p, const Cache& cache, ConstView<Scalar> dy, Vector<Scalar>& gradients,
                View<Scalar> dx) const {
    const auto features = static_cast<Scalar>(double(weight_.rows));
    const auto gamma = block(p, weight_).col(0).array();
    for (Index j = 0; j < dy.cols(); ++j) {
      const auto x_hat = cache.normalised.col(j).array();
      block(gradients, weight_).col(0).array() += dy.col(j).array() * x_hat;
      block(gradients, bias_).col(0) += dy.col(j);
      dx.col(j) = gamma * dy.col(j).array();
      const Scalar mean = sum(dx.col(j).data(), weight_.rows) / features;
      const Scalar along = dot(dx.col(j).data(), cache.normalised.col(j).data(), weight_.rows) / features;
      dx.col(j) = cache.scale(0, j) * (dx.col(j).array() - mean - x_hat * along);
    }
  }

 private:
  Scalar normalise(const Scalar* x, Scalar* x_hat) const {
    using std::sqrt;
    const Index n = weight_.rows;
    const auto features = static_cast<Scalar>(double(n));
    const Scalar mean = sum(x, n) / features;
    for (Index i = 0; i < n; ++i) x_hat[i] = x[i] - mean;
    const Scalar scale = Scalar(1) / sqrt(dot(x_hat, x_hat, n) / features + Scalar(1e-5));
    for (Index i = 0; i < n; ++i) x_hat[i] *= scale;
    return scale;
  }

  Block weight_, bias_;
};

}  // namespace qatten::inline QATTEN_ABI
