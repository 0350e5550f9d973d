#include "qatten/environments/games/hearsay.hpp"

#include <cmath>
#include <set>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

/// One stream for each way in which a game can start: k symbols and n − 1 questions for each of n agents.
std::vector<Random> starts(Hearsay& game) {
  const auto [n, k, obs, state, unit, limit] = game.info();
  const auto count = static_cast<std::size_t>(std::pow(double(k * (n - 1)), double(n)));
  std::set<std::vector<Index>> seen;
  std::vector<Random> streams;
  for (std::uint64_t e = 0; streams.size() < count; ++e) {
    const Random stream(0, "start", e);
    game.reset(stream);
    std::vector<Index> start;
    for (Index i = 0; i < n; ++i) start.insert(start.end(), {game.symbol(i), game.asked(i)});
    if (seen.insert(start).second) streams.push_back(stream);
  }
  return streams;
}

}  // namespace

TEST_CASE("the reward of the second step is the share of agents that name what they are asked for") {
  Hearsay game(3, 2);
  for (std::uint64_t e = 0; e < 30; ++e) {
    for (Index joint = 0; joint < n_joint_actions(3, 2); ++joint) {
      game.reset(Random(1, "hearsay", e));
      const std::vector<int> answers = joint_action(joint, 3, 2);
      const StepResult waited = game.step(std::vector<int>{0, 0, 0});
      CHECK(waited.reward == 0);
      CHECK_FALSE(waited.terminated);
      const StepResult result = game.step(answers);
      int right = 0;
      for (Index i = 0; i < 3; ++i) {
        REQUIRE(game.asked(i) != i);
        right += answers[static_cast<std::size_t>(i)] == game.symbol(game.asked(i));
      }
      CHECK(std::abs(result.reward - float(right) / 3) < 1e-7F);
      CHECK(result.terminated);
    }
  }
}

TEST_CASE("each agent sees its symbol and its question once, the state shows both of all agents") {
  const Index n = 3, k = 4;
  Hearsay game(n, k);
  for (std::uint64_t e = 0; e < 20; ++e) {
    game.reset(Random(2, "hearsay", e));
    Matrix<float> units = Matrix<float>::Zero(k + n, n);
    for (Index i = 0; i < n; ++i) units(game.symbol(i), i) = units(k + game.asked(i), i) = 1;
    for (int t = 0; t < 3; ++t) {
      const Seen seen = look(game);
      CHECK((seen.obs == (t == 0 ? units : Matrix<float>::Zero(k + n, n))));
      CHECK((seen.units == units));
      CHECK((seen.state.reshaped() == units.reshaped()));
      CHECK((seen.available.cast<int>().colwise().sum().array() == (t == 0 ? 1 : k)).all());
      CHECK((seen.available.row(0).array() == 1).all());
      if (t < 2) game.step(std::vector<int>(static_cast<std::size_t>(n), 0));
    }
  }
}

TEST_CASE("whatever agents answer from what they see themselves, over all starts 1/k of it is right") {
  const auto [n, k] =
      GENERATE(std::pair<Index, Index>{2, 3}, std::pair<Index, Index>{3, 2}, std::pair<Index, Index>{3, 4});
  Hearsay game(n, k);
  const std::vector<Random> streams = starts(game);
  Random random(3);
  for (int policy = 0; policy < 20; ++policy) {
    // answer(own symbol · n + question, agent): any deterministic policy, and so any mixture of them
    Matrix<int> answer(k * n, n);
    for (int& a : answer.reshaped()) a = static_cast<int>(random.integer(k));
    double sum = 0, told = 0;
    for (const Random& stream : streams) {
      std::vector<int> silent, informed;
      game.reset(stream);
      for (Index i = 0; i < n; ++i) {
        silent.push_back(answer(game.symbol(i) * n + game.asked(i), i));
        informed.push_back(static_cast<int>(game.symbol(game.asked(i))));
      }
      game.step(std::vector<int>(static_cast<std::size_t>(n), 0));
      sum += double(game.step(silent).reward);
      game.reset(stream);
      game.step(std::vector<int>(static_cast<std::size_t>(n), 0));
      told += double(game.step(informed).reward);
    }
    CHECK(std::abs(sum / double(streams.size()) - game.silent_return()) < 1e-6);
    CHECK(told / double(streams.size()) == game.optimal_return());
  }
}

TEST_CASE("hearsay passes the conformance check and refuses nonsense") {
  for (const Index n : {2, 4, 20}) {
    Hearsay game(n, n);
    CHECK(check_environment(game) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(Hearsay(1, 2), Error);
  CHECK_THROWS_AS(Hearsay(2, 1), Error);
  Hearsay game(2, 3);
  CHECK_THROWS_AS(play(game, {{0, 3}}), Error);
  CHECK_THROWS_AS(play(game, {{0}}), Error);
  CHECK_THROWS_AS(play(game, {{0, 0}, {0, 0}, {0, 0}}), Error);
  CHECK(Hearsay().info() == EnvironmentInfo{4, 4, 8, 32, 8, 2});
}
