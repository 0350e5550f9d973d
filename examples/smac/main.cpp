// Trains a team on StarCraft's challenge behind a socket (docs/remote.md says what to install), on anything else of
// that kind, or with --mock on a stand-in that needs nothing.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "training/training.hpp"

using namespace qatten;

int main(int argc, char** argv) {
  bool mock = false;
  std::string map = "3m", environments = "4";
  CLI::App app(
      "Trains a team on SMAC behind a socket. All options of train (train --help) can follow: --mixer qmix, --t_max "
      "100000, --env_args.python PATH, --env_args.endpoint unix:PATH, --evaluate FOLDER, ...");
  app.option_defaults()->always_capture_default();
  app.add_flag("--mock", mock, "a stand-in for SMAC that needs no StarCraft II");
  app.add_option("--map", map, "SMAC's map");
  app.add_option("--envs", environments, "environments side by side");
  app.allow_extras();
  CLI11_PARSE(app, argc, argv);
  try {
    Assignments words = {{"env", (mock ? "smac-mock:" : "smac:") + map},
                         {"mixer", "qatten"},
                         {"batch_size_run", environments},
                         {"env_threads", environments}};
    const Assignments given = parse_command_line(app.remaining(), training_words);
    words.insert(words.end(), given.begin(), given.end());
    return run_training(words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "smac: %s\n", error.what());
    return 1;
  }
}
