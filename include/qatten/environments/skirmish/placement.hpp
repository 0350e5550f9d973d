#pragma once
// Which units come into being at the start of an episode, and where.

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <tuple>

#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"
#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/ruleset.hpp"
#include "qatten/environments/skirmish/terrain.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// The units of one side.
struct Team {
  struct Member {
    Unit unit;
    Point point;  ///< of its group at first, then its own
  };
  std::array<Member, max_units> members;
  int size = 0;

  void add(Unit unit, Point point) { members[static_cast<std::size_t>(size++)] = {unit, point}; }
  Member& operator[](int i) { return members[static_cast<std::size_t>(i)]; }
  const Member& operator[](int i) const { return members[static_cast<std::size_t>(i)]; }

  Point centre() const {
    Point sum;
    for (int i = 0; i < size; ++i) sum.x += (*this)[i].point.x, sum.y += (*this)[i].point.y;
    return {sum.x / static_cast<float>(size), sum.y / static_cast<float>(size)};
  }
};

/// Makes both teams. Allocates nothing. Throws if the ground has no room for them.
class Placement {
 public:
  Placement(const Map& map, const Ruleset& rules, const Terrain& terrain, Random& random)
      : map_(map), rules_(rules), terrain_(terrain), random_(random) {}

  /// `start_jitter` moves every unit by a uniform number of at most that size, in x and in y, as far as the ground lets
  /// it.
  void run(Start start, double start_jitter) {
    map_.draws_teams() ? draw_teams() : list_teams();
    if (start == Start::either) start = random_.uniform() < 0.5 ? Start::surrounded : Start::reflected;
    if (start == Start::surrounded) surround();
    if (start == Start::reflected) {
      reflect();
    } else {
      place_blocks(allies, 1);
      place_blocks(enemies, -1);
    }
    if (start_jitter > 0) {
      jitter(allies, start_jitter);
      jitter(enemies, start_jitter);
    }
    if (rules_.sorted_agents) sort_agents();
  }

  Team allies, enemies;

 private:
  const UnitType& type(Unit unit) const { return rules_.units[index(unit)]; }

  void list_teams() {
    for (const Group& group : map_.allies)
      for (int k = 0; k < group.count; ++k) allies.add(group.unit, group.point);
    for (const Group& group : map_.enemies)
      for (int k = 0; k < group.count; ++k) enemies.add(group.unit, group.point);
  }

  void draw_teams() {
    const int n_allies = map_.allies[0].count, n_enemies = map_.enemies[0].count;
    std::array<Unit, max_units> drawn;
    bool dangerous = false;
    while (!dangerous)
      for (int k = 0; k < std::max(n_allies, n_enemies); ++k) {
        const Unit unit = drawn[static_cast<std::size_t>(k)] = draw();
        dangerous |= k < std::min(n_allies, n_enemies) && type(unit).weapon != Weapon::heal;
      }
    for (int k = 0; k < n_allies; ++k) allies.add(drawn[static_cast<std::size_t>(k)], map_.allies[0].point);
    for (int k = 0; k < n_enemies; ++k) enemies.add(drawn[static_cast<std::size_t>(k)], map_.enemies[0].point);
  }

  Unit draw() {
    const auto& w = map_.random.weights;
    const double u = random_.uniform() * static_cast<double>(w[0] + w[1] + w[2]);
    return map_.random.types[u < static_cast<double>(w[0]) ? 0 : u < static_cast<double>(w[0] + w[1]) ? 1 : 2];
  }

  /// Allies in the middle; enemies, in turn, to one to four corners around them.
  void surround() {
    const Point middle{map_size / 2.0F, map_size / 2.0F};
    for (int i = 0; i < allies.size; ++i) allies[i].point = middle;
    const int groups = 1 + static_cast<int>(random_.integer(4)), first = static_cast<int>(random_.integer(4));
    std::array<Point, 4> corners;
    for (Point& corner : corners) {
      const auto k = static_cast<int>(&corner - corners.data()) + first;
      const auto distance = static_cast<float>(random_.uniform(7, 12));
      corner = {middle.x + ((k & 1) != 0 ? distance : -distance), middle.y + ((k & 2) != 0 ? distance : -distance)};
    }
    for (int i = 0; i < enemies.size; ++i) enemies[i].point = corners[static_cast<std::size_t>(i % groups)];
  }

