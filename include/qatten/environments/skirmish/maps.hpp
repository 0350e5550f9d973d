#pragma once
// The maps of the skirmish, under SMAC's names: who fights whom, where, on what ground, for how long.

#include <array>
#include <string>
#include <string_view>

#include "qatten/core/error.hpp"
#include "qatten/environments/skirmish/terrain.hpp"
#include "qatten/environments/skirmish/unit_type.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Units of one type that come into being around one point. A group of none is not there.
struct Group {
  Unit unit = Unit::marine;
  int count = 0;
  Point point{};
};

/// Where the enemy attacks.
enum class Attack : std::uint8_t {
  point,    ///< walks to `attack_point`, and attacks what it meets
  between,  ///< the same, with a random point between the first two groups of allies
  allies,   ///< goes after the nearest ally, wherever it is
};

/// Where units come into being.
enum class Start : std::uint8_t {
  points,      ///< in a block around the point of their group, as in SMAC
  surrounded,  ///< allies in the middle, enemies in one to four groups around them
  reflected,   ///< allies anywhere in the western half, enemies at their mirror images
  either,      ///< surrounded or reflected, each half of the time, as in SMACv2
};

/// Teams drawn for every episode as SMACv2 draws them: each unit is of a type with the probability of its weight, a
/// team of healers alone is drawn again, and the enemy gets the same units, and more if it has more.
struct RandomTeams {
  std::array<Unit, 3> types{};
  std::array<float, 3> weights{};
};

struct Map {
  std::string_view name;
  std::array<Group, 3> allies{}, enemies{};  ///< in the order in which they are made, which is the enemies' order
  int limit = 0;                             ///< steps of an episode
  Ground ground = box(0, 8, 31, 23);
  Ground high{};         ///< cells of the upper cliff level
  Point attack_point{};  ///< of Attack::point
  Attack attack = Attack::point;
  bool ways = false;  ///< there are walls to walk around
  Start start = Start::points;
  RandomTeams random{};  ///< given weights, the groups give no more than the numbers of units

  bool draws_teams() const { return random.weights[0] > 0; }
};

namespace map_data {

inline constexpr Point west{9, 16}, east{23, 16};
inline constexpr Ground everywhere = box(0, 0, 31, 31);
inline constexpr Ground octagon =
    box(10, 6, 21, 7) | box(8, 8, 23, 9) | box(6, 10, 25, 21) | box(8, 22, 23, 23) | box(10, 24, 21, 25);

/// Two rooms and a lane between them, two cells wide. SMAC's exact lane is not known.
inline constexpr Ground corridor = [] {
  Ground ground = box(2, 2, 11, 11) | box(10, 10, 13, 13) | box(12, 14, 13, 14);
  for (int y = 14; y <= 29; ++y) ground = ground | box(12 + (y - 14) * 8 / 15, y, 25 + (y - 14) * 4 / 15, y);
  return ground;
}();

/// A diagonal lane of blocks of 2 x 2.
inline constexpr Ground diagonal_lane = [] {
  Ground ground{};
  for (int y = 2; y < 30; ++y)
    for (int x = 2; x < 30; ++x)
      if (x / 2 - y / 2 <= 3 && y / 2 - x / 2 <= 3) ground = ground | box(x, y, x, y);
  return ground;
}();

/// Two sides of one or two types each, at the usual points.
constexpr Map open(std::string_view name, Group a, Group b, Group c, Group d, int limit) {
  const auto at = [](Group group, Point point) { return Group{group.unit, group.count, point}; };
  return {.name = name,
          .allies = {at(a, west), at(b, west)},
          .enemies = {at(c, east), at(d, east)},
          .limit = limit,
          .attack_point = west};
}
constexpr Map marines(std::string_view name, int allies, int enemies, int limit) {
  return open(name, {Unit::marine, allies}, {}, {Unit::marine, enemies}, {}, limit);
}
constexpr Map stalkers_and_zealots(std::string_view name, int stalkers, int zealots, int enemy_stalkers,
                                   int enemy_zealots, int limit) {
  return open(name, {Unit::stalker, stalkers}, {Unit::zealot, zealots}, {Unit::stalker, enemy_stalkers},
              {Unit::zealot, enemy_zealots}, limit);
}
constexpr Map stalkers_against_zealots(std::string_view name, int zealots, int limit) {
  Map map = open(name, {Unit::stalker, 3}, {}, {Unit::zealot, zealots}, {}, limit);
  map.ground = everywhere;
  return map;
}
constexpr Map medivacs(std::string_view name, int enemy_marauders, int enemy_marines, int limit) {
  return {.name = name,
          .allies = {{{Unit::medivac, 1, west}, {Unit::marauder, 2, west}, {Unit::marine, 7, west}}},
          .enemies = {{{Unit::marine, enemy_marines, east},
                       {Unit::marauder, enemy_marauders, east},
                       {Unit::medivac, 1, east}}},
          .limit = limit,
          .attack_point = west};
}

/// SMACv2's: five of each side on flat ground, drawn anew for every episode.
constexpr Map drawn(std::string_view name, RandomTeams random) {
  Map map = open(name, {random.types[0], 5}, {}, {random.types[0], 5}, {}, 200);
  map.ground = everywhere;
  map.start = Start::either;
  map.random = random;
  return map;
}

}  // namespace map_data

