#include "qatten/environments/grid/stag_hunt.hpp"

#include <map>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;
using grid::Cell;

namespace {

using Cells = std::vector<Cell>;

constexpr int right = StagHunt::right, down = StagHunt::down, left = StagHunt::left, up = StagHunt::up,
              stay = StagHunt::stay, catch_stag = StagHunt::catch_stag;

StagHuntOptions sizes(Index agents, Index stags, double punishment = -2) {
  return {.miscapture_punishment = punishment, .n_agents = agents, .n_stags = stags};
}

StepResult step_from(StagHunt& game, const Cells& cells, const std::vector<int>& actions, std::uint64_t seed = 0) {
  game.reset(Random(seed), cells);
  return game.step(actions);
}

}  // namespace

TEST_CASE("WQMIX's setting") {
  const StagHunt game;
  CHECK(game.info() == EnvironmentInfo{8, 6, 75, 300, 2, 200});
  CHECK(game.highest_return() == 40);
}

TEST_CASE("two catch a stag and leave with it") {
  StagHunt game(sizes(3, 2));
  const StepResult result = step_from(game, {{4, 5}, {6, 5}, {0, 0}, {5, 5}, {9, 9}}, {catch_stag, catch_stag, stay});
  CHECK(result.reward == 10);
  CHECK_FALSE(result.terminated);
  for (const auto& [member, present] : std::map<int, bool>{{0, false}, {1, false}, {2, true}, {3, false}, {4, true}})
    CHECK(game.present(member) == present);
  const Seen seen = look(game);
  CHECK(seen.alive.col(0).cast<int>().sum() == 1);
  for (int i : {0, 1}) {
    CHECK((seen.obs.col(i).array() == 0).all());
    CHECK((seen.units.col(i).array() == 0).all());
    CHECK(seen.available.col(i).cast<int>().sum() == 1);
    CHECK(seen.available(stay, i) == 1);
  }
  CHECK(seen.state.sum() == 2);  // an agent and a stag are left
  CHECK(game.metrics()[0].value == 1);
  CHECK(game.metrics()[1].value == 0);
  CHECK_FALSE(game.step(std::vector<int>{stay, stay, stay}).terminated);
}

TEST_CASE("the cells of those who left are free") {
  StagHunt game(sizes(3, 2));
  step_from(game, {{4, 5}, {6, 5}, {4, 6}, {5, 5}, {9, 9}}, {catch_stag, catch_stag, stay});
  game.step(std::vector<int>{stay, stay, left});
  CHECK(game.cells()[2] == Cell{4, 5});
  game.step(std::vector<int>{stay, stay, down});
  CHECK(game.cells()[2] == Cell{5, 5});
}

TEST_CASE("one alone is punished, and the stag goes on") {
  for (const double punishment : {-2.0, 0.0, -1.25}) {
    StagHunt game(sizes(2, 1, punishment));
    const StepResult result = step_from(game, {{4, 5}, {0, 0}, {5, 5}}, {catch_stag, stay});
    CHECK(result.reward == static_cast<float>(punishment));
    CHECK(game.present(0));
    CHECK(game.present(2));
    CHECK(grid::adjacent(game.cells()[2], {5, 5}));
    CHECK(game.metrics()[0].value == 0);
    CHECK(game.metrics()[1].value == 1);
  }
}

TEST_CASE("all who catch a stag leave, those who only stand beside it do not") {
  StagHunt game(sizes(4, 2));
  const Cells cells = {{4, 5}, {6, 5}, {5, 4}, {5, 6}, {5, 5}, {9, 9}};
  CHECK(step_from(game, cells, {catch_stag, catch_stag, catch_stag, stay}).reward == 10);
  for (int i = 0; i < 4; ++i) CHECK(game.present(i) == (i == 3));
  // At a corner nobody catches; the catch of one far away counts nothing.
  CHECK(
      step_from(game, {{4, 4}, {6, 6}, {0, 0}, {0, 9}, {5, 5}, {9, 9}}, {catch_stag, catch_stag, stay, stay}).reward ==
      0);
  CHECK(game.metrics()[1].value == 0);
}

