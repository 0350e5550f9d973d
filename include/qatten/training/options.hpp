#pragma once
// What can be chosen about a training, under PyMARL's names and with its defaults (QMIX on SMAC).

#include <cstdint>
#include <map>
#include <string>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// A ratio of whole numbers, "3" or "1/8": what happens once in eight times happens exactly so often.
struct Ratio {
  std::int64_t numerator = 1;
  std::int64_t denominator = 1;

  bool operator==(const Ratio&) const = default;
};

/// What each means, what it may be and what else it is called is in `option_table()` (option_table.hpp). Presets and
/// what a mixer's authors chose are put in by `resolve_options` (presets.hpp), not by setting `preset` or `mixer` here.
struct TrainingOptions {
  // The run.
  std::string preset = "pymarl";
  std::string name;
  std::string env;
  std::map<std::string, std::string> env_args;
  std::int64_t seed = 1;
  std::int64_t t_max = 2050000;
  std::int64_t batch_size_run = 1;
  std::int64_t env_threads = 1;
  std::int64_t learner_threads = 1;
  std::int64_t test_interval = 10000;
  std::int64_t test_nepisode = 32;
  std::int64_t log_interval = 10000;
  bool save_model = true;
  std::int64_t save_model_interval = 50000;
  std::string local_results_path = "results";

  // Replay and updates.
  std::int64_t buffer_size = 5000;
  std::int64_t buffer_bytes_max = std::int64_t{4} << 30;
  std::string buffer_precision = "single";
  std::int64_t batch_size = 32;
  Ratio updates_per_episode{};

  // The learner.
  double gamma = 0.99;
  double td_lambda = 0;
  bool double_q = true;
  double loss_scale = 1;
  double grad_norm_clip = 10;
  std::int64_t target_update_interval = 200;
  double target_update_interval_or_tau = 0;
  std::string optimizer = "rmsprop";
  double lr = 5e-4;
  double optim_alpha = 0.99;
  double optim_eps = 1e-5;
  double weight_decay = 0;
  double critic_lr = 5e-4;
  double reward_scale = 100;

  // The agents.
  std::string agent = "rnn";
  std::int64_t rnn_hidden_dim = 64;
  bool obs_agent_id = true;
  bool obs_last_action = true;
  bool share_parameters = true;
  std::int64_t comm_rounds = 1;
  bool use_layer_norm = false;
  bool use_orthogonal = false;
  double gain = 0.01;

  // Exploration.
  double epsilon_start = 1;
  double epsilon_finish = 0.05;
  std::int64_t epsilon_anneal_time = 50000;
  double evaluation_epsilon = 0;

  // The mixer.
  std::string mixer = "qmix";
  std::int64_t mixing_embed_dim = 32;
  std::int64_t hypernet_layers = 2;
  std::int64_t hypernet_embed = 64;
  std::int64_t n_head = 4;
  bool weighted_head = false;
  bool state_bias = true;
  bool nonlinear = false;
  bool mask_dead = false;
  double attend_reg_coef = 0.01;
  std::int64_t num_kernel = 4;
  std::int64_t adv_hypernet_layers = 1;
  std::int64_t adv_hypernet_embed = 64;
  double opt_loss = 1;
  double nopt_min_loss = 0.1;
  double w = 0.1;
  double central_loss = 1;
  std::int64_t central_mixing_embed_dim = 256;

  bool operator==(const TrainingOptions&) const = default;
};

}  // namespace qatten::inline QATTEN_ABI
