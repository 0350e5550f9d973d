#pragma once
// The parameters of one network: one contiguous vector, and a layout that says which block of it is what.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// A (rows, cols) block of a network's flat vector, column-major: element (i, j) lies at offset + i + j * stride.
struct Block {
  Index rows = 0;
  Index cols = 0;
  Index offset = 0;
  Index stride = 0;
  int rank = 2;  ///< 1 for a bias, which other libraries store as a vector

  Index size() const { return rows * cols; }
};

/// A block and what it is called. Modules keep blocks alone: a name is memory, which nobody wants to copy while acting.
struct NamedBlock : Block {
  std::string name;
};

/// The blocks of one network in the order in which its modules asked for them, gapless. Weights, gradients, target
/// weights and optimiser moments are plain vectors of `size()` scalars that share one layout.
class ParameterLayout {
 public:
  /// One row band of a stacked block.
  struct Band {
    std::string name;
    Index rows;
  };

  /// A matrix. Throws when the name is taken.
  Block add(std::string name, Index rows, Index cols) { return push({rows, cols, size_, rows, 2}, std::move(name)); }

  /// A vector.
  Block add(std::string name, Index rows) { return push({rows, 1, size_, rows, 1}, std::move(name)); }

  /// One (sum of rows, cols) matrix whose row bands are named blocks: layers that read the same input become one
  /// product. Returns the whole; the bands are what `blocks()` lists.
  Block add_stacked(const std::vector<Band>& bands, Index cols) { return stack(bands, {0, cols, size_, 0, 2}); }

  /// Vectors, likewise.
  Block add_stacked(const std::vector<Band>& bands) { return stack(bands, {0, 1, size_, 0, 1}); }
  Index size() const { return size_; }
  const std::vector<NamedBlock>& blocks() const { return blocks_; }

  /// The block of that name. Throws when there is none.
  const NamedBlock& find(const std::string& name) const {
    for (const NamedBlock& b : blocks_)
      if (b.name == name) return b;
    throw Error("ParameterLayout::find: no parameter is named '" + name + "'");
  }

 private:
  Block stack(const std::vector<Band>& bands, Block whole) {
    for (const Band& band : bands) whole.rows += band.rows;
    whole.stride = whole.rows;
    Index row = 0;
    for (const Band& band : bands) {
      insert({band.rows, whole.cols, whole.offset + row, whole.stride, whole.rank}, band.name);
      row += band.rows;
    }
    size_ += whole.size();
    return whole;
  }

  void insert(const Block& b, std::string name) {
    for (const NamedBlock& other : blocks_)
      detail::require(other.name != name, "ParameterLayout::add", "the name '" + name + "' is taken");
    blocks_.push_back({b, std::move(name)});
  }

  Block push(const Block& b, std::string name) {
    insert(b, std::move(name));
    size_ += b.size();
    return b;
  }

  std::vector<NamedBlock> blocks_;
  Index size_ = 0;
};

namespace detail {

/// Throws where a block ends beyond the vector that it is to be taken from.
inline void check_block(const Block& b, Index size) {
  if (const Index end = b.offset + (b.cols - 1) * b.stride + b.rows; end > size) [[unlikely]]
    throw Error("block: the vector has " + std::to_string(size) + " numbers, and a block ends at " +
                std::to_string(end) + ": it is of another layout, or of this one before all modules were made");
}

}  // namespace detail

/// The block of a vector that is laid out so. Throws when the vector is too short.
template <class Scalar>
ConstView<Scalar> block(const Vector<Scalar>& parameters, const Block& b) {
  detail::check_block(b, parameters.size());
  return {parameters.data() + b.offset, b.rows, b.cols, b.stride};
}

template <class Scalar>
View<Scalar> block(Vector<Scalar>& parameters, const Block& b) {
  detail::check_block(b, parameters.size());
  return {parameters.data() + b.offset, b.rows, b.cols, b.stride};
}

}  // namespace qatten::inline QATTEN_ABI
