#pragma once
// The shapes that all benchmarks share: the maps of SMAC by their names, and PyMARL's batch of 32 episodes.

#include <string>
#include <vector>

#include "qatten/core/random.hpp"

namespace qatten::benchmarks {

/// What SMAC tells of a map: the sizes that agents and mixers are built from.
struct Map {
  std::string name;
  Index agents, state, unit, obs, actions;
};

inline const std::vector<Map>& maps() {
  static const std::vector<Map> all = {
      {.name = "3m", .agents = 3, .state = 48, .unit = 4, .obs = 30, .actions = 9},
      {.name = "2s3z", .agents = 5, .state = 120, .unit = 7, .obs = 80, .actions = 11},
      {.name = "MMM2", .agents = 10, .state = 322, .unit = 7, .obs = 176, .actions = 18},
      {.name = "27m_vs_30m", .agents = 27, .state = 1170, .unit = 4, .obs = 285, .actions = 36},
  };
  return all;
}

inline constexpr Index episodes = 32;
inline constexpr Index steps = 60;
inline constexpr Index rows = episodes * steps;
inline constexpr Index hidden_dim = 64;

/// Uniform in ±1, the range of SMAC's features.
inline Matrix<float> random_matrix(Index rows, Index cols, Random& random) {
  Matrix<float> m(rows, cols);
  for (float& x : m.reshaped()) x = static_cast<float>(random.uniform(-1, 1));
  return m;
}

}  // namespace qatten::benchmarks
