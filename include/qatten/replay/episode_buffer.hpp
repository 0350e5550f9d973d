#pragma once
// Replay of whole episodes within a budget of bytes.

#include <algorithm>
#include <deque>
#include <numeric>
#include <vector>

#include "qatten/core/random.hpp"
#include "qatten/replay/packed_episode.hpp"

namespace qatten::inline QATTEN_ABI {

/// Keeps the newest episodes that fit, packed: at most `max_episodes` (PyMARL's buffer_size) and `max_bytes`.
class EpisodeBuffer {
 public:
  EpisodeBuffer(Index max_episodes, std::size_t max_bytes, Precision precision = Precision::single)
      : max_episodes_(max_episodes), max_bytes_(max_bytes), precision_(precision) {
    detail::require(max_episodes >= 1, "EpisodeBuffer", "max_episodes must be at least 1");
  }

  Index size() const { return static_cast<Index>(episodes_.size()); }
  std::size_t bytes() const { return bytes_; }
  std::size_t max_bytes() const { return max_bytes_; }
  Precision precision() const { return precision_; }
  /// 0: the oldest.
  const PackedEpisode& operator[](Index k) const { return episodes_[static_cast<std::size_t>(k)]; }

  /// Takes an episode in, the oldest ones out as needed. Throws, and changes nothing, when the episode is inconsistent
  /// or alone exceeds the budget.
  template <class Scalar>
  void add(const Episode<Scalar>& episode) {
    add(PackedEpisode(episode, precision_));
  }
  void add(PackedEpisode episode) {
    const std::size_t bytes = episode.bytes();
    detail::require(bytes <= max_bytes_, "EpisodeBuffer::add",
                    "an episode of " + std::to_string(bytes) + " bytes exceeds the budget of " +
                        std::to_string(max_bytes_) + " bytes");
    while (!episodes_.empty() && (bytes_ + bytes > max_bytes_ || size() >= max_episodes_)) {
      bytes_ -= episodes_.front().bytes();
      episodes_.pop_front();
    }
    bytes_ += bytes;
    episodes_.push_back(std::move(episode));
  }

  /// `count` different episodes, uniformly. Throws when there are fewer.
  std::vector<const PackedEpisode*> sample(Index count, Random& random) const {
    detail::require(count >= 1 && count <= size(), "EpisodeBuffer::sample",
                    "asked for " + std::to_string(count) + " of " + std::to_string(size()) + " episodes");
    std::vector<Index> order(episodes_.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::vector<const PackedEpisode*> chosen;
    for (Index k = 0; k < count; ++k) {
      std::swap(order[static_cast<std::size_t>(k)], order[static_cast<std::size_t>(k + random.integer(size() - k))]);
      chosen.push_back(&(*this)[order[static_cast<std::size_t>(k)]]);
    }
    return chosen;
  }

 private:
  Index max_episodes_;
  std::size_t max_bytes_;
  Precision precision_;
  std::size_t bytes_ = 0;
  std::deque<PackedEpisode> episodes_;
};

}  // namespace qatten::inline QATTEN_ABI
