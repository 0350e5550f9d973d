// The rules of fighting and walking against closed forms, with the numbers of the unit table.

#include <algorithm>
#include <cmath>
#include <utility>

#include "environments/field.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::skirmish;
using namespace qatten_test;
using Catch::Matchers::WithinAbs;

namespace {

const UnitType& type(Unit unit) { return sc2_units[index(unit)]; }
double loops(float seconds) { return double(seconds) * double(loops_per_second); }
/// Where a unit stands whose edge is `gap` from the edge of one at 16.
float beside(Unit a, Unit b, float gap) { return 16 - type(a).radius - type(b).radius - gap; }
constexpr float eps = 1e-3F;

}  // namespace

TEST_CASE("a marine kills a marine with its eighth shot, seven periods and a damage point after the first loop") {
  Field field({{Unit::marine, 12, 16}}, {{Unit::marine, 16, 16}});
  field.battle.order_attack(0, 1);
  const int died = field.until([&] { return !field.s().alive[1]; });
  const int shots = int(std::ceil(type(Unit::marine).health / type(Unit::marine).damage));
  REQUIRE(shots == 8);
  REQUIRE(died == int(std::ceil(1 + loops(0.05F) + (shots - 1) * loops(0.8608F))));
}

TEST_CASE("the weapon's delay is uniform in -1 ... +2 loops") {
  Ruleset rules;
  rules.units[index(Unit::zealot)].health = 1e9F;
  Field field({{Unit::marine, 12, 16}}, {{Unit::zealot, 16, 16}}, rules);
  field.battle.order_attack(0, 1);
  double sum = 0, least = 1e9, most = 0, last = field.s().cooldown[0];
  int shots = 0;
  while (shots < 4000) {
    field.run(1);
    const double now = field.s().cooldown[0];
    if (now >
        last) {  // a shot: what is left is the period and the noise, less what has passed since the weapon was ready
      const double since = loops(0.05F) - double(field.s().aim[0]);
      const double length = now + since;
      sum += length, ++shots;
      least = std::min(least, length), most = std::max(most, length);
    }
    last = now;
  }
  const double period = loops(0.8608F);
  REQUIRE_THAT(sum / shots, WithinAbs(period + 0.5, 4 * std::sqrt(9.0 / 12 / shots)));
  REQUIRE(least >= period - 1 - 1e-4);
  REQUIRE(least < period - 0.98);
  REQUIRE(most <= period + 2 + 1e-4);
  REQUIRE(most > period + 1.98);
}

TEST_CASE("a stalker gains 0.044 a loop on a zealot") {
  Field field({{Unit::stalker, 14, 16}}, {{Unit::zealot, 11, 16}});
  field.battle.order_move(0, {31, 16});
  field.attack_move(1, 31, 16);
  field.run(4);
  const double before = std::sqrt(double(field.s().distance2(0, 1)));
  field.run(32);
  const double gain = (std::sqrt(double(field.s().distance2(0, 1))) - before) / 32;
  REQUIRE_THAT(gain, WithinAbs((2.9531 - 2.25) / 16, 1e-5));
}

TEST_CASE("units cover speed / 16 in a loop and stop where they were sent") {
  Field field({{Unit::marine, 10, 16}}, {{Unit::zealot, 30, 30}});
  field.battle.order_move(0, {12, 16});
  field.run(8);
  REQUIRE_THAT(double(field.s().x[0]), WithinAbs(10 + 8 * 2.25 / 16, 1e-5));
  field.run(100);
  REQUIRE_THAT(double(field.s().x[0]), WithinAbs(12, 1e-5));
}