// The agent between two stags tries both, one after the other: if the one with a partner comes first, it has left
// before the other's turn; otherwise there it is punished.
TEST_CASE("stags take their turns in an order by chance") {
  StagHunt game(sizes(2, 2));
  std::map<float, int> rewards;
  const int games = 2000;
  for (std::uint64_t seed = 0; seed < games; ++seed)
    ++rewards[step_from(game, {{5, 5}, {5, 3}, {5, 4}, {5, 6}}, {catch_stag, catch_stag}, seed).reward];
  REQUIRE(rewards.size() == 2);
  CHECK(std::abs(rewards[10] - games / 2) < 5 * std::sqrt(games / 4.0));
  CHECK(std::abs(rewards[8] - games / 2) < 5 * std::sqrt(games / 4.0));
}

TEST_CASE("agents move in an order by chance, and a cell that is taken stops them") {
  StagHunt game(sizes(2, 1));
  int first = 0;
  const int games = 2000;
  for (std::uint64_t seed = 0; seed < games; ++seed) {
    step_from(game, {{0, 0}, {0, 2}, {9, 9}}, {right, left}, seed);  // both want (0, 1)
    const bool first_has_it = game.cells()[0] == Cell{0, 1};
    CHECK(game.cells()[1] == (first_has_it ? Cell{0, 2} : Cell{0, 1}));
    first += first_has_it;
  }
  CHECK(std::abs(first - games / 2) < 5 * std::sqrt(games / 4.0));
  step_from(game, {{0, 0}, {0, 1}, {9, 9}}, {right, stay});
  CHECK(game.cells()[0] == Cell{0, 0});
  step_from(game, {{9, 8}, {0, 1}, {9, 9}}, {right, stay});  // a stag stands there
  CHECK(game.cells()[0] == Cell{9, 8});
}

TEST_CASE("each action goes its way, within the edge") {
  StagHunt game(sizes(1, 1));
  const std::map<int, Cell> ways = {{right, {5, 6}}, {down, {6, 5}}, {left, {5, 4}}, {up, {4, 5}}, {stay, {5, 5}}};
  for (const auto& [action, cell] : ways) {
    step_from(game, {{5, 5}, {0, 9}}, {action});
    CHECK(game.cells()[0] == cell);
  }
  game.reset(Random(0), Cells{{0, 0}, {9, 9}});
  const Seen corner = look(game);
  Vector<std::uint8_t> available(6);
  available << 1, 1, 0, 0, 1, 0;
  CHECK((corner.available.col(0) == available));
  game.reset(Random(0), Cells{{0, 0}, {0, 1}});
  available(catch_stag) = 1;
  CHECK((look(game).available.col(0) == available));
  StagHunt pair(sizes(2, 1));
  pair.reset(Random(0), Cells{{0, 0}, {0, 1}, {9, 9}});  // an agent is no stag
  available(catch_stag) = 0;
  CHECK((look(pair).available.col(0) == available));
}

TEST_CASE("a stag always moves if it can, each way equally often") {
  StagHunt game(sizes(2, 1));
  std::map<int, int> seen;
  const int games = 3000;
  for (std::uint64_t seed = 0; seed < games; ++seed) {
    step_from(game, {{4, 5}, {0, 0}, {5, 5}}, {stay, stay}, seed);
    ++seen[game.cells()[2].row * 10 + game.cells()[2].column];
  }
  REQUIRE(seen.size() == 3);
  for (const int cell : {65, 54, 56})
    CHECK(std::abs(seen[cell] - games / 3.0) < 5 * std::sqrt(games * (1 / 3.0) * (2 / 3.0)));
  step_from(game, {{0, 1}, {1, 0}, {0, 0}}, {stay, stay});
  CHECK(game.cells()[2] == Cell{0, 0});
}

TEST_CASE("an agent sees the 5x5 cells around it, the state shows all") {
  StagHunt game(sizes(2, 2));
  game.reset(Random(0), Cells{{1, 1}, {2, 3}, {0, 0}, {9, 4}});
  const Seen seen = look(game);
  const auto expect = [](const auto& column, std::vector<Index> ones) {
    Vector<float> expected = Vector<float>::Zero(column.size());
    for (const Index one : ones) expected(one) = 1;
    return (column == expected);
  };
  // (row in the window * 5 + column) * 3 + kind; the first agent's window begins at (-1, -1), the second's at (0, 1).
  CHECK(expect(seen.obs.col(0), {(2 * 5 + 2) * 3, (3 * 5 + 4) * 3, (1 * 5 + 1) * 3 + 1}));
  CHECK(expect(seen.obs.col(1), {(2 * 5 + 2) * 3, (1 * 5 + 0) * 3}));
  CHECK(expect(seen.state.col(0), {(1 * 10 + 1) * 3, (2 * 10 + 3) * 3, 1, (9 * 10 + 4) * 3 + 1}));
  CHECK(std::abs(seen.units(0, 1) + 0.3f) < 1e-7f);
  CHECK(std::abs(seen.units(1, 1) + 0.2f) < 1e-7f);
}

