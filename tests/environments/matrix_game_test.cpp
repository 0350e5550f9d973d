#include "qatten/environments/games/matrix_game.hpp"

#include <cmath>
#include <limits>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("a matrix game pays its table, agent 1 slowest") {
  MatrixGame game(3, 2, Vector<double>{{0, 1, 2, 3, 4, 5, 6, 7}});
  for (int a = 0; a < 2; ++a)
    for (int b = 0; b < 2; ++b)
      for (int c = 0; c < 2; ++c) {
        CHECK(episode_return(game, {{a, b, c}}) == 4 * a + 2 * b + c);
        CHECK(game.payoff(std::vector<int>{a, b, c}) == 4 * a + 2 * b + c);
      }
  CHECK(game.optimal_return() == 7);
  CHECK(play(game, {{0, 0, 0}}).front().terminated);
}

TEST_CASE("a matrix game shows a constant and who is who") {
  const MatrixGame game(3, 2, Vector<double>::Zero(8));
  CHECK(game.info() ==
        EnvironmentInfo{
            .n_agents = 3, .n_actions = 2, .obs_shape = 1, .state_shape = 1, .unit_dim = 3, .episode_limit = 1});
  const Seen seen = look(game);
  CHECK((seen.obs == Matrix<float>::Ones(1, 3)));
  CHECK((seen.state == Matrix<float>::Ones(1, 1)));
  CHECK((seen.units == Matrix<float>::Identity(3, 3)));
}

TEST_CASE("matrix games pass the conformance check") {
  MatrixGame two(2, 3, Vector<double>::LinSpaced(9, -4, 4));
  CHECK(check_environment(two) == std::vector<std::string>{});
  MatrixGame alone(1, 1, Vector<double>::Ones(1));
  CHECK(check_environment(alone) == std::vector<std::string>{});
}

TEST_CASE("a matrix game refuses wrong tables and actions") {
  const Vector<double> nine = Vector<double>::Zero(9);
  CHECK_THROWS_AS(MatrixGame(2, 2, nine), Error);
  CHECK_THROWS_AS(MatrixGame(0, 3, nine), Error);
  CHECK_THROWS_AS(MatrixGame(2, -3, nine), Error);
  for (const double wrong : {std::nan(""), std::numeric_limits<double>::infinity(), 1e39, -1e39})
    CHECK_THROWS_AS(MatrixGame(1, 2, Vector<double>{{0, wrong}}), Error);
  MatrixGame game(2, 3, nine);
  CHECK_THROWS_AS(play(game, {{0, 3}}), Error);
  CHECK_THROWS_AS(play(game, {{0, -1}}), Error);
  CHECK_THROWS_AS(play(game, {{0}}), Error);
}
