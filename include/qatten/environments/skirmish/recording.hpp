#pragma once
// An episode as it can be watched again: where the units were, whom they shot at, and what a policy thought of it.

#include <string>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "qatten/environments/skirmish/thoughts.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

struct Recording {
  struct Unit {
    std::string name;
    char symbol;
    bool ally;
    float radius, max_health, max_shield;
  };
  struct Shot {
    int from, to;
    bool heals;
  };
  struct Frame {
    std::vector<Point> places;  ///< of the dead, where they died
    std::vector<float> health, shield;
    std::vector<bool> alive;
    std::vector<Shot> shots;  ///< since the frame before
  };

  std::string map, title;
  Ground ground{}, high{};
  int n_allies = 0;
  std::vector<Unit> units;
  std::vector<Frame> frames;  ///< one more than there are steps
  std::vector<std::vector<int>> actions;
  std::vector<Thoughts> thoughts;  ///< as many as steps, or none
  std::vector<float> rewards;
  std::string outcome;  ///< won, lost, draw or timeout
};

/// Records one episode: `step` before each step of the game, `finish` after the last.
class Recorder {
 public:
  void begin(const Skirmish& game, std::string title) {
    const BattleState& s = game.units();
    const Map& map = game.battle().map();
    recording_ = {};
    recording_.map = map.name;
    recording_.title = std::move(title);
    recording_.ground = map.ground, recording_.high = map.high;
    recording_.n_allies = s.n_allies;
    for (int i = 0; i < s.n_units; ++i) {
      const UnitType& type = game.battle().rules().rules.units[index(s.type[i])];
      recording_.units.push_back(
          {std::string(type.name), type.symbol, s.is_ally(i), s.radius[i], s.max_health[i], s.max_shield[i]});
    }
    since_ = 0;
  }

  void step(const Skirmish& game, std::span<const int> actions) {
    add_frame(game.units());
    recording_.actions.emplace_back(actions.begin(), actions.end());
  }

  /// Also with what was thought. Throws for sizes other than those of the step before.
  void step(const Skirmish& game, std::span<const int> actions, const Thoughts& thoughts) {
    check(thoughts);
    step(game, actions);
    recording_.thoughts.push_back(thoughts);
  }

  /// The whole episode, given its rewards. Throws unless there is one for each step, and thoughts for all steps or
  /// none.
  Recording finish(const Skirmish& game, std::span<const float> rewards) {
    const std::size_t steps = recording_.actions.size();
    qatten::detail::require(
        rewards.size() == steps, "Recorder::finish",
        "got " + std::to_string(rewards.size()) + " rewards for " + std::to_string(steps) + " steps");
    qatten::detail::require(recording_.thoughts.empty() || recording_.thoughts.size() == steps, "Recorder::finish",
                            "some steps have thoughts and some have not");
    add_frame(game.units());
    recording_.rewards.assign(rewards.begin(), rewards.end());
    recording_.outcome = name_of(skirmish::outcome(game.units()));
    return std::move(recording_);
  }

 private:
  void check(const Thoughts& t) const {
    const auto n = static_cast<Index>(recording_.n_allies);
    qatten::detail::require(t.attention.size() == 0 || t.attention.rows() == n, "Recorder::step",
                            "attention has " + std::to_string(t.attention.rows()) + " rows, expected one an agent");
    qatten::detail::require(t.q.size() == 0 || t.q.size() == n, "Recorder::step",
                            "q has " + std::to_string(t.q.size()) + " entries, expected one an agent");
    qatten::detail::require(t.q_tot.size() <= 1 && t.c.size() <= 1, "Recorder::step",
                            "q_tot and c are one number each");
    if (recording_.thoughts.empty()) return;
    const Thoughts& before = recording_.thoughts.back();
    qatten::detail::require(t.attention.cols() == before.attention.cols() &&
                                t.head_weights.size() == before.head_weights.size() && t.q.size() == before.q.size() &&
                                t.q_tot.size() == before.q_tot.size() && t.c.size() == before.c.size(),
                            "Recorder::step", "the thoughts have other sizes than those of the step before");
  }

  void add_frame(const BattleState& s) {
    Recording::Frame frame;
    for (int i = 0; i < s.n_units; ++i) {
      frame.places.push_back(s.alive[i] ? Point{s.x[i], s.y[i]} : Point{s.order_x[i], s.order_y[i]});
      frame.health.push_back(s.health[i]);
      frame.shield.push_back(s.shield[i]);
      frame.alive.push_back(s.alive[i] != 0);
      if (s.shot_loop[i] >= since_) frame.shots.push_back({i, s.shot_at[i], false});
      if (s.healing[i]) frame.shots.push_back({i, s.target[i], true});
    }
    since_ = s.loop;
    recording_.frames.push_back(std::move(frame));
  }

  Recording recording_;
  int since_ = 0;  ///< shots from this loop on are new
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
