#pragma once
// What train, skirmish and smac have in common, compiled once.

#include <cstdint>
#include <string>

#include "qatten/core/view.hpp"
#include "qatten/training/presets.hpp"

/// Words that these programs understand beside the options of a training; each takes a value.
inline constexpr std::string_view training_words[] = {"resume", "evaluate", "options_file"};

/// Trains in a new folder, `program` being what this program chooses where nothing else was said; with `resume`, goes
/// on in an old one; with `evaluate`, plays greedy episodes with what an old one has learned, on its own environment or
/// another of the same sizes. Returns the exit code of the program.
int run_training(qatten::Assignments words, const qatten::Assignments& program = {});

/// What an old run has learned.
struct LearnedRun {
  qatten::TrainingOptions options;  ///< the run's, and over them what was said to `load_run`
  qatten::Vector<float> parameters;
  std::int64_t t_env = 0;  ///< after so many steps
};

/// Throws where `run_training` with `evaluate` would.
LearnedRun load_run(const std::string& folder, const qatten::Assignments& words);

/// The environments by name, and all options with what they may be.
void print_training_help();
