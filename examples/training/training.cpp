#include "training.hpp"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "environments.hpp"
#include "qatten/runs/evaluation.hpp"
#include "qatten/runs/interrupt.hpp"
#include "qatten/runs/training_run.hpp"
#include "qatten/training/make_trainer.hpp"

using namespace qatten;

namespace {

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

/// Prints each number as it comes.
struct Printer final : TrainingObserver {
  void metric(const MetricRow& row) override { std::cout << row.key << "  " << row.value << std::endl; }
  void warning(const std::string& text) override { std::cerr << "warning: " << text << std::endl; }
};

/// The trainer of an old run with what it has learned, and with `words` over its options.
struct Reopened {
  std::unique_ptr<Trainer> trainer;
  std::int64_t t_env;
};

Reopened reopen(const RunFolder& folder, const Assignments& words, Printer& printer) {
  Assignments own = read_options(folder.config());
  if (std::any_of(words.begin(), words.end(), [](const auto& word) { return word.first == "env"; }))
    std::erase_if(own, [](const auto& word) { return word.first.starts_with("env_args."); });  // of another environment
  const TrainingOptions options = resolve_options(own, words);
  auto trainer = make_trainer(options, environment_factory(options));
  const std::int64_t t_env = load_parameters(folder, *trainer, printer);
  return {std::move(trainer), t_env};
}

int evaluate(const RunFolder& folder, const Assignments& words) {
  Printer printer;
  const auto [trainer, t_env] = reopen(folder, words, printer);
  std::cout << describe(*trainer) << "parameters   " << folder.checkpoint(t_env).string() << std::endl;
  trainer->evaluate(printer);
  return 0;
}

int train(const TrainingOptions& options, RunFolder folder) {
  const bool resume = !folder.root.empty();
  const auto trainer = make_trainer(options, environment_factory(options));
  if (!resume) folder = create_run_folder(options);
  std::cout << describe(*trainer) << "folder       " << folder.root.string() << std::endl;

  ProgressReporter reporter(std::cout, isatty(STDOUT_FILENO) != 0);
  Interrupt interrupt;
  TrainingRun run(folder, *trainer, resume ? TrainingRun::Start::resume : TrainingRun::Start::fresh,
                  {&reporter, &interrupt});
  const bool finished = run.train();
  reporter.finish();
  if (!finished && options.save_model)
    std::cout << "stopped; go on with: train --resume " << folder.root.string() << std::endl;
  return finished ? 0 : 130;  // as a shell has it for a program that Ctrl-C ended
}

}  // namespace

int run_training(Assignments words, const Assignments& program) {
  const std::string resume = take(words, "resume"), from = take(words, "evaluate"), file = take(words, "options_file");
  if (int(!resume.empty()) + int(!from.empty()) + int(!file.empty()) > 1)
    throw Error("of --resume, --evaluate and --options_file only one can be given");
  if (!from.empty()) return evaluate(RunFolder{from}, words);
  if (!resume.empty()) return train(resumed_options(RunFolder{resume}, words), RunFolder{resume});
  return train(resolve_options(file.empty() ? Assignments{} : read_options(file), words, program), {});
}

LearnedRun load_run(const std::string& folder, const Assignments& words) {
  Printer printer;
  const auto [trainer, t_env] = reopen(RunFolder{folder}, words, printer);
  return {trainer->options(), trainer->learner().state().parameters, t_env};
}

void print_training_help() {
  std::cout << "Environments:\n";
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
