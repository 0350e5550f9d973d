#include "qatten/environments/games/n_step_game.hpp"

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

/// The same joint action for `steps` steps, then `last`.
std::vector<std::vector<int>> plan(Index steps, std::vector<int> same, std::vector<int> last) {
  std::vector<std::vector<int>> actions(static_cast<std::size_t>(steps), same);
  actions.push_back(last);
  return actions;
}

}  // namespace

TEST_CASE("a change of mind at the end of branch 00 is worth K + 3, keeping to a branch K") {
  const Index steps = GENERATE(2, 3, 10);
  for (const int good_branches : {2, 4}) {
    NStepGame game(steps, good_branches);
    const double k = static_cast<double>(steps);
    CHECK(episode_return(game, plan(steps - 1, {0, 0}, {1, 1})) == k + 3);
    CHECK(game.optimal_return() == k + 3);
    CHECK(episode_return(game, plan(steps - 1, {0, 0}, {0, 0})) == k);
    CHECK(episode_return(game, plan(steps - 1, {0, 0}, {0, 1})) == k);
    CHECK(episode_return(game, plan(steps - 1, {0, 0}, {1, 0})) == k);
    CHECK(episode_return(game, plan(steps - 1, {1, 1}, {1, 1})) == k);
    CHECK(episode_return(game, plan(steps - 1, {1, 1}, {0, 0})) == k - 1);
  }
}

TEST_CASE("the mixed branches pay with four good branches and end at once with two") {
  for (const auto& joint : {std::vector<int>{0, 1}, std::vector<int>{1, 0}}) {
    NStepGame four(5, 4), two(5, 2);
    CHECK(episode_return(four, plan(4, joint, joint)) == 5);
    CHECK(episode_return(four, plan(4, joint, {1, 1})) == 4);
    CHECK(episode_return(two, {joint}) == 0);
  }
}

TEST_CASE("leaving a branch before the end pays nothing and ends the episode") {
  NStepGame game(5);
  CHECK(episode_return(game, plan(3, {0, 0}, {1, 1})) == 3);
  CHECK(episode_return(game, plan(1, {1, 1}, {1, 0})) == 1);
}

TEST_CASE("no plan does better than K + 3") {
  NStepGame game(4);
  double best = 0;
  for (Index code = 0; code < n_joint_actions(4, 4); ++code) {  // one of four joint actions at each of four steps
    game.reset(Random(0));
    double sum = 0;
    for (const int joint : joint_action(code, 4, 4)) {
      const StepResult result = game.step(joint_action(joint, 2, 2));
      sum += result.reward;
      if (result.terminated) break;
    }
    best = std::max(best, sum);
  }
  CHECK(best == 7);
}

TEST_CASE("everyone sees the step and the branch") {
  NStepGame game(3);
  const auto expect = [&](std::vector<Index> ones) {
    Vector<float> state = Vector<float>::Zero(8);
    for (const Index one : ones) state[one] = 1;
    const Seen seen = look(game);
    CHECK((seen.state.col(0) == state));
    CHECK((seen.obs.col(0) == state));
    CHECK((seen.obs.col(1) == state));
    CHECK((seen.units == Matrix<float>::Identity(2, 2)));
  };
  play(game, {});
  expect({0});
  play(game, {{1, 0}});
  expect({1, 4 + 2});
  play(game, {{1, 1}, {1, 1}});
  expect({2, 4 + 3});
  play(game, {{0, 0}, {0, 0}, {1, 1}});
  expect({3, 4 + 0});
}

TEST_CASE("the n-step game passes the conformance check and refuses nonsense") {
  for (const int good_branches : {2, 4}) {
    NStepGame game(6, good_branches);
    CHECK(check_environment(game, 1, 50) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(NStepGame(1), Error);
  CHECK_THROWS_AS(NStepGame(5, 3), Error);
  NStepGame game(2);
  CHECK_THROWS_AS(play(game, plan(2, {0, 0}, {0, 0})), Error);
  CHECK_THROWS_AS(play(game, {{0, 2}}), Error);
}
