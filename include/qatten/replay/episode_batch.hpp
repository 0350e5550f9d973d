#pragma once
// A training batch: episodes sorted longest first and packed step after step, so that nothing is padding.
//
// With L_b steps, episode b has L_b + 1 observations. Packed over observations (`ragged`), the columns of steps 1, 2, …
// are exactly the states that follow a transition, in the order of the transitions (`transitions`): transition k leads
// to observation column first + k, first = number of episodes. What a transition starts from is gathered once.

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "qatten/core/ragged.hpp"
#include "qatten/replay/episode.hpp"

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

  /// Packs the episodes, which must have equal sizes; throws otherwise. Allocates only when it outgrows a former batch.
  template <class Stored>
  void assign(std::span<const Episode<Stored>* const> episodes) {
    detail::require(!episodes.empty(), "EpisodeBatch::assign", "no episodes given");
    order.resize(episodes.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return at(episodes, a).length() > at(episodes, b).length(); });
    resize(episodes);
    for (Index b = 0; b < ragged.sequences(); ++b) copy(at(episodes, order[static_cast<std::size_t>(b)]), b);
  }

 private:
  template <class Stored>
  static const Episode<Stored>& at(std::span<const Episode<Stored>* const> episodes, Index k) {
    return *episodes[static_cast<std::size_t>(k)];
  }

  template <class Stored>
  void resize(std::span<const Episode<Stored>* const> episodes) {
    std::vector<Index> lengths;
    for (const Index k : order) lengths.push_back(at(episodes, k).length());
    transitions.assign(lengths);
    for (Index& length : lengths) ++length;
    ragged.assign(lengths);

    const Episode<Stored>& e = *episodes.front();
    for (const auto* other : episodes)
      detail::require(other->obs.rows() == e.obs.rows() && other->state.rows() == e.state.rows() &&
                          other->units.rows() == e.units.rows() && other->available.rows() == e.available.rows() &&
                          other->n_agents() == e.n_agents(),
                      "EpisodeBatch::assign", "the episodes differ in their sizes");
    n_agents = e.n_agents();
    const Index steps = ragged.total(), moves = transitions.total();
    obs.resize(e.obs.rows(), n_agents * steps);
    last_actions.resize(1, n_agents * steps);
    available.resize(e.available.rows(), n_agents * steps);
    state.resize(e.state.rows(), steps);
    units.resize(e.units.rows(), steps);
    alive.resize(n_agents, steps);
    actions.resize(n_agents, moves);
    rewards.resize(1, moves);
    continues.resize(1, moves);
    transition_state.resize(e.state.rows(), moves);
    transition_units.resize(e.units.rows(), moves);
    transition_alive.resize(n_agents, moves);
  }

  template <class Stored>
  void copy(const Episode<Stored>& e, Index b) {
    const Index n = n_agents, length = e.length();
    for (Index t = 0; t <= length; ++t) {
      const Index column = ragged.column(b, t);
      obs.middleCols(column * n, n) = e.obs.middleCols(t * n, n).template cast<Scalar>();
      available.middleCols(column * n, n) = e.available.middleCols(t * n, n);
      for (Index i = 0; i < n; ++i) last_actions(0, column * n + i) = t == 0 ? -1 : e.actions(i, t - 1);
      state.col(column) = e.state.col(t).template cast<Scalar>();
      units.col(column) = e.units.col(t).template cast<Scalar>();
      alive.col(column) = e.alive.col(t);
      if (t == length) break;
      const Index k = transitions.column(b, t);
      actions.col(k) = e.actions.col(t);
      rewards(0, k) = static_cast<Scalar>(e.rewards(t));
      continues(0, k) = Scalar(e.terminated && t + 1 == length ? 0 : 1);
      transition_state.col(k) = e.state.col(t).template cast<Scalar>();
      transition_units.col(k) = e.units.col(t).template cast<Scalar>();
      transition_alive.col(k) = e.alive.col(t);
    }
  }
};

}  // namespace qatten::inline QATTEN_ABI
