// Agents that see the time alone, in an environment that is otherwise its own.

#include "qatten/environments/open_loop.hpp"

#include "qatten/environments/check_environment.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"
#include "training/stumble.hpp"

using namespace qatten;
using namespace qatten::test;

TEST_CASE("observations are the time, and nothing else changes") {
  Stumble game;
  OpenLoop<Stumble> unseen;
  CHECK(check_environment(unseen) == std::vector<std::string>{});
  EnvironmentInfo info = game.info();
  info.obs_shape = 1;
  CHECK(unseen.info() == info);
  CHECK(unseen.description() == "stumble, for tests, unseen");
  CHECK(OpenLoop<Spotlight>(5).description() == "unseen");
  CHECK(OpenLoop<Spotlight>(5).info().n_agents == 5);
  Index longest = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto policy = scripted_policy({{0, 1, 2}, {2, 2, 0}});
    const Episode<float> a = Rollout(game).play(Random(seed), policy), b = Rollout(unseen).play(Random(seed), policy);
    longest = std::max(longest, b.length());
    REQUIRE(b.obs.rows() == 1);
    for (Index column = 0; column < b.obs.cols(); ++column)
      REQUIRE(b.obs(0, column) == float(column / Stumble::n) / Stumble::limit);
    REQUIRE(a.state == b.state);
    REQUIRE(a.units == b.units);
    REQUIRE(a.available == b.available);
    REQUIRE(a.alive == b.alive);
    REQUIRE(a.rewards == b.rewards);
    REQUIRE(a.terminated == b.terminated);
    REQUIRE(unseen.metrics()[1].value == game.metrics()[1].value);
  }
  CHECK(longest == Stumble::limit);
}
