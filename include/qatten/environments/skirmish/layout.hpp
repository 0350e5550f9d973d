#pragma once
// What stands where in SMAC's observations and state.

#include <algorithm>
#include <array>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/options.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

inline constexpr int n_actions_no_attack = 6;
enum Action : int { no_op = 0, stop = 1, north = 2, south = 3, east = 4, west = 5 };

/// Sizes of blocks, all from the map and the options.
///
///   observation  moves: 4 [+ 8 pathing] [+ 9 height] | enemies | other allies | own | [time, with a zero before it]
///   state        allies | enemies | [last actions] | [time]
///
/// With obs_timestep_number SMAC's own block has a place for the time that stays zero, and the time follows it: its
/// observations are one longer than its `obs_shape`. Here `obs_shape` is what there really is.
struct Layout {
  Layout() = default;
  Layout(const Map& map, const Options& options) {
    agents = count(map.allies), enemies = count(map.enemies);
    ally_codes = codes(map, map.allies), enemy_codes = codes(map, map.enemies);
    ally_shield = has_shields(map, map.allies), enemy_shield = has_shields(map, map.enemies);
    type_bits = std::max(n_codes(ally_codes), n_codes(enemy_codes));
    if (type_bits == 1) type_bits = 0;
    if (options.rules.reversed_codes && is_reversed(map))
      std::swap(enemy_codes[index(Unit::stalker)], enemy_codes[index(Unit::zealot)]);
    actions = n_actions_no_attack + enemies;
    const int all = options.obs_all_health, own = options.obs_all_health || options.obs_own_health;
    move_size = 4 + (options.obs_pathing_grid ? 8 : 0) + (options.obs_terrain_height ? 9 : 0);
    enemy_size = 4 + all * (1 + enemy_shield) + type_bits;
    ally_size = 4 + all * (1 + ally_shield) + type_bits + (options.obs_last_action ? actions : 0);
    own_size = own * (1 + ally_shield) + type_bits + (options.obs_timestep_number ? 1 : 0);
    obs_size =
        move_size + enemies * enemy_size + (agents - 1) * ally_size + own_size + (options.obs_timestep_number ? 1 : 0);
    unit_size = 4 + ally_shield + type_bits;
    state_enemy_size = 3 + enemy_shield + type_bits;
    state_size = agents * unit_size + enemies * state_enemy_size + (options.state_last_action ? agents * actions : 0) +
                 (options.state_timestep_number ? 1 : 0);
    if (options.obs_instead_of_state) state_size = agents * obs_size;
    limit = map.limit;
  }

  EnvironmentInfo info() const {
    return {.n_agents = agents,
            .n_actions = actions,
            .obs_shape = obs_size,
            .state_shape = state_size,
            .unit_dim = unit_size,
            .episode_limit = limit};
  }

  int agents = 0, enemies = 0, actions = 0, limit = 0;
  int ally_shield = 0, enemy_shield = 0;  ///< 1 where there are shields to show
  int type_bits = 0;                      ///< of the one-hot type code, 0 where there is but one type a side
  int move_size = 0, enemy_size = 0, ally_size = 0, own_size = 0, obs_size = 0;
  int unit_size = 0, state_enemy_size = 0, state_size = 0;    ///< unit_size: of an ally's row in the state
  std::array<int, n_unit_types> ally_codes{}, enemy_codes{};  ///< by Unit; −1 for types that are not there

 private:
  static bool has_type(const Map& map, const std::array<Group, 3>& groups, std::size_t k) {
    const auto is = [&](Unit unit) { return index(unit) == k; };
    if (map.draws_teams()) return std::any_of(map.random.types.begin(), map.random.types.end(), is);
    return std::any_of(groups.begin(), groups.end(), [&](const Group& g) { return g.count > 0 && is(g.unit); });
  }

  static std::array<int, n_unit_types> codes(const Map& map, const std::array<Group, 3>& groups) {
    std::array<int, n_unit_types> result;
    int next = 0;
    for (std::size_t k = 0; k < n_unit_types; ++k) result[k] = has_type(map, groups, k) ? next++ : -1;
    return result;
  }
  static int n_codes(const std::array<int, n_unit_types>& codes) {
    return static_cast<int>(std::count_if(codes.begin(), codes.end(), [](int code) { return code >= 0; }));
  }
  static bool has_shields(const Map& map, const std::array<Group, 3>& groups) {
    for (std::size_t k = 0; k < n_unit_types; ++k)
      if (has_type(map, groups, k) && sc2_units[k].shield > 0) return true;
    return false;
  }
  /// SMAC computes the enemy's code on these maps from the game's own type numbers.
  bool is_reversed(const Map& map) const {
    return !map.draws_teams() && n_codes(enemy_codes) == 2 && enemy_codes[index(Unit::stalker)] >= 0 &&
           enemy_codes[index(Unit::zealot)] >= 0;
  }
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
