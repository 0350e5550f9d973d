#pragma once
// A board of cells with at most one member on each: what the grid worlds stand on.

#include <algorithm>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"

namespace qatten::inline QATTEN_ABI::grid {

/// Row 0 is at the top, column 0 on the left. Also a step from one cell to another.
struct Cell {
  int row = 0;
  int column = 0;

  bool operator==(const Cell&) const = default;
};

inline Cell operator+(Cell a, Cell b) { return {a.row + b.row, a.column + b.column}; }

/// Whether a and b share an edge.
inline bool adjacent(Cell a, Cell b) { return std::abs(a.row - b.row) + std::abs(a.column - b.column) == 1; }

/// A square with an edge that nobody passes. Members are numbers from 0 on.
class Board {
 public:
  static constexpr int nobody = -1;

  explicit Board(Index size) : size_(static_cast<int>(size)), at_(static_cast<std::size_t>(size * size), nobody) {}

  int size() const { return size_; }
  bool contains(Cell c) const { return c.row >= 0 && c.row < size_ && c.column >= 0 && c.column < size_; }
  /// Who stands on a cell of the board.
  int at(Cell c) const { return at_[index(c)]; }
  bool free(Cell c) const { return contains(c) && at(c) == nobody; }

  void clear() { std::fill(at_.begin(), at_.end(), nobody); }
  void put(Cell c, int member) { at_[index(c)] = member; }
  void remove(Cell c) { at_[index(c)] = nobody; }

  /// Uniform among the free cells. Throws when there is none.
  Cell draw_free(Random& random) const {
    const auto count = std::count(at_.begin(), at_.end(), nobody);
    detail::require(count > 0, "Board::draw_free", "the board is full");
    Index skip = random.integer(count);
    std::size_t k = 0;
    while (at_[k] != nobody || skip-- > 0) ++k;
    return {static_cast<int>(k) / size_, static_cast<int>(k) % size_};
  }

 private:
  std::size_t index(Cell c) const {
    eigen_assert(contains(c));
    return static_cast<std::size_t>(Index(c.row) * size_ + c.column);
  }

  int size_;
  std::vector<int> at_;
};

/// Puts members 0, 1, … on an empty board, each on a free cell by chance.
inline void place_by_chance(Board& board, std::span<Cell> members, Random& random) {
  board.clear();
  for (std::size_t k = 0; k < members.size(); ++k) {
    members[k] = board.draw_free(random);
    board.put(members[k], static_cast<int>(k));
  }
}

/// Puts members 0, 1, … on the given cells of an empty board. Throws, naming `function`, unless there is a cell for
/// each member, on the board and not taken.
inline void place_on(Board& board, std::span<Cell> members, std::span<const Cell> cells, std::string_view function) {
  if (cells.size() != members.size())
    throw Error(std::string(function) + ": got " + std::to_string(cells.size()) + " cells, expected " +
                std::to_string(members.size()));
  board.clear();
  for (std::size_t k = 0; k < members.size(); ++k) {
    if (!board.free(cells[k]))
      throw Error(std::string(function) + ": cell " + std::to_string(k) + " is (" + std::to_string(cells[k].row) +
                  ", " + std::to_string(cells[k].column) + "), expected a free cell of the board");
    members[k] = cells[k];
    board.put(cells[k], static_cast<int>(k));
  }
}

/// A uniform order (Fisher and Yates).
inline void shuffle(std::span<int> order, Random& random) {
  for (std::size_t k = order.size(); k > 1; --k)
    std::swap(order[k - 1], order[static_cast<std::size_t>(random.integer(static_cast<Index>(k)))]);
}

/// Throws, naming `function`, unless `size` is 2 … 1000 and `members` leave a cell free.
inline void check_board(std::string_view function, Index size, Index members) {
  if (size < 2 || size > 1000)
    throw Error(std::string(function) + ": got size " + std::to_string(size) + ", expected 2 to 1000");
  if (members >= size * size)
    throw Error(std::string(function) + ": got " + std::to_string(members) + " agents and prey on " +
                std::to_string(size * size) + " cells, expected at least one free cell");
}

}  // namespace qatten::inline QATTEN_ABI::grid
