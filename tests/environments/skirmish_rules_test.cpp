// Every switch of the rules, both ways.

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>

#include "environments/field.hpp"
#include "environments/play.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::skirmish;
using namespace qatten_test;
using Catch::Matchers::WithinAbs;

namespace {

/// f(rules with the switch off), f(rules with it on).
template <class F>
auto both(bool Ruleset::*flag, F&& f) {
  std::array<decltype(f(quiet())), 2> results;
  for (const bool on : {false, true}) {
    Ruleset rules = quiet();
    rules.*flag = on;
    results[on] = f(rules);
  }
  return results;
}

}  // namespace

TEST_CASE("weapon_noise") {
  const auto cooldowns = both(&Ruleset::weapon_noise, [](const Ruleset& rules) {
    std::set<float> seen;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Field field({{Unit::marine, 12, 16}}, {{Unit::zealot, 16, 16}}, rules);
      field.random = Random(seed);
      field.battle.order_attack(0, 1);
      field.until([&] { return field.s().cooldown[0] > 0; });
      seen.insert(field.s().cooldown[0]);
    }
    return seen.size();
  });
  REQUIRE(cooldowns == std::array<std::size_t, 2>{1, 20});
}

TEST_CASE("damage_point") {
  const auto first_hit = both(&Ruleset::damage_point, [](const Ruleset& rules) {
    Field field({{Unit::zergling, 15.2F, 16}}, {{Unit::marine, 16, 16}}, rules);
    field.battle.order_attack(0, 1);
    return field.until([&] { return field.s().health[1] < 45; });
  });
  REQUIRE(first_hit == std::array{1, int(std::ceil(1 + 0.167 * 16))});
}

TEST_CASE("missiles") {
  const auto first_hit = both(&Ruleset::missiles, [](const Ruleset& rules) {
    Field field({{Unit::marauder, 11, 16}}, {{Unit::marine, 16, 16}}, rules);
    field.battle.order_attack(0, 1);
    return field.until([&] { return field.s().health[1] < 45; });
  });
  REQUIRE(first_hit == std::array{1, 1 + int(std::ceil(5 / 20.0 * 16))});
  const auto beams = both(&Ruleset::missiles, [](const Ruleset& rules) {
    Field field({{Unit::colossus, 11, 16}}, {{Unit::marine, 16, 16}}, rules);
    field.battle.order_attack(0, 1);
    return field.until([&] { return field.s().health[1] < 45; });
  });
  REQUIRE(beams == std::array{3, 3 + int(std::ceil(0.325 * 16))});
}

TEST_CASE("random_order") {
  const auto survivors = both(&Ruleset::random_order, [](const Ruleset& rules) {
    int first = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      Field field({{Unit::marine, 12, 16}}, {{Unit::marine, 16, 16}}, rules);
      field.random = Random(seed);
      field.s().health[0] = field.s().health[1] = 1;
      field.battle.order_attack(0, 1);
      field.attack_move(1, 16, 16);
      field.run(3);
      REQUIRE(field.s().alive[0] + field.s().alive[1] == 1);
      first += field.s().alive[0];
    }
    return first;
  });
  REQUIRE(survivors[0] == 200);
  REQUIRE(std::abs(survivors[1] - 100) < 40);  // 5.6 standard deviations
}

TEST_CASE("pathing") {
  const auto arrives = both(&Ruleset::pathing, [](const Ruleset& rules) {
    Battle battle(map_named("2c_vs_64zg"), rules);
    Random random(1);
    battle.clear();
    battle.add(Unit::marine, {16, 15}, true);
    battle.order_move(0, {16, 9});
    for (int k = 0; k < 400; ++k) battle.loop(random);
    return battle.state().y[0] < 10;
  });
  REQUIRE(arrives == std::array{false, true});
}

TEST_CASE("healers_first") {
  const auto target = both(&Ruleset::healers_first, [](const Ruleset& rules) {
    Field field({{Unit::medivac, 11.5F, 16}, {Unit::marine, 13, 16}}, {{Unit::marine, 16, 16}}, rules);
    field.attack_move(2, 16, 16);
    field.run(1);
    return field.s().target[2];
  });
  REQUIRE(target == std::array<std::int32_t, 2>{1, 0});
}

