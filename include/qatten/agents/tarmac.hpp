#pragma once
// The recurrent agent that listens to its team (TarMAC: Das et al. 2019, arXiv 1810.11187). The messages of step t are
// made of the states that step t − 1 left, so that what an agent saw reaches its team one step later:
//
//   x = relu(fc1 [o; onehot(a); onehot(i)])
//   c = messages(h of the whole team)                                       agents/messages.hpp
//   h' = GRU([x; c], h),   q = fc2 h'   or   fc2 LayerNorm(h')
//
// Backward through time as in nn/gru.hpp; the carry ∂L/∂h of an agent also gets what its messages did to the others:
//
//   [∂x; ∂c] and ∂h from the GRU,   ∂h += messages' backward of ∂c
//
// There is nothing between steps but h. x does not depend on h, so that fc1 is one product over all steps.

#include <string>

#include "qatten/agents/input_layer.hpp"
#include "qatten/agents/messages.hpp"
#include "qatten/agents/output_layer.hpp"
#include "qatten/nn/gru_cell.hpp"

namespace qatten::inline QATTEN_ABI {

/// A team that shares one network. Parameters fc1, rnn, fc2 and layer_norm as in PyMARL, query, value, signature and
/// refine as in `Messages`. All agents of a team are needed to act: who acts alone has no one to listen to.
template <class Scalar_>
class TarmacAgent {
 public:
  using Scalar = Scalar_;
  struct Cache {
    Matrix<Scalar> x;  ///< [x; c] (hidden + value, columns)
    Matrix<Scalar> h;  ///< (hidden, columns)
    typename GruCell<Scalar>::Cache gru;
    typename OutputLayer<Scalar>::Cache output;
    typename Messages<Scalar>::Memory messages;
  };
  struct Scratch {
    Matrix<Scalar> x, h;   ///< likewise, or their gradients
    Matrix<Scalar> zero;   ///< h before the first step
    Matrix<Scalar> carry;  ///< ∂L/∂h_t
    typename GruCell<Scalar>::Scratch gru;
    typename OutputLayer<Scalar>::Scratch output;
    typename Messages<Scalar>::Memory messages;  ///< of one step
  };

  TarmacAgent(ParameterLayout& layout, const std::string& name, const AgentOptions& options)
      : options_(checked(options)),
        fc1_(layout, name + ".fc1", options, options.hidden_dim, options.n_agents, 0),
        messages_(layout, name, options.n_agents, options.hidden_dim, options.comm_rounds),
        gru_(layout, name + ".rnn", options.hidden_dim + Messages<Scalar>::value, options.hidden_dim),
        output_(layout, name, options) {}

  const AgentOptions& options() const { return options_; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    fc1_.initialise(p, random);
    messages_.initialise(p, random);
    gru_.initialise(p, random);
    output_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    prepare_activations(cache, columns);
    gru_.prepare(cache.gru, scratch.gru, columns, batch);
    messages_.prepare(cache.messages, columns);
    output_.prepare(cache.output, columns);
    prepare(scratch, columns, batch);
  }

  /// For `evaluate` and `step` alone.
  void prepare(Scratch& scratch, Index columns, Index batch) const {
    prepare_activations(scratch, columns);
    scratch.zero.setZero(options_.hidden_dim, batch);
    scratch.carry.resize(options_.hidden_dim, batch);
    gru_.prepare(scratch.gru, batch);
    messages_.prepare(scratch.messages, batch);
    output_.prepare(scratch.output, columns);
  }

  void forward(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
               View<Scalar> q, Cache& cache, Scratch& scratch) const {
    const Index columns = in.obs.cols();
    unroll(p, ragged, in, h0, cache, scratch,
           [&](View<Scalar> x, ConstView<Scalar> before, View<Scalar> h, Index column) {
             messages_.forward(p, before, received(x), cache.messages, column);
             gru_.forward(p, x, before, h, cache.gru, scratch.gru, column);
           });
    output_.forward(p, cache.h.leftCols(columns), q, cache.output);
  }

  void evaluate(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
                View<Scalar> q, Scratch& scratch) const {
    const Index columns = in.obs.cols();
    unroll(p, ragged, in, h0, scratch, scratch, [&](View<Scalar> x, ConstView<Scalar> before, View<Scalar> h, Index) {
      listen_and_go_on(p, x, before, h, scratch);
    });
    output_.evaluate(p, scratch.h.leftCols(columns), q, scratch.output);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const Ragged& ragged, const AgentInputs<Scalar>& in,
                ConstView<Scalar> h0, ConstView<Scalar> dq, Vector<Scalar>& gradients, View<Scalar> dobs,
                View<Scalar> dh0, Scratch& scratch, ConstView<Scalar> dhidden = {}) const {
    const Index columns = in.obs.cols(), n = options_.n_agents;
    const ConstView<Scalar> x = cache.x.leftCols(columns), h = cache.h.leftCols(columns);
    View<Scalar> dx = scratch.x.leftCols(columns), dh = scratch.h.leftCols(columns);
    output_.backward(p, h, cache.output, dq, gradients, dh);
    if (dhidden.size() > 0) dh += dhidden;
    for (Index t = ragged.steps(); t-- > 0;) {
      const Index column = ragged.offset(t) * n, batch = ragged.living(t) * n, going_on = ragged.living(t + 1) * n;
      const ConstView<Scalar> before = previous(ragged, t, h0, h, scratch);
      View<Scalar> carry = scratch.carry.leftCols(batch), dx_t = dx.middleCols(column, batch);
      carry.leftCols(going_on) += dh.middleCols(column, going_on);
      carry.rightCols(batch - going_on) = dh.middleCols(column + going_on, batch - going_on);
      gru_.backward(p, cache.gru, x.middleCols(column, batch), before, carry, gradients, dx_t, carry, scratch.gru,
                    column);
      messages_.backward(p, cache.messages, before, received(dx_t), gradients, carry, scratch.messages, column);
    }
    if (dh0.size() > 0) dh0 = scratch.carry.leftCols(ragged.living(0) * n);
    fc1_.backward(p, in, seen(x), seen(dx), gradients, dobs);
  }

