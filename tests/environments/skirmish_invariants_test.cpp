// What must hold in every step of every episode, whatever is played. QATTEN_SKIRMISH_EPISODES sets the number of random
// episodes on each map (default 12; 4400 make 100 000 in all on SMAC's maps).

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "environments/play.hpp"
#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"

namespace {
long allocations = 0;
}

[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace qatten;
using namespace qatten::skirmish;
using namespace qatten_test;

namespace {

int episodes() {
  const char* number = std::getenv("QATTEN_SKIRMISH_EPISODES");
  return number ? std::max(std::atoi(number), 1) : 12;
}

/// Empty, or what is wrong.
std::string wrong(const Skirmish& game) {
  const BattleState& s = game.units();
  const Terrain& terrain = game.battle().terrain();
  for (int i = 0; i < s.n_units; ++i) {
    const std::string unit = " of unit " + std::to_string(i);
    const LoopRules::Type& type = game.battle().rules()[s.type[i]];
    if (!s.alive[i]) {
      if (s.health[i] != 0 || s.shield[i] != 0) return "health of the dead" + unit;
      if (s.x[i] != BattleState::far) return "place of the dead" + unit;
      continue;
    }
    if (!(s.health[i] > 0 && s.health[i] <= s.max_health[i])) return "health" + unit;
    if (!(s.shield[i] >= 0 && s.shield[i] <= s.max_shield[i])) return "shield" + unit;
    if (!(s.energy[i] >= 0 && s.energy[i] <= max_energy)) return "energy" + unit;
    if (!(s.cooldown[i] > -1 && s.cooldown[i] <= type.period + 3)) return "cooldown" + unit;
    if (type.flyer || type.cliff_walker) {
      if (!(s.x[i] >= 0 && s.x[i] < 32 && s.y[i] >= 0 && s.y[i] < 32)) return "place" + unit;
    } else if (!terrain.fits(s.x[i], s.y[i], s.separation[i])) {
      return "ground" + unit;
    }
    if (s.target[i] >= 0 && s.is_ally(i) != s.is_ally(s.target[i]) && type.weapon == Weapon::heal)
      return "patient" + unit;
  }
  return "";
}

struct Totals {
  double sum = 0;
  int steps = 0;
};

Totals play_random(Skirmish& game, std::uint64_t seed, Seen& seen) {
  const Layout& layout = game.layout();
  ScriptedTeam team(Script::random);
  Random random(seed, "actions");
  game.reset(Random(seed, "invariants"));
  std::vector<int> actions(static_cast<std::size_t>(layout.agents));
  Totals totals;
  for (bool ended = false; !ended; ++totals.steps) {
    team.act(game, random, actions);
    const StepResult result = game.step(actions);
    ended = result.terminated;
    totals.sum += double(result.reward);
    const std::string problem = wrong(game);
    if (!problem.empty()) FAIL(problem);
    seen.obs.setZero(), seen.state.setZero(), seen.units.setZero(), seen.available.setOnes();
    game.observe(Observation{seen.obs, seen.state, seen.units, seen.available, seen.alive});
    if (!seen.obs.allFinite() || !seen.state.allFinite()) FAIL("not finite");
    if (!(result.reward >= 0)) FAIL("negative reward");
    for (int i = 0; i < layout.agents; ++i) {
      if ((seen.available(0, i) == 1) == (game.units().alive[i] == 1)) FAIL("no-op");
      if (seen.available(1, i) != game.units().alive[i]) FAIL("stop");
    }
  }
  return totals;
}

}  // namespace

TEST_CASE("random episodes keep to the rules") {
  for (const Map& map : maps) {
    CAPTURE(map.name);
    Skirmish game(map.name);
    Seen seen(game.info());
    const bool regains = game.units().shields || game.units().regenerates || game.units().healers;
    int wins = 0;
    for (int episode = 0; episode < episodes(); ++episode) {
      CAPTURE(episode);
      const Totals totals = play_random(game, std::uint64_t(episode), seen);
      REQUIRE(totals.steps <= map.limit);
      const bool won = game.metrics()[0].value == 1;
      wins += won;
      if (won && !regains) REQUIRE(std::abs(totals.sum - 20) < 1e-4);
      if (won) REQUIRE(totals.sum > 20 - 1e-4);
      if (!won && !regains) REQUIRE(totals.sum < 20 * (1 - 200 / game.max_reward()) + 1e-4);
      REQUIRE(totals.sum < 40);
    }
    if (map.name != "bane_vs_bane" && map.name != "so_many_baneling") REQUIRE(wins <= 1 + episodes() / 20);
  }
}

TEST_CASE("the same seed gives the same hash after every step, another seed another") {
  for (const char* map : {"3m", "2s3z", "MMM2", "bane_vs_bane", "corridor", "2c_vs_64zg", "10gen_zerg"}) {
    CAPTURE(map);
    Skirmish a(map), b(map), c(map);
    Random random_a(5), random_b(5);
    ScriptedTeam team(Script::random);
    a.reset(Random(1)), b.reset(Random(1)), c.reset(Random(2));
    REQUIRE(a.state_hash() == b.state_hash());
    REQUIRE(a.state_hash() != c.state_hash());
    std::vector<int> actions(static_cast<std::size_t>(a.layout().agents)), other = actions;
    std::uint64_t last = a.state_hash();
    for (bool ended = false; !ended;) {
      team.act(a, random_a, actions);
      team.act(b, random_b, other);
      REQUIRE(actions == other);
      ended = a.step(actions).terminated;
      b.step(other);
      REQUIRE(a.state_hash() == b.state_hash());
      REQUIRE(a.state_hash() != last);
      last = a.state_hash();
    }
  }
}

TEST_CASE("a battle saved in its midst goes on to the same bits, also in another environment") {
  for (const char* map : {"3m", "3s5z", "MMM2", "6h_vs_8z", "so_many_baneling", "2c_vs_64zg", "10gen_protoss"}) {
    CAPTURE(map);
    Skirmish game(map), other(map);
    other.reset(Random(99));
    ScriptedTeam team(Script::nearest);
    Random none(0);
    std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
    game.reset(Random(4));
    for (int t = 0; t < 9; ++t) {
      team.act(game, none, actions);
      game.step(actions);
    }
    const Skirmish::Snapshot snapshot = game.save();
    std::vector<std::uint64_t> hashes;
    std::vector<float> rewards;
    std::vector<std::vector<int>> played;
    for (bool ended = false; !ended;) {
      team.act(game, none, actions);
      const StepResult result = game.step(actions);
      ended = result.terminated;
      played.push_back(actions);
      hashes.push_back(game.state_hash());
      rewards.push_back(result.reward);
    }
    for (Skirmish* again : {&game, &other}) {
      again->load(snapshot);
      for (std::size_t t = 0; t < played.size(); ++t) {
        REQUIRE(again->step(played[t]).reward == rewards[t]);
        REQUIRE(again->state_hash() == hashes[t]);
      }
    }
  }
}

TEST_CASE("nothing allocates after construction") {
  for (const Map& map : maps) {
    CAPTURE(map.name);
    Options options;
    options.start_jitter = 1;
    Skirmish game(map.name, options);
    Seen seen(game.info());
    ScriptedTeam team(Script::random);
    Random random(1);
    std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
    const Observation o{seen.obs, seen.state, seen.units, seen.available, seen.alive};
    const long before = allocations;
    for (std::uint64_t episode = 0; episode < 2; ++episode) {
      game.reset(Random(episode));
      for (bool ended = false; !ended;) {
        team.act(game, random, actions);
        ended = game.step(actions).terminated;
        game.observe(o);
        game.state_hash();
      }
      game.metrics();
    }
    REQUIRE(allocations == before);
  }
}

TEST_CASE("a rollout makes episodes of it") {
  Skirmish game("2s3z");
  Rollout<Skirmish> rollout(game);
  ScriptedTeam team(Script::nearest);
  Random none(0);
  const Episode<float> episode =
      rollout.play(Random(1), [&](const Decision& decision) { team.act(game, none, decision.actions); });
  episode.check();
  REQUIRE(episode.terminated);
  REQUIRE(episode.units.topRows(7) == episode.state.topRows(7));
  REQUIRE(episode.rewards.sum() > 1);
}

TEST_CASE("scripted teams choose available actions, and do what their names say") {
  for (const Map& map : maps)
    for (std::size_t k = 0; k < script_names.size(); ++k) {
      Skirmish game(map.name);
      ScriptedTeam team(script_named(script_names[k]));
      Random random(1);
      std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
      game.reset(Random(1));
      for (bool ended = false; !ended;) {
        team.act(game, random, actions);
        if (Script(k) == Script::hold)
          for (const int a : actions) REQUIRE((a <= stop || a >= n_actions_no_attack || game.units().healers));
        ended = game.step(actions).terminated;  // throws for what is not available
      }
    }
  Skirmish game("3m");
  Skirmish::Snapshot s = game.save();
  s.battle.x[3] = s.battle.x[0] + 5, s.battle.x[4] = s.battle.x[0] + 4, s.battle.x[5] = s.battle.x[0] + 5.5F;
  for (int j = 3; j < 6; ++j) s.battle.y[j] = s.battle.y[0];
  s.battle.health[5] = 10;
  game.load(s);
  Random random(1);
  std::vector<int> actions(3);
  const auto first = [&](Script script) {
    ScriptedTeam(script).act(game, random, actions);
    return actions[0];
  };
  REQUIRE(first(Script::nearest) == 7);
  REQUIRE(first(Script::weakest) == 8);
  REQUIRE(first(Script::focus) == 7);
  ScriptedTeam sticky(Script::sticky);
  sticky.act(game, random, actions);
  s.battle.x[3] = s.battle.x[0] + 3;
  game.load(s);
  sticky.act(game, random, actions);
  REQUIRE(actions[0] == 7);
  REQUIRE(first(Script::nearest) == 6);
}
