#pragma once
// The rules of the skirmish beside its units: every switch by which simulators of these battles differ.

#include <string>
#include <string_view>

#include "qatten/core/error.hpp"
#include "qatten/environments/skirmish/unit_type.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// What becomes of the damage in the reward when only positive rewards are wanted.
enum class RewardSign : std::uint8_t {
  abs,    ///< SMAC: the absolute value of the net change, so that what regenerates or is healed counts as well
  clip,   ///< SMACv2: the net change, at least 0
  gross,  ///< SMAClite: the damage dealt, whatever regenerates
};

/// The defaults are StarCraft II's and SMAC's.
struct Ruleset {
  std::string_view name = "sc2";
  UnitTable units = sc2_units;

  bool weapon_noise = true;     ///< each cooldown is longer by a uniform −0.0625 … 0.125 s
  bool damage_point = true;     ///< a shot takes aim first
  bool missiles = true;         ///< missiles and sweeps take time to arrive
  bool random_order = true;     ///< what happens in one game loop happens in random order
  bool pathing = true;          ///< units walk around walls where a map has any
  bool healers_first = false;   ///< enemies prefer healers to all others; if not, those that could hurt them
  bool call_for_help = true;    ///< who is hit, and friends within 4, go after an attacker they would not have seen
  bool death_explosion = true;  ///< a baneling bursts whatever it dies of
  bool rigid = false;           ///< who stands is never pushed aside
  float heal_start_energy = 0;  ///< energy it takes to begin to heal
  RewardSign reward_sign = RewardSign::abs;

  bool sorted_agents = true;   ///< agents by type, then place; if not, in the order in which the map lists them
  bool reversed_codes = true;  ///< the enemy's type code is reversed on maps of stalkers and zealots alone
  bool clip_cooldown = false;  ///< cooldowns in the state are at most 1
  bool true_cooldown = false;  ///< cooldowns in the state are divided by the weapon's own period
};

inline constexpr float loops_per_second = 16;
inline constexpr float min_noise = -0.0625F, max_noise = 0.125F;  ///< s
inline constexpr float min_scan = 5, help_radius = 4, leash = 21, heal_scan = 6;

inline Ruleset sc2_rules() { return {}; }

/// As near to SMAClite as this engine comes: its units, no noise, no missiles, no pathing, its reward and its ids. Its
/// collision avoidance (ORCA) is not here.
inline Ruleset smaclite_rules() {
  return {.name = "smaclite",
          .units = smaclite_units,
          .weapon_noise = false,
          .damage_point = false,
          .missiles = false,
          .pathing = false,
          .healers_first = true,
          .call_for_help = false,
          .death_explosion = false,
          .rigid = true,
          .heal_start_energy = 5,
          .reward_sign = RewardSign::gross,
          .sorted_agents = false,
          .reversed_codes = false,
          .true_cooldown = true};
}

/// "sc2" or "smaclite". Throws for another name.
inline Ruleset ruleset(std::string_view name) {
  if (name == "sc2") return sc2_rules();
  if (name == "smaclite") return smaclite_rules();
  throw Error("ruleset: got '" + std::string(name) + "', expected sc2 or smaclite");
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
