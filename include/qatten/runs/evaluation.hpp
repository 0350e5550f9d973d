#pragma once
// What a run has learned, without the run.

#include <cstdint>
#include <string>
#include <utility>

#include "qatten/io/training_state.hpp"
#include "qatten/runs/run_folder.hpp"
#include "qatten/training/trainer.hpp"

namespace qatten::inline QATTEN_ABI {

/// Gives the trainer the parameters of the newest whole checkpoint of a run, and nothing else of it: the environment
/// may be another one of the same sizes. Returns the checkpoint's t_env. Throws when there is none, and when its
/// parameters have other names or shapes.
inline std::int64_t load_parameters(const RunFolder& folder, Trainer& trainer, TrainingObserver& observer) {
  bool found = false;
  const Checkpoint checkpoint = load_newest(folder, found, [&](const Error& error) { observer.warning(error.what()); });
  detail::require(found, "load_parameters", "there is no checkpoint in " + folder.checkpoints().string());
  const ParameterLayout& layout = trainer.learner().layout();
  LearnerState<float> learner = trainer.learner().state();
  learner.parameters = checkpoint.get<float>("learner.parameters", layout);
  learner.target = checkpoint.get<float>("learner.target", layout);
  trainer.learner().restore(std::move(learner));
  return checkpoint.get<std::int64_t>("trainer.t_env");
}

}  // namespace qatten::inline QATTEN_ABI