  void hidden(const Cache& cache, View<Scalar> h) const { h = cache.h.leftCols(h.cols()); }
  void hidden(const Scratch& scratch, View<Scalar> h) const { h = scratch.h.leftCols(h.cols()); }

  void step(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar> hidden, View<Scalar> q,
            Scratch& scratch) const {
    const Index columns = in.obs.cols();
    detail::check_prepared("TarmacAgent", scratch.x, columns);
    View<Scalar> x = scratch.x.leftCols(columns);
    fc1_.forward(p, in, seen(x));
    listen_and_go_on(p, x, hidden, hidden, scratch);
    output_.evaluate(p, hidden, q, scratch.output);
  }

  /// α of a round, 0 the first: who listens to whom. (n_agents, columns): in column j what agent j of its team makes of
  /// each member's message. Of a cache, in all steps of the last `forward`; of scratch memory, in the last `step`.
  template <class Memory>
  ConstView<Scalar> attention(const Memory& memory, Index columns, Index round = 0) const {
    return memory.messages[static_cast<std::size_t>(round)].attention.leftCols(columns);
  }

 private:
  static const AgentOptions& checked(const AgentOptions& o) {
    detail::require(o.n_agents >= 1 && o.n_actions >= 1 && o.obs_shape >= 1 && o.hidden_dim >= 1, "TarmacAgent",
                    "n_agents, n_actions, obs_shape and hidden_dim must be at least 1");
    detail::require(o.share_parameters, "TarmacAgent", "share_parameters must be true: one network serves the team");
    return o;
  }

  template <class Memory>
  void prepare_activations(Memory& memory, Index columns) const {
    memory.x.resize(gru_.inputs(), columns);
    memory.h.resize(options_.hidden_dim, columns);
  }

  /// The rows x and c of [x; c], or of its gradient.
  template <class V>
  V seen(V x) const {
    return x.topRows(options_.hidden_dim);
  }
  static View<Scalar> received(View<Scalar> x) { return x.bottomRows(Messages<Scalar>::value); }

  /// h of all steps into `memory`, by `go_on(x, h before, h after, column)`.
  template <class Memory, class GoOn>
  void unroll(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
              Memory& memory, const Scratch& scratch, const GoOn& go_on) const {
    const Index columns = in.obs.cols(), n = options_.n_agents;
    detail::check_prepared("TarmacAgent", memory.x, columns);
    detail::check_prepared("TarmacAgent", scratch.zero, ragged.living(0) * n);
    detail::check_shape("TarmacAgent", "obs", in.obs, -1, ragged.total() * n);
    if (h0.size() > 0) detail::check_shape("TarmacAgent", "h0", h0, options_.hidden_dim, ragged.living(0) * n);
    View<Scalar> x = memory.x.leftCols(columns), h = memory.h.leftCols(columns);
    fc1_.forward(p, in, seen(x));
    for (Index t = 0; t < ragged.steps(); ++t) {
      const Index column = ragged.offset(t) * n, batch = ragged.living(t) * n;
      go_on(x.middleCols(column, batch), previous(ragged, t, h0, h, scratch), h.middleCols(column, batch), column);
    }
  }

  void listen_and_go_on(const Vector<Scalar>& p, View<Scalar> x, ConstView<Scalar> before, View<Scalar> h,
                        Scratch& scratch) const {
    messages_.forward(p, before, received(x), scratch.messages);
    gru_.evaluate(p, x, before, h, scratch.gru);
  }

  /// h_{t−1} of the teams that live at t: a prefix of the step before.
  ConstView<Scalar> previous(const Ragged& ragged, Index t, ConstView<Scalar> h0, ConstView<Scalar> h,
                             const Scratch& scratch) const {
    const Index batch = ragged.living(t) * options_.n_agents;
    if (t > 0) return h.middleCols(ragged.offset(t - 1) * options_.n_agents, batch);
    return h0.size() > 0 ? h0 : ConstView<Scalar>(scratch.zero.leftCols(batch));
  }

  AgentOptions options_;
  InputLayer<Scalar> fc1_;
  Messages<Scalar> messages_;
  GruCell<Scalar> gru_;
  OutputLayer<Scalar> output_;
};

static_assert(Agent<TarmacAgent<float>>);

}  // namespace qatten::inline QATTEN_ABI
