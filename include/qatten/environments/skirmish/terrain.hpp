#pragma once
// The ground of a skirmish: 32 x 32 cells, walkable or not, and ways around what is not.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include "qatten/core/abi.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

inline constexpr int map_size = 32;

/// Bit x of row y is set where a unit may walk.
using Ground = std::array<std::uint32_t, map_size>;

/// Cells x0 … x1 of rows y0 … y1, inclusive.
constexpr Ground box(int x0, int y0, int x1, int y1) {
  Ground ground{};
  for (int y = y0; y <= y1; ++y)
    for (int x = x0; x <= x1; ++x) ground[static_cast<std::size_t>(y)] |= std::uint32_t{1} << x;
  return ground;
}

constexpr Ground operator|(Ground a, const Ground& b) {
  for (std::size_t y = 0; y < a.size(); ++y) a[y] |= b[y];
  return a;
}

constexpr Ground without(Ground a, const Ground& b) {
  for (std::size_t y = 0; y < a.size(); ++y) a[y] &= ~b[y];
  return a;
}

struct Point {
  float x = 0, y = 0;
};

class Terrain {
 public:
  /// With `ways`, finds the way from every cell to every other: a map of n cells takes n² bytes and some milliseconds.
  Terrain(const Ground& ground, const Ground& high, bool ways) : ground_(ground), high_(high) {
    find_bounds();
    if (ways) find_ways();
  }

  static bool inside(int x, int y) { return x >= 0 && x < map_size && y >= 0 && y < map_size; }
  bool walkable(int x, int y) const { return inside(x, y) && ((ground_[static_cast<std::size_t>(y)] >> x) & 1) != 0; }
  bool high(int x, int y) const { return inside(x, y) && ((high_[static_cast<std::size_t>(y)] >> x) & 1) != 0; }
  bool has_ways() const { return !next_.empty(); }

  /// Whether a circle may stand here: its centre and the corners of its square are on walkable cells.
  bool fits(float x, float y, float radius) const {
    const float r = radius - 1e-4F;
    return free(x, y) && free(x - r, y - r) && free(x + r, y - r) && free(x - r, y + r) && free(x + r, y + r);
  }

  /// Where a walker gets from a place that fits towards another: all the way, along one axis, or nowhere.
  Point slide(Point from, Point to, float radius) const {
    if (box_)
      return {std::clamp(to.x, low_.x + radius, high_corner_.x - radius),
              std::clamp(to.y, low_.y + radius, high_corner_.y - radius)};
    if (fits(to.x, to.y, radius)) return to;
    if (fits(to.x, from.y, radius)) return {to.x, from.y};
    if (fits(from.x, to.y, radius)) return {from.x, to.y};
    return from;
  }

  /// Those who fly or walk cliffs keep to the map.
  static Point keep_inside(Point to) {
    return {std::clamp(to.x, 0.0F, map_size - 0.001F), std::clamp(to.y, 0.0F, map_size - 0.001F)};
  }

  /// The next place to walk to straight on the way to `to`: itself where nothing is between. Needs `has_ways`.
  Point waypoint(Point from, Point to, float radius) const {
    if (clear(from, to, radius)) return to;
    const int goal = nearest_[cell(to)];
    int at = nearest_[cell(from)];
    Point best = centre(at);
    for (int hop = 0; hop < 12; ++hop) {
      const std::uint8_t direction = next_[static_cast<std::size_t>(goal) * n_cells + static_cast<std::size_t>(at)];
      if (direction >= 8) break;
      at += steps[direction].second * map_size + steps[direction].first;
      if (hop > 0 && !clear(from, centre(at), radius)) break;
      best = centre(at);
    }
    return best;
  }

  /// Whether a circle can go straight from one place to another.
  bool clear(Point from, Point to, float radius) const {
    const float dx = to.x - from.x, dy = to.y - from.y;
    const int samples = 1 + static_cast<int>(4 * std::sqrt(dx * dx + dy * dy));
    for (int k = 1; k <= samples; ++k) {
      const float part = static_cast<float>(k) / static_cast<float>(samples);
      if (!fits(from.x + part * dx, from.y + part * dy, radius)) return false;
    }
    return true;
  }

