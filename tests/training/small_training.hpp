#pragma once
// Small trainings of Stumble, compiled once for all tests that have one.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "qatten/training/presets.hpp"
#include "qatten/training/trainer.hpp"
#include "training/stumble.hpp"

namespace qatten::test {

/// Small, quick, and with something of everything.
inline TrainingOptions small_options() {
  return resolve_options({}, {{"mixer", "qatten"},
                              {"env", "stumble"},
                              {"rnn_hidden_dim", "8"},
                              {"hypernet_embed", "4"},
                              {"mixing_embed_dim", "4"},
                              {"n_head", "2"},
                              {"batch_size", "8"},
                              {"buffer_size", "40"},
                              {"t_max", "1200"},
                              {"batch_size_run", "3"},
                              {"test_interval", "400"},
                              {"test_nepisode", "7"},
                              {"log_interval", "300"},
                              {"save_model_interval", "100"},
                              {"optimizer", "adam"},
                              {"lr", "0.003"},
                              {"td_lambda", "0.4"},
                              {"updates_per_episode", "1/2"},
                              {"epsilon_anneal_time", "900"},
                              {"target_update_interval", "20"}});
}

/// What makes the small options those of a policy.
inline const Assignments small_coma = {{"mixer", "coma"},
                                       {"batch_size", "6"},
                                       {"buffer_size", "6"},
                                       {"updates_per_episode", "1/6"},
                                       {"target_update_interval_or_tau", "40"},
                                       {"critic_lr", "0.002"}};

inline const Assignments small_maac = {{"mixer", "maac"},
                                       {"td_lambda", "0"},
                                       {"target_update_interval_or_tau", "0.05"},
                                       {"critic_lr", "0.002"},
                                       {"epsilon_start", "0.1"}};

/// As make_learner, for recurrent agents with Qatten.
std::unique_ptr<AnyLearner<float>> small_learner(const TrainingOptions& o, const EnvironmentInfo& i);
std::unique_ptr<AnyLearner<float>> small_coma_learner(const TrainingOptions& o, const EnvironmentInfo& i);
std::unique_ptr<AnyLearner<float>> small_maac_learner(const TrainingOptions& o, const EnvironmentInfo& i);

/// Qatten's, or with mixer coma or maac a policy's.
std::unique_ptr<Trainer> small_trainer(const TrainingOptions& o, const EnvironmentFactory& make = stumbles());

/// Keeps all that a training tells.
struct Listener : TrainingObserver {
  void metric(const MetricRow& row) override { rows.push_back(row); }
  void progress(const TrainingProgress& p) override { last = p; }
  void warning(const std::string& text) override { warnings.push_back(text); }
  void checkpoint() override { ++checkpoints; }

  /// t_env of the rows of a key.
  std::vector<std::int64_t> times(const std::string& key) const {
    std::vector<std::int64_t> found;
    for (const MetricRow& row : rows)
      if (row.key == key) found.push_back(row.t_env);
    return found;
  }

  std::vector<MetricRow> rows;
  TrainingProgress last;
  std::vector<std::string> warnings;
  int checkpoints = 0;
};

}  // namespace qatten::test
