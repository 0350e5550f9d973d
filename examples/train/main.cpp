// Trains a team on an environment by its name, into a folder that it can go on from.

#include <unistd.h>

#include <iostream>

#include "environments.hpp"
#include "qatten/runs/interrupt.hpp"
#include "qatten/runs/training_run.hpp"
#include "qatten/training/make_trainer.hpp"

using namespace qatten;

namespace {

void print_help() {
  std::cout << "train --env <environment> [--<option> <value>]...\n"
               "train --resume <folder of a run> [--t_max <steps>]\n"
               "train --options_file <JSON file> [--<option> <value>]...\n"
               "PyMARL's way of writing options, with <option>=<value>, works too.\n\nEnvironments:\n";
  for (const EnvironmentEntry& e : environments())
    std::cout << "  " << e.name << std::string(18 - e.name.size(), ' ') << e.description
              << (e.usage.empty() ? "" : " (" + e.usage + ")") << "\n";
  std::cout << "\nOptions:\n";
  for (const Option& option : option_table()) {
    const std::string value = get_option(TrainingOptions{}, option);
    std::cout << "  --" << option.name << " <" << option.type() << ">  " << option.doc << "; "
              << detail::range_text(option) << (value.empty() ? "" : "; default " + value) << "\n";
  }
}

void print_games() {
  for (const NamedGame& game : named_games())
    std::cout << "  matrix:" << game.name << std::string(26 - game.name.size(), ' ') << game.description << "\n";
}

/// Takes the program's own word `name` out of what the command line said.
std::string take(Assignments& words, std::string_view name) {
  std::string value;
  std::erase_if(words, [&](const auto& word) {
    if (word.first != name) return false;
    value = word.second;
    return true;
  });
  return value;
}

int train(Assignments words) {
  const std::string resume = take(words, "resume"), file = take(words, "options_file");
  RunFolder folder{resume};
  if (!resume.empty() && !file.empty()) throw Error("--resume and --options_file do not go together");
  const TrainingOptions options = resume.empty()
                                      ? resolve_options(file.empty() ? Assignments{} : read_options(file), words)
                                      : resumed_options(folder, words);
  const auto trainer = make_trainer(options, environment_factory(options));
  if (resume.empty()) folder = create_run_folder(options);
  std::cout << describe(*trainer) << "folder       " << folder.root.string() << std::endl;

  ProgressReporter reporter(std::cout, isatty(STDOUT_FILENO) != 0);
  Interrupt interrupt;
  TrainingRun run(folder, *trainer, resume.empty() ? TrainingRun::Start::fresh : TrainingRun::Start::resume,
                  {&reporter, &interrupt});
  const bool finished = run.train();
  reporter.finish();
  if (!finished && options.save_model)
    std::cout << "stopped; go on with: train --resume " << folder.root.string() << std::endl;
  return finished ? 0 : 130;  // as a shell has it for a program that Ctrl-C ended
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto given = [&](std::string_view word) { return std::count(words.begin(), words.end(), word) > 0; };
  if (words.empty() || given("--help") || given("-h")) return print_help(), 0;
  if (given("--list")) return print_games(), 0;
  try {
    constexpr std::array<std::string_view, 2> own = {"resume", "options_file"};
    return train(parse_command_line(words, own));
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << "\n";
    return 1;
  }
}
