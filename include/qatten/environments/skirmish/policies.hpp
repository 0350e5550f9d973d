#pragma once
// Scripted teams: what plain rules achieve on a map, for comparison. They see everything.

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Where nothing else is said: healers heal whoever has the least of its health, and follow their team; who can attack
/// nobody walks towards the nearest enemy.
enum class Script : std::uint8_t {
  nearest,  ///< attack the nearest enemy
  focus,    ///< all attack the enemy nearest to the middle of the team
  weakest,  ///< attack the enemy with the least health and shield
  sticky,   ///< attack the nearest and stay with it until it dies
  kite,     ///< attack the nearest, and step away from enemies of shorter range while the weapon is not ready
  hold,     ///< attack the nearest that comes, never walk
  random,   ///< any available action
};
inline constexpr std::array<std::string_view, 7> script_names = {"nearest", "focus", "weakest", "sticky",
                                                                 "kite",    "hold",  "random"};

/// Throws for a name that is none of `script_names`.
inline Script script_named(std::string_view name) {
  for (std::size_t k = 0; k < script_names.size(); ++k)
    if (script_names[k] == name) return static_cast<Script>(k);
  throw Error("script_named: got '" + std::string(name) +
              "', expected one of nearest, focus, weakest, sticky, kite, hold, random");
}

class ScriptedTeam {
 public:
  explicit ScriptedTeam(Script script) : script_(script) { targets_.fill(-1); }

  /// Call before each episode.
  void reset() { targets_.fill(-1); }

  /// Fills one available action for each agent. Only `random` draws from the stream.
  void act(const Skirmish& game, Random& random, std::span<int> actions) {
    const BattleState& s = game.units();
    common_ = script_ == Script::focus ? nearest_to_middle(s) : -1;
    for (int i = 0; i < s.n_allies; ++i) actions[static_cast<std::size_t>(i)] = choose(game, i, random);
  }

 private:
  int choose(const Skirmish& game, int i, Random& random) {
    const BattleState& s = game.units();
    if (!s.alive[i]) return no_op;
    if (script_ == Script::random) return any(game, i, random);
    if (game.battle().rules()[s.type[i]].weapon == Weapon::heal) return heal(game, i);
    const int chosen = target(game, i);
    if (chosen < 0) return stop;
    targets_[i] = chosen;
    if (script_ == Script::kite) {
      const int threat = threat_to(game, i);
      if (threat >= 0) return step(game, i, {2 * s.x[i] - s.x[threat], 2 * s.y[i] - s.y[threat]});
    }
    const int attack = n_actions_no_attack + chosen - s.n_allies;
    if (game.available(i, attack)) return attack;
    return script_ == Script::hold ? stop : step(game, i, {s.x[chosen], s.y[chosen]});
  }

  static int any(const Skirmish& game, int i, Random& random) {
    const Layout& layout = game.layout();
    int n = 0;
    for (int a = 0; a < layout.actions; ++a) n += game.available(i, a);
    auto skip = static_cast<int>(random.integer(n));
    int a = 0;
    while (!game.available(i, a) || skip-- > 0) ++a;
    return a;
  }

  /// Whom agent i should attack, within reach or not.
  int target(const Skirmish& game, int i) const {
    const BattleState& s = game.units();
    if (common_ >= 0) return common_;
    if (script_ == Script::sticky && targets_[i] >= 0 && s.alive[targets_[i]]) return targets_[i];
    if (script_ == Script::weakest) {
      const int weak = best(game, i, [&](int j) { return s.health[j] + s.shield[j]; });
      if (weak >= 0) return weak;
    }
    return nearest(s, s.x[i], s.y[i]);
  }

  /// The attackable enemy with the least value, −1 for none.
  template <class Value>
  static int best(const Skirmish& game, int i, Value&& value) {
    const BattleState& s = game.units();
    int best = -1;
    for (int j = s.n_allies; j < s.n_units; ++j)
      if (game.available(i, n_actions_no_attack + j - s.n_allies) && (best < 0 || value(j) < value(best))) best = j;
    return best;
  }

  static int nearest(const BattleState& s, float x, float y) {
    int best = -1;
    float least = std::numeric_limits<float>::max();
    for (int j = s.n_allies; j < s.n_units; ++j) {
      const float dx = s.x[j] - x, dy = s.y[j] - y, d2 = dx * dx + dy * dy;
      if (s.alive[j] && d2 < least) best = j, least = d2;
    }
    return best;
  }

  static Point middle(const BattleState& s) {
    Point sum;
    float n = 0;
    for (int i = 0; i < s.n_allies; ++i)
      if (s.alive[i]) sum.x += s.x[i], sum.y += s.y[i], ++n;
    return n > 0 ? Point{sum.x / n, sum.y / n} : sum;
  }

  static int nearest_to_middle(const BattleState& s) {
    const Point p = middle(s);
    return nearest(s, p.x, p.y);
  }

  /// An enemy of shorter range that is about to reach agent i, whose weapon is not ready.
  static int threat_to(const Skirmish& game, int i) {
    const BattleState& s = game.units();
    const LoopRules& rules = game.battle().rules();
    if (s.cooldown[i] <= 1) return -1;
    const int j = nearest(s, s.x[i], s.y[i]);
    const float range = rules[s.type[j]].range;
    return range < rules[s.type[i]].range && s.within(i, j, range + 2.5F) ? j : -1;
  }

  static int heal(const Skirmish& game, int i) {
    const BattleState& s = game.units();
    int patient = -1;
    float least = 1;
    for (int j = 0; j < std::min(s.n_allies, s.n_units - s.n_allies); ++j) {
      const float part = s.health[j] / s.max_health[j];
      if (part < least && needs_healing(s, game.battle().rules(), j) && game.available(i, n_actions_no_attack + j))
        patient = j, least = part;
    }
    return patient >= 0 ? n_actions_no_attack + patient : step(game, i, middle(s));
  }

  /// The available step after which the way to `to` is the shortest.
  static int step(const Skirmish& game, int i, Point to) {
    const BattleState& s = game.units();
    const Terrain& terrain = game.battle().terrain();
    if (terrain.has_ways() && !game.battle().rules()[s.type[i]].flyer)
      to = terrain.waypoint({s.x[i], s.y[i]}, to, s.separation[i]);
    constexpr std::array<std::array<float, 2>, 4> directions = {{{0, 1}, {0, -1}, {1, 0}, {-1, 0}}};
    int best = stop;
    float least = std::numeric_limits<float>::max();
    for (int k = 0; k < 4; ++k) {
      const float dx = s.x[i] + directions[static_cast<std::size_t>(k)][0] - to.x;
      const float dy = s.y[i] + directions[static_cast<std::size_t>(k)][1] - to.y;
      if (game.available(i, north + k) && dx * dx + dy * dy < least) best = north + k, least = dx * dx + dy * dy;
    }
    return best;
  }

  Script script_;
  int common_ = -1;
  PerUnit<std::int32_t> targets_;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
