#pragma once
// A mixer or system by its name, trained on one game and shown.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "games.hpp"
#include "qatten/mixers/by_name.hpp"
#include "terminal.hpp"

struct Options {
  std::vector<std::string> mixers{"vdn", "qmix", "qatten", "iql"};
  std::string game;
  int updates = 2000;
  double lr = 0.005;
  qatten::MixerOptions mixer;
  std::uint64_t seed = 1;
};

/// Those that are a mixer of the agents' values, and those that are more. Both train, show, and return the seconds that
/// training took.
double run_mixer(const Game& game, const std::string& name, const Options& options, const Terminal& terminal);
double run_system(const Game& game, const std::string& name, const Options& options, const Terminal& terminal);

/// The names that `run_system` knows.
inline constexpr std::string_view systems[] = {"qplex", "qtran_base", "qtran_alt", "cw_qmix", "ow_qmix"};