TEST_CASE("shields take damage first, armour counts on health alone, and no hit does less than a half") {
  Ruleset rules = quiet();
  Field field({{Unit::marine, 12, 16}}, {{Unit::zealot, 16, 16}}, rules);
  Damage damage(field.s(), field.battle.rules());
  damage.hit(0, 1, 1);
  REQUIRE(field.s().shield[1] == 44);
  REQUIRE(field.s().health[1] == 100);
  field.s().shield[1] = 2;
  damage.hit(0, 1, 1);
  REQUIRE(field.s().shield[1] == 0);
  REQUIRE(field.s().health[1] == 100 - (6 - 2 - 1));
  damage.hit(0, 1, 1);
  REQUIRE(field.s().health[1] == 97 - (6 - 1));
  rules.units[index(Unit::marine)].damage = 1;
  Field weak({{Unit::marine, 12, 16}}, {{Unit::spine_crawler, 16, 16}}, rules);
  Damage(weak.s(), weak.battle.rules()).hit(0, 1, 1);
  REQUIRE(weak.s().health[1] == 300 - 0.5F);
}

TEST_CASE("bonuses are against attributes") {
  const LoopRules rules{sc2_rules()};
  const auto damage = [&](Unit a, Unit b) { return rules.damage[index(a)][index(b)]; };
  REQUIRE(damage(Unit::marauder, Unit::marine) == 10);
  REQUIRE(damage(Unit::marauder, Unit::stalker) == 20);
  REQUIRE(damage(Unit::stalker, Unit::stalker) == 14);
  REQUIRE(damage(Unit::stalker, Unit::zealot) == 10);
  REQUIRE(damage(Unit::baneling, Unit::zealot) == 35);
  REQUIRE(damage(Unit::baneling, Unit::baneling) == 20);
  REQUIRE(damage(Unit::spine_crawler, Unit::stalker) == 30);
}

TEST_CASE("shields come back 160 loops after the last damage, 0.125 a loop, and stop when full") {
  Field field({{Unit::marine, 12, 16}}, {{Unit::zealot, 16, 16}});
  Damage(field.s(), field.battle.rules()).hit(0, 1, 1);
  field.run(159);
  REQUIRE(field.s().shield[1] == 44);
  field.run(1);
  REQUIRE(field.s().shield[1] == 44.125F);
  field.run(7);
  REQUIRE(field.s().shield[1] == 45);
  field.run(1000);
  REQUIRE(field.s().shield[1] == 50);
}

TEST_CASE("zerg regain 0.2734 health a second, the dead nothing") {
  Field field({{Unit::marine, 12, 16}}, {{Unit::zergling, 16, 16}, {Unit::zergling, 20, 16}});
  field.s().health[1] = 10;
  Damage(field.s(), field.battle.rules()).hit(0, 2, 10);
  REQUIRE(!field.s().alive[2]);
  field.run(160);
  REQUIRE_THAT(double(field.s().health[1]), WithinAbs(10 + 10 * 0.2734, 1e-4));
  REQUIRE(field.s().health[2] == 0);
}

TEST_CASE("a medivac gives 9 health a second for 0.33 energy each, until the energy is gone") {
  Ruleset rules = quiet();
  rules.units[index(Unit::marine)].health = 10000;
  Field field({{Unit::medivac, 12, 16}, {Unit::marine, 15, 16}}, {{Unit::zealot, 30, 30}}, rules);
  field.s().health[1] = 100;
  field.battle.order_heal(0, 1);
  field.run(16);
  REQUIRE_THAT(double(field.s().health[1]), WithinAbs(109, 1e-3));
  REQUIRE_THAT(double(field.s().energy[0]), WithinAbs(50 + 0.5625 - 9 * 0.33, 1e-3));
  // Energy falls by 9 · 0.33 - 0.5625 a second; then what comes back is given at once.
  const double seconds = 50 / (9 * 0.33 - 0.5625);
  field.run(int(seconds * 16) - 16 + 160);
  const double given = 9 * seconds + (10 + (std::floor(seconds * 16) / 16 - seconds)) * 0.5625 / 0.33;
  REQUIRE_THAT(double(field.s().health[1]), WithinAbs(100 + given, 0.5));
}

