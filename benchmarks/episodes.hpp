#pragma once
// PyMARL's batch: 32 episodes whose lengths are drawn uniformly from 20 … 60.

#include <vector>

#include "qatten/replay/tiled_batch.hpp"
#include "shapes.hpp"

namespace qatten::benchmarks {

inline Episode<float> random_episode(const Map& map, Index length, Random& random) {
  Episode<float> e;
  e.resize(map.agents, map.actions, map.obs, map.state, map.unit, length);
  for (auto* m : {&e.obs, &e.state, &e.units}) *m = random_matrix(m->rows(), m->cols(), random);
  e.available.setOnes();
  e.alive.setOnes();
  for (auto& a : e.actions.reshaped()) a = static_cast<std::int32_t>(random.integer(map.actions));
  e.rewards = random_matrix(length, 1, random);
  e.terminated = true;
  return e;
}

inline std::vector<Episode<float>> random_episodes(const Map& map) {
  Random random(1, "batch");
  std::vector<Episode<float>> all;
  for (Index b = 0; b < episodes; ++b) all.push_back(random_episode(map, 20 + random.integer(steps - 20 + 1), random));
  return all;
}

/// `Batch` is EpisodeBatch, packed as one, or TiledBatch.
template <class Batch>
Batch pack(const std::vector<Episode<float>>& all) {
  std::vector<const Episode<float>*> pointers;
  for (const auto& e : all) pointers.push_back(&e);
  Batch batch;
  batch.assign(pointers);
  return batch;
}

}  // namespace qatten::benchmarks
