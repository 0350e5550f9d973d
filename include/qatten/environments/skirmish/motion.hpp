#pragma once
// Walking, flying, and not standing on one another.
//
// Everyone moves at once; then overlaps are shared out: who walks gives way to who fights, the idle are pushed by their
// own side. Walls hold last. Who walked into a standing friend goes around it, on the side where its goal lies, and on
// the same side from friend to friend: so melee units surround.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "qatten/environments/skirmish/battle_state.hpp"
#include "qatten/environments/skirmish/fighting.hpp"
#include "qatten/environments/skirmish/loop_rules.hpp"
#include "qatten/environments/skirmish/terrain.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

class Motion {
 public:
  Motion(BattleState& state, const LoopRules& rules, const Terrain& terrain, const Intents& intents)
      : s_(state), rules_(rules), terrain_(terrain), intents_(intents) {}

  void run() {
    for (int i = 0; i < s_.n_units; ++i) advance(i);
    for (int i = s_.n_units; i % lanes != 0; ++i) x_[i] = y_[i] = BattleState::far;
    for (int i = 0; i < s_.n_units; ++i)
      if (s_.alive[i]) push_apart(i);
    for (int i = 0; i < s_.n_units; ++i)
      if (s_.alive[i]) settle(i);
  }

 private:
  /// Where unit i would get to were it alone.
  void advance(int i) {
    x_[i] = s_.x[i], y_[i] = s_.y[i];
    push_x_[i] = push_y_[i] = 0;
    if (!s_.alive[i]) return;
    const LoopRules::Type& type = rules_[s_.type[i]];
    float vx = 0, vy = 0;
    if (intents_.stop[i] >= 0) {
      const Point to = next_place(i, type);
      const float dx = to.x - s_.x[i], dy = to.y - s_.y[i], d2 = dx * dx + dy * dy;
      const bool direct = to.x == intents_.x[i] && to.y == intents_.y[i];
      const float stop = direct ? intents_.stop[i] : 0;
      if (d2 > stop * stop) {
        const float d = std::sqrt(d2), part = std::min(intents_.speed[i], d - stop) / d;
        vx = part * dx, vy = part * dy;
        go_around(i, vx, vy);
      }
    }
    if (type.flyer) accelerate(i, type, vx, vy);
    x_[i] += vx, y_[i] += vy;
  }

  /// Turns the velocity of a unit that walked into a friend along the friend's edge.
  void go_around(int i, float& vx, float& vy) {
    float& detour = s_.detour[i];
    if (detour != 0) detour -= std::copysign(1.0F, detour);
    const int j = std::exchange(s_.blocker[i], -1);
    if (j < 0 || !s_.alive[j]) {
      if (std::abs(detour) > detour_loops - bend_loops) {   // and a little further
        constexpr float sine = 0.9F, cosine = 0.43588989F;  // of 64°
        const float turn = std::copysign(sine, detour), ux = vx;
        vx = cosine * vx - turn * vy, vy = cosine * vy + turn * ux;
      }
      return;
    }
    const float dx = s_.x[j] - s_.x[i], dy = s_.y[j] - s_.y[i], d = std::sqrt(dx * dx + dy * dy);
    if (vx * dx + vy * dy <= 0) return;
    const float cross = dx * vy - dy * vx;  // positive: the goal is to the left of the friend
    const float side = std::copysign(1.0F, detour != 0 ? detour : cross != 0 ? cross : i % 2 == 0 ? 1.0F : -1.0F);
    const float along = std::sqrt(vx * vx + vy * vy) * side / d;
    vx = -dy * along, vy = dx * along;
    detour = side * detour_loops;
  }

  /// The order's place, or where to turn on the way to it. Ways are looked for anew every few loops.
  Point next_place(int i, const LoopRules::Type& type) {
    const Point to{intents_.x[i], intents_.y[i]};
    if (!terrain_.has_ways() || !rules_.rules.pathing || type.flyer || type.cliff_walker) return to;
    const Point from{s_.x[i], s_.y[i]};
    const float dx = s_.way_x[i] - from.x, dy = s_.way_y[i] - from.y;
    const bool there = s_.way[i] == Way::around && dx * dx + dy * dy < 0.01F;
    if (s_.way[i] == Way::unknown || there || (s_.loop + i) % 4 == 0) {
      const Point next = terrain_.waypoint(from, to, s_.separation[i]);
      s_.way_x[i] = next.x, s_.way_y[i] = next.y;
      s_.way[i] = next.x == to.x && next.y == to.y ? Way::straight : Way::around;
    }
    return s_.way[i] == Way::straight ? to : Point{s_.way_x[i], s_.way_y[i]};
  }