TEST_CASE("an episode ends with the last stag, with the last agents, or is cut off") {
  StagHunt last_stag(sizes(3, 1));
  CHECK(step_from(last_stag, {{4, 5}, {6, 5}, {0, 0}, {5, 5}}, {catch_stag, catch_stag, stay}).terminated);
  CHECK_THROWS_AS(last_stag.step(std::vector<int>{stay, stay, stay}), Error);
  StagHunt last_agents(sizes(2, 2));
  CHECK(step_from(last_agents, {{4, 5}, {6, 5}, {5, 5}, {0, 0}}, {catch_stag, catch_stag}).terminated);
  StagHunt limited({.n_agents = 2, .n_stags = 1, .episode_limit = 2});
  const StepResult first = step_from(limited, {{0, 0}, {0, 5}, {9, 9}}, {stay, stay});
  CHECK_FALSE((first.terminated || first.truncated));
  const StepResult second = limited.step(std::vector<int>{stay, stay});
  CHECK((second.truncated && !second.terminated));
}

// Whatever happens: a capture takes a stag and two agents or more, and the rewards are what the metrics count.
TEST_CASE("rewards and members add up in whole episodes, which repeat on their streams") {
  StagHunt game;
  std::map<std::uint64_t, double> returns;
  for (const std::uint64_t seed : {1u, 2u, 3u, 1u}) {
    Random random(seed, "actions");
    game.reset(Random(seed));
    double sum = 0;
    for (bool going_on = true; going_on;) {
      const Seen seen = look(game);
      std::vector<int> actions;
      for (int i = 0; i < 8; ++i)  // catches whenever it can, else moves by chance
        if (seen.available(catch_stag, i) != 0) {
          actions.push_back(catch_stag);
        } else {
          int a = 0;
          do a = static_cast<int>(random.integer(5));
          while (seen.available(a, i) == 0);
          actions.push_back(a);
        }
      const StepResult result = game.step(actions);
      sum += result.reward;
      going_on = !result.terminated && !result.truncated;
      int members = 0;
      for (int k = 0; k < 16; ++k) members += game.present(k);
      CHECK(look(game).state.sum() == static_cast<float>(members));
    }
    const double captures = game.metrics()[0].value, misses = game.metrics()[1].value;
    CHECK(sum == 10 * captures - 2 * misses);
    CHECK(captures > 0);
    int agents = 0, stags = 0;
    for (int k = 0; k < 8; ++k) {
      agents += game.present(k);
      stags += game.present(8 + k);
    }
    CHECK(stags == 8 - captures);
    CHECK(agents <= 8 - 2 * captures);
    if (returns.contains(seed)) CHECK(returns[seed] == sum);
    returns[seed] = sum;
  }
}

TEST_CASE("stag hunt passes the conformance check and refuses nonsense") {
  for (const double punishment : {0.0, -2.0}) {
    StagHunt game({.miscapture_punishment = punishment});
    CHECK(check_environment(game, 1, 5) == std::vector<std::string>{});
  }
  CHECK_THROWS_AS(StagHunt({.world_size = 4}), Error);
  CHECK_THROWS_AS(StagHunt(sizes(0, 1)), Error);
  CHECK_THROWS_AS(StagHunt(sizes(1, 0)), Error);
  CHECK_THROWS_AS(StagHunt({.miscapture_punishment = -std::numeric_limits<double>::infinity()}), Error);
  CHECK_THROWS_AS(StagHunt({.episode_limit = 0}), Error);
  StagHunt game(sizes(2, 1));
  CHECK_THROWS_AS(step_from(game, {{0, 0}, {0, 1}}, {stay, stay}), Error);
  CHECK_THROWS_AS(step_from(game, {{0, 0}, {0, 1}, {0, 2}}, {stay, 6}), Error);
}
