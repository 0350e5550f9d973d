#pragma once
// The units of the skirmish: what they are made of and how they fight, as data.
//
// Numbers are those of StarCraft II's Liberty and Core catalogues, on which all of SMAC's maps stand: lengths in map
// units, times in "normal" seconds of 16 game loops, ranges from edge to edge.

#include <array>
#include <cstdint>
#include <string_view>

#include "qatten/core/abi.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// In the order in which SMAC sorts its agents.
enum class Unit : std::uint8_t {
  marauder,
  marine,
  medivac,
  colossus,
  stalker,
  zealot,
  baneling,
  hydralisk,
  zergling,
  spine_crawler,
};
inline constexpr std::size_t n_unit_types = 10;

/// Attributes, which weapons may have a bonus against.
enum Attribute : std::uint8_t { light = 1, armored = 2, biological = 4, mechanical = 8, massive = 16, structure = 32 };

/// How a weapon brings its damage.
enum class Weapon : std::uint8_t {
  none,
  instant,  ///< at the end of the damage point, `hits` times; with `hit_delay` between the first and the second
  missile,  ///< follows its target, lands even if the shooter has died, is wasted if the target has
  sweep,    ///< two beams over a line across the direction of fire, `hit_delay` later
  burst,    ///< everything hostile on the ground within `splash`; the unit dies of it
  heal,     ///< gives health for energy
};

struct UnitType {
  std::string_view name;
  char symbol = '?';  ///< for pictures made of text
  float health = 0, shield = 0, armour = 0;
  int attributes = 0;

  Weapon weapon = Weapon::none;
  float damage = 0, bonus = 0;  ///< of one hit; the bonus against all who have an attribute of `bonus_against`
  int bonus_against = 0;
  int hits = 1;
  float period = 0;        ///< s from one shot to the next
  float range = 0;         ///< from edge to edge
  float range_slop = 1;    ///< how far a target may leave the range before the shot, or the choice of it, is given up
  float damage_point = 0;  ///< s from aiming to shooting
  float backswing = 0.5F;  ///< s of standing still after a shot, unless there is a new order
  float hit_delay = 0;     ///< s
  float missile_speed = 0;
  float splash = 0;
  float width = 0;  ///< of a sweep's line
  bool hits_air = false;

  float speed = 0;            ///< per s
  float acceleration = 1000;  ///< per s²
  float radius = 0;           ///< for ranges
  float separation = 0;       ///< how near others may come
  bool flyer = false;
  bool cliff_walker = false;
  float sight = 9;

  float health_regeneration = 0;  ///< per s
  float max_cooldown = 1;         ///< by which SMAC divides the cooldown in loops, or the energy, in the state
};

using UnitTable = std::array<UnitType, n_unit_types>;

