#include "qatten/environments/grid/predator_prey.hpp"

#include <map>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;
using grid::Cell;

namespace {

using Game = PredatorPrey;
using Cells = std::vector<Cell>;

constexpr int stay = Game::stay, up = Game::up, down = Game::down, left = Game::left, right = Game::right;

/// One step from these cells.
StepResult step_from(Game& game, const Cells& cells, const std::vector<int>& actions, std::uint64_t seed = 0) {
  game.reset(Random(seed), cells);
  return game.step(actions);
}

Cells cells_of(const Game& game) { return {game.cells().begin(), game.cells().end()}; }

}  // namespace

TEST_CASE("the authors' settings") {
  const Game small(predator_prey_setting("5x5")), large(predator_prey_setting("7x7"));
  CHECK(small.info() == EnvironmentInfo{2, 5, 8, 6, 2, 100});
  CHECK(large.info() == EnvironmentInfo{4, 5, 14, 12, 2, 100});
  CHECK(small.highest_return() == 100);
  CHECK(large.highest_return() == 200);
  CHECK_THROWS_AS(predator_prey_setting("6x6"), Error);
}

// A prey between the corner and two predators cannot move, and is then set anew.
TEST_CASE("a prey that two touch pays 1 and goes on elsewhere") {
  Game game;
  const Cells start = {{0, 1}, {1, 0}, {0, 0}};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const StepResult result = step_from(game, start, {stay, stay}, seed);
    CHECK(result.reward == 1);
    CHECK_FALSE(result.terminated);
    const Cells now = cells_of(game);
    CHECK(now[0] == start[0]);
    CHECK(now[1] == start[1]);
    CHECK(now[2] != start[2]);
    CHECK(game.metrics()[0].value == 1);
    CHECK(game.metrics()[1].value == 0);
  }
}

TEST_CASE("a prey that one touches costs the penalty and stays where it is") {
  for (const double penalty : {0.5, 1.5, 0.0}) {
    Game game({.penalty = penalty});
    // The prey in the corner between a predator and, two cells away, another: it may only go down, where none touches.
    std::map<bool, int> rewards;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const StepResult result = step_from(game, {{0, 1}, {4, 4}, {0, 0}}, {stay, stay}, seed);
      const bool went_down = game.cells()[2] == Cell{1, 0};
      CHECK((went_down || game.cells()[2] == Cell{0, 0}));
      CHECK(result.reward == (went_down ? 0.0f : -static_cast<float>(penalty)));
      CHECK(game.metrics()[1].value == !went_down);
      ++rewards[went_down];
    }
    CHECK(rewards.size() == 2);
  }
}

// Wherever the prey goes, (1, 2) and (3, 2) are as near as it gets.
TEST_CASE("diagonal cells do not touch") {
  Game game;
  std::map<bool, int> diagonal;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CHECK(step_from(game, {{0, 0}, {4, 4}, {2, 2}}, {right, left}, seed).reward == 0);  // to (0, 1) and (4, 3)
    ++diagonal[game.cells()[2].row != 2];
  }
  CHECK(diagonal.size() == 2);
}

TEST_CASE("who stands in the way moves first") {
  Game game({.size = 5, .n_predators = 3, .n_prey = 1});
  const auto after = [&](const Cells& cells, const std::vector<int>& actions) {
    step_from(game, cells, actions);
    Cells now = cells_of(game);
    now.pop_back();
    return now;
  };
  const Cell far{4, 4};
  // A train moves as one, whatever the order of its members.
  CHECK(after({{0, 0}, {0, 1}, {0, 2}, far}, {right, right, right}) == Cells{{0, 1}, {0, 2}, {0, 3}});
  CHECK(after({{0, 2}, {0, 1}, {0, 0}, far}, {right, right, right}) == Cells{{0, 3}, {0, 2}, {0, 1}});
  // One that is stopped stops those behind it.
  CHECK(after({{0, 0}, {0, 1}, {0, 2}, far}, {right, right, stay}) == Cells{{0, 0}, {0, 1}, {0, 2}});
  CHECK(after({{0, 2}, {0, 3}, {0, 4}, far}, {right, right, right}) == Cells{{0, 2}, {0, 3}, {0, 4}});
  // Two cannot change places.
  CHECK(after({{0, 0}, {0, 1}, {2, 2}, far}, {right, left, stay}) == Cells{{0, 0}, {0, 1}, {2, 2}});
  // Of two that want one cell the first gets it.
  CHECK(after({{0, 0}, {0, 2}, {2, 2}, far}, {right, left, up}) == Cells{{0, 1}, {0, 2}, {1, 2}});
  // A ring of four stands still.
  Game ring({.size = 5, .n_predators = 4, .n_prey = 1});
  const Cells square = {{0, 0}, {0, 1}, {1, 1}, {1, 0}, far};
  step_from(ring, square, {right, down, left, up});
  CHECK(std::equal(square.begin(), square.begin() + 4, ring.cells().begin()));
}

