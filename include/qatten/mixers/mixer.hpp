#pragma once
// What a mixer must offer: agent values and the global state in, the joint value out.

#include <concepts>
#include <cstdint>

#include "qatten/core/parameters.hpp"
#include "qatten/core/random.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// What a mixer reads, for R samples at once. Any column-major Eigen matrix or block converts to a view.
template <class Scalar>
struct MixerInputs {
  ConstView<Scalar> agent_qs;  ///< (n_agents, R): Q_i of the actions in question
  ConstView<Scalar> state{};   ///< (state_dim, R); empty for mixers that read no state
  ConstView<Scalar> units{};   ///< (unit_dim · n_agents, R): u^i stacked; the top rows of a SMAC state fit as they are
  ConstView<std::uint8_t> alive{};  ///< (n_agents, R): 0 where an agent is dead; empty when all live
  Index regularised =
      0;  ///< where these samples are a part of a batch, what a regulariser's mean runs over in all of it
  ConstView<Scalar> max_qs{};         ///< (n_agents, R): max_a Q_i(a), for mixers that read actions
  ConstView<std::int32_t> actions{};  ///< (n_agents, R): the actions in question, likewise
};

/// A mixer that reads more of a joint action than its values: max_qs and actions must be given.
template <class M>
concept ReadsActions = requires {
  requires M::reads_actions;
};

/// What holds of a mixer for all parameters, by construction.
struct MixerPromises {
  bool monotonic = false;  ///< ∂Q_tot/∂Q_i >= 0 everywhere
  bool igm = false;        ///< each agent's greedy action is its part of a joint greedy action
  bool additive = false;   ///< at a fixed state, affine in every Q_i with slopes that do not depend on the Q's
};

/// A mixer is an immutable description: shapes and where its blocks lie in the network's parameter vector p. Numbers
/// live outside, so every method is const and re-entrant.
///
///   prepare   sizes `cache` and `scratch` for up to `rows` samples; the only method that allocates
///   forward   writes q_tot (outputs(), R) and leaves in `cache` what backward needs
///   evaluate  the same values bit for bit, without a cache
///   backward  from ∂L/∂q_tot: adds to `gradients`, overwrites d_agent_qs (n_agents, R); adds the regulariser's
///   gradient
///
/// A loss L(q_tot) becomes L + regulariser(cache): zero for mixers without one. A regulariser that is a mean also has
/// `regularised(inputs)`, the number of terms, so that parts of a batch can be told the number of the whole.
template <class M>
concept Mixer = requires(const M m, const Vector<typename M::Scalar>& p, Vector<typename M::Scalar>& gradients,
                         const MixerInputs<typename M::Scalar>& inputs, View<typename M::Scalar> out,
                         ConstView<typename M::Scalar> dq_tot, typename M::Cache& cache, const typename M::Cache& kept,
                         typename M::Scratch& scratch, Index rows, Random& random) {
  { m.n_agents() } -> std::same_as<Index>;
  { m.outputs() } -> std::same_as<Index>;  // 1, or n_agents where every agent keeps a value of its own
  { m.promises() } -> std::same_as<MixerPromises>;
  m.initialise(gradients, random);
  m.prepare(cache, scratch, rows);
  m.forward(p, inputs, out, cache, scratch);
  m.evaluate(p, inputs, out, scratch);
  m.backward(p, kept, inputs, dq_tot, gradients, out, scratch);
  { m.regulariser(kept) } -> std::same_as<typename M::Scalar>;
};

}  // namespace qatten::inline QATTEN_ABI
