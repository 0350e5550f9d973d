#include "qatten/environments/games/two_context_game.hpp"

#include <cmath>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("both contexts are sums f(a_1) + f(a_2)") {
  const double f[2][3] = {{5, 3, 0}, {0, 3, 5}};
  for (int context = 0; context < 2; ++context)
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j)
        CHECK(TwoContextGame::payoff(context, std::vector<int>{i, j}) == f[context][i] + f[context][j]);
  CHECK_THROWS_AS(TwoContextGame::payoff(2, std::vector<int>{0, 0}), Error);
  CHECK_THROWS_AS(TwoContextGame::payoff(0, std::vector<int>{0, 3}), Error);
}

TEST_CASE("the context comes from the stream, is seen by all and decides the reward") {
  TwoContextGame game;
  int second = 0;
  const int episodes = 1000;
  for (int e = 0; e < episodes; ++e) {
    game.reset(Random(7, "context", static_cast<std::uint64_t>(e)));
    const Vector<float> context = Vector<float>::Unit(2, game.context());
    const Seen seen = look(game);
    CHECK((seen.state.col(0) == context));
    CHECK((seen.obs.col(0) == context));
    CHECK((seen.obs.col(1) == context));
    CHECK((seen.units == Matrix<float>::Identity(2, 2)));
    CHECK(game.step(std::vector<int>{0, 0}).reward == (game.context() == 0 ? 10 : 0));
    CHECK(game.step(std::vector<int>{2, 2}).reward == (game.context() == 0 ? 0 : 10));
    second += game.context() == 1;
  }
  CHECK(std::abs(second - episodes / 2) < 3.3 * std::sqrt(episodes) / 2);  // 99.9 % of all seeds
  CHECK(game.optimal_return() == 10);
}

TEST_CASE("the two-context game passes the conformance check") {
  TwoContextGame game;
  CHECK(check_environment(game) == std::vector<std::string>{});
}