TEST_CASE("each action goes its way") {
  Game game({.size = 5, .n_predators = 1, .n_prey = 1});
  const std::map<int, Cell> ways = {{up, {1, 2}}, {left, {2, 1}}, {stay, {2, 2}}, {right, {2, 3}}, {down, {3, 2}}};
  for (const auto& [action, cell] : ways) {
    step_from(game, {{2, 2}, {0, 0}}, {action});
    CHECK(game.cells()[0] == cell);
  }
}

TEST_CASE("prey take each of their five actions equally often") {
  Game game({.size = 5, .n_predators = 1, .n_prey = 1});
  std::map<int, int> seen;
  const int steps = 5000;
  for (std::uint64_t seed = 0; seed < steps; ++seed) {
    step_from(game, {{0, 0}, {2, 2}}, {stay}, seed);
    ++seen[game.cells()[1].row * 5 + game.cells()[1].column];
  }
  REQUIRE(seen.size() == 5);
  for (const auto& [cell, count] : seen) CHECK(std::abs(count - steps / 5.0) < 5 * std::sqrt(steps * 0.2 * 0.8));
}

// Three on the four cells of a 2x2 board: the prey has two predators beside it if the free cell is the one across, one
// otherwise, wherever it goes. So an episode's first step pays 1/3 - 2/3 P on average.
TEST_CASE("the mean reward of the smallest board is that of its closed form") {
  const double penalty = 0.25;
  Game game({.size = 2, .n_predators = 2, .n_prey = 1, .penalty = penalty});
  const int episodes = 4000;
  double sum = 0;
  for (std::uint64_t seed = 0; seed < episodes; ++seed) {
    game.reset(Random(seed));
    sum += game.step(std::vector<int>{stay, stay}).reward;
  }
  const double deviation = (1 + penalty) * std::sqrt(2.0 / 9 / episodes);
  CHECK(std::abs(sum / episodes - (1 - 2 * penalty) / 3) < 5 * deviation);
}

TEST_CASE("everyone sees where all are from where it stands, scaled as the authors do") {
  Game game;
  game.reset(Random(0), Cells{{0, 4}, {3, 1}, {2, 2}});
  Vector<float> state(6);
  state << -0.5f, 0.3f, 0.1f, -0.3f, -0.1f, -0.1f;
  Matrix<float> obs(8, 2);
  obs.col(0) << 0.0f, 0.0f, 0.6f, -0.6f, 0.4f, -0.4f, -0.5f, 0.3f;
  obs.col(1) << -0.6f, 0.6f, 0.0f, 0.0f, -0.2f, 0.2f, 0.1f, -0.3f;
  const Seen seen = look(game);
  CHECK((seen.state.col(0) - state).cwiseAbs().maxCoeff() < 1e-7f);
  CHECK((seen.obs - obs).cwiseAbs().maxCoeff() < 1e-7f);
  for (Index i = 0; i < 2; ++i) CHECK((seen.units.col(i) == seen.state.col(0).segment(2 * i, 2)));
  CHECK((seen.available.array() == 1).all());
}

TEST_CASE("an episode is cut off at its limit, and repeats on its stream") {
  Game game({.episode_limit = 3});
  std::vector<Cells> paths;
  for (const std::uint64_t seed : {1u, 1u, 2u}) {
    game.reset(Random(seed));
    Cells path = cells_of(game);
    for (int t = 0; t < 3; ++t) {
      const StepResult result = game.step(std::vector<int>{right, up});
      CHECK_FALSE(result.terminated);
      CHECK(result.truncated == (t == 2));
      for (const Cell& c : game.cells()) path.push_back(c);
    }
    paths.push_back(path);
    CHECK_THROWS_AS(game.step(std::vector<int>{right, up}), Error);
  }
  CHECK(paths[0] == paths[1]);
  CHECK(paths[0] != paths[2]);
}

TEST_CASE("predator-prey passes the conformance check and refuses nonsense") {
  for (const char* name : {"5x5", "7x7"}) {
    Game game(predator_prey_setting(name));
    CHECK(check_environment(game, 1, 10) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(Game({.size = 1}), Error);
  CHECK_THROWS_AS(Game({.size = 2, .n_predators = 3, .n_prey = 1}), Error);
  CHECK_THROWS_AS(Game({.n_predators = 0}), Error);
  CHECK_THROWS_AS(Game({.n_prey = 0}), Error);
  CHECK_THROWS_AS(Game({.penalty = -1}), Error);
  CHECK_THROWS_AS(Game({.penalty = std::numeric_limits<double>::quiet_NaN()}), Error);
  CHECK_THROWS_AS(Game({.episode_limit = 0}), Error);
  Game game;
  CHECK_THROWS_AS(step_from(game, {{0, 0}, {1, 1}}, {stay, stay}), Error);
  CHECK_THROWS_AS(step_from(game, {{0, 0}, {1, 1}, {2, 2}}, {stay, 5}), Error);
  CHECK_THROWS_AS(step_from(game, {{0, 0}, {1, 1}, {2, 2}}, {stay}), Error);
}
