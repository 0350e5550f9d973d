#pragma once
// What a team of agents must offer: what each agent has seen in, the values of its actions out.

#include <concepts>
#include <cstdint>

#include "qatten/core/parameters.hpp"
#include "qatten/core/ragged.hpp"
#include "qatten/core/random.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sizes of a team and what its agents read, under PyMARL's names.
struct AgentOptions {
  Index n_agents = 1;
  Index n_actions = 1;
  Index obs_shape = 1;
  bool obs_last_action = true;   ///< the one-hot of the action taken before is part of the input (zeros at the start)
  bool obs_agent_id = true;      ///< the one-hot of the agent's index is part of the input
  Index hidden_dim = 64;         ///< rnn_hidden_dim
  bool use_layer_norm = false;   ///< between the GRU and the last layer, as in PyMARL2; recurrent agents only
  bool share_parameters = true;  ///< one network for all agents, or one for each; TarMAC's share
  Index comm_rounds = 1;         ///< of messages within a step; TarMAC only
};

/// What the agents read: one column an agent, the agents of a team side by side, i = column mod n_agents.
template <class Scalar>
struct AgentInputs {
  ConstView<Scalar> obs;                   ///< (obs_shape, columns)
  ConstView<std::int32_t> last_actions{};  ///< (1, columns), -1: none yet; empty when not part of the input
};

/// A team is an immutable description. With `ragged` over teams (core/ragged.hpp), columns = ragged.total() · n_agents:
///
///   prepare   sizes `cache` and `scratch` for `columns` in all steps together and `batch` in one; alone allocates
///   forward   unrolls from h0 (empty: zeros), writes q (n_actions, columns), leaves in `cache` what backward needs
///   evaluate  the same q bit for bit, without a cache
///   backward  from dq: adds to `gradients`, overwrites dobs and dh0 (empty ones are not computed)
///   hidden    copies what the last layer saw, h_t, out of `cache` or scratch: (hidden_dim, columns)
///   step      acting: one step of any number of teams; `hidden` (hidden_dim, columns) goes from h_{t−1} to h_t
///
/// `backward` takes one more argument, ∂L/∂h (hidden_dim, columns), where the loss reads the hidden states as well.
template <class A>
concept Agent = requires(const A a, const Vector<typename A::Scalar>& p, Vector<typename A::Scalar>& gradients,
                         const AgentInputs<typename A::Scalar>& in, ConstView<typename A::Scalar> given,
                         View<typename A::Scalar> out, const Ragged& ragged, typename A::Cache& cache,
                         const typename A::Cache& kept, typename A::Scratch& scratch, Index size, Random& random) {
  { a.options() } -> std::convertible_to<AgentOptions>;
  a.initialise(gradients, random);
  a.prepare(cache, scratch, size, size);
  a.prepare(scratch, size, size);
  a.forward(p, ragged, in, given, out, cache, scratch);
  a.evaluate(p, ragged, in, given, out, scratch);
  a.backward(p, kept, ragged, in, given, given, gradients, out, out, scratch);
  a.backward(p, kept, ragged, in, given, given, gradients, out, out, scratch, given);
  a.hidden(kept, out);
  a.hidden(scratch, out);
  a.step(p, in, out, out, scratch);
};

}  // namespace qatten::inline QATTEN_ABI
