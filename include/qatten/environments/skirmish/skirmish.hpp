#pragma once
// SMAC's battles, simulated here: its observations, state, actions, rewards and ends, on rules taken from the game's
// own tables. An approximation of StarCraft II, not the game: docs/skirmish.md says what differs.

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"
#include "qatten/environments/environment.hpp"
#include "qatten/environments/skirmish/battle.hpp"
#include "qatten/environments/skirmish/layout.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "qatten/environments/skirmish/options.hpp"
#include "qatten/environments/skirmish/reward.hpp"
#include "qatten/environments/skirmish/vision.hpp"

namespace qatten::inline QATTEN_ABI {

/// A cooperative battle against a scripted enemy. Actions: 0 no-op (of the dead alone), 1 stop, 2 … 5 north, south,
/// east, west, 6 + k attack enemy k (a healer: heal ally k). Allocates nothing after construction.
class Skirmish {
 public:
  /// Everything that an episode goes on from: plain numbers.
  struct Snapshot {
    skirmish::BattleState battle;
    Random::State random;
    std::array<int, skirmish::max_units> last_actions;
    int step;
    bool ended;
  };

  /// One of SMAC's 23 maps, or 10gen_terran, 10gen_protoss, 10gen_zerg. Throws for another name, and for options that
  /// make no sense.
  explicit Skirmish(std::string_view map = "3m", const skirmish::Options& options = {})
      : Skirmish(skirmish::map_named(map), options) {}

  /// A map of one's own. Throws if it has no units on a side, more than 96, or no time.
  Skirmish(const skirmish::Map& map, const skirmish::Options& options)
      : options_(options),
        battle_(sized(map, options), options.rules),
        layout_(battle_.map(), options),
        last_actions_(static_cast<std::size_t>(layout_.agents)) {
    reset(Random(0));
  }

  EnvironmentInfo info() const { return layout_.info(); }
  std::string description() const {
    return "skirmish " + std::string(battle_.map().name) + ", rules " + std::string(options_.rules.name);
  }
  const skirmish::Layout& layout() const { return layout_; }
  const skirmish::Options& options() const { return options_; }
  const skirmish::Battle& battle() const { return battle_; }
  /// The units as they are; dead ones are far away.
  const skirmish::BattleState& units() const { return battle_.state(); }

  void reset(const Random& stream) {
    random_ = stream;
    battle_.begin(options_.start.value_or(battle_.map().start), options_.start_jitter, random_);
    reward_.begin(units(), options_);
    std::fill(last_actions_.begin(), last_actions_.end(), -1);
    step_ = 0;
    ended_ = false;
    count_metrics(skirmish::Outcome::undecided);
  }

  void observe(Observation o) const { vision().write(o); }

  /// Throws unless every agent's action is available, and after the end of an episode.
  StepResult step(std::span<const int> actions) {
    check(actions);
    reward_.remember(units());
    for (int i = 0; i < layout_.agents; ++i) give_order(i, actions[static_cast<std::size_t>(i)]);
    std::copy(actions.begin(), actions.end(), last_actions_.begin());
    for (int k = 0; k < options_.step_mul; ++k) battle_.loop(random_);
    ++step_;
    const skirmish::Outcome outcome = skirmish::outcome(units());
    const bool decided = outcome != skirmish::Outcome::undecided, late = !decided && step_ >= layout_.limit;
    ended_ = decided || late;
    count_metrics(outcome);
    return {.reward = static_cast<float>(reward_(units(), outcome, options_)),
            .terminated = decided || (late && !options_.continuing_episode),
            .truncated = late && options_.continuing_episode};
  }

  bool available(int agent, int action) const { return vision().available(agent, action); }

  /// battle_won, dead_allies, dead_enemies, and timeouts: whether the limit ended the episode.
  std::span<const Metric> metrics() const { return metrics_; }

  /// A win's return, before it is scaled, where nothing regenerates.
  double max_reward() const { return reward_.max_reward(); }

  /// A number that differs, as good as certainly, when anything that will matter does.
  std::uint64_t state_hash() const {
    skirmish::StateHash hash;
    const std::uint64_t battle = skirmish::state_hash(units()), drawn = random_.state().drawn;
    for (const std::uint64_t word : {battle, drawn, static_cast<std::uint64_t>(step_)}) {
      hash.add(static_cast<std::uint32_t>(word));
      hash.add(static_cast<std::uint32_t>(word >> 32));
    }
    for (const auto& part : {random_.state().key, random_.state().stream})
      for (const std::uint32_t word : part) hash.add(word);
    for (const int action : last_actions_) hash.add(static_cast<std::uint32_t>(action));
    return hash.value();
  }

