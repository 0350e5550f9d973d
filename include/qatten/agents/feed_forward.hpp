#pragma once
// The agent without memory: its values depend on what it sees now.
//
//   x_1 = relu(fc1 [o; onehot(a); onehot(i)]),   x_2 = relu(fc2 x_1),   q = fc3 x_2

#include <string>

#include "qatten/agents/input_layer.hpp"
#include "qatten/agents/team.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/linear.hpp"

namespace qatten::inline QATTEN_ABI {

/// As RecurrentNetwork, without a state that goes from step to step: h0 and the `hidden` of `step` are ignored, dh0 is
/// left alone. What its last layer sees, x_2, stands for h.
template <class Scalar_>
class FeedForwardNetwork {
 public:
  using Scalar = Scalar_;
  struct Cache {
    Matrix<Scalar> x_1, x_2;  ///< (hidden, columns)
  };
  struct Scratch {
    Matrix<Scalar> x_1, x_2;  ///< likewise, or their gradients
  };

  FeedForwardNetwork(ParameterLayout& layout, const std::string& name, const AgentOptions& options, Index group,
                     Index first_agent)
      : fc1_(layout, name + ".fc1", options, options.hidden_dim, group, first_agent),
        fc2_(layout, name + ".fc2", options.hidden_dim, options.hidden_dim),
        fc3_(layout, name + ".fc3", options.hidden_dim, options.n_actions) {
    detail::require(!options.use_layer_norm, "FeedForwardNetwork", "use_layer_norm is for recurrent agents");
  }

  void initialise(Vector<Scalar>& p, Random& random) const {
    fc1_.initialise(p, random);
    fc2_.initialise(p, random);
    fc3_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    prepare_activations(cache, columns);
    prepare(scratch, columns, batch);
  }
  void prepare(Scratch& scratch, Index columns, Index) const { prepare_activations(scratch, columns); }

  void forward(const Vector<Scalar>& p, const Ragged&, const AgentInputs<Scalar>& in, ConstView<Scalar>, View<Scalar> q,
               Cache& cache, Scratch&) const {
    run(p, in, q, cache);
  }

  void evaluate(const Vector<Scalar>& p, const Ragged&, const AgentInputs<Scalar>& in, ConstView<Scalar>,
                View<Scalar> q, Scratch& scratch) const {
    run(p, in, q, scratch);
  }

  void step(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar>, View<Scalar> q,
            Scratch& scratch) const {
    run(p, in, q, scratch);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const Ragged&, const AgentInputs<Scalar>& in,
                ConstView<Scalar>, ConstView<Scalar> dq, Vector<Scalar>& gradients, View<Scalar> dobs, View<Scalar>,
                Scratch& scratch, ConstView<Scalar> dhidden = {}) const {
    const Index columns = in.obs.cols();
    const ConstView<Scalar> x_1 = cache.x_1.leftCols(columns), x_2 = cache.x_2.leftCols(columns);
    View<Scalar> dx_1 = scratch.x_1.leftCols(columns), dx_2 = scratch.x_2.leftCols(columns);
    fc3_.backward(p, x_2, dq, gradients, dx_2);
    if (dhidden.size() > 0) dx_2 += dhidden;
    activate_backward(Activation::relu, x_2, dx_2);
    fc2_.backward(p, x_1, dx_2, gradients, dx_1);
    fc1_.backward(p, in, x_1, dx_1, gradients, dobs);
  }

  /// x_2 of the last `forward` or `evaluate` (hidden, columns).
  template <class Memory>
  ConstView<Scalar> hidden(const Memory& memory, Index columns) const {
    return memory.x_2.leftCols(columns);
  }

 private:
  template <class Memory>
  void prepare_activations(Memory& memory, Index columns) const {
    for (auto* m : {&memory.x_1, &memory.x_2}) m->resize(fc2_.outputs(), columns);
  }

  template <class Memory>
  void run(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar> q, Memory& memory) const {
    const Index columns = in.obs.cols();
    detail::check_prepared("FeedForwardNetwork", memory.x_1, columns);
    View<Scalar> x_1 = memory.x_1.leftCols(columns), x_2 = memory.x_2.leftCols(columns);
    fc1_.forward(p, in, x_1);
    fc2_.forward(p, x_1, x_2);
    activate(Activation::relu, x_2);
    fc3_.forward(p, x_2, q);
  }

  InputLayer<Scalar> fc1_;
  Linear<Scalar> fc2_, fc3_;
};

template <class Scalar>
using FeedForwardAgent = Team<FeedForwardNetwork<Scalar>>;

static_assert(Agent<FeedForwardAgent<float>>);

}  // namespace qatten::inline QATTEN_ABI
