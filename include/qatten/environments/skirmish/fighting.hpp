#pragma once
// What each unit does in one game loop, short of walking: orders, aiming, shooting, healing.

#include <array>
#include <cmath>
#include <utility>

#include "qatten/core/random.hpp"
#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/damage.hpp"
#include "qatten/environments/skirmish/loop_rules.hpp"
#include "qatten/environments/skirmish/targeting.hpp"
#include "qatten/environments/skirmish/terrain.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Where units want to walk in this loop.
struct Intents {
  PerUnit<float> x, y;
  PerUnit<float> stop;         ///< no nearer than this, between centres; negative: stand still
  PerUnit<float> speed;        ///< per loop
  PerUnit<std::uint8_t> busy;  ///< stands because it fights or heals

  void stand(int i, bool fights) {
    stop[i] = -1;
    busy[i] = fights;
  }
  void walk(int i, float to_x, float to_y, float stop_at, float at_speed) {
    x[i] = to_x, y[i] = to_y, stop[i] = stop_at, speed[i] = at_speed;
    busy[i] = false;
  }
};

class Fighting {
 public:
  Fighting(BattleState& state, const LoopRules& rules, Intents& intents, Random& random)
      : s_(state), rules_(rules), intents_(intents), random_(random), damage_(state, rules) {}

  void run() {
    for (int i = 0; i < s_.n_units; ++i) {
      if (s_.hit_target[i] >= 0 && --s_.hit_time[i] <= 0) add_event(i, true);
      if (s_.alive[i]) act(i);
    }
    if (rules_.rules.random_order) shuffle();
    for (int k = 0; k < n_events_; ++k) {
      const auto [unit, lands] = events_[static_cast<std::size_t>(k)];
      lands ? land(unit) : shoot(unit);
    }
  }

 private:
  struct Event {
    std::int16_t unit;
    bool lands;  ///< a hit under way arrives; if not, the unit shoots
  };

  void add_event(int i, bool lands) {
    events_[static_cast<std::size_t>(n_events_++)] = {static_cast<std::int16_t>(i), lands};
  }

  /// Fisher and Yates. Only what happens has an order, so only that is shuffled.
  void shuffle() {
    for (int k = n_events_ - 1; k > 0; --k)
      std::swap(events_[static_cast<std::size_t>(k)], events_[static_cast<std::size_t>(random_.integer(k + 1))]);
  }

  void act(int i) {
    if (s_.aim_target[i] >= 0 && keeps_aiming(i)) return;
    switch (s_.order[i]) {
      case Order::stop:
        return rest(i);
      case Order::move:
        return walk(i, s_.order_x[i], s_.order_y[i], 0);
      case Order::attack:
        return s_.alive[s_.target[i]] ? engage(i, s_.target[i]) : end_order(i);
      case Order::heal:
        return s_.alive[s_.target[i]] ? treat(i, s_.target[i]) : end_order(i);
      case Order::attack_move:
        return rules_[s_.type[i]].weapon == Weapon::heal ? accompany(i) : advance(i);
    }
  }

  void rest(int i) {
    stop_healing(i);
    intents_.stand(i, false);
  }

  void end_order(int i) {
    s_.order[i] = Order::stop;
    rest(i);
  }

  void walk(int i, float x, float y, float stop_at) {
    stop_healing(i);
    if (s_.backswing[i] > 0) return intents_.stand(i, true);
    intents_.walk(i, x, y, stop_at, rules_[s_.type[i]].speed);
  }

  /// Walks until the target is a little within range: exactly in range, rounding might leave it outside for ever.
  void approach(int i, int t, float range) { walk(i, s_.x[t], s_.y[t], range + s_.radius[i] + s_.radius[t] - 0.05F); }

  /// Aiming goes on unless the target has died or got away; whoever aims stands.
  bool keeps_aiming(int i) {
    const LoopRules::Type& type = rules_[s_.type[i]];
    const int t = s_.aim_target[i];
    if (!s_.alive[t] || !s_.within(i, t, type.range + type.slop)) {
      s_.aim_target[i] = -1;
      return false;
    }
    intents_.stand(i, true);
    if (--s_.aim[i] <= 0) add_event(i, false);
    return true;
  }

  /// Attacks the target, or walks until it is in range.
  void engage(int i, int t) {
    const LoopRules::Type& type = rules_[s_.type[i]];
    if (!s_.within(i, t, type.range)) return approach(i, t, type.range);
    intents_.stand(i, true);
    if (s_.cooldown[i] > 0) return;
    s_.aim_target[i] = t;
    s_.aim[i] = type.damage_point + s_.cooldown[i];
    if (s_.aim[i] <= 0) add_event(i, false);
  }

  void advance(int i) {
    choose_target(s_, rules_, i);
    if (s_.target[i] >= 0) return engage(i, s_.target[i]);
    if (s_.hunt) {
      const int prey = best_target(s_, rules_, i, 2 * map_size);
      if (prey >= 0) return walk(i, s_.x[prey], s_.y[prey], 0);
    }
    const float dx = s_.attack_x - s_.x[i], dy = s_.attack_y - s_.y[i];
    if (dx * dx + dy * dy <= arrival * arrival) return rest(i);
    walk(i, s_.attack_x, s_.attack_y, 0);
  }

