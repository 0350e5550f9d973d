#pragma once
// The recurrent agent of PyMARL (Rashid et al. 2018): every agent sees its own history alone.
//
//   x = relu(fc1 [o; onehot(a); onehot(i)]),   h' = GRU(x, h),   q = fc2 h'   or   fc2 LayerNorm(h')

#include <string>

#include "qatten/agents/input_layer.hpp"
#include "qatten/agents/output_layer.hpp"
#include "qatten/agents/team.hpp"
#include "qatten/nn/gru.hpp"

namespace qatten::inline QATTEN_ABI {

/// Serves `group` neighbouring columns of each team, the agents from `first_agent` on. Parameters fc1, rnn, fc2 and
/// layer_norm as in PyMARL.
template <class Scalar_>
class RecurrentNetwork {
 public:
  using Scalar = Scalar_;
  struct Cache {
    Matrix<Scalar> x, h;  ///< (hidden, columns)
    typename Gru<Scalar>::Cache gru;
    typename OutputLayer<Scalar>::Cache output;
  };
  struct Scratch {
    Matrix<Scalar> x, h;  ///< likewise, or their gradients
    typename Gru<Scalar>::Scratch gru;
    typename OutputLayer<Scalar>::Scratch output;
  };

  RecurrentNetwork(ParameterLayout& layout, const std::string& name, const AgentOptions& options, Index group,
                   Index first_agent)
      : group_(group),
        fc1_(layout, name + ".fc1", options, options.hidden_dim, group, first_agent),
        gru_(layout, name + ".rnn", options.hidden_dim, options.hidden_dim),
        output_(layout, name, options) {}

  void initialise(Vector<Scalar>& p, Random& random) const {
    fc1_.initialise(p, random);
    gru_.initialise(p, random);
    output_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    prepare_activations(cache, columns);
    gru_.prepare(cache.gru, scratch.gru, columns, batch);
    prepare_activations(scratch, columns);
    output_.prepare(cache.output, columns);
    output_.prepare(scratch.output, columns);
  }

  /// For `evaluate` and `step` alone.
  void prepare(Scratch& scratch, Index columns, Index batch) const {
    prepare_activations(scratch, columns);
    gru_.prepare(scratch.gru, batch);
    output_.prepare(scratch.output, columns);
  }

  void forward(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
               View<Scalar> q, Cache& cache, Scratch& scratch) const {
    const Index columns = in.obs.cols();
    detail::check_prepared("RecurrentNetwork", cache.x, columns);
    View<Scalar> x = cache.x.leftCols(columns), h = cache.h.leftCols(columns);
    fc1_.forward(p, in, x);
    gru_.forward(p, ragged, group_, x, h0, h, cache.gru, scratch.gru);
    output_.forward(p, h, q, cache.output);
  }

  void evaluate(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
                View<Scalar> q, Scratch& scratch) const {
    const Index columns = in.obs.cols();
    detail::check_prepared("RecurrentNetwork", scratch.x, columns);
    View<Scalar> x = scratch.x.leftCols(columns), h = scratch.h.leftCols(columns);
    fc1_.forward(p, in, x);
    gru_.evaluate(p, ragged, group_, x, h0, h, scratch.gru);
    output_.evaluate(p, h, q, scratch.output);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const Ragged& ragged, const AgentInputs<Scalar>& in,
                ConstView<Scalar> h0, ConstView<Scalar> dq, Vector<Scalar>& gradients, View<Scalar> dobs,
                View<Scalar> dh0, Scratch& scratch, ConstView<Scalar> dhidden = {}) const {
    const Index columns = in.obs.cols();
    View<Scalar> dx = scratch.x.leftCols(columns), dh = scratch.h.leftCols(columns);
    const ConstView<Scalar> x = cache.x.leftCols(columns), h = cache.h.leftCols(columns);
    output_.backward(p, h, cache.output, dq, gradients, dh);
    if (dhidden.size() > 0) dh += dhidden;
    gru_.backward(p, cache.gru, ragged, group_, x, h0, h, dh, gradients, dx, dh0, scratch.gru);
    fc1_.backward(p, in, x, dx, gradients, dobs);
  }

  void step(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar> hidden, View<Scalar> q,
            Scratch& scratch) const {
    const Index columns = in.obs.cols();
    detail::check_prepared("RecurrentNetwork", scratch.x, columns);
    View<Scalar> x = scratch.x.leftCols(columns);
    fc1_.forward(p, in, x);
    gru_.cell().evaluate(p, x, hidden, hidden, scratch.gru.cell);
    output_.evaluate(p, hidden, q, scratch.output);
  }

  /// h of the last `forward` or `evaluate` (hidden, columns).
  template <class Memory>
  ConstView<Scalar> hidden(const Memory& memory, Index columns) const {
    return memory.h.leftCols(columns);
  }

 private:
  template <class Memory>
  void prepare_activations(Memory& memory, Index columns) const {
    for (auto* m : {&memory.x, &memory.h}) m->resize(gru_.hidden(), columns);
  }

  Index group_;
  InputLayer<Scalar> fc1_;
  Gru<Scalar> gru_;
  OutputLayer<Scalar> output_;
};

template <class Scalar>
using RecurrentAgent = Team<RecurrentNetwork<Scalar>>;

static_assert(Agent<RecurrentAgent<float>>);

}  // namespace qatten::inline QATTEN_ABI