TEST_CASE("healing stops at full health, does nothing for machines, and follows its patient") {
  Field field({{Unit::medivac, 12, 16}, {Unit::marine, 15, 16}, {Unit::stalker, 14, 18}, {Unit::marine, 25, 16}},
              {{Unit::zealot, 30, 30}});
  field.s().health[1] = 44.9F;
  field.battle.order_heal(0, 1);
  field.run(2);
  REQUIRE(field.s().health[1] == 45);
  REQUIRE(!field.s().healing[0]);
  field.s().health[2] = 40;
  field.battle.order_heal(0, 2);
  field.run(32);
  REQUIRE(field.s().health[2] == 40);
  field.s().health[3] = 20;
  field.battle.order_heal(0, 3);
  field.run(160);
  REQUIRE(field.s().health[3] > 20);
  REQUIRE(field.s().within(0, 3, 4));
}

TEST_CASE("flyers accelerate by 2.3125 a second each second") {
  Field field({{Unit::medivac, 5, 16}}, {{Unit::zealot, 30, 30}});
  field.battle.order_move(0, {31, 16});
  field.run(8);
  REQUIRE_THAT(double(field.s().velocity_x[0]), WithinAbs(8 * 2.3125 / 256, 1e-6));
  field.run(32);
  REQUIRE_THAT(double(field.s().velocity_x[0]), WithinAbs(2.75 / 16, 1e-6));
}

TEST_CASE("ranges are from edge to edge") {
  const auto walked = [](float gap) {
    Field field({{Unit::marine, beside(Unit::marine, Unit::stalker, gap), 16}}, {{Unit::stalker, 16, 16}});
    const float x = field.s().x[0];
    field.battle.order_attack(0, 1);
    field.run(1);
    return field.s().x[0] > x;
  };
  REQUIRE(!walked(5 - eps));
  REQUIRE(walked(5 + eps));
}

TEST_CASE("enemies notice who comes within max(5, range), from edge to edge") {
  const auto notices = [](Unit enemy, float gap) {
    Field field({{Unit::marine, beside(Unit::marine, enemy, gap), 16}}, {{enemy, 16, 16}});
    field.attack_move(1, 16, 16);
    field.run(1);
    return field.s().target[1] == 0;
  };
  for (const auto& [enemy, scan] :
       {std::pair{Unit::zealot, 5.0F}, {Unit::stalker, 6.0F}, {Unit::spine_crawler, 7.0F}}) {
    REQUIRE(notices(enemy, scan - eps));
    REQUIRE(!notices(enemy, scan + eps));
  }
}

TEST_CASE("a zealot's second blade comes 4.48 loops after the first") {
  Field field({{Unit::zealot, beside(Unit::zealot, Unit::marauder, 0.05F), 16}}, {{Unit::marauder, 16, 16}});
  field.battle.order_attack(0, 1);
  field.run(1);
  REQUIRE(field.s().health[1] == 125 - 7);
  field.run(4);
  REQUIRE(field.s().health[1] == 125 - 7);
  field.run(1);
  REQUIRE(field.s().health[1] == 125 - 14);
}

TEST_CASE("a baneling's burst reaches 2.2 and the target's radius, foes on the ground alone") {
  const float reach = 2.2F + type(Unit::marine).radius;
  Field field({{Unit::baneling, 16, 16}, {Unit::marine, 17, 17}}, {{Unit::marine, 16 + reach - eps, 16},
                                                                   {Unit::marine, 16, 16 + reach + eps},
                                                                   {Unit::marine, 16, 15.2F},
                                                                   {Unit::medivac, 15.5F, 16}});
  field.battle.order_attack(0, 4);
  field.run(1);
  REQUIRE(!field.s().alive[0]);
  REQUIRE(field.s().health[1] == 45);
  REQUIRE(field.s().health[2] == 45 - 35);
  REQUIRE(field.s().health[3] == 45);
  REQUIRE(field.s().health[4] == 45 - 35);
  REQUIRE(field.s().health[5] == 150);
}

