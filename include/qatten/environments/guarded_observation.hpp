#pragma once
// An observation in memory that shows whether anything was written outside its views.

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "qatten/environments/environment.hpp"

namespace qatten::inline QATTEN_ABI::detail {

/// A matrix in the midst of guard cells: above and below every column, before the first and after the last.
template <class T>
class GuardedMatrix {
 public:
  GuardedMatrix(Index rows, Index cols) : cells_(rows + 2 * margin, cols + 2 * margin), rows_(rows), cols_(cols) {}

  /// Sets the guard cells to `guard` and the matrix to `value`.
  View<T> fill(T value, T guard) {
    cells_.setConstant(guard);
    View<T> inner = cells_.block(margin, margin, rows_, cols_);
    inner.setConstant(value);
    return inner;
  }

  /// Whether all guard cells still hold `guard`.
  bool intact(T guard) const {
    for (Index j = 0; j < cells_.cols(); ++j)
      for (Index i = 0; i < cells_.rows(); ++i) {
        const bool inside = i >= margin && i < margin + rows_ && j >= margin && j < margin + cols_;
        if (!inside && std::memcmp(&cells_(i, j), &guard, sizeof(T)) != 0) return false;
      }
    return true;
  }

  Matrix<T> content() const { return cells_.block(margin, margin, rows_, cols_); }

 private:
  static constexpr Index margin = 4;
  Matrix<T> cells_;
  Index rows_;
  Index cols_;
};

/// What an environment showed at one step.
struct Shown {
  static constexpr std::array<std::string_view, 5> names = {"obs", "state", "units", "available", "alive"};

  Matrix<float> obs, state, units;
  Matrix<std::uint8_t> available, alive;

  /// One number per matrix, in the order of `names`, that differs when a bit does.
  std::array<std::uint64_t, 5> digests() const {
    const auto digest = [](const auto& x) {
      return hash({reinterpret_cast<const char*>(x.data()), static_cast<std::size_t>(x.size()) * sizeof(*x.data())});
    };
    return {digest(obs), digest(state), digest(units), digest(available), digest(alive)};
  }
};

/// The five matrices of an observation, guarded.
class GuardedObservation {
 public:
  explicit GuardedObservation(const EnvironmentInfo& info)
      : obs_(info.obs_shape, info.n_agents),
        state_(info.state_shape, 1),
        units_(info.unit_dim, info.n_agents),
        available_(info.n_actions, info.n_agents),
        alive_(info.n_agents, 1) {}

  /// Views filled as `Observation` says, among guard cells of value `guard`.
  Observation fill(std::uint8_t guard) {
    return {obs_.fill(0, guard), state_.fill(0, guard), units_.fill(0, guard), available_.fill(1, guard),
            alive_.fill(1, guard)};
  }

  /// For every matrix, in the order of `Shown::names`, whether its guard cells are as `fill` left them.
  std::array<bool, 5> intact(std::uint8_t guard) const {
    return {obs_.intact(guard), state_.intact(guard), units_.intact(guard), available_.intact(guard),
            alive_.intact(guard)};
  }

  Shown content() const {
    return {obs_.content(), state_.content(), units_.content(), available_.content(), alive_.content()};
  }

 private:
  GuardedMatrix<float> obs_, state_, units_;
  GuardedMatrix<std::uint8_t> available_, alive_;
};

}  // namespace qatten::inline QATTEN_ABI::detail