  /// Flyers change their velocity no faster than they can.
  void accelerate(int i, const LoopRules::Type& type, float& vx, float& vy) {
    const float dx = vx - s_.velocity_x[i], dy = vy - s_.velocity_y[i], d = std::sqrt(dx * dx + dy * dy);
    if (d > type.acceleration) {
      vx = s_.velocity_x[i] + dx / d * type.acceleration;
      vy = s_.velocity_y[i] + dy / d * type.acceleration;
    }
    s_.velocity_x[i] = vx, s_.velocity_y[i] = vy;
  }

  /// Looks for those of a higher number that unit i overlaps.
  void push_apart(int i) {
    const float x = x_[i], y = y_[i], r = s_.separation[i];
    for (int block = i / lanes * lanes; block < s_.n_units; block += lanes) {
      std::array<std::int32_t, lanes> near;
      const float *const xs = &x_[block], *const ys = &y_[block], *const rs = &s_.separation[block];
#pragma GCC unroll 1
      for (std::size_t k = 0; k < lanes; ++k) {
        const float dx = xs[k] - x, dy = ys[k] - y, reach = r + rs[k];
        near[k] = dx * dx + dy * dy < reach * reach ? 1 : 0;
      }
      if (block <= i) near[static_cast<std::size_t>(i - block)] = 0;
      std::int32_t any = 0;
      for (const std::int32_t is_near : near) any |= is_near;
      if (!any) continue;
      for (int j = std::max(block, i + 1); j < std::min(block + lanes, s_.n_units); ++j)
        if (near[static_cast<std::size_t>(j - block)]) separate(i, j);
    }
  }

  void separate(int i, int j) {
    const float dx = x_[j] - x_[i], dy = y_[j] - y_[i], d2 = dx * dx + dy * dy;
    const float reach = s_.separation[i] + s_.separation[j];
    if (layer(i) != layer(j)) return;
    const float d = std::sqrt(d2), nx = d > 0 ? dx / d : 1, ny = d > 0 ? dy / d : 0;
    const bool friends = s_.is_ally(i) == s_.is_ally(j);
    const float yield_i = yielding(i, friends), yield_j = yielding(j, friends), sum = yield_i + yield_j;
    const float part = sum > 0 ? yield_i / sum : 0.5F, overlap = reach - d;
    if (friends && intents_.stop[i] >= 0 && intents_.stop[j] < 0) s_.blocker[i] = j;
    if (friends && intents_.stop[j] >= 0 && intents_.stop[i] < 0) s_.blocker[j] = i;
    push_x_[i] -= part * overlap * nx, push_y_[i] -= part * overlap * ny;
    push_x_[j] += (1 - part) * overlap * nx, push_y_[j] += (1 - part) * overlap * ny;
  }

  /// Ground, cliff walkers and flyers pass one another.
  int layer(int i) const {
    const LoopRules::Type& type = rules_[s_.type[i]];
    return type.flyer ? 2 : type.cliff_walker ? 1 : 0;
  }

  /// How readily a unit gives way.
  float yielding(int i, bool to_friend) const {
    if (rules_[s_.type[i]].speed == 0) return 0;
    if (intents_.stop[i] >= 0) return 1;
    if (rules_.rules.rigid) return 0;
    return intents_.busy[i] || !to_friend ? 0.05F : 0.25F;
  }

  void settle(int i) {
    const Point to{x_[i] + push_x_[i], y_[i] + push_y_[i]};
    const LoopRules::Type& type = rules_[s_.type[i]];
    const Point place = type.flyer || type.cliff_walker ? Terrain::keep_inside(to)
                                                        : terrain_.slide({s_.x[i], s_.y[i]}, to, s_.separation[i]);
    s_.x[i] = place.x, s_.y[i] = place.y;
  }

  static constexpr float detour_loops = 24, bend_loops = 5;

  BattleState& s_;
  const LoopRules& rules_;
  const Terrain& terrain_;
  const Intents& intents_;
  PerUnit<float> x_, y_, push_x_, push_y_;
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