TEST_CASE("call_for_help") {
  // A stalker hits a zealot from beyond its scan; a friend 3 away comes along, one 5 away does not.
  const auto targets = both(&Ruleset::call_for_help, [](const Ruleset& rules) {
    Field field({{Unit::stalker, 9, 16}}, {{Unit::zealot, 16, 16}, {Unit::zealot, 16, 19}, {Unit::zealot, 16, 21.5F}},
                rules);
    for (int j = 1; j < 4; ++j)
      field.s().order[j] = Order::attack_move, field.s().attack_x = 16, field.s().attack_y = 18;
    Damage(field.s(), field.battle.rules()).hit(0, 1, 1);
    field.run(1);
    return std::array{field.s().target[1], field.s().target[2], field.s().target[3]};
  });
  REQUIRE(targets[0] == std::array<std::int32_t, 3>{-1, -1, -1});
  REQUIRE(targets[1] == std::array<std::int32_t, 3>{0, 0, -1});
}

TEST_CASE("death_explosion") {
  const auto health = both(&Ruleset::death_explosion, [](const Ruleset& rules) {
    Field field({{Unit::marine, 16, 17}, {Unit::baneling, 16, 14.5F}},
                {{Unit::baneling, 16, 16}, {Unit::marine, 15, 14}}, rules);
    Damage damage(field.s(), field.battle.rules());
    damage.hit(0, 2, 10);  // killed: bursts or not
    const float killed = field.s().health[0];
    if (field.s().alive[1]) damage.burst(1);  // its own burst always counts
    return std::array{killed, field.s().health[3]};
  });
  REQUIRE(health[0] == std::array{45.0F, 10.0F});
  REQUIRE(health[1][0] == 10);
}

TEST_CASE("rigid") {
  const auto moved = both(&Ruleset::rigid, [](const Ruleset& rules) {
    Field field({{Unit::marine, 16, 16}, {Unit::marine, 14, 16.1F}}, {{Unit::zealot, 30, 30}}, rules);
    field.battle.order_move(1, {15.9F, 16.1F});
    field.run(40);
    return field.s().x[0] != 16 || field.s().y[0] != 16;
  });
  REQUIRE(moved == std::array{true, false});
}

TEST_CASE("heal_start_energy") {
  for (const float least : {0.0F, 5.0F}) {
    Ruleset rules = quiet();
    rules.heal_start_energy = least;
    Field field({{Unit::medivac, 14, 16}, {Unit::marine, 16, 16}}, {{Unit::zealot, 30, 30}}, rules);
    field.s().energy[0] = 4;
    field.s().health[1] = 10;
    field.battle.order_heal(0, 1);
    field.run(1);
    REQUIRE((field.s().health[1] > 10) == (least == 0));
    field.run(16 * 3);
    REQUIRE(field.s().health[1] > 10);
  }
}

TEST_CASE("start_jitter moves every unit, no further than it says, and not into walls") {
  Options options;
  const Skirmish still("3s5z", options);
  options.start_jitter = 2;
  Skirmish game("3s5z", options);
  std::set<float> places;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    game.reset(Random(seed));
    for (int j = 8; j < 16; ++j) {  // enemies keep their order
      REQUIRE(std::abs(game.units().x[j] - still.units().x[j]) <= 2);
      REQUIRE(std::abs(game.units().y[j] - still.units().y[j]) <= 2);
      REQUIRE(game.battle().terrain().fits(game.units().x[j], game.units().y[j], game.units().separation[j]));
    }
    places.insert(game.units().x[8]);
  }
  REQUIRE(places.size() == 50);
}

TEST_CASE("teams are drawn with their weights, the same for both sides, never healers alone") {
  Skirmish game("10gen_terran");
  int medivacs = 0, units = 0;
  std::set<std::string> teams;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    game.reset(Random(seed));
    const BattleState& s = game.units();
    std::array<int, n_unit_types> allies{}, enemies{};
    std::string team;
    for (int i = 0; i < 5; ++i) ++allies[index(s.type[i])], team += sc2_units[index(s.type[i])].symbol;
    for (int j = 5; j < 10; ++j) ++enemies[index(s.type[j])];
    REQUIRE(allies == enemies);
    REQUIRE(allies[index(Unit::medivac)] < 5);
    REQUIRE(std::is_sorted(&s.type[0], &s.type[0] + 5));
    medivacs += allies[index(Unit::medivac)], units += 5;
    teams.insert(team);
  }
  REQUIRE(teams.size() >= 17);  // of the 21 multisets of 5 out of 3 types; those of many medivacs are rare
  REQUIRE(std::abs(double(medivacs) / units - 0.1) < 5 * std::sqrt(0.09 / units));
}

