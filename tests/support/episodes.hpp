#pragma once
// Random episodes, with masked actions and dead agents.

#include <span>
#include <vector>

#include "qatten/replay/episode_batch.hpp"
#include "support/numbers.hpp"

namespace qatten::testing {

struct EpisodeSizes {
  Index n_agents = 2, n_actions = 3, obs_shape = 3, state_shape = 4, unit_dim = 2;
};

template <class Scalar>
Episode<Scalar> random_episode(Index length, bool terminated, Random& random, const EpisodeSizes& sizes = {}) {
  const Index n = sizes.n_agents;
  Episode<Scalar> e;
  e.resize(n, sizes.n_actions, sizes.obs_shape, sizes.state_shape, sizes.unit_dim, length);
  e.obs = random_matrix<Scalar>(sizes.obs_shape, n * (length + 1), random);
  e.state = random_matrix<Scalar>(sizes.state_shape, length + 1, random);
  e.units = random_matrix<Scalar>(sizes.unit_dim * n, length + 1, random);
  e.rewards = random_matrix<Scalar>(length, 1, random);
  for (Index k = 0; k < e.alive.size(); ++k) e.alive.data()[k] = random.integer(4) != 0;
  for (Index column = 0; column < e.available.cols(); ++column) {
    for (Index a = 0; a < sizes.n_actions; ++a) e.available(a, column) = random.integer(2) != 0;
    const Index one = random.integer(sizes.n_actions);  // at least one action, and one that may be taken
    e.available(one, column) = 1;
    if (column < n * length) e.actions(column % n, column / n) = static_cast<std::int32_t>(one);
  }
  e.terminated = terminated;
  return e;
}

/// Every second of them cut off rather than terminated.
template <class Scalar>
std::vector<Episode<Scalar>> random_episodes(const std::vector<Index>& lengths, Random& random,
                                             const EpisodeSizes& sizes = {}) {
  std::vector<Episode<Scalar>> all;
  for (const Index length : lengths) all.push_back(random_episode<Scalar>(length, all.size() % 2 == 0, random, sizes));
  return all;
}

template <class Scalar, class Stored>
EpisodeBatch<Scalar> batch_of(const std::vector<Episode<Stored>>& episodes) {
  std::vector<const Episode<Stored>*> pointers;
  for (const auto& e : episodes) pointers.push_back(&e);
  EpisodeBatch<Scalar> batch;
  batch.assign(pointers);
  return batch;
}

}  // namespace qatten::testing
