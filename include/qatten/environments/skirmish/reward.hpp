#pragma once
// SMAC's reward.
//
//   dE    health and shields that the enemies alive before the step have lost since, all of them for one that died
//   kills reward_death_value for each of those; dA and deaths are the allies', times reward_negative_scale
//   r     |dE + kills|, or dE + kills − deaths − dA without reward_only_positive;  + reward_win or reward_defeat
//
// scaled by reward_scale_rate / max_reward, max_reward = reward_win + Σ over enemies (health + shield + death value).
// Where nothing regenerates, the sum over a won episode is reward_scale_rate.

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/options.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// How a battle stands.
enum class Outcome : std::uint8_t { undecided, won, lost, draw };

/// Of an episode that has ended: what is undecided then has run out of time.
constexpr std::string_view name_of(Outcome outcome) {
  constexpr std::array<std::string_view, 4> names = {"timeout", "won", "lost", "draw"};
  return names[static_cast<std::size_t>(outcome)];
}

/// In SMAC's order: a loss is asked first. Healers alone cannot fight, so that a side that has no one else has lost;
/// and where there are healers, nobody left is a loss, too.
inline Outcome outcome(const BattleState& s) {
  const auto fighters = [&](int begin, int end) {
    int n = 0;
    for (int i = begin; i < end; ++i) n += s.alive[i] && sc2_units[index(s.type[i])].weapon != Weapon::heal;
    return n;
  };
  const int allies = fighters(0, s.n_allies), enemies = fighters(s.n_allies, s.n_units);
  if (allies == 0) return enemies > 0 || s.healers ? Outcome::lost : Outcome::draw;
  return enemies == 0 ? Outcome::won : Outcome::undecided;
}

class Reward {
 public:
  /// The scale, for the units that now begin a battle.
  void begin(const BattleState& s, const Options& options) {
    max_reward_ = options.reward_win;
    for (int j = s.n_allies; j < s.n_units; ++j)
      max_reward_ += double(s.max_health[j]) + double(s.max_shield[j]) + options.reward_death_value;
  }

  double max_reward() const { return max_reward_; }

  /// What the next call compares with.
  void remember(const BattleState& s) {
    for (int i = 0; i < s.n_units; ++i) health_[i] = s.health[i], shield_[i] = s.shield[i], alive_[i] = s.alive[i];
    damage_dealt_ = s.damage_dealt;
  }

  /// What the step since is worth, if the battle now stands like this.
  double operator()(const BattleState& now, Outcome outcome, const Options& options) const {
    double r = 0;
    if (options.reward_sparse) {
      r = outcome == Outcome::won ? 1 : outcome == Outcome::lost ? -1 : 0;
    } else {
      r = fighting(now, options);
      if (outcome == Outcome::won) r += options.reward_win;
      if (outcome == Outcome::lost) r += options.reward_defeat;
    }
    return options.reward_scale ? r / (max_reward_ / options.reward_scale_rate) : r;
  }

 private:
  struct Change {
    double lost = 0;
    int died = 0;
  };

  Change change(const BattleState& now, int begin, int end) const {
    Change c;
    for (int i = begin; i < end; ++i) {
      if (!alive_[i]) continue;
      c.lost += double(health_[i]) + double(shield_[i]) - double(now.health[i]) - double(now.shield[i]);
      c.died += !now.alive[i];
    }
    return c;
  }

  double fighting(const BattleState& now, const Options& options) const {
    Change enemies = change(now, now.n_allies, now.n_units);
    const RewardSign sign = options.rules.reward_sign;
    if (sign == RewardSign::gross) enemies.lost = double(now.damage_dealt) - double(damage_dealt_);
    const double good = enemies.lost + options.reward_death_value * enemies.died;
    if (options.reward_only_positive) return sign == RewardSign::abs ? std::abs(good) : std::max(good, 0.0);
    const Change allies = change(now, 0, now.n_allies);
    return good - options.reward_negative_scale * (options.reward_death_value * allies.died + allies.lost);
  }

  PerUnit<float> health_{}, shield_{};
  PerUnit<std::uint8_t> alive_{};
  float damage_dealt_ = 0;
  double max_reward_ = 1;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