  Snapshot save() const {
    Snapshot s{units(), random_.state(), {}, step_, ended_};
    std::copy(last_actions_.begin(), last_actions_.end(), s.last_actions.begin());
    return s;
  }

  /// Goes on from a snapshot of an environment of the same map and options, to the same bits.
  void load(const Snapshot& snapshot) {
    qatten::detail::require(
        snapshot.battle.n_allies == layout_.agents && snapshot.battle.n_units == layout_.agents + layout_.enemies,
        "Skirmish::load", "the snapshot has other numbers of units than the map " + std::string(battle_.map().name));
    battle_.state() = snapshot.battle;
    random_ = Random(snapshot.random);
    std::copy_n(snapshot.last_actions.begin(), last_actions_.size(), last_actions_.begin());
    reward_.begin(units(), options_);
    step_ = snapshot.step;
    ended_ = snapshot.ended;
    count_metrics(skirmish::outcome(units()));
  }

 private:
  /// The map with the numbers of units that the options ask for.
  static skirmish::Map sized(skirmish::Map map, const skirmish::Options& options) {
    skirmish::check(options, map);
    if (options.n_units > 0) map.allies[0].count = options.n_units;
    if (options.n_enemies > 0) map.enemies[0].count = options.n_enemies;
    const int allies = count(map.allies), enemies = count(map.enemies);
    qatten::detail::require(allies >= 1 && enemies >= 1 && allies + enemies <= skirmish::max_units, "Skirmish",
                            "the map has " + std::to_string(allies) + " allies and " + std::to_string(enemies) +
                                " enemies, expected at least one each and at most " +
                                std::to_string(skirmish::max_units) + " together");
    qatten::detail::require(map.limit >= 1, "Skirmish", "the map's limit must be positive");
    return map;
  }

  skirmish::Vision vision() const { return {battle_, layout_, options_, last_actions_, step_}; }

  void check(std::span<const int> actions) const {
    if (ended_) [[unlikely]]
      throw Error("Skirmish::step: the episode has ended; call reset() first");
    if (!std::cmp_equal(actions.size(), layout_.agents)) [[unlikely]]
      throw Error("Skirmish::step: got " + std::to_string(actions.size()) + " actions, expected one for each of " +
                  std::to_string(layout_.agents) + " agents");
    const skirmish::Vision vision = this->vision();
    for (int i = 0; i < layout_.agents; ++i) {
      const int action = actions[static_cast<std::size_t>(i)];
      if (action < 0 || action >= layout_.actions || !vision.available(i, action)) [[unlikely]]
        throw Error("Skirmish::step: action " + std::to_string(action) + " of agent " + std::to_string(i) +
                    " is not available");
    }
  }

  void give_order(int i, int action) {
    using namespace skirmish;
    if (action == no_op) return;
    if (action == skirmish::stop) return battle_.order_stop(i);
    if (action < n_actions_no_attack) {
      const auto d = static_cast<float>(options_.move_amount);
      const float dx = action == east   ? d
                       : action == west ? -d
                                        : 0,
                  dy = action == north   ? d
                       : action == south ? -d
                                         : 0;
      return battle_.order_move(i, {units().x[i] + dx, units().y[i] + dy});
    }
    const int k = action - n_actions_no_attack;
    const bool heals = battle_.rules()[units().type[i]].weapon == Weapon::heal;
    heals ? battle_.order_heal(i, k) : battle_.order_attack(i, units().n_allies + k);
  }

  void count_metrics(skirmish::Outcome outcome) {
    const skirmish::BattleState& s = units();
    metrics_ = {{{"battle_won", outcome == skirmish::Outcome::won ? 1.0 : 0.0},
                 {"dead_allies", double(s.n_allies - s.living(0, s.n_allies))},
                 {"dead_enemies", double(s.n_units - s.n_allies - s.living(s.n_allies, s.n_units))},
                 {"timeouts", ended_ && outcome == skirmish::Outcome::undecided ? 1.0 : 0.0}}};
  }

  skirmish::Options options_;
  skirmish::Battle battle_;
  skirmish::Layout layout_;
  skirmish::Reward reward_;
  Random random_{0};
  std::vector<int> last_actions_;
  int step_ = 0;
  bool ended_ = false;
  std::array<Metric, 4> metrics_{};
};
static_assert(ReportsMetrics<Skirmish>);

}  // namespace qatten::inline QATTEN_ABI
