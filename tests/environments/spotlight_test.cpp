#include "qatten/environments/games/spotlight.hpp"

#include <Eigen/QR>
#include <cmath>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("only the action of the agent in the light counts") {
  const Vector<double> p{{0, 1, 2, 5}};
  Spotlight game(3, p);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(1, "light", e));
    for (Index joint = 0; joint < n_joint_actions(3, 4); ++joint) {
      const std::vector<int> actions = joint_action(joint, 3, 4);
      const StepResult result = game.step(actions);
      CHECK(result.reward == p[actions[static_cast<std::size_t>(game.lit())]]);
      CHECK(result.terminated);
    }
  }
  CHECK(game.optimal_return() == 5);
}

TEST_CASE("the state shows the light, the agents do not see it, and the units stacked are the state") {
  Spotlight game(5);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(2, "light", e));
    const Seen seen = look(game);
    CHECK((seen.obs == Matrix<float>::Ones(1, 5)));
    CHECK((seen.state.col(0) == Vector<float>::Unit(5, game.lit())));
    CHECK((seen.units.reshaped() == seen.state.col(0)));
  }
}

TEST_CASE("the light falls on every agent equally often") {
  const Index n = 10;
  const int episodes = 10'000;
  Spotlight game(n);
  Vector<double> count = Vector<double>::Zero(n);
  for (int e = 0; e < episodes; ++e) {
    game.reset(Random(3, "light", static_cast<std::uint64_t>(e)));
    count[game.lit()] += 1;
  }
  const double expected = static_cast<double>(episodes) / static_cast<double>(n);
  CHECK((count.array() - expected).square().sum() / expected < 27.88);  // 99.9 % quantile of chi-square, 9 degrees
}

TEST_CASE("the best state-blind sum of utilities misses by (n - 1)/n Var(p)") {
  const auto n = GENERATE(Index{1}, Index{2}, Index{3});
  const Vector<double> p = GENERATE(Vector<double>{{0, 1, 2, 5}}, Vector<double>{{-3, 0.5, 7}});
  const Spotlight game(n, p);
  const Index k = p.size(), joints = n_joint_actions(n, k);
  // One equation per light and joint action: sum_i utility(i, a_i) = p(a_light), by least squares.
  Matrix<double> A = Matrix<double>::Zero(n * joints, n * k);
  Vector<double> b(n * joints);
  for (Index light = 0; light < n; ++light)
    for (Index joint = 0; joint < joints; ++joint) {
      const std::vector<int> actions = joint_action(joint, n, k);
      const Index row = light * joints + joint;
      for (Index i = 0; i < n; ++i) A(row, i * k + actions[static_cast<std::size_t>(i)]) = 1;
      b[row] = p[actions[static_cast<std::size_t>(light)]];
    }
  const Vector<double> utilities = A.completeOrthogonalDecomposition().solve(b);
  const double mse = (A * utilities - b).squaredNorm() / static_cast<double>(b.size());
  CHECK(std::abs(mse - game.vdn_mse()) < 1e-12);
}

TEST_CASE("mean and variance of the default payoffs") {
  const Spotlight game;
  CHECK(game.info().n_agents == 4);
  CHECK(game.mean() == 2);
  CHECK(game.variance() == 3.5);
  CHECK(game.vdn_mse() == 2.625);
  CHECK(std::abs(Spotlight(100).vdn_mse() - 3.465) < 1e-12);
}

TEST_CASE("spotlight passes the conformance check and refuses nonsense") {
  for (const Index n : {1, 4, 100}) {
    Spotlight game(n);
    CHECK(check_environment(game) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(Spotlight(0), Error);
  CHECK_THROWS_AS(Spotlight(2, Vector<double>()), Error);
  CHECK_THROWS_AS(Spotlight(2, Vector<double>{{0, std::nan("")}}), Error);
  CHECK_THROWS_AS(Spotlight(2, Vector<double>{{0, INFINITY}}), Error);
  Spotlight game(2);
  CHECK_THROWS_AS(play(game, {{0, 4}}), Error);
  CHECK_THROWS_AS(play(game, {{0}}), Error);
}
