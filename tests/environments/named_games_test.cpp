// The tables of the literature, typed here a second time.

#include "qatten/environments/games/named_games.hpp"

#include <map>
#include <set>

#include "qatten/environments/check_environment.hpp"
#include "support/catch.hpp"

using namespace qatten;

TEST_CASE("every two-player game by name has the table of its source") {
  using Rows = std::vector<std::vector<double>>;
  const double k = -100;
  const std::map<std::string, Rows> expected = {
      {"qtran", {{8, -12, -12}, {-12, 0, 0}, {-12, 0, 0}}},
      {"qtran-near-tie", {{8, -12, -12}, {-12, 0, 0}, {-12, 0, 7.999}}},
      {"qtran-near-row", {{8, 7.9, -12}, {-12, 0, 0}, {-12, 0, 0}}},
      {"matrix_game_1", {{10.4, 0, 10}, {0, 10, 10}, {10, 10, 10}}},
      {"matrix_game_2", {{8, -12, -12}, {-12, 0, 0}, {-12, 0, 0}}},
      {"matrix_game_3", {{8, -12, -12}, {-12, 6, 0}, {-12, 0, 6}}},
      {"pymarl2", {{12, -0.1, -0.1}, {-0.1, 0, 0}, {-0.1, 0, 0}}},
      {"pymarl2-wall", {{12, -12, -12}, {-12, 0, 0}, {-12, 0, 0}}},
      {"pymarl2-tens", {{12, 0, 10}, {0, 0, 10}, {10, 10, 10}}},
      {"pymarl2-identity", {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
      {"climbing", {{11, -30, 0}, {-30, 7, 6}, {0, 0, 5}}},
      {"penalty0", {{10, 0, 0}, {0, 2, 0}, {0, 0, 10}}},
      {"penalty-10", {{10, 0, -10}, {0, 2, 0}, {-10, 0, 10}}},
      {"penalty-100", {{10, 0, k}, {0, 2, 0}, {k, 0, 10}}},
      {"resq", {{2.5, 0, k}, {0, 2, 0}, {k, k, 3}}},
      {"resq-open-row", {{2.5, 0, k}, {0, 2, 0}, {k, 0, 3}}},
      {"resq-open-corner", {{2.5, 0, k}, {0, 2, 0}, {0, 0, 3}}},
      {"two-step-2b", {{0, 1}, {1, 8}}},
      {"two-step-2b-linear", {{0, 1}, {1, 2}}},
      {"two-step-2b-nonmonotonic", {{2, 1}, {1, 8}}},
      {"xor", {{0, 1}, {1, 0}}},
      {"or", {{0, 1}, {1, 1}}},
      {"and", {{0, 0}, {0, 1}}},
      {"identity", {{1, 0}, {0, 1}}},
  };
  for (const auto& [name, rows] : expected) {
    INFO(name);
    const MatrixGame game = named_game(name);
    REQUIRE(game.info().n_agents == 2);
    REQUIRE(game.info().n_actions == std::ssize(rows));
    for (int i = 0; i < std::ssize(rows); ++i)
      for (int j = 0; j < std::ssize(rows); ++j)
        CHECK(game.payoff(std::vector<int>{i, j}) == rows[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)]);
  }
  CHECK(named_games().size() == expected.size() + 2);  // and two for more players
}

TEST_CASE("QTRAN's matrix for three and four agents") {
  // As listed in the source: agent 1 slowest; the fourth agent's tables begin with the third's.
  const Vector<double> three{
      {8, -12, -12, -12, 0, 0, -12, 0, 0, -12, 0, 0, 0, 0, 0, 0, 0, 0, -12, 0, 0, 0, 0, 0, 0, 0, 0}};
  CHECK((named_game("qtran-3").payoffs() == three));
  const MatrixGame game = named_game("qtran-4");
  REQUIRE(game.info().n_agents == 4);
  REQUIRE(game.payoffs().size() == 81);
  CHECK(game.payoffs().head(27) == three);
  for (const Index other_first : {27, 54}) {
    CHECK(game.payoffs()[other_first] == -12);
    CHECK((game.payoffs().segment(other_first + 1, 26) == Vector<double>::Zero(26)));
  }
}

TEST_CASE("every named game passes the conformance check and can be described on one line") {
  std::set<std::string> names;
  for (const NamedGame& named : named_games()) {
    INFO(named.name);
    CHECK(names.insert(named.name).second);
    CHECK_FALSE(named.description.empty());
    CHECK(named.name.size() + named.description.size() < 100);
    CHECK(named.description.find('\n') == std::string::npos);
    MatrixGame game = named.game;
    CHECK(check_environment(game) == std::vector<std::string>{});
  }
}

TEST_CASE("an unknown name is answered with the known ones") {
  std::string message;
  try {
    named_game("qtram");
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("got 'qtram'") != message.npos);
  for (const NamedGame& named : named_games()) CHECK(message.find(named.name) != message.npos);
}