TEST_CASE("a baneling that is killed bursts as well, and one burst sets off another") {
  // The marine kills the first enemy; its burst reaches the allied baneling, whose burst reaches the second.
  Field field({{Unit::marine, 12, 16}, {Unit::baneling, 17.5F, 16}},
              {{Unit::baneling, 16, 16}, {Unit::marine, 19, 16}});
  field.s().health[1] = field.s().health[2] = 1;
  field.battle.order_attack(0, 2);
  field.until([&] { return !field.s().alive[2]; });
  REQUIRE(!field.s().alive[1]);
  REQUIRE(field.s().health[3] == 45 - 35);
}

TEST_CASE("a colossus hits a line of 2.5 across its fire, twice, after its beams have got there") {
  const float edge = 1.25F + 0.15F + type(Unit::marauder).radius;
  const float thick = 0.15F + type(Unit::marauder).radius;
  Field field({{Unit::colossus, 11, 16}}, {{Unit::marauder, 16, 16},
                                           {Unit::marauder, 16, 16 + edge - eps},
                                           {Unit::marauder, 16, 16 - edge - eps},
                                           {Unit::marauder, 16 + thick - eps, 15},
                                           {Unit::marauder, 16 - thick - eps, 15},
                                           {Unit::medivac, 16, 16}});
  field.battle.order_attack(0, 1);
  const int aim = int(std::ceil(1 + loops(0.0832F))), flight = int(std::ceil(loops(0.325F)));
  field.run(aim);
  REQUIRE(field.s().cooldown[0] > 30);
  // Nobody has moved, least of all from where they overlap.
  for (int i = 1; i < 7; ++i) REQUIRE(field.s().health[i] == field.s().max_health[i]);
  field.s().x[4] = 16 + thick - eps, field.s().y[4] = 15;
  field.s().x[5] = 16 - thick - eps, field.s().y[5] = 15;
  field.s().x[1] = 16, field.s().y[1] = 16;
  field.s().y[2] = 16 + edge - eps, field.s().y[3] = 16 - edge - eps;
  field.s().x[2] = field.s().x[3] = 16;
  field.run(flight - 1);
  REQUIRE(field.s().health[1] == 125);
  field.s().x[4] = 16 + thick - eps, field.s().y[4] = 15;
  field.s().x[5] = 16 - thick - eps, field.s().y[5] = 15;
  field.s().x[1] = 16, field.s().y[1] = 16;
  field.s().y[2] = 16 + edge - eps, field.s().y[3] = 16 - edge - eps;
  field.s().x[2] = field.s().x[3] = 16;
  field.run(1);
  REQUIRE(field.s().health[1] == 125 - 2 * 19);
  REQUIRE(field.s().health[2] == 125 - 2 * 19);
  REQUIRE(field.s().health[3] == 125);
  REQUIRE(field.s().health[4] == 125 - 2 * 19);
  REQUIRE(field.s().health[5] == 125);
  REQUIRE(field.s().health[6] == 150);
}

TEST_CASE("missiles waste themselves on the dying, instant shots do not") {
  const auto spent = [](Unit unit) {
    Field field({{unit, 12, 15}, {unit, 12, 17}}, {{Unit::marine, 16, 16}});
    field.s().health[2] = 1;
    field.battle.order_attack(0, 2);
    field.battle.order_attack(1, 2);
    field.until([&] { return !field.s().alive[2]; });
    return int(field.s().cooldown[0] > 0) + int(field.s().cooldown[1] > 0);
  };
  REQUIRE(spent(Unit::stalker) == 2);
  REQUIRE(spent(Unit::marine) == 1);
}

