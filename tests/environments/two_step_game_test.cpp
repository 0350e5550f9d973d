#include "qatten/environments/games/two_step_game.hpp"

#include <cmath>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("agent 1 alone picks the table, 7 or 8 at best") {
  TwoStepGame game;
  const double table_2b[2][2] = {{0, 1}, {1, 8}};
  for (int other = 0; other < 2; ++other)
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j) {
        CHECK(episode_return(game, {{0, other}, {i, j}}) == 7);
        CHECK(episode_return(game, {{1, other}, {i, j}}) == table_2b[i][j]);
      }
  CHECK(game.optimal_return() == 8);
  CHECK(play(game, {{0, 0}}).front().reward == 0);
  CHECK(play(game, {{0, 0}, {0, 0}}).back().terminated);
}

TEST_CASE("payoffs of one's own") {
  TwoStepGame game({1, 2, 3, 4}, {-1, -2, -3, -4});
  CHECK(episode_return(game, {{0, 0}, {0, 1}}) == 2);
  CHECK(episode_return(game, {{0, 0}, {1, 0}}) == 3);
  CHECK(episode_return(game, {{1, 0}, {1, 1}}) == -4);
  CHECK(game.optimal_return() == 4);
  CHECK_THROWS_AS(TwoStepGame({1, 2, 3, std::nan("")}), Error);
  CHECK_THROWS_AS(TwoStepGame({1, 2, 3, 4}, {1, 2, INFINITY, 4}), Error);
}

TEST_CASE("everyone sees the state") {
  TwoStepGame game;
  const auto expect = [&](Index one) {
    const Seen seen = look(game);
    CHECK((seen.state.col(0) == Vector<float>::Unit(3, one)));
    CHECK((seen.obs.col(0) == Vector<float>::Unit(3, one)));
    CHECK((seen.obs.col(1) == Vector<float>::Unit(3, one)));
    CHECK((seen.units == Matrix<float>::Identity(2, 2)));
  };
  play(game, {});
  expect(0);
  play(game, {{0, 1}});
  expect(1);
  play(game, {{1, 0}});
  expect(2);
}

TEST_CASE("the two-step game passes the conformance check and ends when it ends") {
  TwoStepGame game;
  CHECK(check_environment(game) == std::vector<std::string>{});
  CHECK_THROWS_AS(play(game, {{0, 0}, {0, 0}, {0, 0}}), Error);
  CHECK_THROWS_AS(play(game, {{0, 2}}), Error);
}
