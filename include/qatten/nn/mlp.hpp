#pragma once
// Multi-layer perceptron: linear layers with one activation f between them.
//
//   y_0 = x,  y_k = f(W_k y_{k−1} + b_k),  the last layer without f

#include <string>
#include <vector>

#include "qatten/nn/activation.hpp"
#include "qatten/nn/linear.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (sizes.front(), B), y (sizes.back(), B). Parameters under the names of PyTorch's Sequential with the
/// activation as a module of its own: name.0.weight, name.2.weight, …
template <class Scalar>
class Mlp {
 public:
  /// Hidden layers' outputs.
  struct Cache {
    std::vector<Matrix<Scalar>> hidden;
  };
  struct Scratch {
    std::vector<Matrix<Scalar>> hidden;
  };

  Mlp(ParameterLayout& layout, const std::string& name, const std::vector<Index>& sizes,
      Activation activation = Activation::relu)
      : activation_(activation) {
    detail::require(sizes.size() >= 2, "Mlp", "needs at least an input and an output size");
    for (std::size_t k = 0; k + 1 < sizes.size(); ++k)
      layers_.emplace_back(layout, name + "." + std::to_string(2 * k), sizes[k], sizes[k + 1]);
  }

  Index inputs() const { return layers_.front().inputs(); }
  Index outputs() const { return layers_.back().outputs(); }

  void initialise(Vector<Scalar>& p, Random& random) const {
    for (const Linear<Scalar>& layer : layers_) layer.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index batch) const {
    for (auto* hidden : {&cache.hidden, &scratch.hidden}) {
      hidden->resize(layers_.size() - 1);
      for (std::size_t k = 0; k < hidden->size(); ++k) (*hidden)[k].resize(layers_[k].outputs(), batch);
    }
  }

  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y, Cache& cache) const {
    run(p, x, y, cache.hidden);
  }

  void evaluate(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y, Scratch& scratch) const {
    run(p, x, y, scratch.hidden);
  }

  /// Adds to `gradients`, overwrites `dx`; an empty `dx` is not computed.
  void backward(const Vector<Scalar>& p, const Cache& cache, ConstView<Scalar> x, ConstView<Scalar> dy,
                Vector<Scalar>& gradients, View<Scalar> dx, Scratch& scratch) const {
    const Index batch = x.cols();
    for (std::size_t k = layers_.size(); k-- > 0;) {
      const bool last = k + 1 == layers_.size();
      const ConstView<Scalar> dout = last ? dy : ConstView<Scalar>(scratch.hidden[k].leftCols(batch));
      if (k == 0) {
        layers_[k].backward(p, x, dout, gradients, dx);
      } else {
        const ConstView<Scalar> input = cache.hidden[k - 1].leftCols(batch);
        View<Scalar> dinput = scratch.hidden[k - 1].leftCols(batch);
        layers_[k].backward(p, input, dout, gradients, dinput);
        activate_backward(activation_, input, dinput);
      }
    }
  }

 private:
  void run(const Vector<Scalar>& p, ConstView<Scalar> x, View<Scalar> y, std::vector<Matrix<Scalar>>& hidden) const {
    const Index batch = x.cols();
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const ConstView<Scalar> input = k == 0 ? x : ConstView<Scalar>(hidden[k - 1].leftCols(batch));
      if (k + 1 == layers_.size()) {
        layers_[k].forward(p, input, y);
      } else {
        detail::check_prepared("Mlp", hidden[k], batch);
        View<Scalar> output = hidden[k].leftCols(batch);
        layers_[k].forward(p, input, output);
        activate(activation_, output);
      }
    }
  }

  std::vector<Linear<Scalar>> layers_;
  Activation activation_;
};

}  // namespace qatten::inline QATTEN_ABI