TEST_CASE("a missile takes its time and lands though its shooter has died; a blade does not") {
  Field field({{Unit::stalker, 11, 16}}, {{Unit::marine, 16, 16}});
  field.battle.order_attack(0, 1);
  field.until([&] { return field.s().hit_target[0] == 1; });
  REQUIRE_THAT(double(field.s().hit_time[0]), WithinAbs(5 / 18.75 * 16, 1e-4));
  const int flight = int(std::ceil(field.s().hit_time[0]));
  Damage(field.s(), field.battle.rules()).hit(1, 0, 100);
  REQUIRE(!field.s().alive[0]);
  field.run(flight - 1);
  REQUIRE(field.s().health[1] == 45);
  field.run(1);
  REQUIRE(field.s().health[1] == 35);

  Field blades({{Unit::zealot, beside(Unit::zealot, Unit::marine, 0.05F), 16}}, {{Unit::marine, 16, 16}});
  blades.battle.order_attack(0, 1);
  blades.run(1);
  REQUIRE(blades.s().health[1] == 37);
  Damage(blades.s(), blades.battle.rules()).hit(1, 0, 100);
  blades.run(20);
  REQUIRE(blades.s().health[1] == 37);
}

TEST_CASE("a new order ends aiming, the same order again does not, and a shot not taken costs nothing") {
  Field field({{Unit::stalker, 11, 16}}, {{Unit::marine, 16, 16}, {Unit::marine, 16, 18}});
  field.battle.order_attack(0, 1);
  field.run(2);
  REQUIRE(field.s().aim_target[0] == 1);
  const float aim = field.s().aim[0];
  field.battle.order_attack(0, 1);
  REQUIRE(field.s().aim_target[0] == 1);
  REQUIRE(field.s().aim[0] == aim);
  field.battle.order_stop(0);
  REQUIRE(field.s().aim_target[0] == -1);
  REQUIRE(field.s().cooldown[0] == 0);
  field.run(40);
  REQUIRE(field.s().health[1] == 45);
}

TEST_CASE("after a shot a unit stands still for half a second, unless it is told something else") {
  const auto moved = [](bool told) {
    Field field({{Unit::marine, 12, 16}}, {{Unit::stalker, 16, 16}});
    field.battle.order_attack(0, 1);
    field.until([&] { return field.s().cooldown[0] > 0; });
    field.s().x[1] = 24;
    const float x = field.s().x[0];
    if (told) field.battle.order_move(0, {30, 16});
    field.run(7);
    return field.s().x[0] > x;
  };
  REQUIRE(!moved(false));
  REQUIRE(moved(true));
}

TEST_CASE("enemies take the nearest, keep it while it is in range, and leave it when it is not") {
  Field field({{Unit::marine, 12, 16}, {Unit::marine, 11, 16.5F}}, {{Unit::marine, 16, 16}});
  field.attack_move(2, 16, 16);
  field.run(1);
  REQUIRE(field.s().target[2] == 0);
  field.s().x[1] = 14;
  field.run(1);
  REQUIRE(field.s().target[2] == 0);
  field.s().x[0] = 16 - 0.75F - 6 - 2 * eps;  // beyond range and slop
  field.run(1);
  REQUIRE(field.s().target[2] == 1);
}

TEST_CASE("a medivac is a target like others only while it heals") {
  Field field({{Unit::medivac, 13, 16}, {Unit::marine, 11, 16}}, {{Unit::marine, 16, 16}});
  field.attack_move(2, 16, 16);
  field.run(1);
  REQUIRE(field.s().target[2] == 1);
  field.s().target[2] = -1;
  field.s().health[1] = 10;
  field.battle.order_heal(0, 1);
  field.run(1);
  REQUIRE(field.s().healing[0]);
  field.s().target[2] = -1;
  field.run(1);
  REQUIRE(field.s().target[2] == 0);
}

