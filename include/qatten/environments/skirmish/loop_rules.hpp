#pragma once
// A ruleset in the unit of the simulation, the game loop, of which a second has 16.

#include <algorithm>
#include <array>

#include "qatten/environments/skirmish/ruleset.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Times in loops, speeds and rates per loop.
struct LoopRules {
  /// What is asked of one type again and again.
  struct Type {
    Weapon weapon;
    int hits;
    bool hits_air, flyer, cliff_walker, biological, dangerous;
    float period, damage_point, backswing, hit_delay, missile_speed, splash, half_width;
    float range, slop, scan, speed, acceleration;
  };

  explicit LoopRules(const Ruleset& ruleset) : rules(ruleset) {
    for (std::size_t k = 0; k < n_unit_types; ++k) {
      const UnitType& u = rules.units[k];
      const float delay = rules.missiles ? u.hit_delay * loops_per_second : 0;
      types[k] = {.weapon = u.weapon,
                  .hits = u.hits,
                  .hits_air = u.hits_air,
                  .flyer = u.flyer,
                  .cliff_walker = u.cliff_walker,
                  .biological = (u.attributes & biological) != 0,
                  .dangerous = u.weapon != Weapon::none && u.weapon != Weapon::heal,
                  .period = u.period * loops_per_second,
                  .damage_point = rules.damage_point ? u.damage_point * loops_per_second : 0,
                  .backswing = u.backswing * loops_per_second,
                  .hit_delay = u.weapon == Weapon::sweep ? delay : u.hit_delay * loops_per_second,
                  .missile_speed = u.missile_speed / loops_per_second,
                  .splash = u.splash,
                  .half_width = u.width / 2,
                  .range = u.range,
                  .slop = u.range_slop,
                  .scan = std::max(min_scan, u.range),
                  .speed = u.speed / loops_per_second,
                  .acceleration = u.acceleration / (loops_per_second * loops_per_second)};
      for (std::size_t j = 0; j < n_unit_types; ++j)
        damage[k][j] = u.damage + ((u.bonus_against & rules.units[j].attributes) != 0 ? u.bonus : 0);
    }
  }

  const Type& operator[](Unit unit) const { return types[index(unit)]; }

  Ruleset rules;
  std::array<Type, n_unit_types> types;
  std::array<std::array<float, n_unit_types>, n_unit_types> damage;  ///< [shooter][target], before armour

  static constexpr float noise_low = min_noise * loops_per_second, noise_high = max_noise * loops_per_second;
  static constexpr float heal = healing_rate / loops_per_second;
  static constexpr float energy = energy_regeneration / loops_per_second;
  static constexpr float shield = shield_regeneration / loops_per_second;
  static constexpr float shield_wait = shield_delay * loops_per_second;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
