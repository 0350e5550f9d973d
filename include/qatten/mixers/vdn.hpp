#pragma once
// Value decomposition network (Sunehag et al. 2018): Q_tot = Σ_i Q_i.
//
// Backward: ∂L/∂Q_i = ∂L/∂Q_tot.

#include <algorithm>
#include <numeric>

#include "qatten/core/lanes.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sum of the agents' values. Reads agent_qs alone; no parameters.
template <class Scalar_>
class Vdn {
 public:
  using Scalar = Scalar_;
  struct Cache {};
  struct Scratch {};

  explicit Vdn(Index n_agents) : n_agents_(n_agents) {}

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
    const Index rows = q_tot.cols();
    Index r = 0;
    if (n_agents_ < few) {
      for (; r + 4 <= rows; r += 4) {
        const Scalar *a = in.agent_qs.col(r).data(), *b = in.agent_qs.col(r + 1).data(),
                     *c = in.agent_qs.col(r + 2).data(), *d = in.agent_qs.col(r + 3).data();
        Scalar sa(0), sb(0), sc(0), sd(0);
        for (Index i = 0; i < n_agents_; ++i) sa += a[i], sb += b[i], sc += c[i], sd += d[i];
        q_tot(0, r) = sa, q_tot(0, r + 1) = sb, q_tot(0, r + 2) = sc, q_tot(0, r + 3) = sd;
      }
    }
    for (; r < rows; ++r) {
      const Scalar* a = in.agent_qs.col(r).data();
      q_tot(0, r) = n_agents_ < few ? std::accumulate(a, a + n_agents_, Scalar(0)) : lane_sum(a, n_agents_);
    }
  }

  void backward(const Vector<Scalar>&, const Cache&, const MixerInputs<Scalar>&, ConstView<Scalar> dq_tot,
                Vector<Scalar>&, View<Scalar> dagent_qs, Scratch&) const {
    detail::check_shape("Vdn", "dagent_qs", dagent_qs, n_agents_, dq_tot.cols());
    for (Index r = 0; r < dq_tot.cols(); ++r) std::fill_n(dagent_qs.col(r).data(), n_agents_, dq_tot(0, r));
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  static constexpr Index few = 16;  ///< agents whose sums are quicker four at a time than in lanes

  Index n_agents_;
};

static_assert(Mixer<Vdn<float>>);

}  // namespace qatten::inline QATTEN_ABI