TEST_CASE("who cannot shoot at flyers does not choose them") {
  Field field({{Unit::medivac, 13, 16}}, {{Unit::zealot, 16, 16}, {Unit::marine, 16, 18}});
  field.attack_move(1, 16, 16);
  field.attack_move(2, 16, 18);
  field.run(1);
  REQUIRE(field.s().target[1] == -1);
  REQUIRE(field.s().target[2] == 0);
}

TEST_CASE("enemies walk to where they attack and stay there") {
  Field field({{Unit::marine, 2, 2}}, {{Unit::marine, 24, 16}});
  field.attack_move(1, 14, 16);
  field.run(16 * 10);
  const double x = double(field.s().x[1]);
  REQUIRE_THAT(x, WithinAbs(15, 0.2));
  field.run(160);
  REQUIRE(double(field.s().x[1]) == x);
}

TEST_CASE("an enemy medivac heals the friend that needs it most, and otherwise stays in the midst of its friends") {
  Field field({{Unit::marine, 2, 2}},
              {{Unit::medivac, 20, 20}, {Unit::marine, 20, 18}, {Unit::marine, 22, 20}, {Unit::marine, 20, 22}});
  for (int i = 1; i < 5; ++i) field.s().order[i] = i == 1 ? Order::attack_move : Order::stop;
  field.s().health[2] = 40, field.s().health[3] = 20;
  field.run(1);
  REQUIRE(field.s().target[1] == 3);
  REQUIRE_THAT(double(field.s().health[3]), WithinAbs(20 + 9.0 / 16, 1e-5));
  field.s().health[2] = field.s().health[3] = 45;
  field.s().x[1] = 10;
  field.run(16 * 10);
  REQUIRE_THAT(double(field.s().x[1]), WithinAbs(20.67, 0.6));
  REQUIRE_THAT(double(field.s().y[1]), WithinAbs(20, 0.6));
}

TEST_CASE("units that overlap come apart; ground, cliff walkers and flyers pass one another") {
  Field field({{Unit::marine, 16, 16}, {Unit::marine, 16, 16}, {Unit::marine, 16.1F, 16.1F}}, {{Unit::zealot, 30, 30}});
  field.run(40);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < i; ++j) REQUIRE(field.s().distance2(i, j) > 0.74F * 0.74F);
  // Equals share an overlap equally.
  Field pair({{Unit::marine, 15.9F, 16}, {Unit::marine, 16.1F, 16}}, {{Unit::zealot, 30, 30}});
  pair.run(40);
  REQUIRE_THAT(double(pair.s().x[0]), WithinAbs(15.625, 1e-3));
  REQUIRE_THAT(double(pair.s().x[1]), WithinAbs(16.375, 1e-3));
  Field layers({{Unit::marine, 16, 16}, {Unit::medivac, 16, 16}, {Unit::colossus, 16, 16}}, {{Unit::zealot, 30, 30}});
  layers.run(40);
  for (int i = 0; i < 3; ++i) REQUIRE(layers.s().x[i] == 16);
}

TEST_CASE("who walks gives way to who fights") {
  Field field({{Unit::marine, 15.5F, 16}, {Unit::marine, 13, 16}}, {{Unit::stalker, 20, 16}});
  field.battle.order_attack(0, 2);
  field.battle.order_move(1, {15, 16});
  field.run(64);
  REQUIRE_THAT(double(field.s().x[0]), WithinAbs(15.5, 0.15));
}

TEST_CASE("zerglings surround: most of what has room around a colossus bites at once") {
  Field field({{Unit::colossus, 16, 16}}, {});
  for (int k = 0; k < 16; ++k)
    field.battle.add(Unit::zergling, {22 + 0.8F * float(k % 4), 14.8F + 0.8F * float(k / 4)}, false);
  field.s().attack_x = field.s().attack_y = 16;
  field.s().health[0] = field.s().max_health[0] = 1e6F;
  field.run(16 * 8);
  int biting = 0;
  for (int i = 1; i <= 16; ++i) biting += field.s().within(0, i, 0.1F);
  REQUIRE(biting >= 10);
}
