#pragma once
// A game that takes every turn an environment may take: episodes of random lengths, masked actions, endings of both
// kinds, metrics; and failures when asked for.

#include <mutex>
#include <set>

#include "qatten/environments/any_environment.hpp"
#include "qatten/training/make_trainer.hpp"

namespace qatten::test {

/// Where several environments meet: which episodes are to fail the first `times` times that they are played.
struct Faults {
  std::uint32_t one_in = 5;
  int times = 1;
  std::mutex mutex{};
  std::map<std::uint32_t, int> seen{};
  Index voided = 0;

  /// `episode` stands for the stream. Whether it fails this time.
  bool strike(std::uint32_t episode) {
    if (episode % one_in != 0) return false;
    const std::lock_guard lock(mutex);
    if (seen[episode]++ >= times) return false;
    ++voided;
    return true;
  }
};

/// Three agents with four actions; agent i of number i + 1 alive, action 3 available where a draw says so. The best an
/// agent can do is to repeat what it saw as a one-hot. Neither copied nor moved.
class Stumble {
 public:
  static constexpr Index n = 3, limit = 9;

  explicit Stumble(Faults* faults = nullptr) : faults_(faults) {}
  Stumble(const Stumble&) = delete;
  Stumble& operator=(const Stumble&) = delete;

  EnvironmentInfo info() const {
    return {.n_agents = n, .n_actions = 4, .obs_shape = 5, .state_shape = 4, .unit_dim = 2, .episode_limit = limit};
  }

  void reset(const Random& stream) {
    random_ = stream;
    name_ = Random(stream).bits();
    failing_ = faults_ != nullptr && faults_->strike(name_);
    t_ = 0;
    hits_ = 0;
    draw();
  }

  void observe(Observation o) const {
    for (Index i = 0; i < n; ++i) {
      o.obs(wanted_[i], i) = 1;
      o.obs(4, i) = float(t_) / limit;
      o.available(3, i) = (mask_ >> i) & 1U;
      o.units(0, i) = float(wanted_[i]);
      o.units(1, i) = o.available(3, i);
      o.state(i, 0) = float(wanted_[i]) / 4;
    }
    o.state(3, 0) = float(t_) / limit;
  }

  StepResult step(std::span<const int> actions) {
    const bool ends = random_.uniform() < 0.15;
    if (failing_ && (t_ == 1 || ends)) return {.aborted = true};
    float reward = 0;
    for (Index i = 0; i < n; ++i) reward += actions[static_cast<std::size_t>(i)] == wanted_[i] ? 1.0F : -0.25F;
    hits_ += reward;
    ++t_;
    draw();
    metrics_ = {Metric{"battle_won", hits_ > float(t_) ? 1.0 : 0.0}, Metric{"dead_allies", double(t_ % 3)}};
    return {.reward = reward, .terminated = ends, .truncated = !ends && t_ == limit};
  }

  std::span<const Metric> metrics() const { return metrics_; }
  std::string description() const { return "stumble, for tests"; }

 private:
  void draw() {
    mask_ = random_.bits();
    for (Index i = 0; i < n; ++i) wanted_[i] = random_.integer(3);
  }

  Faults* faults_;
  Random random_{0};
  std::uint32_t name_ = 0, mask_ = 0;
  bool failing_ = false;
  Index t_ = 0;
  float hits_ = 0;
  Vector<Index> wanted_ = Vector<Index>::Zero(n);
  std::array<Metric, 2> metrics_{};
};
static_assert(ReportsMetrics<Stumble> && DescribesItself<Stumble>);

inline EnvironmentFactory stumbles(Faults* faults = nullptr) {
  return [faults](Index) { return make_environment<Stumble>(faults); };
}

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

using SmallLearner = LearnerOf<QLearner<RecurrentAgent<float>, Qatten<float>, AnyOptimizer<float>>>;

/// As make_learner, for one agent and one mixer: quicker to compile.
inline std::unique_ptr<SmallLearner> small_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  const Qatten<float> mixer(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, mixer_options(o).qatten);
  return std::make_unique<SmallLearner>(layout, agent, mixer, make_optimizer<float>(o), learner_options(o),
                                        Random(static_cast<std::uint64_t>(o.seed), "parameters"));
}

/// What makes the small options those of a policy.
inline const Assignments small_coma = {{"mixer", "coma"},
                                       {"batch_size", "6"},
                                       {"buffer_size", "6"},
                                       {"updates_per_episode", "1/6"},
                                       {"target_update_interval_or_tau", "40"},
                                       {"critic_lr", "0.002"}};

inline std::unique_ptr<AnyLearner<float>> small_coma_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  const ComaCritic<float> critic(layout, "critic", {i.n_agents, i.n_actions, i.obs_shape, i.state_shape, 12});
  return std::make_unique<LearnerOf<ComaLearner<RecurrentAgent<float>, AnyOptimizer<float>>>>(
      layout, agent, critic, make_optimizer<float>(o), make_optimizer<float>(o),
      ComaOptions{.target_update = target_update(o)}, static_cast<std::uint64_t>(o.seed));
}

inline const Assignments small_maac = {{"mixer", "maac"},
                                       {"td_lambda", "0"},
                                       {"target_update_interval_or_tau", "0.05"},
                                       {"critic_lr", "0.002"},
                                       {"epsilon_start", "0.1"}};

inline std::unique_ptr<AnyLearner<float>> small_maac_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  MaacCriticSizes sizes = maac_critic_sizes(o, i);
  sizes.hidden = 12;
  return std::make_unique<LearnerOf<MaacLearner<RecurrentAgent<float>, AnyOptimizer<float>>>>(
      layout, agent, MaacCritic<float>(layout, "critic", sizes), make_optimizer<float>(o), make_optimizer<float>(o),
      MaacOptions{.target_update = target_update(o)}, static_cast<std::uint64_t>(o.seed));
}

/// Qatten's, or with mixer coma or maac a policy's.
inline std::unique_ptr<Trainer> small_trainer(const TrainingOptions& o, const EnvironmentFactory& make = stumbles()) {
  auto rollout = std::make_unique<ParallelRollout>(make, o.batch_size_run, o.env_threads);
  std::unique_ptr<AnyLearner<float>> learner;
  if (o.mixer == "coma") {
    learner = small_coma_learner(o, rollout->info());
  } else if (o.mixer == "maac") {
    learner = small_maac_learner(o, rollout->info());
  } else {
    learner = small_learner(o, rollout->info());
  }
  return std::make_unique<Trainer>(o, std::move(rollout), std::move(learner));
}

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
