#pragma once
// What agents see and may do.

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/skirmish/battle.hpp"
#include "qatten/environments/skirmish/layout.hpp"
#include "qatten/environments/skirmish/options.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

inline constexpr float sight_range = 9, shoot_range = 6;
inline constexpr float low_ground = 127.0F / 255, high_ground = 159.0F / 255;

/// Writes observations, state and masks of a battle.
class Vision {
 public:
  Vision(const Battle& battle, const Layout& layout, const Options& options, std::span<const int> last_actions,
         int step)
      : battle_(battle),
        s_(battle.state()),
        layout_(layout),
        options_(options),
        last_actions_(last_actions),
        time_(static_cast<float>(step) / static_cast<float>(layout.limit)) {}

  /// Fills all that `Observation` asks for.
  void write(Observation& o) {
    find_parts();
    for (int i = 0; i < layout_.agents; ++i) {
      o.alive(i, 0) = s_.alive[i];
      find_distances(i);
      write_mask(i, &o.available(0, i));
      if (s_.alive[i]) write_observation(i, &o.available(0, i), &o.obs(0, i));
    }
    for (int i = 0; i < layout_.agents; ++i) write_unit(i, &o.units(0, i));
    options_.obs_instead_of_state ? copy_observations(o) : write_state(o);
  }

  /// Whether agent i may take this action.
  bool available(int i, int action) const {
    if (!s_.alive[i]) return action == no_op;
    if (action <= stop) return action == stop;
    if (action < n_actions_no_attack) return can_move(i, action);
    const int k = action - n_actions_no_attack;
    if (!heals(i)) return s_.alive[s_.n_allies + k] && in_reach(i, s_.distance2(i, s_.n_allies + k));
    return k < layout_.agents && s_.alive[k] && !heals(k) && in_reach(i, s_.distance2(i, k));
  }

 private:
  const UnitType& type(int i) const { return battle_.rules().rules.units[index(s_.type[i])]; }
  bool heals(int i) const { return type(i).weapon == Weapon::heal; }

  float sight(int i) const { return options_.use_unit_ranges ? type(i).sight : sight_range; }
  float reach(int i) const {
    return options_.use_unit_ranges ? std::max(type(i).range, static_cast<float>(options_.min_attack_range))
                                    : shoot_range;
  }
  bool in_reach(int i, float distance2) const { return distance2 <= reach(i) * reach(i); }

  /// The cell half a move away is walkable; its coordinates are truncated towards 0, as SMAC's are.
  bool can_move(int i, int action) const {
    const float half = static_cast<float>(options_.move_amount) / 2;
    const float dx = action == east ? half : action == west ? -half : 0;
    const float dy = action == north ? half : action == south ? -half : 0;
    return battle_.terrain().walkable(static_cast<int>(s_.x[i] + dx), static_cast<int>(s_.y[i] + dy));
  }

  /// Health and shields as parts of the whole.
  void find_parts() {
    for (int i = 0; i < s_.n_units; ++i) {
      health_[i] = s_.health[i] / s_.max_health[i];
      shield_[i] = s_.max_shield[i] > 0 ? s_.shield[i] / s_.max_shield[i] : 0;
    }
  }

  /// Of all units from agent i.
  void find_distances(int i) {
    if (!s_.alive[i]) return;
    const float x = s_.x[i], y = s_.y[i];
    for (int block = 0; block < s_.n_units; block += lanes)
#pragma GCC unroll 1
      for (int k = 0; k < lanes; ++k) {
        const int j = block + k;
        const float dx = s_.x[j] - x, dy = s_.y[j] - y;
        dx_[j] = dx, dy_[j] = dy;
        distance2_[j] = dx * dx + dy * dy;
      }
  }

  void write_mask(int i, std::uint8_t* mask) const {
    std::fill(mask, mask + layout_.actions, std::uint8_t{0});
    if (!s_.alive[i]) {
      mask[no_op] = 1;
      return;
    }
    mask[stop] = 1;
    for (const int direction : {north, south, east, west}) mask[direction] = can_move(i, direction);
    mask += n_actions_no_attack;
    if (heals(i)) {
      for (int j = 0; j < std::min(layout_.agents, layout_.enemies); ++j)
        mask[j] = s_.alive[j] && !heals(j) && in_reach(i, distance2_[j]);
    } else {
      const float reach2 = reach(i) * reach(i);  // the dead are far away
      for (int e = 0; e < layout_.enemies; ++e) mask[e] = distance2_[s_.n_allies + e] <= reach2;
    }
  }

  void write_observation(int i, const std::uint8_t* mask, float* out) const {
    for (int k = 0; k < 4; ++k) out[k] = mask[north + k];
    write_surroundings(i, out + 4);
    out += layout_.move_size;
    const float range = sight(i), range2 = range * range;
    for (int e = 0, j = s_.n_allies; e < layout_.enemies; ++e, ++j, out += layout_.enemy_size) {
      if (distance2_[j] >= range2) continue;
      out[0] = mask[n_actions_no_attack + e];
      write_other(j, range, out + 1, layout_.enemy_shield, layout_.enemy_codes);
    }
    for (int j = 0; j < layout_.agents; ++j) {
      if (j == i) continue;
      if (distance2_[j] < range2) {
        out[0] = 1;
        float* next = write_other(j, range, out + 1, layout_.ally_shield, layout_.ally_codes);
        if (options_.obs_last_action) write_last_action(j, next);
      }
      out += layout_.ally_size;
    }
    if (options_.obs_all_health || options_.obs_own_health) out = write_health(i, out, layout_.ally_shield);
    out = write_type(i, out, layout_.ally_codes);
    if (options_.obs_timestep_number) out[1] = time_;  // out[0] is the place that SMAC leaves empty
  }

