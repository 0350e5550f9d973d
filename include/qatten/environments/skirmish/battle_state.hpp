#pragma once
// Everything that changes in a battle, as arrays over its units: first the allies, then the enemies.

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "qatten/environments/skirmish/unit_type.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Loops over units run in blocks of this many, which compilers turn into vector instructions. (`unroll 1` keeps GCC
/// from taking them apart before that.)
inline constexpr int lanes = 16;
inline constexpr int max_units = 6 * lanes;

template <class T>
struct alignas(64) PerUnit : std::array<T, max_units> {
  T& operator[](int i) { return std::array<T, max_units>::operator[](static_cast<std::size_t>(i)); }
  const T& operator[](int i) const { return std::array<T, max_units>::operator[](static_cast<std::size_t>(i)); }
};

enum class Order : std::uint8_t {
  stop,
  move,         ///< to the order's point
  attack,       ///< the target, wherever it goes
  heal,         ///< the target
  attack_move,  ///< to where the enemy attacks, choosing targets on the way
};

/// How to walk where there are walls.
enum class Way : std::uint8_t { unknown, straight, around };

/// Plain numbers: a copy is the battle, and may be continued. The dead are far away, so that nothing is near them.
struct BattleState {
  static constexpr float far = 1e6F;

  int n_allies = 0, n_units = 0;
  int loop = 0;
  float attack_x = 0, attack_y = 0;                            ///< where the enemies go
  bool hunt = false;                                           ///< or after the nearest ally
  float damage_dealt = 0;                                      ///< by allies, in health and shields
  bool shields = false, regenerates = false, healers = false;  ///< whether any unit has, does, is

  PerUnit<float> x{}, y{}, health{}, shield{}, energy{};
  PerUnit<float> order_x{}, order_y{};        ///< the order's point; of the dead, where they died
  PerUnit<float> cooldown{};                  ///< loops until the weapon is ready; in (-1, 0]: ready since then
  PerUnit<float> aim{};                       ///< loops until the shot at aim_target
  PerUnit<float> backswing{};                 ///< loops of standing still
  PerUnit<float> shield_wait{};               ///< loops until the shield comes back
  PerUnit<float> velocity_x{}, velocity_y{};  ///< of flyers, per loop
  PerUnit<float> way_x{}, way_y{};            ///< the next place on the way around walls
  PerUnit<float> detour{};                    ///< loops for which to go around on the same side; its sign is the side
  PerUnit<std::int32_t> blocker{};            ///< the standing friend in the way, −1 for none

  PerUnit<float> hit_time{}, hit_x{}, hit_y{}, hit_dx{}, hit_dy{};  ///< the hit under way, and a sweep's line
  PerUnit<std::int32_t> hit_target{};                               ///< −1: none is under way

  PerUnit<std::int32_t> shot_at{}, shot_loop{};  ///< the last shot: at whom, in which loop; −1 at first. To be seen
  PerUnit<std::int32_t> target{};                ///< whom to attack or heal, −1 for none
  PerUnit<std::int32_t> aim_target{};            ///< −1 when not aiming
  PerUnit<std::int32_t> called_by{};             ///< the attacker that a call for help was about, −1 for none
  PerUnit<std::uint32_t> rank{};                 ///< as a target: 0, or the offset of those to be hit last
  PerUnit<std::uint8_t> alive{}, healing{};
  PerUnit<Way> way{};
  PerUnit<Order> order{};
  PerUnit<Unit> type{};

  // What never changes while a unit lives.
  PerUnit<float> radius{}, separation{}, max_health{}, max_shield{}, regeneration{};
  PerUnit<std::uint32_t> in_air{};

  bool is_ally(int i) const { return i < n_allies; }
  /// The first and last + 1 of the other side.
  int foes_begin(int i) const { return is_ally(i) ? n_allies : 0; }
  int foes_end(int i) const { return is_ally(i) ? n_units : n_allies; }

  float distance2(int i, int j) const {
    const float dx = x[j] - x[i], dy = y[j] - y[i];
    return dx * dx + dy * dy;
  }
  /// Whether the gap between the edges of two units is at most `range`.
  bool within(int i, int j, float range) const {
    const float reach = range + radius[i] + radius[j];
    return distance2(i, j) <= reach * reach;
  }

  int living(int begin, int end) const {
    int n = 0;
    for (int i = begin; i < end; ++i) n += alive[i];
    return n;
  }
};
static_assert(std::is_trivially_copyable_v<BattleState>);

/// FNV-1a over words.
class StateHash {
 public:
  void add(std::uint32_t word) { hash_ = (hash_ ^ word) * 0x100000001B3; }
  void add(float number) { add(std::bit_cast<std::uint32_t>(number)); }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325;
};

/// A number that differs, as good as certainly, when anything that will matter in the battle does.
inline std::uint64_t state_hash(const BattleState& s) {
  StateHash hash;
  for (const int number : {s.n_allies, s.n_units, s.loop}) hash.add(static_cast<std::uint32_t>(number));
  for (const float number : {s.attack_x, s.attack_y, s.damage_dealt}) hash.add(number);
  for (int i = 0; i < s.n_units; ++i) {
    for (const auto* field :
         {&s.x,        &s.y,      &s.health,    &s.shield,      &s.energy,     &s.order_x,    &s.order_y,
          &s.cooldown, &s.aim,    &s.backswing, &s.shield_wait, &s.velocity_x, &s.velocity_y, &s.way_x,
          &s.way_y,    &s.detour, &s.hit_time,  &s.hit_x,       &s.hit_y,      &s.hit_dx,     &s.hit_dy})
      hash.add((*field)[i]);
    for (const auto* field : {&s.target, &s.aim_target, &s.hit_target, &s.called_by, &s.blocker})
      hash.add(static_cast<std::uint32_t>((*field)[i]));
    hash.add(std::uint32_t{s.alive[i]} | static_cast<std::uint32_t>(s.way[i]) << 4 | std::uint32_t{s.healing[i]} << 1 |
             static_cast<std::uint32_t>(s.order[i]) << 8 | static_cast<std::uint32_t>(s.type[i]) << 16);
  }
  return hash.value();
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
