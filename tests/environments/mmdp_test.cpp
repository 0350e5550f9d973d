#include "qatten/environments/games/mmdp.hpp"

#include <cmath>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("the first state pays for (0,0), and (1,1) leaves it for ever") {
  Mmdp game(2.5, 4);
  CHECK(episode_return(game, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}) == 10);
  CHECK(episode_return(game, {{0, 1}, {1, 0}, {0, 0}, {0, 0}}) == 5);
  CHECK(episode_return(game, {{0, 0}, {1, 1}, {0, 0}, {0, 0}}) == 2.5);
  CHECK(episode_return(game, {{1, 1}, {0, 1}, {1, 0}, {0, 0}}) == 0);
  CHECK(game.optimal_return() == 10);
  const StepResult last = play(game, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}).back();
  CHECK(last.truncated);
  CHECK_FALSE(last.terminated);
}

TEST_CASE("the discounted return of (0,0), with the value of what is cut off, is V*") {
  const double gamma = 0.99;
  Mmdp game;
  double sum = 0, discount = 1;
  for (const StepResult& result : play(game, std::vector(100, std::vector<int>{0, 0}))) {
    sum += discount * result.reward;
    discount *= gamma;
  }
  CHECK(std::abs(game.optimal_value(gamma) - 100) < 1e-9);
  CHECK(std::abs(sum + discount * game.optimal_value(gamma) - game.optimal_value(gamma)) < 1e-9);
  CHECK(std::abs(sum - (1 - std::pow(gamma, 100)) * 100) < 1e-9);
}

TEST_CASE("V* solves Bellman's equation in the game as it is played") {
  const double gamma = 0.9;
  Mmdp game;
  const double value[2] = {game.optimal_value(gamma), 0};
  double best = 0;
  for (Index joint = 0; joint < 4; ++joint) {
    const StepResult result = play(game, {joint_action(joint, 2, 2)}).front();
    Index next = 0;
    look(game).state.col(0).maxCoeff(&next);
    best = std::max(best, result.reward + gamma * value[next]);
  }
  CHECK(std::abs(best - value[0]) < 1e-12);
}

TEST_CASE("everyone sees the state of the MMDP") {
  Mmdp game;
  play(game, {{0, 1}});
  CHECK((look(game).state == Matrix<float>::Identity(2, 2).col(0)));
  play(game, {{1, 1}, {0, 0}});
  const Seen seen = look(game);
  CHECK((seen.state == Matrix<float>::Identity(2, 2).col(1)));
  CHECK((seen.obs.col(0) == seen.state));
  CHECK((seen.obs.col(1) == seen.state));
  CHECK((seen.units == Matrix<float>::Identity(2, 2)));
}

TEST_CASE("the MMDP passes the conformance check and refuses nonsense") {
  Mmdp game;
  CHECK(check_environment(game) == std::vector<std::string>{});
  CHECK_THROWS_AS(Mmdp(0), Error);
  CHECK_THROWS_AS(Mmdp(std::nan("")), Error);
  CHECK_THROWS_AS(Mmdp(1, 0), Error);
  CHECK_THROWS_AS(game.optimal_value(1), Error);
  CHECK_THROWS_AS(game.optimal_value(-0.1), Error);
  Mmdp once(1, 1);
  CHECK_THROWS_AS(play(once, {{0, 0}, {0, 0}}), Error);
  CHECK_THROWS_AS(play(once, {{0, 2}}), Error);
}
