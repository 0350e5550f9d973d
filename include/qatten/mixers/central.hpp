#pragma once
// WQMIX's unrestricted mixer (Rashid et al. 2020, arXiv 2006.10800; `ff` of its authors' code): any function of the
// agents' values and the state.
//
//   Q* = net([s; Q]) + V(s),   net of three hidden layers, V of one
//
// It promises nothing: only values at given actions are asked of it, never its greedy actions.

#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/mlp.hpp"

namespace qatten::inline QATTEN_ABI {

struct CentralMixerOptions {
  Index central_mixing_embed_dim = 256;  ///< width of all hidden layers
};

/// Reads agent_qs and state. Parameters `name`.net and `name`.V, as in its authors' code.
template <class Scalar_>
class CentralMixer {
 public:
  using Scalar = Scalar_;
  struct Cache {
    typename Mlp<Scalar>::Cache net, value;
    Matrix<Scalar> input;  ///< [s; Q] (state_dim + n_agents, R)
    Matrix<Scalar> v;      ///< (1, R)
  };
  struct Scratch {
    typename Mlp<Scalar>::Scratch net, value;
    Matrix<Scalar> input, v;
  };

  CentralMixer(ParameterLayout& layout, const std::string& name, Index n_agents, Index state_dim,
               const CentralMixerOptions& options = {})
      : n_agents_(n_agents),
        state_dim_(state_dim),
        net_(layout, name + ".net",
             {state_dim + n_agents, options.central_mixing_embed_dim, options.central_mixing_embed_dim,
              options.central_mixing_embed_dim, 1}),
        value_(layout, name + ".V", {state_dim, options.central_mixing_embed_dim, 1}) {}

  Index n_agents() const { return n_agents_; }
  Index outputs() const { return 1; }
  MixerPromises promises() const { return {}; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    net_.initialise(p, random);
    value_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    net_.prepare(cache.net, scratch.net, rows);
    value_.prepare(cache.value, scratch.value, rows);
    for (auto* m : {&cache.input, &scratch.input}) m->resize(net_.inputs(), rows);
    for (auto* m : {&cache.v, &scratch.v}) m->resize(1, rows);
  }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch&) const {
    const ConstView<Scalar> x = input(in, q_tot, cache);
    View<Scalar> v = cache.v.leftCols(x.cols());
    net_.forward(p, x, q_tot, cache.net);
    value_.forward(p, in.state, v, cache.value);
    q_tot += v;
  }

  void evaluate(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch& scratch) const {
    const ConstView<Scalar> x = input(in, q_tot, scratch);
    View<Scalar> v = scratch.v.leftCols(x.cols());
    net_.evaluate(p, x, q_tot, scratch.net);
    value_.evaluate(p, in.state, v, scratch.value);
    q_tot += v;
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>& gradients, View<Scalar> dagent_qs, Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    detail::check_prepared("CentralMixer", cache.input, rows);
    detail::check_prepared("CentralMixer", scratch.input, rows);
    detail::check_shape("CentralMixer::backward", "dq_tot", dq_tot, 1, rows);
    detail::check_shape("CentralMixer::backward", "dagent_qs", dagent_qs, n_agents_, rows);
    View<Scalar> dx = scratch.input.leftCols(rows);
    net_.backward(p, cache.net, cache.input.leftCols(rows), dq_tot, gradients, dx, scratch.net);
    value_.backward(p, cache.value, in.state, dq_tot, gradients, {}, scratch.value);
    dagent_qs = dx.bottomRows(n_agents_);
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  /// `Memory` is Cache or Scratch.
  template <class Memory>
  ConstView<Scalar> input(const MixerInputs<Scalar>& in, ConstView<Scalar> q_tot, Memory& memory) const {
    const Index rows = in.agent_qs.cols();
    detail::check_shape("CentralMixer", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("CentralMixer", "state", in.state, state_dim_, rows);
    detail::check_shape("CentralMixer", "q_tot", q_tot, 1, rows);
    detail::check_prepared("CentralMixer", memory.input, rows);
    View<Scalar> x = memory.input.leftCols(rows);
    x.topRows(state_dim_) = in.state;
    x.bottomRows(n_agents_) = in.agent_qs;
    return x;
  }

  Index n_agents_, state_dim_;
  Mlp<Scalar> net_, value_;
};

static_assert(Mixer<CentralMixer<float>>);

}  // namespace qatten::inline QATTEN_ABI