 private:
  static constexpr int n_cells = map_size * map_size;
  static constexpr std::array<std::pair<int, int>, 8> steps = {
      {{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}}};

  bool free(float x, float y) const { return x >= 0 && y >= 0 && walkable(static_cast<int>(x), static_cast<int>(y)); }

  static std::size_t cell(Point p) {
    const Point q = keep_inside(p);
    return index(static_cast<int>(q.x), static_cast<int>(q.y));
  }
  static std::size_t index(int x, int y) {
    return static_cast<std::size_t>(y) * map_size + static_cast<std::size_t>(x);
  }
  static Point centre(int cell) {
    const int x = cell % map_size, y = cell / map_size;
    return {static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F};
  }

  void find_bounds() {
    int x0 = map_size, y0 = map_size, x1 = -1, y1 = -1;
    for (int y = 0; y < map_size; ++y)
      for (int x = 0; x < map_size; ++x)
        if (walkable(x, y)) x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    box_ = x1 >= x0 && ground_ == box(x0, y0, x1, y1);
    low_ = {static_cast<float>(x0), static_cast<float>(y0)};
    high_corner_ = {static_cast<float>(x1 + 1), static_cast<float>(y1 + 1)};
  }

  /// From every walkable goal outwards (Dijkstra 1959), diagonally only between walkable cells.
  void find_ways() {
    next_.assign(static_cast<std::size_t>(n_cells) * n_cells, 8);
    for (int goal = 0; goal < n_cells; ++goal)
      if (walkable(goal % map_size, goal / map_size)) find_ways_to(goal);
    nearest_.resize(n_cells);
    for (int c = 0; c < n_cells; ++c) nearest_[static_cast<std::size_t>(c)] = nearest_walkable(c);
  }

  void find_ways_to(int goal) {
    std::array<float, n_cells> distance;
    distance.fill(std::numeric_limits<float>::infinity());
    std::priority_queue<std::pair<float, int>, std::vector<std::pair<float, int>>, std::greater<>> open;
    distance[static_cast<std::size_t>(goal)] = 0;
    open.emplace(0.0F, goal);
    while (!open.empty()) {
      const auto [d, at] = open.top();
      open.pop();
      if (d > distance[static_cast<std::size_t>(at)]) continue;
      const int x = at % map_size, y = at / map_size;
      for (std::size_t k = 0; k < steps.size(); ++k) {
        const int nx = x - steps[k].first, ny = y - steps[k].second;  // from there, step k leads here
        if (!walkable(nx, ny) || !walkable(nx, y) || !walkable(x, ny)) continue;
        const float there = d + (k < 4 ? 1.0F : 1.41421356F);
        const std::size_t n = index(nx, ny);
        if (there >= distance[n]) continue;
        distance[n] = there;
        next_[static_cast<std::size_t>(goal) * n_cells + n] = static_cast<std::uint8_t>(k);
        open.emplace(there, static_cast<int>(n));
      }
    }
  }

  int nearest_walkable(int cell) const {
    int best = cell, best_distance = std::numeric_limits<int>::max();
    for (int c = 0; c < n_cells; ++c) {
      if (!walkable(c % map_size, c / map_size)) continue;
      const int dx = c % map_size - cell % map_size, dy = c / map_size - cell / map_size;
      if (dx * dx + dy * dy < best_distance) best = c, best_distance = dx * dx + dy * dy;
    }
    return best;
  }

  Ground ground_, high_;
  bool box_ = false;  ///< the walkable cells are one rectangle
  Point low_, high_corner_;
  std::vector<std::uint8_t> next_;  ///< [goal][cell]: the step to take, 8 at the goal and where there is no way
  std::vector<int> nearest_;        ///< the walkable cell nearest to each
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
