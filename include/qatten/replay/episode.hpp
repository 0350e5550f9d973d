#pragma once
// One episode of exactly its own length.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "qatten/core/error.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sizes of an episode, under PyMARL's names.
struct EpisodeShape {
  Index n_agents = 0;
  Index n_actions = 0;
  Index obs_shape = 0;
  Index state_shape = 0;
  Index unit_dim = 0;
  Index length = 0;  ///< steps

  bool operator==(const EpisodeShape&) const = default;
};

namespace detail {

/// Columns first … first + count − 1 of a matrix to another of as many rows, from its column `at` on. They lie one
/// behind the other; blocks of Eigen's would do the same and cost every user 25 MB more to compile.
template <class From, class To>
void copy_columns(const From& from, Index first, Index count, To& to, Index at) {
  const auto* x = from.data() + first * from.rows();
  auto* y = to.data() + at * to.rows();
  if constexpr (std::is_same_v<typename From::Scalar, typename To::Scalar>)
    std::copy_n(x, count * from.rows(), y);
  else
    std::transform(x, x + count * from.rows(), y, [](auto v) { return static_cast<typename To::Scalar>(v); });
}

}  // namespace detail

/// L steps and the L + 1 observations around them, one after the other, the agents of a step side by side. Nothing that
/// can be derived is stored: the last actions are the actions one step earlier.
template <class Scalar>
struct Episode {
  Matrix<Scalar> obs;              ///< (obs_shape, n_agents · (L + 1))
  Matrix<Scalar> state;            ///< (state_shape, L + 1)
  Matrix<Scalar> units;            ///< (unit_dim · n_agents, L + 1)
  Matrix<std::uint8_t> available;  ///< (n_actions, n_agents · (L + 1))
  Matrix<std::uint8_t> alive;      ///< (n_agents, L + 1)
  Matrix<std::int32_t> actions;    ///< (n_agents, L)
  Vector<Scalar> rewards;          ///< (L)
  bool terminated = false;         ///< the last step ended the episode; otherwise it was cut off, and a value follows

  Index length() const { return actions.cols(); }
  Index n_agents() const { return actions.rows(); }

  EpisodeShape shape() const {
    return {n_agents(), available.rows(), obs.rows(), state.rows(), units.rows() / n_agents(), length()};
  }

  void resize(const EpisodeShape& s) {
    resize(s.n_agents, s.n_actions, s.obs_shape, s.state_shape, s.unit_dim, s.length);
  }
  void resize(Index n_agents, Index n_actions, Index obs_shape, Index state_shape, Index unit_dim, Index length) {
    obs.resize(obs_shape, n_agents * (length + 1));
    state.resize(state_shape, length + 1);
    units.resize(unit_dim * n_agents, length + 1);
    available.resize(n_actions, n_agents * (length + 1));
    alive.resize(n_agents, length + 1);
    actions.resize(n_agents, length);
    rewards.resize(length);
  }

  /// The first `length` steps, as an episode of its own.
  Episode first(Index length) const {
    const Index n = n_agents();
    EpisodeShape s = shape();
    s.length = length;
    Episode e;
    e.resize(s);
    detail::copy_columns(obs, 0, n * (length + 1), e.obs, 0);
    detail::copy_columns(state, 0, length + 1, e.state, 0);
    detail::copy_columns(units, 0, length + 1, e.units, 0);
    detail::copy_columns(available, 0, n * (length + 1), e.available, 0);
    detail::copy_columns(alive, 0, length + 1, e.alive, 0);
    detail::copy_columns(actions, 0, length, e.actions, 0);
    std::copy_n(rewards.data(), length, e.rewards.data());
    e.terminated = terminated;
    return e;
  }

  /// Throws unless all parts have the sizes that `actions`, `obs`, `state`, … imply, with at least one step, and every
  /// action taken was available.
  void check() const {
    const Index n = n_agents(), length = this->length();
    detail::require(n >= 1, "Episode", "it has no agents");
    detail::require(length >= 1, "Episode", "it has no steps");
    detail::check_shape("Episode", "obs", obs, -1, n * (length + 1));
    detail::check_shape("Episode", "state", state, -1, length + 1);
    detail::check_shape("Episode", "units", units, -1, length + 1);
    if (units.rows() % n != 0) [[unlikely]]
      throw Error("Episode: units has " + std::to_string(units.rows()) + " rows for " + std::to_string(n) +
                  " agents, expected as many for each");
    detail::check_shape("Episode", "available", available, -1, n * (length + 1));
    detail::check_shape("Episode", "alive", alive, n, length + 1);
    detail::check_shape("Episode", "rewards", rewards, length, 1);
    for (Index t = 0; t < length; ++t) {
      for (Index i = 0; i < n; ++i) {
        const Index a = actions(i, t);
        if (a < 0 || a >= available.rows() || available(a, t * n + i) == 0) [[unlikely]]
          throw Error("Episode: agent " + std::to_string(i) + " took action " + std::to_string(a) + " at step " +
                      std::to_string(t) + ", which was not available");
      }
    }
  }
};

}  // namespace qatten::inline QATTEN_ABI
