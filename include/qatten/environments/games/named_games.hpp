#pragma once
// The matrix games of the literature, by name.

#include <string>
#include <string_view>
#include <vector>

#include "qatten/environments/games/payoff_text.hpp"

namespace qatten::inline QATTEN_ABI {

struct NamedGame {
  std::string name;
  std::string description;  ///< one line
  MatrixGame game;
};

namespace detail {

/// QTRAN's matrix for n agents with actions A, B, C: 8 if all play A, -12 if exactly one does not, else 0.
inline MatrixGame all_or_nothing(Index n_agents) {
  Vector<double> payoff(n_joint_actions(n_agents, 3));
  for (Index index = 0; index < payoff.size(); ++index) {
    Index deviating = 0;
    for (const int action : joint_action(index, n_agents, 3)) deviating += action != 0;
    payoff[index] = deviating == 0 ? 8 : deviating == 1 ? -12 : 0;
  }
  return MatrixGame(n_agents, 3, payoff);
}

}  // namespace detail

/// All named games. Where sources disagree about orientation (climbing, penalty), rows and columns are those of Claus
/// and Boutilier 1998: climbing pays 6 where agent 1 plays its second action and agent 2 its third.
inline const std::vector<NamedGame>& named_games() {
  const auto game = [](const char* text) { return matrix_game_from_text(text); };
  static const std::vector<NamedGame> games = {
      {"qtran", "QTRAN's matrix (Son 2019): 8 in the corner behind a wall of -12", game("8,-12,-12; -12,0,0; -12,0,0")},
      {"qtran-3", "the same idea for 3 agents: 8 if all play A, -12 if exactly one does not, else 0",
       detail::all_or_nothing(3)},
      {"qtran-4", "the same idea for 4 agents", detail::all_or_nothing(4)},
      {"qtran-near-tie", "qtran with a second peak of 7.999", game("8,-12,-12; -12,0,0; -12,0,7.999")},
      {"qtran-near-row", "qtran with 7.9 beside the optimum", game("8,7.9,-12; -12,0,0; -12,0,0")},
      {"matrix_game_1", "QPLEX (Wang 2021): the optimum 10.4 hidden among tens", game("10.4,0,10; 0,10,10; 10,10,10")},
      {"matrix_game_2", "qtran under QPLEX's name", game("8,-12,-12; -12,0,0; -12,0,0")},
      {"matrix_game_3", "QPLEX (Wang 2021): qtran with two more peaks of 6", game("8,-12,-12; -12,6,0; -12,0,6")},
      {"pymarl2", "PyMARL2's one-step game: easy, its wall is -0.1", game("12,-0.1,-0.1; -0.1,0,0; -0.1,0,0")},
      {"pymarl2-wall", "PyMARL2's one-step game with a wall of -12", game("12,-12,-12; -12,0,0; -12,0,0")},
      {"pymarl2-tens", "PyMARL2's one-step game: monotone but for one corner", game("12,0,10; 0,0,10; 10,10,10")},
      {"pymarl2-identity", "PyMARL2's one-step game: 1 where three actions agree", game("1,0,0; 0,1,0; 0,0,1")},
      {"climbing", "climbing (Claus and Boutilier 1998): 11 beside -30", game("11,-30,0; -30,7,6; 0,0,5")},
      {"penalty0", "penalty game (Claus and Boutilier 1998), k = 0", game("10,0,0; 0,2,0; 0,0,10")},
      {"penalty-10", "penalty game, k = -10", game("10,0,-10; 0,2,0; -10,0,10")},
      {"penalty-100", "penalty game, k = -100", game("10,0,-100; 0,2,0; -100,0,10")},
      {"resq", "in the style of ResQ (Shen 2022): 3 in a corner behind -100", game("2.5,0,-100; 0,2,0; -100,-100,3")},
      {"resq-open-row", "resq with one -100 less", game("2.5,0,-100; 0,2,0; -100,0,3")},
      {"resq-open-corner", "resq with a single -100", game("2.5,0,-100; 0,2,0; 0,0,3")},
      {"two-step-2b", "state 2B of the two-step game (Rashid 2018)", game("0,1; 1,8")},
      {"two-step-2b-linear", "state 2B with additive payoffs", game("0,1; 1,2")},
      {"two-step-2b-nonmonotonic", "state 2B with 2 where both play the first action", game("2,1; 1,8")},
      {"xor", "1 where the actions differ", game("0,1; 1,0")},
      {"or", "1 where either plays its second action: monotone, yet no convex mixer fits it", game("0,1; 1,1")},
      {"and", "1 where both play their second action", game("0,0; 0,1")},
      {"identity", "1 where the actions agree", game("1,0; 0,1")},
  };
  return games;
}

/// The game of that name. Throws an Error that lists the known names when there is none.
inline MatrixGame named_game(std::string_view name) {
  std::string known;
  for (const NamedGame& game : named_games()) {
    if (game.name == name) return game.game;
    known += (known.empty() ? "" : ", ") + game.name;
  }
  throw Error("named_game: got '" + std::string(name) + "', expected one of " + known);
}

}  // namespace qatten::inline QATTEN_ABI
