#include "qatten/environments/games/duet.hpp"

#include <map>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

TEST_CASE("only the two in the light count, the lower index first") {
  const Matrix<double> payoff{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  Duet game(4, payoff);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(1, "light", e));
    const auto [i, j] = game.lit();
    REQUIRE(i < j);
    for (Index joint = 0; joint < n_joint_actions(4, 3); ++joint) {
      const std::vector<int> actions = joint_action(joint, 4, 3);
      const StepResult result = game.step(actions);
      CHECK(result.reward == payoff(actions[static_cast<std::size_t>(i)], actions[static_cast<std::size_t>(j)]));
      CHECK(result.terminated);
    }
  }
  CHECK(game.optimal_return() == 9);
  CHECK(Duet().optimal_return() == 1);
}

TEST_CASE("everyone sees the light, and so does the state") {
  Duet game(5);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(2, "light", e));
    const Seen seen = look(game);
    const Vector<float> want = Vector<float>::Unit(5, game.lit().first) + Vector<float>::Unit(5, game.lit().second);
    for (Index k = 0; k < 5; ++k) CHECK((seen.obs.col(k) == want));
    CHECK((seen.state.col(0) == want));
    CHECK((seen.units.reshaped() == want));
  }
}

TEST_CASE("the light falls on every pair equally often") {
  const int episodes = 10'000;
  Duet game(5);
  std::map<std::pair<Index, Index>, int> count;
  for (int e = 0; e < episodes; ++e) {
    game.reset(Random(3, "light", static_cast<std::uint64_t>(e)));
    ++count[game.lit()];
  }
  REQUIRE(count.size() == 10);
  double chi_square = 0;
  for (const auto& [pair, times] : count) chi_square += (times - 1000.) * (times - 1000.) / 1000;
  CHECK(chi_square < 27.88);  // 99.9 % quantile, 9 degrees
}

TEST_CASE("who does not heed the light tells apart k (n - k) of the pairs") {
  for (const Index n : {2, 3, 4, 5, 6}) {
    Index most = 0;
    for (Index joint = 0; joint < n_joint_actions(n, 2); ++joint) {
      const std::vector<int> actions = joint_action(joint, n, 2);
      Index apart = 0;
      for (std::size_t i = 0; i < actions.size(); ++i)
        for (std::size_t j = i + 1; j < actions.size(); ++j) apart += actions[i] != actions[j];
      most = std::max(most, apart);
    }
    CHECK(most == n / 2 * (n - n / 2));
  }
}

TEST_CASE("duet passes the conformance check and refuses nonsense") {
  for (const Index n : {2, 5, 30}) {
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