  /// Heals the target within reach, or follows it.
  void treat(int i, int t) {
    const LoopRules::Type& type = rules_[s_.type[i]];
    if (!s_.within(i, t, type.range)) return approach(i, t, type.range);
    intents_.stand(i, true);
    const float least = s_.healing[i] ? 0 : rules_.rules.heal_start_energy;
    if (!needs_healing(s_, rules_, t) || s_.energy[i] <= 0 || s_.energy[i] < least) return stop_healing(i);
    const float given = std::min({LoopRules::heal, s_.max_health[t] - s_.health[t], s_.energy[i] / energy_per_health});
    s_.health[t] += given;
    s_.energy[i] = std::max(0.0F, s_.energy[i] - given * energy_per_health);
    s_.healing[i] = 1;
    s_.rank[i] = rank_of(s_, rules_, i);
  }

  void stop_healing(int i) {
    if (!s_.healing[i]) return;
    s_.healing[i] = 0;
    s_.rank[i] = rank_of(s_, rules_, i);
  }

  /// An enemy healer heals, or stays in the midst of its friends.
  void accompany(int i) {
    choose_patient(s_, rules_, i);
    if (s_.target[i] >= 0) return treat(i, s_.target[i]);
    float x = 0, y = 0, n = 0, speed = rules_[s_.type[i]].speed;
    for (int j = s_.n_allies; j < s_.n_units; ++j) {
      if (!s_.alive[j] || !rules_[s_.type[j]].dangerous) continue;
      x += s_.x[j], y += s_.y[j], ++n;
      speed = std::min(speed, rules_[s_.type[j]].speed);
    }
    stop_healing(i);
    if (n == 0) return intents_.stand(i, false);
    intents_.walk(i, x / n, y / n, 0.5F, speed);
  }

  void shoot(int i) {
    const int t = s_.aim_target[i];
    if (!s_.alive[i] || t < 0) return;
    s_.aim_target[i] = -1;
    if (!s_.alive[t]) return;  // somebody was quicker: the weapon stays ready
    const LoopRules::Type& type = rules_[s_.type[i]];
    const float noise = rules_.rules.weapon_noise ? noise_between(LoopRules::noise_low, LoopRules::noise_high) : 0;
    s_.cooldown[i] = s_.aim[i] - type.damage_point + type.period + noise;
    s_.backswing[i] = type.backswing;
    s_.shot_at[i] = t, s_.shot_loop[i] = s_.loop;
    fire(i, t, type);
  }

  void fire(int i, int t, const LoopRules::Type& type) {
    switch (type.weapon) {
      case Weapon::instant:
        if (type.hits == 1 || type.hit_delay <= 0) return damage_.hit(i, t, type.hits);
        send(i, t, type.hit_delay);
        return damage_.hit(i, t, 1);
      case Weapon::missile:
        if (!rules_.rules.missiles) return damage_.hit(i, t, type.hits);
        return send(i, t, std::sqrt(s_.distance2(i, t)) / type.missile_speed);
      case Weapon::sweep: {
        const float dx = s_.x[t] - s_.x[i], dy = s_.y[t] - s_.y[i], d = std::sqrt(dx * dx + dy * dy);
        s_.hit_x[i] = s_.x[t], s_.hit_y[i] = s_.y[t];
        s_.hit_dx[i] = d > 0 ? -dy / d : 0, s_.hit_dy[i] = d > 0 ? dx / d : 1;
        return type.hit_delay > 0 ? send(i, t, type.hit_delay) : damage_.sweep(i);
      }
      case Weapon::burst:
        return damage_.burst(i);
      case Weapon::none:
      case Weapon::heal:
        return;
    }
  }

  void send(int i, int t, float delay) {
    s_.hit_target[i] = t;
    s_.hit_time[i] = delay;
  }

  /// A hit under way arrives. A blade needs a living hand, a missile and a beam do not.
  void land(int i) {
    const int t = std::exchange(s_.hit_target[i], -1);
    const Weapon weapon = rules_[s_.type[i]].weapon;
    if (weapon == Weapon::sweep) return damage_.sweep(i);
    if (s_.alive[t] && (weapon == Weapon::missile || s_.alive[i])) damage_.hit(i, t, 1);
  }

  /// 2^-24 is fine enough for a number that is added to a float.
  float noise_between(float low, float high) {
    return low + (high - low) * (static_cast<float>(random_.bits() >> 8) * 0x1p-24F);
  }

  static constexpr float arrival = 1;  ///< how near to the attack point is near enough

  BattleState& s_;
  const LoopRules& rules_;
  Intents& intents_;
  Random& random_;
  Damage damage_;
  std::array<Event, std::size_t{2} * max_units> events_;
  int n_events_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
