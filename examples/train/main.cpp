// Trains a team on an environment by its name, into a folder that it can go on from.

#include <algorithm>
#include <iostream>

#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/skirmish/maps.hpp"
#include "training/training.hpp"

using namespace qatten;

namespace {

void print_help() {
  std::cout << "train --env <environment> [--<option> <value>]...\n"
               "train --resume <folder of a run> [--t_max <steps>]\n"
               "train --evaluate <folder of a run> [--env <environment>] [--test_nepisode <episodes>]\n"
               "train --options_file <JSON file> [--<option> <value>]...\n"
               "train --list\n"
               "PyMARL's way of writing options, with <option>=<value>, works too.\n\n";
  print_training_help();
}

void print_variants() {
  for (const NamedGame& game : named_games())
    std::cout << "  matrix:" << game.name << std::string(26 - game.name.size(), ' ') << game.description << "\n";
  for (const skirmish::Map& map : skirmish::maps) std::cout << "  skirmish:" << map.name << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto given = [&](std::string_view word) { return std::count(words.begin(), words.end(), word) > 0; };
  if (words.empty() || given("--help") || given("-h")) return print_help(), 0;
  if (given("--list")) return print_variants(), 0;
  try {
    return run_training(parse_command_line(words, training_words));
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << "\n";
    return 1;
  }
}
