#pragma once
// Whom the enemies attack.
//
// Candidates are the living foes that the weapon can hit within scan = max(5, range), from edge to edge. First come
// those who could hurt somebody (a medivac only while it heals), then the nearest. A target is kept until it dies or
// leaves the weapon's range and slop, or until one of a better rank comes into range. Who finds nobody goes after the
// attacker that a call for help was about.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/loop_rules.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Ranks are added to the bits of squared distances, which sort like the distances; this one exceeds all of them.
inline constexpr std::uint32_t hit_last = 0x30000000;

/// The rank that unit i has as a target.
inline std::uint32_t rank_of(const BattleState& s, const LoopRules& rules, int i) {
  const LoopRules::Type& type = rules[s.type[i]];
  if (rules.rules.healers_first) return type.weapon == Weapon::heal ? 0 : hit_last;
  return type.dangerous || s.healing[i] ? 0 : hit_last;
}

/// The ally that enemy i would choose within `range`, −1 for none.
inline int best_target(const BattleState& s, const LoopRules& rules, int i, float range) {
  constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  const float x = s.x[i], y = s.y[i], reach = range + s.radius[i];
  const std::uint32_t too_high = rules[s.type[i]].hits_air ? 2 : 1;
  PerUnit<std::uint32_t> keys;
  std::uint32_t best = none;
  for (int block = 0; block < s.n_allies; block += lanes) {
#pragma GCC unroll 1
    for (int k = 0; k < lanes; ++k) {
      const int j = block + k;
      const float dx = s.x[j] - x, dy = s.y[j] - y, r = reach + s.radius[j];
      const float d2 = dx * dx + dy * dy;
      const std::uint32_t key = std::bit_cast<std::uint32_t>(d2) + s.rank[j];
      const std::uint32_t near = d2 <= r * r ? 0 : none;
      const std::uint32_t foe = j < s.n_allies ? 0 : none;
      const std::uint32_t low = s.in_air[j] < too_high ? 0 : none;
      keys[j] = key | near | foe | low;
    }
#pragma GCC unroll 1
    for (int k = 0; k < lanes; ++k) best = std::min(best, keys[block + k]);
  }
  if (best == none) return -1;
  int j = 0;
  while (keys[j] != best) ++j;
  return j;
}

/// Lets enemy i, on its attack-move, keep or choose its target.
inline void choose_target(BattleState& s, const LoopRules& rules, int i) {
  const LoopRules::Type& type = rules[s.type[i]];
  const int t = s.target[i];
  if (t >= 0 && s.alive[t] && s.within(i, t, type.range + type.slop)) {
    if (s.rank[t] == 0) return;
    const int better = best_target(s, rules, i, type.range);
    if (better >= 0 && s.rank[better] == 0) s.target[i] = better;
    return;
  }
  int chosen = best_target(s, rules, i, type.scan);
  if (chosen < 0) {
    int& caller = s.called_by[i];
    if (caller >= 0 && (!s.alive[caller] || !s.within(i, caller, leash))) caller = -1;
    chosen = caller;
  }
  s.target[i] = chosen;
}

/// Unit `victim` was hit by `attacker`: enemies within 4 who have no target remember it.
inline void call_for_help(BattleState& s, const LoopRules& rules, int attacker, int victim) {
  if (!rules.rules.call_for_help || s.is_ally(victim)) return;
  for (int i = s.n_allies; i < s.n_units; ++i) {
    const bool has_target = s.target[i] >= 0 && s.alive[s.target[i]];
    if (has_target || s.called_by[i] >= 0 || !s.alive[i]) continue;
    const LoopRules::Type& type = rules[s.type[i]];
    if (!type.dangerous || (s.in_air[attacker] && !type.hits_air)) continue;
    if (s.distance2(i, victim) <= help_radius * help_radius) s.called_by[i] = attacker;
  }
}

/// Whether healer i can give anything to unit j.
inline bool needs_healing(const BattleState& s, const LoopRules& rules, int j) {
  return s.alive[j] && rules[s.type[j]].biological && s.health[j] < s.max_health[j];
}

/// Lets an enemy healer keep or choose its patient: the friend within 6 that has the least of its health, then the
/// nearest.
inline void choose_patient(BattleState& s, const LoopRules& rules, int i) {
  const int t = s.target[i];
  if (t >= 0 && needs_healing(s, rules, t) && s.within(i, t, heal_scan)) return;
  int best = -1;
  float best_part = 1, best_distance = 0;
  for (int j = s.n_allies; j < s.n_units; ++j) {
    if (!needs_healing(s, rules, j) || !s.within(i, j, heal_scan)) continue;
    const float part = s.health[j] / s.max_health[j], distance = s.distance2(i, j);
    if (best >= 0 && (part > best_part || (part == best_part && distance >= best_distance))) continue;
    best = j, best_part = part, best_distance = distance;
  }
  s.target[i] = best;
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
