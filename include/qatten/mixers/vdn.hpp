#pragma once
// Value decomposition network (Sunehag et al. 2018): Q_tot = Σ_i Q_i.
//
// Backward: ∂L/∂Q_i = ∂L/∂Q_tot.

#include <algorithm>
#include <type_traits>
#include <utility>

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
    const bool packed = in.agent_qs.outerStride() == n_agents_ && q_tot.outerStride() == 1;
    const auto sum = [&](auto n) { sum_few<n>(in.agent_qs.data(), q_tot); };
    if (packed && with_few(n_agents_, sum, Few())) return;
    for (Index r = 0; r < q_tot.cols(); ++r) q_tot(0, r) = lane_sum(in.agent_qs.col(r).data(), n_agents_);
  }

  void backward(const Vector<Scalar>&, const Cache&, const MixerInputs<Scalar>&, ConstView<Scalar> dq_tot,
                Vector<Scalar>&, View<Scalar> dagent_qs, Scratch&) const {
    detail::check_shape("Vdn", "dagent_qs", dagent_qs, n_agents_, dq_tot.cols());
    const bool packed = dagent_qs.outerStride() == n_agents_ && dq_tot.outerStride() == 1;
    const auto spread = [&](auto n) { spread_few<n>(dq_tot, dagent_qs.data()); };
    if (packed && with_few(n_agents_, spread, Few())) return;
    for (Index r = 0; r < dq_tot.cols(); ++r) std::fill_n(dagent_qs.col(r).data(), n_agents_, dq_tot(0, r));
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  using Few = std::make_integer_sequence<Index, 16>;

  /// f(n) with n known to the compiler, which turns 2, 3, 4 and 8 of the columns' numbers into shuffles of whole
  /// packets. False, and nothing done, when there are more.
  template <class F, Index... N>
  static bool with_few(Index n, const F& f, std::integer_sequence<Index, N...>) {
    return ((n == N && (f(std::integral_constant<Index, N>()), true)) || ...);
  }
  template <Index N>
  static void sum_few(const Scalar* from, View<Scalar> to) {
    Scalar* const sums = to.data();
    for (Index r = 0; r < to.cols(); ++r) {
      Scalar sum(0);
      for (Index i = 0; i < N; ++i) sum += from[r * N + i];
      sums[r] = sum;
    }
  }
  template <Index N>
  static void spread_few(ConstView<Scalar> from, Scalar* to) {
    const Scalar* const numbers = from.data();
    for (Index r = 0; r < from.cols(); ++r)
      for (Index i = 0; i < N; ++i) to[r * N + i] = numbers[r];
  }

  Index n_agents_;
};

static_assert(Mixer<Vdn<float>>);

}  // namespace qatten::inline QATTEN_ABI