TEST_CASE("n_units and n_enemies size drawn teams; the enemy has the allies' units and more") {
  Options options;
  options.n_units = 4, options.n_enemies = 7;
  Skirmish game("10gen_protoss", options);
  REQUIRE(game.info().n_agents == 4);
  REQUIRE(game.info().n_actions == 13);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    game.reset(Random(seed));
    std::array<int, n_unit_types> more{};
    for (int j = 4; j < 11; ++j) ++more[index(game.units().type[j])];
    for (int i = 0; i < 4; ++i) --more[index(game.units().type[i])];
    for (const int n : more) REQUIRE(n >= 0);
  }
}

TEST_CASE("start positions: surrounded and reflected") {
  Options options;
  options.start = Start::reflected;
  Skirmish reflected("3m", options);
  options.start = Start::surrounded;
  Skirmish surrounded("8m", options);
  std::set<int> sides;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    reflected.reset(Random(seed));
    const BattleState& r = reflected.units();
    for (int j = 3; j < 6; ++j) {
      int opposite = 0;
      for (int i = 0; i < 3; ++i) opposite += std::abs(r.x[i] + r.x[j] - 32) < 1e-4F && r.y[i] == r.y[j];
      REQUIRE(opposite == 1);
      REQUIRE(r.x[j] > 16);
    }
    surrounded.reset(Random(seed));
    const BattleState& s = surrounded.units();
    int mask = 0;
    for (int i = 0; i < 8; ++i) REQUIRE(std::hypot(s.x[i] - 16, s.y[i] - 16) < 3);
    for (int j = 8; j < 16; ++j) {
      REQUIRE(std::hypot(s.x[j] - 16, s.y[j] - 16) > 7);
      mask |= 1 << (2 * (s.x[j] > 16) + (s.y[j] > 16));
    }
    sides.insert(mask);
    REQUIRE(s.attack_x > 15);
    REQUIRE(s.attack_x < 17);
  }
  REQUIRE(sides.size() > 8);  // one to four of four corners
}

TEST_CASE("2m_vs_1z: the zealot goes to a random point between the marines") {
  Skirmish game("2m_vs_1z");
  std::set<float> points;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    game.reset(Random(seed));
    const float x = game.units().attack_x;
    REQUIRE(x >= 13);
    REQUIRE(x <= 19);
    REQUIRE(game.units().attack_y == 12);
    points.insert(x);
  }
  REQUIRE(points.size() == 50);
}

TEST_CASE("the smaclite ruleset: faster units, other stats, everything at once") {
  const UnitTable& lite = smaclite_units;
  REQUIRE_THAT(double(lite[index(Unit::marine)].speed), WithinAbs(3.15, 1e-5));
  REQUIRE_THAT(double(lite[index(Unit::stalker)].speed), WithinAbs(4.13, 0.01));
  REQUIRE_THAT(double(lite[index(Unit::marine)].period), WithinAbs(0.61, 0.01));
  REQUIRE_THAT(double(lite[index(Unit::zealot)].period), WithinAbs(0.86, 0.01));
  REQUIRE_THAT(double(lite[index(Unit::zergling)].period), WithinAbs(0.497, 0.001));
  const LoopRules rules{smaclite_rules()};
  REQUIRE(rules.damage[index(Unit::stalker)][index(Unit::stalker)] == 18);
  REQUIRE(rules.damage[index(Unit::colossus)][index(Unit::zealot)] == 15);
  REQUIRE(rules.damage[index(Unit::baneling)][index(Unit::zealot)] == 80);
  // Both blades at once, in the first loop.
  Field field({{Unit::zealot, 15.05F, 16}}, {{Unit::marauder, 16, 16}}, smaclite_rules());
  field.battle.order_attack(0, 1);
  field.run(1);
  REQUIRE(field.s().health[1] == 125 - 14);
  Skirmish game("3m");
  Options options;
  options.rules = smaclite_rules();
  Skirmish faster("3m", options);
  for (Skirmish* g : {&game, &faster}) {
    const float x = g->units().x[0];
    g->step(std::vector{4, 4, 4});
    REQUIRE_THAT(double(g->units().x[0] - x), WithinAbs(g == &game ? 1.125 : 1.575, 1e-4));
  }
}

TEST_CASE("a stop is a stop, and allies never shoot unless ordered") {
  Field field({{Unit::marine, 14, 16}}, {{Unit::zealot, 16, 16}});
  field.battle.order_move(0, {10, 16});
  field.run(4);
  field.battle.order_stop(0);
  const float x = field.s().x[0];
  field.run(20);
  REQUIRE(field.s().x[0] == x);
  REQUIRE(field.s().shield[1] == 50);
}
