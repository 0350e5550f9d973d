#pragma once
// A training batch in tiles: groups of episodes, each packed for itself, that different threads work on at the same
// time.
//
// How many tiles there are depends on the batch alone, never on the number of threads, so that neither do results. A
// tile is wide enough for its matrix products to be efficient, and narrow enough to stay in a core's cache for a step.

#include <algorithm>
#include <span>
#include <vector>

#include "qatten/replay/episode_batch.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar>
class TiledBatch {
 public:
  /// Columns (agents of episodes) of a step that a tile should have at least.
  static constexpr Index columns = 64;

  /// Packs the episodes, given as to `EpisodeBatch::assign`; throws when their sizes differ. The tiles reuse their
  /// memory.
  template <class Pointers>
  void assign(const Pointers& episodes) {
    detail::require(std::size(episodes) > 0, "TiledBatch::assign", "no episodes given");
    std::vector sorted(std::begin(episodes), std::end(episodes)), members(sorted);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto* a, const auto* b) { return a->length() > b->length(); });
    used_ = static_cast<std::size_t>(tile_count(static_cast<Index>(sorted.size()), sorted.front()->n_agents()));
    if (tiles_.size() < used_) tiles_.resize(used_);
    for (std::size_t tile = 0; tile < used_; ++tile) {
      members.clear();
      for (std::size_t k = 0; k < sorted.size(); ++k)
        if (tile_of(k) == tile) members.push_back(sorted[k]);
      tiles_[tile].assign(members);
    }
  }

  std::span<const EpisodeBatch<Scalar>> tiles() const { return {tiles_.data(), used_}; }

  /// Transitions in all tiles together.
  Index transitions() const {
    Index total = 0;
    for (const auto& tile : tiles()) total += tile.transitions.total();
    return total;
  }

  /// 1, or an even number, which two threads share evenly.
  static Index tile_count(Index episodes, Index n_agents) {
    const Index fit = std::min(episodes * n_agents / columns, episodes);
    return fit < 2 ? 1 : fit / 2 * 2;
  }

 private:
  /// To and fro through the tiles, longest episodes first, so that all tiles hold about equally many steps.
  std::size_t tile_of(std::size_t k) const {
    const std::size_t place = k % (2 * used_);
    return place < used_ ? place : 2 * used_ - 1 - place;
  }

  std::vector<EpisodeBatch<Scalar>> tiles_;
  std::size_t used_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