  /// Allies wherever they fit between the western edge and the middle, not on one another; enemies opposite to them.
  /// Without an opposite, an enemy gets a place of its own in the east.
  void reflect() {
    for (int i = 0; i < std::max(allies.size, enemies.size); ++i) {
      const float r = std::max(i < allies.size ? type(allies[i].unit).radius : 0,
                               i < enemies.size ? type(enemies[i].unit).radius : 0);
      Point p;
      int tries = 0;
      do {
        if (++tries > 100'000) no_room();
        p = {static_cast<float>(random_.uniform(1, map_size / 2.0 - 2)),
             static_cast<float>(random_.uniform(1, map_size - 1))};
      } while (!terrain_.fits(p.x, p.y, r) || !terrain_.fits(map_size - p.x, p.y, r) || crowded(p, r, i));
      if (i < allies.size) allies[i].point = p;
      if (i < enemies.size) enemies[i].point = {map_size - p.x, p.y};
    }
  }

  bool crowded(Point p, float r, int placed) const {
    for (int j = 0; j < placed; ++j) {
      const Team::Member& other = j < allies.size ? allies[j] : enemies[j];
      const float x = j < allies.size ? other.point.x : map_size - other.point.x;
      const float dx = x - p.x, dy = other.point.y - p.y, reach = r + type(other.unit).radius;
      if (dx * dx + dy * dy < reach * reach) return true;
    }
    return false;
  }

  /// Units with a point in common stand in a square block around it, row after row, in rows along x in this direction.
  /// Flyers have a block of their own above the others.
  void place_blocks(Team& team, float direction) {
    std::array<bool, max_units> placed{};
    for (int first = 0; first < team.size; ++first) {
      if (placed[static_cast<std::size_t>(first)]) continue;
      std::array<int, max_units> block{};
      int n = 0;
      float radius = 0;
      for (int i = first; i < team.size; ++i) {
        const Team::Member& m = team[i];
        if (placed[static_cast<std::size_t>(i)] || m.point.x != team[first].point.x ||
            m.point.y != team[first].point.y || type(m.unit).flyer != type(team[first].unit).flyer)
          continue;
        placed[static_cast<std::size_t>(i)] = true;
        block[static_cast<std::size_t>(n++)] = i;
        radius = std::max(radius, type(m.unit).radius);
      }
      place_block(team, block, n, radius, direction);
    }
  }

  /// The smallest square lattice of which enough places fit.
  void place_block(Team& team, const std::array<int, max_units>& block, int n, float radius, float direction) {
    const Point point = team[block[0]].point;
    const bool flyer = type(team[block[0]].unit).flyer;
    const float spacing = 2 * radius + 0.05F;
    int side = 1;
    while (side * side < n) ++side;
    for (int rows = (n + side - 1) / side;; rows = ++side) {
      int k = 0;
      for (int row = 0; row < rows; ++row)
        for (int col = 0; col < side && k < n; ++col) {
          const float dx = spacing * (static_cast<float>(col) - 0.5F * static_cast<float>(side - 1));
          const float dy = spacing * (static_cast<float>(row) - 0.5F * static_cast<float>(rows - 1));
          const Point p{point.x + direction * dx, point.y + dy};
          if (flyer || terrain_.fits(p.x, p.y, radius)) team[block[static_cast<std::size_t>(k++)]].point = p;
        }
      if (k == n) return;
      if (side > 2 * map_size) no_room();
    }
  }

  [[noreturn]] void no_room() const {
    throw Error("Placement: the ground of the map " + std::string(map_.name) + " has no room for all its units");
  }

  void jitter(Team& team, double size) {
    for (int i = 0; i < team.size; ++i) {
      Point& p = team[i].point;
      const Point to{p.x + static_cast<float>(random_.uniform(-size, size)),
                     p.y + static_cast<float>(random_.uniform(-size, size))};
      const UnitType& u = type(team[i].unit);
      p = u.flyer ? Terrain::keep_inside(to) : terrain_.slide(p, to, u.separation);
    }
  }

  /// By type, then from west to east, then from south to north.
  void sort_agents() {
    const auto key = [](const Team::Member& m) { return std::tuple(m.unit, m.point.x, m.point.y); };
    std::sort(allies.members.begin(), allies.members.begin() + allies.size,
              [&](const Team::Member& a, const Team::Member& b) { return key(a) < key(b); });
  }

  const Map& map_;
  const Ruleset& rules_;
  const Terrain& terrain_;
  Random& random_;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