/// By `Unit`: the catalogue's units.
inline constexpr UnitTable sc2_units = {{
    {.name = "marauder",
     .symbol = 'r',
     .health = 125,
     .armour = 1,
     .attributes = armored | biological,
     .weapon = Weapon::missile,
     .damage = 10,
     .bonus = 10,
     .bonus_against = armored,
     .period = 1.5F,
     .range = 6,
     .missile_speed = 20,
     .speed = 2.25F,
     .radius = 0.5625F,
     .separation = 0.5F,
     .sight = 10,
     .max_cooldown = 25},
    {.name = "marine",
     .symbol = 'm',
     .health = 45,
     .attributes = light | biological,
     .weapon = Weapon::instant,
     .damage = 6,
     .period = 0.8608F,
     .range = 5,
     .damage_point = 0.05F,
     .hits_air = true,
     .speed = 2.25F,
     .radius = 0.375F,
     .separation = 0.375F,
     .max_cooldown = 15},
    {.name = "medivac",
     .symbol = 'v',
     .health = 150,
     .armour = 1,
     .attributes = armored | mechanical,
     .weapon = Weapon::heal,
     .range = 4,
     .speed = 2.75F,
     .acceleration = 2.3125F,
     .radius = 0.75F,
     .separation = 0.75F,
     .flyer = true,
     .sight = 11,
     .max_cooldown = 200},
    {.name = "colossus",
     .symbol = 'c',
     .health = 200,
     .shield = 150,
     .armour = 1,
     .attributes = armored | mechanical | massive,
     .weapon = Weapon::sweep,
     .damage = 20,
     .hits = 2,
     .period = 2.2F,
     .range = 6,
     .range_slop = 0,
     .damage_point = 0.0832F,
     .hit_delay = 0.325F,
     .splash = 0.15F,
     .width = 2.5F,
     .speed = 2.25F,
     .radius = 1,
     .separation = 0.75F,
     .cliff_walker = true,
     .sight = 10,
     .max_cooldown = 24},
    {.name = "stalker",
     .symbol = 's',
     .health = 80,
     .shield = 80,
     .armour = 1,
     .attributes = armored | mechanical,
     .weapon = Weapon::missile,
     .damage = 10,
     .bonus = 4,
     .bonus_against = armored,
     .period = 1.44F,
     .range = 6,
     .damage_point = 0.167F,
     .missile_speed = 18.75F,
     .hits_air = true,
     .speed = 2.9531F,
     .radius = 0.625F,
     .separation = 0.625F,
     .sight = 10,
     .max_cooldown = 35},
    {.name = "zealot",
     .symbol = 'z',
     .health = 100,
     .shield = 50,
     .armour = 1,
     .attributes = light | biological,
     .weapon = Weapon::instant,
     .damage = 8,
     .hits = 2,
     .period = 1.2F,
     .range = 0.1F,
     .hit_delay = 0.28F,
     .speed = 2.25F,
     .radius = 0.5F,
     .separation = 0.375F,
     .max_cooldown = 22},
    {.name = "baneling",
     .symbol = 'b',
     .health = 30,
     .attributes = biological,
     .weapon = Weapon::burst,
     .damage = 20,
     .bonus = 15,
     .bonus_against = light,
     .range = 0.25F,
     .splash = 2.2F,
     .speed = 2.5F,
     .radius = 0.375F,
     .separation = 0.375F,
     .sight = 8,
     .health_regeneration = 0.2734F,
     .max_cooldown = 1},
    {.name = "hydralisk",
     .symbol = 'h',
     .health = 80,
     .attributes = light | biological,
     .weapon = Weapon::missile,
     .damage = 12,
     .period = 0.83F,
     .range = 5,
     .damage_point = 0.208F,
     .missile_speed = 40,
     .hits_air = true,
     .speed = 2.25F,
     .radius = 0.625F,
     .separation = 0.5F,
     .health_regeneration = 0.2734F,
     .max_cooldown = 10},
    {.name = "zergling",
     .symbol = 'l',
     .health = 35,
     .attributes = light | biological,
     .weapon = Weapon::instant,
     .damage = 5,
     .period = 0.696F,
     .range = 0.1F,
     .damage_point = 0.167F,
     .speed = 2.9531F,
     .radius = 0.375F,
     .separation = 0.375F,
     .sight = 8,
     .health_regeneration = 0.2734F,
     .max_cooldown = 11},
    {.name = "spine crawler",
     .symbol = 'x',
     .health = 300,
     .armour = 2,
     .attributes = armored | biological | structure,
     .weapon = Weapon::instant,
     .damage = 25,
     .bonus = 5,
     .bonus_against = armored,
     .period = 1.6F,
     .range = 7,
     .range_slop = 0,
     .damage_point = 0.333F,
     .radius = 0.875F,
     .separation = 0.875F,
     .sight = 11,
     .health_regeneration = 0.2734F,
     .max_cooldown = 1},
}};

/// Energy of those who heal: at the start, at most, and gained per s. Health per s that healing gives, and the energy
/// that one point of health costs.
inline constexpr float start_energy = 50, max_energy = 200, energy_regeneration = 0.5625F;
inline constexpr float healing_rate = 9, energy_per_health = 0.33F;
/// Shields come back this long after the last damage, in s, and this fast, per s. No hit on health does less.
inline constexpr float shield_delay = 10, shield_regeneration = 2, min_damage = 0.5F;

inline constexpr std::size_t index(Unit unit) { return static_cast<std::size_t>(unit); }

/// By `Unit`: SMAClite's units. It takes "faster" seconds (speed · 1.4, times / 1.4) of a later version of the game,
/// lets every shot hit at once, and has no backswing. It has no hydralisk and no spine crawler of its own: theirs are
/// converted.
inline constexpr UnitTable smaclite_units = [] {
  UnitTable units = sc2_units;
  for (UnitType& u : units) {
    u.speed *= 1.4F;
    u.period /= 1.4F;
    u.damage_point = u.backswing = u.hit_delay = 0;
    u.acceleration = 1000;
    u.separation = u.radius;
    u.range_slop = 0;
    if (u.health_regeneration > 0) u.health_regeneration = 0.38F;
  }
  UnitType& stalker = units[index(Unit::stalker)];
  stalker.damage = 13, stalker.bonus = 5, stalker.period = 1.34F;
  UnitType& colossus = units[index(Unit::colossus)];
  colossus.damage = 10, colossus.bonus = 5, colossus.bonus_against = light, colossus.period = 1.07F;
  colossus.range = 7, colossus.width = 2.8F;
  UnitType& baneling = units[index(Unit::baneling)];
  baneling.damage = 80, baneling.bonus = 0;
  return units;
}();

}  // namespace qatten::inline QATTEN_ABI::skirmish
