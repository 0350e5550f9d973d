#pragma once
// Sequences of different lengths without padding.
//
// Sorted longest first and packed step after step, the sequences that still live at step t are a prefix of those that
// lived at t - 1:
//
//   step 0: a0 b0 c0 | step 1: a1 b1 c1 | step 2: a2 b2 | step 3: a3        lengths 4, 3, 2
//
// So one step is contiguous, all steps together are one matrix, and no column is empty.

#include <span>
#include <vector>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// Where the columns of packed sequences lie.
class Ragged {
 public:
  Ragged() = default;
  explicit Ragged(std::span<const Index> lengths) { assign(lengths); }

  /// Lengths in descending order, each at least 1; throws otherwise. Allocates only beyond its former capacity.
  void assign(std::span<const Index> lengths) {
    lengths_.assign(lengths.begin(), lengths.end());
    offsets_.assign(1, 0);
    if (lengths_.empty()) return;
    for (std::size_t b = 0; b < lengths_.size(); ++b)
      detail::require(lengths_[b] >= 1 && (b == 0 || lengths_[b] <= lengths_[b - 1]), "Ragged",
                      "lengths must be positive and in descending order");
    Index living = sequences();
    for (Index t = 0; t < lengths_.front(); ++t) {
      while (lengths_[static_cast<std::size_t>(living - 1)] <= t) --living;
      offsets_.push_back(offsets_.back() + living);
    }
  }

  Index sequences() const { return static_cast<Index>(lengths_.size()); }
  /// The length of the longest sequence.
  Index steps() const { return static_cast<Index>(offsets_.size()) - 1; }
  /// All columns of all steps.
  Index total() const { return offsets_.back(); }
  Index length(Index sequence) const { return lengths_[static_cast<std::size_t>(sequence)]; }
  /// The first column of step t.
  Index offset(Index t) const { return offsets_[static_cast<std::size_t>(t)]; }
  /// How many sequences have a step t; 0 beyond the longest.
  Index living(Index t) const { return t < steps() ? offset(t + 1) - offset(t) : 0; }
  /// The column of step t of a sequence that has one.
  Index column(Index sequence, Index t) const { return offset(t) + sequence; }

 private:
  std::vector<Index> lengths_;
  std::vector<Index> offsets_ = std::vector<Index>(1, 0);
};

}  // namespace qatten::inline QATTEN_ABI