/// SMAC's 23 maps, then SMACv2's three.
inline constexpr std::array<Map, 26> maps = {{
    map_data::marines("3m", 3, 3, 60),
    map_data::marines("8m", 8, 8, 120),
    map_data::marines("25m", 25, 25, 150),
    map_data::marines("5m_vs_6m", 5, 6, 70),
    map_data::marines("8m_vs_9m", 8, 9, 120),
    map_data::marines("10m_vs_11m", 10, 11, 150),
    map_data::marines("27m_vs_30m", 27, 30, 180),
    map_data::medivacs("MMM", 2, 7, 150),
    map_data::medivacs("MMM2", 3, 8, 180),
    map_data::stalkers_and_zealots("2s3z", 2, 3, 2, 3, 120),
    map_data::stalkers_and_zealots("3s5z", 3, 5, 3, 5, 150),
    map_data::stalkers_and_zealots("3s5z_vs_3s6z", 3, 5, 3, 6, 170),
    map_data::stalkers_against_zealots("3s_vs_3z", 3, 150),
    map_data::stalkers_against_zealots("3s_vs_4z", 4, 200),
    map_data::stalkers_against_zealots("3s_vs_5z", 5, 250),
    {.name = "1c3s5z",
     .allies =
         {{{Unit::colossus, 1, map_data::west}, {Unit::stalker, 3, map_data::west}, {Unit::zealot, 5, map_data::west}}},
     .enemies =
         {{{Unit::colossus, 1, map_data::east}, {Unit::stalker, 3, map_data::east}, {Unit::zealot, 5, map_data::east}}},
     .limit = 180,
     .attack_point = map_data::west},
    {.name = "2m_vs_1z",
     .allies = {{{Unit::marine, 1, {13, 12}}, {Unit::marine, 1, {19, 12}}}},
     .enemies = {{{Unit::zealot, 1, {16, 19}}}},
     .limit = 150,
     .ground = map_data::octagon,
     .attack = Attack::between},
    {.name = "corridor",
     .allies = {{{Unit::zealot, 6, {19.04F, 19.12F}}}},
     .enemies = {{{Unit::zergling, 24, {27.91F, 28.24F}}}},
     .limit = 400,
     .ground = map_data::corridor,
     .attack_point = {4.47F, 4.33F},
     .ways = true},
    {.name = "6h_vs_8z",
     .allies = {{{Unit::hydralisk, 6, {14.60F, 9.49F}}}},
     .enemies = {{{Unit::zealot, 8, {14.41F, 16.76F}}}},
     .limit = 150,
     .ground = box(10, 8, 19, 9) | box(8, 10, 21, 17) | box(10, 18, 19, 19),
     .attack_point = {14.60F, 9.49F}},
    {.name = "2s_vs_1sc",
     .allies = {{{Unit::stalker, 1, {11.12F, 10.34F}}, {Unit::stalker, 1, {16.98F, 10.37F}}}},
     .enemies = {{{Unit::spine_crawler, 1, {13.92F, 20.04F}}}},
     .limit = 300,
     .ground = box(8, 8, 19, 19) | box(10, 20, 17, 21) | box(12, 22, 15, 23),
     .attack_point = {13.92F, 20.04F}},
    {.name = "so_many_baneling",
     .allies = {{{Unit::zealot, 7, {11.47F, 12.02F}}}},
     .enemies = {{{Unit::baneling, 32, {27.91F, 28.24F}}}},
     .limit = 100,
     .ground = map_data::diagonal_lane,
     .attack_point = {4.47F, 4.33F},
     .ways = true},
    {.name = "bane_vs_bane",
     .allies = {{{Unit::zergling, 20, {16, 11}}, {Unit::baneling, 4, {16, 8}}}},
     .enemies = {{{Unit::zergling, 20, {16, 21}}, {Unit::baneling, 4, {16, 24}}}},
     .limit = 200,
     .ground = map_data::octagon,
     .attack_point = {16, 8}},
    {.name = "2c_vs_64zg",
     .allies = {{{Unit::colossus, 2, {16, 16}}}},
     .enemies = {{{Unit::zergling, 64, {16, 9}}}},
     .limit = 400,
     .ground = without(box(0, 6, 31, 19), box(4, 12, 27, 13)),
     .high = box(7, 13, 24, 19),
     .attack = Attack::allies,
     .ways = true},
    map_data::drawn("10gen_terran", {{Unit::marine, Unit::marauder, Unit::medivac}, {0.45F, 0.45F, 0.1F}}),
    map_data::drawn("10gen_protoss", {{Unit::stalker, Unit::zealot, Unit::colossus}, {0.45F, 0.45F, 0.1F}}),
    map_data::drawn("10gen_zerg", {{Unit::zergling, Unit::hydralisk, Unit::baneling}, {0.45F, 0.45F, 0.1F}}),
}};
inline constexpr std::size_t n_smac_maps = 23;

/// The map of this name. Throws, with all names, if there is none.
inline const Map& map_named(std::string_view name) {
  std::string names;
  for (const Map& map : maps) {
    if (map.name == name) return map;
    names += ' ', names += map.name;
  }
  throw Error("map_named: there is no map '" + std::string(name) + "'; expected one of" + names);
}

/// How many units the groups have together.
constexpr int count(const std::array<Group, 3>& groups) {
  int n = 0;
  for (const Group& group : groups) n += group.count;
  return n;
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
