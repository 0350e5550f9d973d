#pragma once
// Hits and what they do.

#include <algorithm>
#include <array>
#include <cmath>

#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/loop_rules.hpp"
#include "qatten/environments/skirmish/targeting.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Applies hits; bursts set off others.
class Damage {
 public:
  Damage(BattleState& state, const LoopRules& rules) : s_(state), rules_(rules) {}

  /// `times` hits of unit i's weapon on unit j: first the shield takes it, then health, less the armour.
  void hit(int i, int j, int times) {
    strike(i, j, times);
    burst_all();
  }

  /// The beams of unit i along the line laid down when it fired.
  void sweep(int i) {
    const LoopRules::Type& type = rules_[s_.type[i]];
    for (int j = s_.foes_begin(i); j < s_.foes_end(i); ++j) {
      if (!s_.alive[j] || s_.in_air[j]) continue;
      const float dx = s_.x[j] - s_.hit_x[i], dy = s_.y[j] - s_.hit_y[i];
      const float along = std::clamp(dx * s_.hit_dx[i] + dy * s_.hit_dy[i], -type.half_width, type.half_width);
      const float ex = dx - along * s_.hit_dx[i], ey = dy - along * s_.hit_dy[i], reach = type.splash + s_.radius[j];
      if (ex * ex + ey * ey <= reach * reach) strike(i, j, type.hits);
    }
    burst_all();
  }

  /// Unit i bursts and dies.
  void burst(int i) {
    kill(i);
    if (!rules_.rules.death_explosion) bursting_[static_cast<std::size_t>(n_bursting_++)] = i;  // kill() did not
    burst_all();
  }

 private:
  void strike(int i, int j, int times) {
    float damage = 0;
    for (int k = 0; k < times && s_.health[j] > 0; ++k) {
      const float amount = rules_.damage[index(s_.type[i])][index(s_.type[j])];
      const float absorbed = std::min(s_.shield[j], amount);
      s_.shield[j] -= absorbed;
      damage += absorbed;
      if (absorbed == amount) continue;
      const float wound = std::min(
          std::max(min_damage, amount - absorbed - rules_.rules.units[index(s_.type[j])].armour), s_.health[j]);
      s_.health[j] -= wound;
      damage += wound;
    }
    s_.shield_wait[j] = LoopRules::shield_wait;
    if (s_.is_ally(i)) s_.damage_dealt += damage;
    call_for_help(s_, rules_, i, j);
    if (s_.health[j] <= 0) kill(j);
  }

  void kill(int j) {
    if (rules_[s_.type[j]].weapon == Weapon::burst && rules_.rules.death_explosion)
      bursting_[static_cast<std::size_t>(n_bursting_++)] = j;
    s_.alive[j] = 0;
    s_.health[j] = s_.shield[j] = s_.energy[j] = 0;
    s_.regeneration[j] = 0;
    s_.shield_wait[j] = BattleState::far;
    s_.healing[j] = 0;
    s_.aim_target[j] = s_.target[j] = s_.called_by[j] = -1;
    s_.order_x[j] = s_.x[j];
    s_.order_y[j] = s_.y[j];
    s_.x[j] = s_.y[j] = BattleState::far;
    s_.order[j] = Order::stop;
  }

  void burst_all() {
    for (int k = 0; k < n_bursting_; ++k) {
      const int i = bursting_[static_cast<std::size_t>(k)];
      const float splash = rules_[s_.type[i]].splash;
      for (int j = s_.foes_begin(i); j < s_.foes_end(i); ++j) {
        if (!s_.alive[j] || s_.in_air[j]) continue;
        const float dx = s_.x[j] - s_.order_x[i], dy = s_.y[j] - s_.order_y[i], reach = splash + s_.radius[j];
        if (dx * dx + dy * dy <= reach * reach) strike(i, j, 1);
      }
    }
    n_bursting_ = 0;
  }

  BattleState& s_;
  const LoopRules& rules_;
  std::array<int, max_units> bursting_;
  int n_bursting_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
