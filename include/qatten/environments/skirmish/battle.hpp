#pragma once
// A battle: its rules, its ground, and its state, one game loop after the other.

#include <algorithm>
#include <memory>

#include "qatten/core/random.hpp"
#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/fighting.hpp"
#include "qatten/environments/skirmish/loop_rules.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/motion.hpp"
#include "qatten/environments/skirmish/placement.hpp"
#include "qatten/environments/skirmish/terrain.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Copies share the terrain. Nothing allocates after construction.
class Battle {
 public:
  Battle(const Map& map, const Ruleset& rules)
      : map_(map), rules_(rules), terrain_(std::make_shared<const Terrain>(map.ground, map.high, map.ways)) {}

  const Map& map() const { return map_; }
  const LoopRules& rules() const { return rules_; }
  const Terrain& terrain() const { return *terrain_; }
  const BattleState& state() const { return s_; }
  /// To place units by hand, or to go on from a copy.
  BattleState& state() { return s_; }

  /// The map's teams at their starts, the enemies on their way.
  void begin(Start start, double start_jitter, Random& random) {
    Placement placement(map_, rules_.rules, *terrain_, random);
    placement.run(start, start_jitter);
    clear();
    for (int i = 0; i < placement.allies.size; ++i) add(placement.allies[i].unit, placement.allies[i].point, true);
    for (int i = 0; i < placement.enemies.size; ++i) add(placement.enemies[i].unit, placement.enemies[i].point, false);
    const Point goal = attack_point(start, placement.allies, random);
    s_.attack_x = goal.x, s_.attack_y = goal.y;
    s_.hunt = start == Start::points && map_.attack == Attack::allies;
  }

  /// An empty field.
  void clear() {
    s_ = BattleState{};
    for (auto* field : {&s_.x, &s_.y}) field->fill(BattleState::far);
    for (auto* field :
         {&s_.target, &s_.aim_target, &s_.called_by, &s_.hit_target, &s_.blocker, &s_.shot_at, &s_.shot_loop})
      field->fill(-1);
  }

  /// A fresh unit; allies first. The caller keeps within max_units.
  void add(Unit unit, Point point, bool ally) {
    const UnitType& type = rules_.rules.units[index(unit)];
    const int i = s_.n_units++;
    if (ally) ++s_.n_allies;
    s_.type[i] = unit;
    s_.alive[i] = 1;
    s_.x[i] = point.x, s_.y[i] = point.y;
    s_.health[i] = s_.max_health[i] = type.health;
    s_.shield[i] = s_.max_shield[i] = type.shield;
    s_.energy[i] = type.weapon == Weapon::heal ? start_energy : 0;
    s_.regeneration[i] = type.health_regeneration / loops_per_second;
    s_.radius[i] = type.radius, s_.separation[i] = type.separation;
    s_.in_air[i] = type.flyer;
    s_.order[i] = ally ? Order::stop : Order::attack_move;
    s_.rank[i] = rank_of(s_, rules_, i);
    s_.shields |= type.shield > 0;
    s_.regenerates |= type.health_regeneration > 0;
    s_.healers |= type.weapon == Weapon::heal;
  }

  void order_stop(int i) { give(i, Order::stop, -1, {}); }
  void order_move(int i, Point to) { give(i, Order::move, -1, to); }
  void order_attack(int i, int target) { give(i, Order::attack, target, {}); }
  void order_heal(int i, int target) { give(i, Order::heal, target, {}); }

  /// One game loop.
  void loop(Random& random) {
    tick();
    Fighting(s_, rules_, intents_, random).run();
    Motion(s_, rules_, *terrain_, intents_).run();
    ++s_.loop;
  }

 private:
  Point attack_point(Start start, const Team& allies, Random& random) const {
    if (start != Start::points) return allies.centre();
    if (map_.attack != Attack::between) return map_.attack_point;
    const Point a = map_.allies[0].point, b = map_.allies[1].point;
    const auto part = static_cast<float>(random.uniform());
    return {a.x + part * (b.x - a.x), a.y + part * (b.y - a.y)};
  }

  /// A new order ends aiming and backswing; the same again changes nothing.
  void give(int i, Order order, int target, Point to) {
    if (s_.order[i] == order && s_.target[i] == target && order != Order::move) return;
    s_.order[i] = order;
    s_.target[i] = target;
    s_.order_x[i] = to.x, s_.order_y[i] = to.y;
    s_.aim_target[i] = -1;
    s_.backswing[i] = 0;
    s_.way[i] = Way::unknown;
    s_.blocker[i] = -1;
    s_.detour[i] = 0;
  }

  /// Timers, and what comes back by itself.
  void tick() {
    const auto all = [&](auto&& update) {
      for (int block = 0; block < s_.n_units; block += lanes)
#pragma GCC unroll 1
        for (int k = 0; k < lanes; ++k) update(block + k);
    };
    all([&](int i) {
      s_.cooldown[i] = s_.cooldown[i] > 0 ? s_.cooldown[i] - 1 : 0;
      s_.backswing[i] = std::max(s_.backswing[i] - 1, 0.0F);
    });
    if (s_.shields)
      all([&](int i) {
        s_.shield_wait[i] = std::max(s_.shield_wait[i] - 1, 0.0F);
        const float gain = s_.shield_wait[i] > 0 ? 0 : LoopRules::shield;
        s_.shield[i] = std::min(s_.shield[i] + gain, s_.max_shield[i]);
      });
    if (s_.regenerates)
      all([&](int i) { s_.health[i] = std::min(s_.health[i] + s_.regeneration[i], s_.max_health[i]); });
    if (s_.healers)
      for (int i = 0; i < s_.n_units; ++i)
        if (s_.alive[i] && rules_[s_.type[i]].weapon == Weapon::heal)
          s_.energy[i] = std::min(s_.energy[i] + LoopRules::energy, max_energy);
  }

  Map map_;
  LoopRules rules_;
  std::shared_ptr<const Terrain> terrain_;
  BattleState s_;
  Intents intents_;  ///< of one loop
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
