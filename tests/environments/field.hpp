#pragma once
// An empty field on which tests place units by hand.

#include <initializer_list>

#include "qatten/environments/skirmish/battle.hpp"

namespace qatten_test {

struct Place {
  qatten::skirmish::Unit unit;
  float x, y;
};

inline qatten::skirmish::Ruleset quiet() {
  qatten::skirmish::Ruleset rules;
  rules.weapon_noise = false;
  return rules;
}

/// Allies first. Enemies stand still until told otherwise.
struct Field {
  explicit Field(std::initializer_list<Place> allies, std::initializer_list<Place> enemies,
                 const qatten::skirmish::Ruleset& rules = quiet())
      : battle(qatten::skirmish::map_named("3s_vs_3z"), rules) {
    battle.clear();
    for (const Place& p : allies) battle.add(p.unit, {p.x, p.y}, true);
    for (const Place& p : enemies) battle.add(p.unit, {p.x, p.y}, false);
    for (int i = s().n_allies; i < s().n_units; ++i) s().order[i] = qatten::skirmish::Order::stop;
  }

  qatten::skirmish::BattleState& s() { return battle.state(); }
  void run(int loops) {
    for (int k = 0; k < loops; ++k) battle.loop(random);
  }
  /// Loops until f() holds; 10 000 when it never does.
  template <class F>
  int until(F&& f) {
    int n = 0;
    while (!f() && n < 10000) run(1), ++n;
    return n;
  }
  /// Enemy i goes to a place, attacking what it meets.
  void attack_move(int i, float x, float y) {
    s().order[i] = qatten::skirmish::Order::attack_move;
    s().attack_x = x, s().attack_y = y;
  }

  qatten::skirmish::Battle battle;
  qatten::Random random{1, "field"};
};

}  // namespace qatten_test
