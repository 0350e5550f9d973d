#include "qatten/environments/games/duet.hpp"

#include <map>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("the actions of who is told and of who is named count, and no other") {
  const Matrix<double> payoff{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  Duet game(4, payoff);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(1, "pair", e));
    REQUIRE(game.told() != game.named());
    const auto i = static_cast<std::size_t>(game.told()), j = static_cast<std::size_t>(game.named());
    for (Index joint = 0; joint < n_joint_actions(4, 3); ++joint) {
      const std::vector<int> actions = joint_action(joint, 4, 3);
      const StepResult result = game.step(actions);
      CHECK(result.reward == payoff(actions[i], actions[j]));
      CHECK(result.terminated);
    }
  }
  CHECK(game.optimal_return() == 9);
  CHECK(Duet().optimal_return() == 10);
}

TEST_CASE("who is told sees the name, nobody else sees anything, and the state shows both") {
  Duet game(5);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(2, "pair", e));
    const Seen seen = look(game);
    Matrix<float> obs = Matrix<float>::Zero(5, 5), units = Matrix<float>::Zero(2, 5);
    obs(game.named(), game.told()) = 1;
    units(0, game.told()) = units(1, game.named()) = 1;
    CHECK((seen.obs == obs));
    CHECK((seen.units == units));
    CHECK((seen.state.topRows(5) == units.row(0).transpose()));
    CHECK((seen.state.bottomRows(5) == units.row(1).transpose()));
  }
}

TEST_CASE("every pair is drawn equally often") {
  const int episodes = 12'000;
  Duet game(4);
  std::map<std::pair<Index, Index>, int> count;
  for (int e = 0; e < episodes; ++e) {
    game.reset(Random(3, "pair", static_cast<std::uint64_t>(e)));
    ++count[{game.told(), game.named()}];
  }
  REQUIRE(count.size() == 12);
  double chi_square = 0;
  for (const auto& [pair, times] : count) chi_square += (times - 1000.) * (times - 1000.) / 1000;
  CHECK(chi_square < 31.26);  // 99.9 % quantile, 11 degrees
}

TEST_CASE("what is got by who heeds what it is told, by who does not, and by chance") {
  for (const Index n : {2, 3, 4, 5, 6}) {
    double most = 0, mean = 0, square = 0;
    const Index joints = n_joint_actions(n, 2);
    for (Index joint = 0; joint < joints; ++joint) {
      const std::vector<int> actions = joint_action(joint, n, 2);
      double apart = 0;
      for (std::size_t i = 0; i < actions.size(); ++i)
        for (std::size_t j = i + 1; j < actions.size(); ++j) apart += actions[i] != actions[j] ? 10 : 0;
      apart /= double(n * (n - 1) / 2);
      most = std::max(most, apart);
      mean += apart / double(joints);
      square += 10 * apart / double(joints);
    }
    const Index k = n / 2;
    CHECK(std::abs(most - 10 * double(k * (n - k)) / double(n * (n - 1) / 2)) < 1e-12);
    CHECK(std::abs(mean - 5) < 1e-12);
    CHECK(std::abs(square - mean * mean - 25) < 1e-12);
  }
}

TEST_CASE("duet passes the conformance check and refuses nonsense") {
  for (const Index n : {2, 6, 30}) {
    Duet game(n);
    CHECK(check_environment(game) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(Duet(1), Error);
  CHECK_THROWS_AS(Duet(3, Matrix<double>()), Error);
  CHECK_THROWS_AS(Duet(3, Matrix<double>{{0, 1}}), Error);
  CHECK_THROWS_AS(Duet(3, Matrix<double>{{std::nan("")}}), Error);
  Duet game(2);
  CHECK_THROWS_AS(play(game, {{0, 2}}), Error);
  CHECK_THROWS_AS(play(game, {{0}}), Error);
}
