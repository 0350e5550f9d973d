#pragma once
// Value decomposition network (Sunehag et al. 2018): Q_tot = Σ_i Q_i.
//
// Backward: ∂L/∂Q_i = ∂L/∂Q_tot.

#include <algorithm>
#include <string>

#include "qatten/core/columns.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sum of the agents' values. Reads agent_qs alone; no parameters.
template <class Scalar_>
class Vdn {
 public:
  using Scalar = Scalar_;
  struct Cache {};
  struct Scratch {};

  /// Throws unless n_agents >= 1.
  explicit Vdn(Index n_agents) : n_agents_(n_agents) {
    detail::require(n_agents >= 1, "Vdn", "got " + std::to_string(n_agents) + " agents, expected >= 1");
  }

  Index n_agents() const { return n_agents_; }
  Index outputs() const { return 1; }
  MixerPromises promises() const { return {.monotonic = true, .igm = true, .additive = true}; }

  void initialise(Vector<Scalar>&, Random&) const {}
  void prepare(Cache&, Scratch&, Index) const {}

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache&,
               Scratch& scratch) const {
    evaluate(p, in, q_tot, scratch);
  }

  void evaluate(const Vector<Scalar>&, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch&) const {
    detail::check_shape("Vdn", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Vdn", "q_tot", q_tot, 1, in.agent_qs.cols());
    const bool packed = in.agent_qs.outerStride() == n_agents_ && q_tot.outerStride() == 1;
    if (packed) return column_sums(in.agent_qs.data(), n_agents_, q_tot.cols(), q_tot.data());
    for (Index r = 0; r < q_tot.cols(); ++r) column_sums(in.agent_qs.col(r).data(), n_agents_, 1, &q_tot(0, r));
  }

  void backward(const Vector<Scalar>&, const Cache&, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>&, View<Scalar> dagent_qs, Scratch&) const {
    detail::check_shape("Vdn", "dq_tot", dq_tot, 1, in.agent_qs.cols());
    detail::check_shape("Vdn", "dagent_qs", dagent_qs, n_agents_, dq_tot.cols());
    const bool packed = dagent_qs.outerStride() == n_agents_ && dq_tot.outerStride() == 1;
    if (packed) return fill_columns(dq_tot.data(), n_agents_, dq_tot.cols(), dagent_qs.data());
    for (Index r = 0; r < dq_tot.cols(); ++r) std::fill_n(dagent_qs.col(r).data(), n_agents_, dq_tot(0, r));
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  Index n_agents_;
};

static_assert(Mixer<Vdn<float>>);

}  // namespace qatten::inline QATTEN_ABI
