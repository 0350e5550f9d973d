#include "qatten/environments/grid/board.hpp"

#include <map>

#include "support/catch.hpp"

using namespace qatten;
using grid::Board;
using grid::Cell;

TEST_CASE("cells that share an edge are adjacent, and no others") {
  const Cell middle{2, 2};
  int count = 0;
  for (int row = 0; row < 5; ++row)
    for (int column = 0; column < 5; ++column) {
      const bool shares_edge = (row == 2 && (column == 1 || column == 3)) || (column == 2 && (row == 1 || row == 3));
      CHECK(grid::adjacent(middle, {row, column}) == shares_edge);
      count += grid::adjacent({row, column}, middle);
    }
  CHECK(count == 4);
}

TEST_CASE("a free cell is drawn uniformly, and never one that is taken") {
  Board board(3);
  for (const Cell taken : {Cell{0, 0}, Cell{1, 2}, Cell{2, 2}}) board.put(taken, 7);
  Random random(1);
  std::map<int, int> drawn;
  const int draws = 6000;
  for (int k = 0; k < draws; ++k) {
    const Cell c = board.draw_free(random);
    REQUIRE(board.free(c));
    ++drawn[c.row * 3 + c.column];
  }
  REQUIRE(drawn.size() == 6);
  for (const auto& [cell, count] : drawn)  // five standard deviations of a binomial
    CHECK(std::abs(count - draws / 6.0) < 5 * std::sqrt(draws * (1 / 6.0) * (5 / 6.0)));
  for (int k = 0; k < 9; ++k) board.put({k / 3, k % 3}, k);
  CHECK_THROWS_AS(board.draw_free(random), Error);
}

TEST_CASE("all orders of a shuffle are equally frequent") {
  Random random(2);
  std::map<std::array<int, 3>, int> seen;
  const int draws = 6000;
  for (int k = 0; k < draws; ++k) {
    std::array<int, 3> order = {0, 1, 2};
    grid::shuffle(order, random);
    ++seen[order];
  }
  REQUIRE(seen.size() == 6);
  for (const auto& [order, count] : seen)
    CHECK(std::abs(count - draws / 6.0) < 5 * std::sqrt(draws * (1 / 6.0) * (5 / 6.0)));
}

TEST_CASE("members are placed on free cells of the board, or refused") {
  Board board(2);
  std::array<Cell, 3> members;
  Random random(3);
  grid::place_by_chance(board, members, random);
  for (int k = 0; k < 3; ++k) CHECK(board.at(members[static_cast<std::size_t>(k)]) == k);

  const std::array<Cell, 3> cells = {{{0, 0}, {1, 1}, {0, 1}}}, twice = {{{0, 0}, {0, 0}, {1, 1}}},
                            outside = {{{0, 0}, {0, 2}, {1, 1}}};
  grid::place_on(board, members, cells, "test");
  CHECK(members == cells);
  CHECK(board.at({1, 1}) == 1);
  CHECK(board.free({1, 0}));
  CHECK_FALSE(board.free({0, 2}));
  CHECK_THROWS_AS(grid::place_on(board, members, twice, "test"), Error);
  CHECK_THROWS_AS(grid::place_on(board, members, outside, "test"), Error);
  CHECK_THROWS_AS(grid::place_on(board, members, std::span(cells).first(2), "test"), Error);
  CHECK_THROWS_AS(grid::check_board("test", 2, 4), Error);
  CHECK_THROWS_AS(grid::check_board("test", 1, 0), Error);
  grid::check_board("test", 2, 3);
}
