// An environment whose type is not known is the environment that it was made from; and its arguments as texts.

#include "qatten/environments/any_environment.hpp"

#include "qatten/environments/arguments.hpp"
#include "qatten/environments/check_environment.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"
#include "training/stumble.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;

TEST_CASE("it plays as the environment itself does") {
  Stumble game;
  AnyEnvironment any = make_environment<Stumble>();
  CHECK(any.info() == game.info());
  CHECK(any.description() == "stumble, for tests");
  CHECK(check_environment(any) == std::vector<std::string>{});
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Rollout<Stumble> alone(game);
    Rollout<AnyEnvironment> hidden(any);
    const auto policy = scripted_policy({{0, 1, 2}, {2, 2, 0}});
    const Episode<float> a = alone.play(Random(seed), policy), b = hidden.play(Random(seed), policy);
    CHECK(a.obs == b.obs);
    CHECK(a.state == b.state);
    CHECK(a.units == b.units);
    CHECK(a.available == b.available);
    CHECK(a.rewards == b.rewards);
    CHECK(a.terminated == b.terminated);
    REQUIRE(any.metrics().size() == 2);
    CHECK(any.metrics()[0].name == "battle_won");
    CHECK(any.metrics()[1].value == game.metrics()[1].value);
  }
}

TEST_CASE("what an environment does not offer is empty") {
  AnyEnvironment any = make_environment<Spotlight>(3);
  CHECK(any.info().n_agents == 3);
  CHECK(any.metrics().empty());
  CHECK(any.description().empty());
  AnyEnvironment moved = std::move(any);
  CHECK(moved.info().n_agents == 3);
}

TEST_CASE("arguments are read by name and type, and none is overlooked") {
  EnvironmentArguments arguments({{"steps", "12"}, {"reward", "0.5"}, {"map_name", "3m"}, {"multi", "True"}});
  CHECK(arguments.integer("steps", 1) == 12);
  CHECK(arguments.integer("missing", 7) == 7);
  CHECK(arguments.real("reward", 1) == 0.5);
  CHECK(arguments.boolean("multi", false));
  CHECK_FALSE(arguments.boolean("single", false));
  CHECK_THROWS_WITH(arguments.check_all_known(),
                    "env_args.map_name: the environment has no such argument; it has "
                    "missing, multi, reward, single, steps");
  CHECK(arguments.text("map_name", "") == "3m");
  arguments.check_all_known();
  CHECK_THROWS_WITH(arguments.integer("map_name", 1), "env_args.map_name: got '3m', expected a whole number");
  CHECK_THROWS_WITH(arguments.real("map_name", 1), contains("expected a number"));
  CHECK_THROWS_WITH(arguments.boolean("steps", true), "env_args.steps: got '12', expected true or false");
}
