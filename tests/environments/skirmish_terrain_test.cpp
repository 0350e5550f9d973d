#include <cmath>

#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/terrain.hpp"
#include "support/catch.hpp"

using namespace qatten::skirmish;

TEST_CASE("grounds are sets of cells") {
  const Ground ground = without(box(0, 0, 3, 3) | box(5, 5, 5, 5), box(1, 1, 2, 2));
  const Terrain terrain(ground, box(5, 5, 5, 5), false);
  int cells = 0;
  for (int y = -1; y <= 32; ++y)
    for (int x = -1; x <= 32; ++x) cells += terrain.walkable(x, y);
  REQUIRE(cells == 16 - 4 + 1);
  REQUIRE(terrain.walkable(0, 3));
  REQUIRE(!terrain.walkable(1, 2));
  REQUIRE(terrain.high(5, 5));
  REQUIRE(!terrain.high(0, 0));
}

TEST_CASE("walkers slide along walls and never leave the ground") {
  for (const Map& map : maps) {
    const Terrain terrain(map.ground, map.high, false);
    std::uint64_t seed = 1;
    const auto random = [&] {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      return float(seed >> 40) * 0x1p-24F;
    };
    for (int k = 0; k < 2000; ++k) {
      const float r = 0.3F + 0.4F * random();
      const Point from{32 * random(), 32 * random()};
      if (!terrain.fits(from.x, from.y, r)) continue;
      const Point to = terrain.slide(from, {from.x + 2 * random() - 1, from.y + 2 * random() - 1}, r);
      REQUIRE(terrain.fits(to.x, to.y, r));
    }
  }
  const Terrain open(box(0, 8, 31, 23), {}, false);
  const Point p = open.slide({10, 9}, {11, 7}, 0.5F);
  REQUIRE(p.x == 11);
  REQUIRE(p.y == 8.5F);
}

TEST_CASE("ways lead around walls, by places that can be walked to straight") {
  const Map& map = map_named("2c_vs_64zg");
  const Terrain terrain(map.ground, map.high, true);
  Point at{16, 9};
  const Point goal{16, 16};
  REQUIRE(!terrain.clear(at, goal, 0.375F));
  double length = 0;
  int turns = 0;
  while (std::hypot(at.x - goal.x, at.y - goal.y) > 0.01F && turns < 50) {
    const Point next = terrain.waypoint(at, goal, 0.375F);
    REQUIRE(terrain.clear(at, next, 0.375F));
    length += std::hypot(next.x - at.x, next.y - at.y);
    at = next;
    ++turns;
  }
  REQUIRE(turns < 20);
  // Straight to the corners of the wall (x 4 ... 27, y 12 and 13) and on: the shortest way there is.
  const double shortest = std::hypot(12.0, 3.0) + 2 + std::hypot(12.0, 2.0);
  REQUIRE(length >= shortest - 1e-3);
  REQUIRE(length < 1.1 * shortest);
}

TEST_CASE("on every map all the ground hangs together and all starts are on it") {
  for (const Map& map : maps) {
    CAPTURE(map.name);
    const Terrain terrain(map.ground, map.high, true);
    const Point goal = map.allies[0].point;
    REQUIRE(terrain.walkable(int(goal.x), int(goal.y)));
    for (int y = 0; y < map_size; ++y)
      for (int x = 0; x < map_size; ++x) {
        if (!terrain.walkable(x, y)) continue;
        Point at{float(x) + 0.5F, float(y) + 0.5F};
        int turns = 0;
        while (!terrain.clear(at, goal, 0.1F) && turns < 60) at = terrain.waypoint(at, goal, 0.1F), ++turns;
        REQUIRE(turns < 60);
      }
  }
}

TEST_CASE("map names are unique, and an unknown one is answered with all of them") {
  for (const Map& a : maps) REQUIRE(&map_named(a.name) == &a);
  REQUIRE_THROWS_WITH(map_named("4m"),
                      Catch::Matchers::StartsWith("map_named: there is no map '4m'; expected one of 3m") &&
                          Catch::Matchers::EndsWith("10gen_zerg"));
}
