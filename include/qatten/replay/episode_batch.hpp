#pragma once
// A training batch: episodes sorted longest first and packed step after step, so that nothing is padding.
//
// With L_b steps, episode b has L_b + 1 observations. Packed over observations (`ragged`), the columns of steps 1, 2, …
// are exactly the states that follow a transition, in the order of the transitions (`transitions`): transition k leads
// to observation column first + k, first = number of episodes. What a transition starts from is gathered once.

#include <algorithm>
#include <iterator>
#include <numeric>
#include <vector>

#include "qatten/core/ragged.hpp"
#include "qatten/replay/packed_episode.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar>
struct EpisodeBatch {
  Ragged ragged;       ///< over observations: lengths L_b + 1
  Ragged transitions;  ///< over transitions: lengths L_b
  Index n_agents = 0;

  // One column an observation (state, units, alive), or one an agent of an observation (obs, last_actions, available).
  Matrix<Scalar> obs;                 ///< (obs_shape, n_agents · observations)
  Matrix<std::int32_t> last_actions;  ///< (1, n_agents · observations), −1 at the start of an episode
  Matrix<std::uint8_t> available;     ///< (n_actions, n_agents · observations)
  Matrix<Scalar> state;               ///< (state_shape, observations)
  Matrix<Scalar> units;               ///< (unit_dim · n_agents, observations)
  Matrix<std::uint8_t> alive;         ///< (n_agents, observations)

  // One column a transition; state, units and alive once more, where the transition starts.
  Matrix<std::int32_t> actions;           ///< (n_agents, transitions)
  Matrix<Scalar> rewards;                 ///< (1, transitions)
  Matrix<Scalar> continues;               ///< (1, transitions): 0 where the episode terminated, otherwise 1
  Matrix<Scalar> transition_state;        ///< (state_shape, transitions)
  Matrix<Scalar> transition_units;        ///< (unit_dim · n_agents, transitions)
  Matrix<std::uint8_t> transition_alive;  ///< (n_agents, transitions)

  std::vector<Index> order;  ///< packed episode b is the given episode order[b]

  /// The observation column from which transition column k's step t starts, and its agents' first column.
  Index observation(Index b, Index t) const { return ragged.column(b, t); }

  /// Packs the episodes, given by a range of pointers to `Episode` or `PackedEpisode`, which must have equal sizes;
  /// throws otherwise, and for an episode that is inconsistent (`Episode::check`). Allocates only when it outgrows a
  /// former batch.
  template <class Pointers>
  void assign(const Pointers& episodes) {
    detail::require(std::size(episodes) > 0, "EpisodeBatch::assign", "no episodes given");
    order.resize(std::size(episodes));
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return at(episodes, a).length() > at(episodes, b).length(); });
    resize(episodes);
    for (Index b = 0; b < ragged.sequences(); ++b) copy(at(episodes, order[static_cast<std::size_t>(b)]), b);
  }

 private:
  template <class Pointers>
  static const auto& at(const Pointers& episodes, Index k) {
    return *std::data(episodes)[k];
  }

  template <class Pointers>
  void resize(const Pointers& episodes) {
    if constexpr (requires { at(episodes, 0).check(); })  // packed ones were checked when they were packed
      for (const auto* episode : episodes) episode->check();
    std::vector<Index> lengths;
    for (const Index k : order) lengths.push_back(at(episodes, k).length());
    transitions.assign(lengths);
    for (Index& length : lengths) ++length;
    ragged.assign(lengths);

    const EpisodeShape s = at(episodes, 0).shape();
    for (const auto* other : episodes) {
      EpisodeShape shape = other->shape();
      shape.length = s.length;
      detail::require(shape == s, "EpisodeBatch::assign", "the episodes differ in their sizes");
    }
    n_agents = s.n_agents;
    const Index steps = ragged.total(), moves = transitions.total();
    obs.resize(s.obs_shape, n_agents * steps);
    last_actions.resize(1, n_agents * steps);
    available.resize(s.n_actions, n_agents * steps);
    state.resize(s.state_shape, steps);
    units.resize(s.unit_dim * n_agents, steps);
    alive.resize(n_agents, steps);
    actions.resize(n_agents, moves);
    rewards.resize(1, moves);
    continues.resize(1, moves);
    transition_state.resize(s.state_shape, moves);
    transition_units.resize(s.unit_dim * n_agents, moves);
    transition_alive.resize(n_agents, moves);
  }

  void copy(const PackedEpisode& packed, Index b) {
    packed.unpack(unpacked_);
    copy(unpacked_, b);
  }

  template <class Stored>
  void copy(const Episode<Stored>& e, Index b) {
    const Index n = n_agents, length = e.length();
    for (Index t = 0; t <= length; ++t) {
      const Index column = ragged.column(b, t);
      detail::copy_columns(e.obs, t * n, n, obs, column * n);
      detail::copy_columns(e.available, t * n, n, available, column * n);
      for (Index i = 0; i < n; ++i) last_actions(0, column * n + i) = t == 0 ? -1 : e.actions(i, t - 1);
      detail::copy_columns(e.state, t, 1, state, column);
      detail::copy_columns(e.units, t, 1, units, column);
      detail::copy_columns(e.alive, t, 1, alive, column);
      if (t == length) break;
      const Index k = transitions.column(b, t);
      detail::copy_columns(e.actions, t, 1, actions, k);
      rewards(0, k) = static_cast<Scalar>(e.rewards(t));
      continues(0, k) = Scalar(e.terminated && t + 1 == length ? 0 : 1);
      detail::copy_columns(e.state, t, 1, transition_state, k);
      detail::copy_columns(e.units, t, 1, transition_units, k);
      detail::copy_columns(e.alive, t, 1, transition_alive, k);
    }
  }

  Episode<float> unpacked_;
};

}  // namespace qatten::inline QATTEN_ABI
