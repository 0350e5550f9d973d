#include "qatten/environments/games/gaussian_squeeze.hpp"

#include <cmath>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("the payoff of the mean weighted action in closed form") {
  const GaussianSqueeze single(10), multi(10, SqueezeDomains::multi);
  // x exp(-(x - 8)^2 / 0.25), plus x exp(-(x - 5)^2)
  CHECK(single.payoff(8) == 8);
  CHECK(std::abs(single.payoff(7.5) - 7.5 * std::exp(-1.0)) < 1e-14);
  CHECK(std::abs(single.payoff(9) - 9 * std::exp(-4.0)) < 1e-14);
  CHECK(single.payoff(0) == 0);
  CHECK(std::abs(multi.payoff(8) - 8 * (1 + std::exp(-9.0))) < 1e-14);
  CHECK(std::abs(multi.payoff(5) - 5 * (1 + std::exp(-36.0))) < 1e-14);
  CHECK(std::abs(multi.payoff(6) - 6 * (std::exp(-1.0) + std::exp(-16.0))) < 1e-14);
}

TEST_CASE("the reward is the payoff of the weights that the agents see") {
  GaussianSqueeze game(3, SqueezeDomains::multi);
  Random chance(5);
  for (std::uint64_t e = 0; e < 50; ++e) {
    game.reset(Random(6, "squeeze", e));
    const Seen seen = look(game);
    CHECK((seen.obs.row(0).transpose() == seen.state.col(0)));
    CHECK((seen.units == seen.obs));
    CHECK((seen.state.col(0) == game.weights().cast<float>()));
    CHECK((seen.state.array() >= 0 && seen.state.array() <= 2).all());
    std::vector<int> actions;
    double x = 0;
    for (Index i = 0; i < 3; ++i) {
      actions.push_back(static_cast<int>(chance.integer(11)));
      x += game.weights()[i] * actions.back() / 3;
    }
    const double expected = x * std::exp(-4 * (x - 8) * (x - 8)) + x * std::exp(-(x - 5) * (x - 5));
    CHECK(std::abs(game.step(actions).reward - expected) < 1e-6);
  }
}

TEST_CASE("the weights are uniform in [0, 2)") {
  GaussianSqueeze game(10'000);
  game.reset(Random(11));
  const auto s = game.weights().array();
  CHECK((s >= 0 && s < 2).all());
  // Mean 1 and variance 1/3, within 3.3 standard errors: sqrt(1/3 / n) and sqrt((1/5 - 1/9) / n).
  CHECK(std::abs(s.mean() - 1) < 3.3 * std::sqrt(1.0 / 3 / 1e4));
  CHECK(std::abs((s - 1).square().mean() - 1.0 / 3) < 3.3 * std::sqrt(4.0 / 45 / 1e4));
}

TEST_CASE("Gaussian squeeze passes the conformance check and refuses nonsense") {
  for (const auto domains : {SqueezeDomains::single, SqueezeDomains::multi}) {
    GaussianSqueeze game(4, domains);
    CHECK(check_environment(game) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(GaussianSqueeze(0), Error);
  GaussianSqueeze game(2);
  CHECK_THROWS_AS(play(game, {{0, 11}}), Error);
  CHECK_THROWS_AS(play(game, {{0}}), Error);
}
