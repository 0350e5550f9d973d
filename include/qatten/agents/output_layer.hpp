#pragma once
// A recurrent agent's last layer, on its hidden state h:
//
//   q = W h + b      or   q = W LayerNorm(h) + b
//
// Backward, with δ = ∂L/∂q and y what W sees:   ∂W += δ yᵀ,   ∂b += δ 1,   ∂y = Wᵀ δ,   and through LayerNorm to ∂h.

#include <optional>
#include <string>

#include "qatten/agents/agent.hpp"
#include "qatten/nn/layer_norm.hpp"
#include "qatten/nn/linear.hpp"

namespace qatten::inline QATTEN_ABI {

/// Parameters fc2 and, with use_layer_norm, layer_norm, as in PyMARL2. Columns are agents.
template <class Scalar>
class OutputLayer {
 public:
  struct Cache {
    Matrix<Scalar> y;  ///< LayerNorm(h) (hidden, columns), where there is one
    typename LayerNorm<Scalar>::Cache layer_norm;
  };
  struct Scratch {
    Matrix<Scalar> y;  ///< likewise
  };

  OutputLayer(ParameterLayout& layout, const std::string& name, const AgentOptions& options)
      : fc2_(layout, name + ".fc2", options.hidden_dim, options.n_actions) {
    if (options.use_layer_norm) layer_norm_.emplace(layout, name + ".layer_norm", options.hidden_dim);
  }

  void initialise(Vector<Scalar>& p, Random& random) const {
    fc2_.initialise(p, random);
    if (layer_norm_) layer_norm_->initialise(p);
  }

  void prepare(Cache& cache, Index columns) const {
    if (!layer_norm_) return;
    cache.y.resize(fc2_.inputs(), columns);
    layer_norm_->prepare(cache.layer_norm, columns);
  }
  void prepare(Scratch& scratch, Index columns) const {
    if (layer_norm_) scratch.y.resize(fc2_.inputs(), columns);
  }

  void forward(const Vector<Scalar>& p, ConstView<Scalar> h, View<Scalar> q, Cache& cache) const {
    if (layer_norm_) layer_norm_->forward(p, h, cache.y.leftCols(h.cols()), cache.layer_norm);
    fc2_.forward(p, seen(h, cache), q);
  }

  void evaluate(const Vector<Scalar>& p, ConstView<Scalar> h, View<Scalar> q, Scratch& scratch) const {
    if (layer_norm_) {
      detail::check_prepared("OutputLayer", scratch.y, h.cols());
      layer_norm_->evaluate(p, h, scratch.y.leftCols(h.cols()));
    }
    fc2_.forward(p, seen(h, scratch), q);
  }

  /// Adds to `gradients` and sets dh.
  void backward(const Vector<Scalar>& p, ConstView<Scalar> h, const Cache& cache, ConstView<Scalar> dq,
                Vector<Scalar>& gradients, View<Scalar> dh) const {
    fc2_.backward(p, seen(h, cache), dq, gradients, dh);
    if (layer_norm_) layer_norm_->backward(p, cache.layer_norm, dh, gradients, dh);
  }

 private:
  template <class Memory>
  ConstView<Scalar> seen(ConstView<Scalar> h, const Memory& memory) const {
    return layer_norm_ ? ConstView<Scalar>(memory.y.leftCols(h.cols())) : h;
  }

  Linear<Scalar> fc2_;
  std::optional<LayerNorm<Scalar>> layer_norm_;
};

}  // namespace qatten::inline QATTEN_ABI