  /// Distance, direction, health and type of unit j. Returns where to go on.
  float* write_other(int j, float range, float* out, int shield, const std::array<int, n_unit_types>& codes) const {
    *out++ = std::sqrt(distance2_[j]) / range;
    *out++ = dx_[j] / range;
    *out++ = dy_[j] / range;
    if (options_.obs_all_health) out = write_health(j, out, shield);
    return write_type(j, out, codes);
  }

  float* write_health(int j, float* out, int shield) const {
    *out++ = health_[j];
    if (shield) *out++ = shield_[j];
    return out;
  }

  float* write_type(int j, float* out, const std::array<int, n_unit_types>& codes) const {
    if (layout_.type_bits > 0) out[codes[index(s_.type[j])]] = 1;
    return out + layout_.type_bits;
  }

  /// North, south, east and west at twice the move, then the diagonals at one move; own cell too for heights. Off the
  /// map, both are 1.
  void write_surroundings(int i, float* out) const {
    if (!options_.obs_pathing_grid && !options_.obs_terrain_height) return;
    const int x = static_cast<int>(s_.x[i]), y = static_cast<int>(s_.y[i]), d = static_cast<int>(options_.move_amount);
    const std::array<std::array<int, 2>, 9> cells = {{{x, y + 2 * d},
                                                      {x, y - 2 * d},
                                                      {x + 2 * d, y},
                                                      {x - 2 * d, y},
                                                      {x + d, y + d},
                                                      {x - d, y - d},
                                                      {x + d, y - d},
                                                      {x - d, y + d},
                                                      {x, y}}};
    const Terrain& terrain = battle_.terrain();
    if (options_.obs_pathing_grid)
      for (std::size_t k = 0; k < 8; ++k) {
        const auto [cx, cy] = cells[k];
        *out++ = !Terrain::inside(cx, cy) || terrain.walkable(cx, cy);
      }
    if (options_.obs_terrain_height)
      for (const auto& [cx, cy] : cells)
        *out++ = !Terrain::inside(cx, cy) ? 1 : terrain.high(cx, cy) ? high_ground : low_ground;
  }

  /// Nobody has acted yet before the first step.
  void write_last_action(int i, float* out) const {
    const int action = last_actions_[static_cast<std::size_t>(i)];
    if (action >= 0) out[action] = 1;
  }

  /// u^i, the ally's row of the state.
  void write_unit(int i, float* out) const {
    if (!s_.alive[i]) return;
    *out++ = health_[i];
    *out++ = cooldown(i);
    write_place(i, out, layout_.ally_shield, layout_.ally_codes);
  }

  float cooldown(int i) const {
    const UnitType& t = type(i);
    const Ruleset& rules = battle_.rules().rules;
    if (t.weapon == Weapon::heal) return s_.energy[i] / t.max_cooldown;
    const float period = rules.true_cooldown ? std::max(t.period * loops_per_second, 1.0F) : t.max_cooldown;
    const float part = std::max(s_.cooldown[i], 0.0F) / period;
    return rules.clip_cooldown ? std::min(part, 1.0F) : part;
  }

  void write_place(int i, float* out, int shield, const std::array<int, n_unit_types>& codes) const {
    constexpr float half = map_size / 2.0F, max_distance = map_size;
    *out++ = (s_.x[i] - half) / max_distance;
    *out++ = (s_.y[i] - half) / max_distance;
    if (shield) *out++ = shield_[i];
    write_type(i, out, codes);
  }

  void write_state(Observation& o) const {
    float* out = o.state.data();
    for (int i = 0; i < layout_.agents; ++i, out += layout_.unit_size) write_unit(i, out);
    for (int j = s_.n_allies; j < s_.n_units; ++j, out += layout_.state_enemy_size) {
      if (!s_.alive[j]) continue;
      out[0] = health_[j];
      write_place(j, out + 1, layout_.enemy_shield, layout_.enemy_codes);
    }
    if (options_.state_last_action)
      for (int i = 0; i < layout_.agents; ++i, out += layout_.actions) write_last_action(i, out);
    if (options_.state_timestep_number) *out = time_;
  }

  void copy_observations(Observation& o) const {
    for (Index i = 0; i < layout_.agents; ++i)
      std::copy_n(&o.obs(0, i), layout_.obs_size, o.state.data() + i * layout_.obs_size);
  }

  const Battle& battle_;
  const BattleState& s_;
  const Layout& layout_;
  const Options& options_;
  std::span<const int> last_actions_;
  float time_;
  PerUnit<float> health_, shield_, dx_, dy_, distance2_;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
