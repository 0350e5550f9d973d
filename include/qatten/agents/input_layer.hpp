#pragma once
// An agent's first layer, on its observation o, the action a it took before and its own index i:
//
//   y = f(W [o; onehot(a); onehot(i)] + b) = f(W_o o + W_{:,a} + W_{:,i} + b)      f is ReLU for agents
//
// The one-hot parts are columns of W looked up, not products. Backward, with δ = ∂L/∂y ∘ f':
//
//   ∂W_o += δ oᵀ,   ∂W_{:,a} += δ,   ∂W_{:,i} += δ,   ∂b += δ 1,   ∂o = W_oᵀ δ

#include <string>

#include "qatten/agents/agent.hpp"
#include "qatten/core/math.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/initialise.hpp"

namespace qatten::inline QATTEN_ABI {

/// Parameters as a PyTorch Linear over the concatenated input: weight (outputs, obs_shape + n_actions + n_agents),
/// bias. Column j belongs to agent first_agent + j mod group.
template <class Scalar>
class InputLayer {
 public:
  InputLayer(ParameterLayout& layout, const std::string& name, const AgentOptions& options, Index outputs, Index group,
             Index first_agent, Activation activation = Activation::relu)
      : options_(options),
        group_(group),
        first_agent_(first_agent),
        activation_(activation),
        weight_(layout.add(name + ".weight", outputs, id_column() + (options.obs_agent_id ? options.n_agents : 0))),
        bias_(layout.add(name + ".bias", outputs)) {}

  Index outputs() const { return weight_.rows; }

  /// PyTorch's default, over the whole concatenated input.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = 1 / std::sqrt(double(weight_.cols));
    initialise_uniform(block(p, weight_), bound, random);
    initialise_uniform(block(p, bias_), bound, random);
  }

  void forward(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar> y) const {
    detail::check_shape("InputLayer", "obs", in.obs, options_.obs_shape, -1);
    detail::check_shape("InputLayer", "y", y, outputs(), in.obs.cols());
    if (options_.obs_last_action) detail::check_shape("InputLayer", "last_actions", in.last_actions, 1, in.obs.cols());
    const auto w = block(p, weight_), b = block(p, bias_);
    for (Index j = 0; j < y.cols(); ++j) {
      const Scalar* id = options_.obs_agent_id ? w.col(id_column() + agent(j)).data() : nullptr;
      const Index a = last_action(in, j);
      const Scalar* last = a >= 0 ? w.col(options_.obs_shape + a).data() : nullptr;
      lanes<Scalar>(y.rows(), [&](auto at) {
        auto sum = at(b.data());
        if (id != nullptr) sum = sum + at(id);
        if (last != nullptr) sum = sum + at(last);
        at.store(y.col(j).data(), sum);
      });
    }
    const bool relu = activation_ == Activation::relu;
    product<Scalar>(y, w.leftCols(options_.obs_shape), in.obs, {.add = true, .relu = relu});
    if (!relu) activate(activation_, y);
  }

  /// From y of `forward`. Adds to `gradients`, uses up `dy`, overwrites `dobs`; an empty one is not computed.
  void backward(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, ConstView<Scalar> y, View<Scalar> dy,
                Vector<Scalar>& gradients, View<Scalar> dobs) const {
    View<Scalar> dw = block(gradients, weight_);
    if (activation_ == Activation::relu) {
      rectify_backward<Scalar>(y, dy, block(gradients, bias_));
    } else {
      activate_backward(activation_, y, dy);
      add_columns<Scalar>(block(gradients, bias_), dy);
    }
    for (Index j = 0; j < dy.cols(); ++j) {
      if (options_.obs_agent_id) dw.col(id_column() + agent(j)) += dy.col(j);
      if (const Index a = last_action(in, j); a >= 0) dw.col(options_.obs_shape + a) += dy.col(j);
    }
    product<Scalar>(dw.leftCols(options_.obs_shape), dy, transposed(in.obs), {.add = true});
    if (dobs.size() > 0)
      product<Scalar>(dobs, transposed(ConstView<Scalar>(block(p, weight_).leftCols(options_.obs_shape))), dy);
  }

 private:
  Index id_column() const { return options_.obs_shape + (options_.obs_last_action ? options_.n_actions : 0); }
  Index agent(Index column) const { return first_agent_ + column % group_; }
  Index last_action(const AgentInputs<Scalar>& in, Index column) const {
    return options_.obs_last_action ? Index(in.last_actions(0, column)) : -1;
  }

  AgentOptions options_;
  Index group_, first_agent_;
  Activation activation_;
  Block weight_, bias_;
};

}  // namespace qatten::inline QATTEN_ABI
