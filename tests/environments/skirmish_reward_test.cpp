// Rewards, outcomes and ends.

#include <algorithm>
#include <cmath>
#include <vector>

#include "environments/field.hpp"
#include "environments/play.hpp"
#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::skirmish;
using namespace qatten_test;
using Catch::Matchers::WithinAbs;

namespace {

/// Two marines and a zealot against two zealots; enemy 0 has lost 30 shield, enemy 1 died from 20 health, an ally of 45
/// died.
double reward(const Options& options, Outcome outcome = Outcome::undecided, bool healed = false) {
  Field field({{Unit::marine, 10, 10}, {Unit::marine, 12, 10}, {Unit::zealot, 14, 10}},
              {{Unit::zealot, 20, 20}, {Unit::zealot, 24, 20}});
  Reward reward;
  reward.begin(field.s(), options);
  REQUIRE(reward.max_reward() == 200 + 2 * (150 + 10));
  field.s().shield[4] = 0, field.s().health[4] = 20;
  if (healed) field.s().shield[3] = field.s().shield[4] = 0;
  reward.remember(field.s());
  Damage damage(field.s(), field.battle.rules());
  if (healed) {
    field.s().shield[3] = 8;
  } else {
    field.s().shield[3] -= 30;
    damage.hit(2, 4, 10);
    damage.hit(3, 0, 10);
  }
  return reward(field.s(), outcome, options);
}

struct Played {
  double sum = 0;
  double won = 0, timeouts = 0;
  int steps = 0;
  StepResult last;
};

Played play_out(Skirmish& game, Script script, std::uint64_t seed) {
  Played played;
  ScriptedTeam team(script);
  Random random(seed, "play");
  game.reset(Random(seed));
  std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
  do {
    team.act(game, random, actions);
    played.last = game.step(actions);
    played.sum += double(played.last.reward);
    ++played.steps;
  } while (!played.last.terminated && !played.last.truncated);
  played.won = game.metrics()[0].value;
  played.timeouts = game.metrics()[3].value;
  return played;
}

}  // namespace

TEST_CASE("reward counts net damage to enemies and kills, and with negative rewards half of one's own") {
  Options options;
  options.reward_scale = false;
  REQUIRE(reward(options) == 30 + 20 + 10);
  REQUIRE(reward(options, Outcome::won) == 60 + 200);
  options.reward_defeat = -7;
  REQUIRE(reward(options, Outcome::lost) == 60 - 7);
  REQUIRE(reward(options, Outcome::draw) == 60);
  options.reward_only_positive = false;
  REQUIRE(reward(options) == 60 - 0.5 * (45 + 10));
  options.reward_negative_scale = 1;
  options.reward_death_value = 10;
  REQUIRE(reward(options) == 60 - (45 + 10));
  options = {};
  REQUIRE_THAT(reward(options), WithinAbs(60 / (520 / 20.0), 1e-12));
}

TEST_CASE("what enemies regain is a reward in SMAC, nothing when clipped, and not even subtracted when gross") {
  Options options;
  options.reward_scale = false;
  REQUIRE(reward(options, Outcome::undecided, true) == 8);
  options.rules.reward_sign = RewardSign::clip;
  REQUIRE(reward(options, Outcome::undecided, true) == 0);
  options.rules.reward_sign = RewardSign::gross;
  REQUIRE(reward(options, Outcome::undecided, true) == 0);
  REQUIRE(reward(options) == 20 + 10);  // the 30 of shield were not dealt by anyone
  options.rules.reward_sign = RewardSign::abs;
  options.reward_only_positive = false;
  REQUIRE(reward(options, Outcome::undecided, true) == -8);
}

TEST_CASE("sparse rewards are 1 and -1, scaled") {
  Options options;
  options.reward_sparse = true;
  REQUIRE_THAT(reward(options, Outcome::won), WithinAbs(20.0 / 520, 1e-12));
  options.reward_scale = false;
  REQUIRE(reward(options, Outcome::won) == 1);
  REQUIRE(reward(options, Outcome::lost) == -1);
  REQUIRE(reward(options, Outcome::draw) == 0);
  REQUIRE(reward(options) == 0);
}

TEST_CASE("outcomes are asked in SMAC's order") {
  const auto after = [](std::initializer_list<Unit> allies, std::initializer_list<Unit> enemies,
                        std::initializer_list<int> dead) {
    Field field({}, {});
    for (const Unit unit : allies) field.battle.add(unit, {10, 10}, true);
    for (const Unit unit : enemies) field.battle.add(unit, {20, 20}, false);
    for (const int i : dead) field.s().alive[i] = 0;
    return outcome(field.s());
  };
  const auto m = Unit::marine, v = Unit::medivac;
  REQUIRE(after({m}, {m}, {}) == Outcome::undecided);
  REQUIRE(after({m}, {m}, {0}) == Outcome::lost);
  REQUIRE(after({m}, {m}, {1}) == Outcome::won);
  REQUIRE(after({m}, {m}, {0, 1}) == Outcome::draw);
  REQUIRE(after({m, v}, {m, v}, {0}) == Outcome::lost);
  REQUIRE(after({m, v}, {m, v}, {2}) == Outcome::won);
  REQUIRE(after({m, v}, {m, v}, {0, 2}) == Outcome::lost);
  REQUIRE(after({m, v}, {m, v}, {0, 1, 2, 3}) == Outcome::lost);
}

TEST_CASE("a win returns 20 where nothing regenerates") {
  for (const char* map : {"3m", "8m", "25m"}) {
    Skirmish game(map);
    int wins = 0;
    for (std::uint64_t seed = 0; wins < 5 && seed < 300; ++seed) {
      const Played played = play_out(game, Script::nearest, seed);
      if (played.won == 0) {
        REQUIRE(played.sum < 20 * (1 - 200 / game.max_reward()) + 1e-3);
        continue;
      }
      ++wins;
      REQUIRE_THAT(played.sum, WithinAbs(20, 1e-4));
      REQUIRE(played.last.terminated);
    }
    REQUIRE(wins == 5);
  }
}

TEST_CASE("at the limit an episode ends, as an end like any other or cut off") {
  for (const bool continuing : {false, true}) {
    Options options;
    options.continuing_episode = continuing;
    Skirmish game("2s_vs_1sc", options);  // the spine crawler waits
    const Played played = play_out(game, Script::hold, 1);
    REQUIRE(played.steps == 300);
    REQUIRE(played.last.terminated != continuing);
    REQUIRE(played.last.truncated == continuing);
    REQUIRE(played.timeouts == 1);
    REQUIRE(played.won == 0);
    REQUIRE(played.sum == 0);
    REQUIRE_THROWS_AS(game.step(std::vector{1, 1}), Error);
  }
}

TEST_CASE("metrics have SMAC's names and count the dead") {
  Skirmish game("3m");
  const Played played = play_out(game, Script::hold, 3);
  const auto metrics = game.metrics();
  REQUIRE(metrics[0].name == "battle_won");
  REQUIRE(metrics[1].name == "dead_allies");
  REQUIRE(metrics[2].name == "dead_enemies");
  REQUIRE(metrics[3].name == "timeouts");
  REQUIRE(metrics[1].value == 3 - game.units().living(0, 3));
  REQUIRE(metrics[2].value == 3 - game.units().living(3, 6));
  REQUIRE((played.won == 1) == (metrics[2].value == 3 && metrics[1].value < 3));
}
