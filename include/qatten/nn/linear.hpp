#pragma once
// Linear layer.
//
//   y = W x + b
//
// Backward, with δ = ∂L/∂y:   ∂W += δ xᵀ,  ∂b += δ 1,  ∂x = Wᵀ δ

#include <string>

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/initialise.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (inputs, B), y (outputs, B). Parameters as in PyTorch: weight (outputs, inputs), bias (outputs).
/// `backward` needs x alone, so there is no cache, and `evaluate` is `forward`. Allocates nothing.
template <class Scalar>
class Linear {
 public:
  Linear(ParameterLayout& layout, const std::string& name, Index inputs, Index outputs, bool bias = true)
      : weight_(layout.add(name + ".weight", outputs, inputs)) {
    if (bias) bias_ = layout.add(name + ".bias", outputs);
  }

  Index inputs() const { return weight_.cols; }
  Index outputs() const { return weight_.rows; }
  const Block& weight() const { return weight_; }
  const Block& bias() const { return bias_; }  ///< size 0 when there is none

  /// PyTorch's default: weight and bias uniform in ±1/√inputs.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = default_bound(inputs());
    initialise_uniform(block(p, weight_), bound, random);
    if (bias_.size() > 0) initialise_uniform(block(p, bias_), bound, random);
  }

  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y) const {
    detail::check_shape("Linear", "x", x, inputs(), -1);
    detail::check_shape("Linear", "y", y, outputs(), x.cols());
    product<Scalar>(y, block(p, weight_), x, {.bias = bias_.size() > 0 ? block(p, bias_).data() : nullptr});
  }

  /// Adds to `gradients`, overwrites `dx`; an empty `dx` is not computed.
  void backward(const Vector<Scalar>& p, ConstView<Scalar> x, ConstView<Scalar> dy, Vector<Scalar>& gradients,
                View<Scalar> dx) const {
    product<Scalar>(block(gradients, weight_), dy, transposed(x), {.add = true});
    if (bias_.size() > 0) add_columns<Scalar>(block(gradients, bias_), dy);
    if (dx.size() > 0) product<Scalar>(dx, transposed(block(p, weight_)), dy);
  }

 private:
  Block weight_, bias_;
};

}  // namespace qatten::inline QATTEN_ABI
