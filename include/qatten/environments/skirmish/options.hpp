#pragma once
// The options of a skirmish, under SMAC's names and with SMAC's defaults.

#include <optional>
#include <string>

#include "qatten/core/error.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/ruleset.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

struct Options {
  Ruleset rules = sc2_rules();

  int step_mul = 8;                 ///< game loops of one step
  double move_amount = 2;           ///< how far a move order goes
  bool continuing_episode = false;  ///< an episode at its limit is cut off; if not, the limit is an end like any other

  bool obs_all_health = true;  ///< the health of all others; implies one's own
  bool obs_own_health = true;
  bool obs_last_action = false;  ///< visible allies' last actions
  bool obs_pathing_grid = false;
  bool obs_terrain_height = false;
  bool obs_instead_of_state = false;  ///< the state is all observations, one after the other
  bool obs_timestep_number = false;
  bool state_last_action = true;
  bool state_timestep_number = false;

  bool reward_sparse = false;        ///< +1, −1 or 0 at the end, scaled like the rest
  bool reward_only_positive = true;  ///< what happens to allies does not count
  double reward_death_value = 10;
  double reward_win = 200;
  double reward_defeat = 0;
  double reward_negative_scale = 0.5;  ///< of allies' damage and deaths
  bool reward_scale = true;            ///< divided by the greatest return / reward_scale_rate
  double reward_scale_rate = 20;

  // SMACv2's, off by default.
  bool use_unit_ranges = false;  ///< each type's own sight, and its own range but at least min_attack_range
  double min_attack_range = 2;
  std::optional<Start> start;      ///< where units come into being; unset: as the map has it
  int n_units = 0, n_enemies = 0;  ///< of the maps that draw their teams; 0: as the map has it
  double start_jitter = 0;         ///< SMAX: every unit starts up to this far aside, in x and y
};

/// Throws for options that make no sense, alone or with this map.
inline void check(const Options& options, const Map& map) {
  const auto require = [](bool condition, const std::string& message) {
    qatten::detail::require(condition, "Skirmish", message);
  };
  require(options.step_mul >= 1, "step_mul is " + std::to_string(options.step_mul) + ", expected >= 1");
  require(options.move_amount > 0 && options.move_amount <= map_size,
          "move_amount is " + std::to_string(options.move_amount) + ", expected in (0, 32]");
  require(options.start_jitter >= 0 && options.start_jitter <= map_size,
          "start_jitter is " + std::to_string(options.start_jitter) + ", expected in [0, 32]");
  require(options.reward_scale_rate > 0,
          "reward_scale_rate is " + std::to_string(options.reward_scale_rate) + ", expected > 0");
  require(options.min_attack_range >= 0,
          "min_attack_range is " + std::to_string(options.min_attack_range) + ", expected >= 0");
  require(map.draws_teams() || (options.n_units == 0 && options.n_enemies == 0),
          "n_units and n_enemies are for maps that draw their teams (10gen_...), not for " + std::string(map.name));
  require(options.n_units >= 0 && options.n_enemies >= 0, "n_units and n_enemies must not be negative");
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
