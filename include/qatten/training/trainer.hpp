#pragma once
// The training loop: episodes, updates, evaluations and metrics in their order.
//
//   until t_env >= t_max:
//     evaluate when t_env has passed another multiple of test_interval (and at the very start and end)
//     play batch_size_run episodes at ε(t_env); into replay
//     after e >= batch_size episodes in all, ⌊(e − batch_size) · updates_per_episode⌋ + 1 updates are due: catch up
//     metrics, checkpoint when t_env has passed another multiple of their intervals
//
// All chance is named, by the seed, a purpose and a count: the state of a training is what it has learned, its replay,
// and counts. Nothing depends on the number of threads or on time.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qatten/learners/any_learner.hpp"
#include "qatten/replay/episode_buffer.hpp"
#include "qatten/replay/tiled_batch.hpp"
#include "qatten/training/metrics.hpp"
#include "qatten/training/observer.hpp"
#include "qatten/training/options.hpp"
#include "qatten/training/parallel_rollout.hpp"
#include "qatten/training/presets.hpp"

namespace qatten::inline QATTEN_ABI {

/// Where a training stands, beside its learner and its replay: all of it goes into a checkpoint.
struct TrainerState {
  std::int64_t t_env = 0;                 ///< environment steps of training
  std::int64_t episode = 0;               ///< episodes of training
  std::int64_t aborted = 0;               ///< episodes that environments voided, of training and of evaluations
  std::int64_t evaluations = 0;           ///< evaluations done
  std::int64_t last_test = -1;            ///< t_env of the last one
  std::int64_t last_log = 0;              ///< t_env of the last rows of metrics
  std::int64_t last_save = 0;             ///< t_env of the last checkpoint
  double largest_reward = 0;              ///< the largest |reward| so far
  bool divergence_warned = false;         ///< whether there was a warning
  EpisodeStats episodes;                  ///< since the last rows of metrics
  LearnerStats learner;                   ///< likewise
  std::vector<std::string> metric_names;  ///< the environment's
  TrainingProgress progress;              ///< what was last told
};

/// Replay as the options have it.
inline EpisodeBuffer empty_buffer(const TrainingOptions& options) {
  return {options.buffer_size, static_cast<std::size_t>(options.buffer_bytes_max),
          options.buffer_precision == "half" ? Precision::half : Precision::single};
}

class Trainer {
 public:
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Throws when options, environments and learner do not go together.
  Trainer(const TrainingOptions& options, std::unique_ptr<ParallelRollout> rollout,
          std::unique_ptr<AnyLearner<float>> learner)
      : options_(options),
        rollout_(std::move(rollout)),
        learner_(std::move(learner)),
        buffer_(empty_buffer(options)),
        learner_threads_(static_cast<int>(options.learner_threads)) {
    check_options(options);
    const std::size_t batch_bytes = episode_bytes() * static_cast<std::size_t>(options.batch_size);
    detail::require(static_cast<std::size_t>(options.buffer_bytes_max) >= batch_bytes, "Trainer",
                    "buffer_bytes_max " + std::to_string(options.buffer_bytes_max) +
                        " may hold fewer than batch_size " + std::to_string(options.batch_size) + " episodes of " +
                        std::to_string(rollout_->info().episode_limit) + " steps: expected at least " +
                        std::to_string(batch_bytes));
    learner_->set_threads(&learner_threads_);
    state_.progress.t_max = options.t_max;
  }

  const TrainingOptions& options() const { return options_; }
  const ParallelRollout& rollout() const { return *rollout_; }
  const AnyLearner<float>& learner() const { return *learner_; }
  AnyLearner<float>& learner() { return *learner_; }
  const EpisodeBuffer& buffer() const { return buffer_; }
  const TrainerState& state() const { return state_; }

  /// Goes on from where another training of the same options stood.
  void restore(TrainerState state, LearnerState<float> learner, EpisodeBuffer buffer) {
    learner_->restore(std::move(learner));
    buffer_ = std::move(buffer);
    state_ = std::move(state);
    state_.progress.t_max = options_.t_max;
  }

  /// Bytes that an episode which lasts to the environment's limit takes in replay, and the most that replay can come to
  /// hold. Episodes whose states repeat units or last actions take less.
  std::size_t episode_bytes() const {
    const EnvironmentInfo& i = rollout_->info();
    Episode<float> longest;
    longest.resize(i.n_agents, i.n_actions, i.obs_shape, i.state_shape, i.unit_dim, i.episode_limit);
    for (auto* m : {&longest.obs, &longest.units}) m->setOnes();
    longest.state.setConstant(-1);  // repeats nothing
    longest.available.setOnes();
    longest.alive.setOnes();
    longest.actions.setZero();
    longest.rewards.setZero();
    return PackedEpisode(longest, buffer_.precision()).bytes();
  }
  std::size_t replay_bytes() const {
    return std::min(static_cast<std::size_t>(options_.buffer_bytes_max),
                    episode_bytes() * static_cast<std::size_t>(options_.buffer_size));
  }

  /// Trains until t_max; true when it got there, false when the observer asked to stop. Throws what environments and
  /// updates throw; what was stored before is then still there.
  bool run(TrainingObserver& observer) {
    if (state_.t_env == 0) {
      if (learner_->updates() > 0)
        observer.warning("the learner comes with " + std::to_string(learner_->updates()) +
                         " updates, though no episode was played: it makes none until more are due");
      observer.checkpoint();  // shows at once whether it can be stored
    }
    while (true) {
      if (test_due() && !evaluate(observer)) return stop(observer);
      if (state_.t_env >= options_.t_max) break;
      if (observer.stop_requested()) return stop(observer);
      const double explored = epsilon();
      collect(observer, explored);
      learn(observer, explored);
      tell(observer);
      if (passed(state_.last_log, options_.log_interval)) log(observer);
      if (passed(state_.last_save, options_.save_model_interval)) save(observer);
    }
    log(observer);
    save(observer);
    return true;
  }

  /// Plays test_nepisode greedy episodes on streams of their own and tells the means; `run` does it when it is due.
  /// False, and nothing has happened, when asked to stop on the way.
  bool evaluate(TrainingObserver& observer) {
    EpisodeStats stats;
    std::int64_t aborted = 0;
    for (std::int64_t done = 0; done < options_.test_nepisode; done += rollout_->environments()) {
      if (observer.stop_requested()) return false;
      const auto played =
          rollout_->play(*learner_, {.seed = seed(),
                                     .purpose = "test environment",
                                     .first = state_.evaluations * options_.test_nepisode + done,
                                     .count = std::min<Index>(rollout_->environments(), options_.test_nepisode - done),
                                     .epsilon = options_.evaluation_epsilon,
                                     .test_mode = true});
      for (const PlayedEpisode& p : played) stats.add(p.episode, p.metrics);
      state_.metric_names = rollout_->metric_names();
      aborted += rollout_->aborted();
    }
    state_.aborted += aborted;
    ++state_.evaluations;
    state_.last_test = state_.t_env;
    stats.report(state_.metric_names, [&](const std::string& key, double value) {
      row(observer, "test_" + key, value);
      if (key == "return_mean") state_.progress.test_return_mean = value;
      if (key == "battle_won_mean") state_.progress.test_battle_won_mean = value;
    });
    tell(observer);
    return true;
  }

  /// ε of the episodes that come next.
  double epsilon() const {
    return EpsilonSchedule{options_.epsilon_start, options_.epsilon_finish, options_.epsilon_anneal_time}(state_.t_env);
  }

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(options_.seed); }

  /// Whether t_env has passed a multiple of `interval` since `last`.
  bool passed(std::int64_t last, std::int64_t interval) const { return state_.t_env / interval > last / interval; }

  bool test_due() const {
    if (options_.test_nepisode == 0 || state_.t_env == state_.last_test) return false;
    return state_.last_test < 0 || state_.t_env >= options_.t_max || passed(state_.last_test, options_.test_interval);
  }

  bool stop(TrainingObserver& observer) {
    save(observer);
    return false;
  }

  void save(TrainingObserver& observer) {
    state_.last_save = state_.t_env;
    observer.checkpoint();
  }

  /// One round of episodes into replay.
  void collect(TrainingObserver& observer, double epsilon) {
    const auto played = rollout_->play(*learner_, {.seed = seed(),
                                                   .purpose = "environment",
                                                   .first = state_.episode,
                                                   .count = rollout_->environments(),
                                                   .epsilon = epsilon});
    state_.metric_names = rollout_->metric_names();
    state_.aborted += rollout_->aborted();
    if (rollout_->aborted() > 0)
      observer.warning(std::to_string(rollout_->aborted()) +
                       " episodes were voided by their environment and played again");
    for (const PlayedEpisode& p : played) {
      state_.t_env += p.episode.length();
      ++state_.episode;
      state_.episodes.add(p.episode, p.metrics);
      for (const float r : p.episode.rewards)
        state_.largest_reward = std::max(state_.largest_reward, std::abs(double(r)));
      buffer_.add(p.episode);
    }
  }

  /// All updates that are due after a round at ε.
  void learn(TrainingObserver& observer, double epsilon) {
    const std::int64_t since = state_.episode - options_.batch_size;
    if (since < 0) return;
    const Ratio& ratio = options_.updates_per_episode;
    const std::int64_t due = since * ratio.numerator / ratio.denominator + 1;
    while (learner_->updates() < due) update(observer, epsilon);
  }

  void update(TrainingObserver& observer, double epsilon) {
    Random random(seed(), "replay", static_cast<std::uint64_t>(learner_->updates()));
    const auto chosen = buffer_.sample(options_.batch_size, random);
    batch_.assign(chosen);
    try {
      state_.learner.add(learner_->update(batch_.tiles(), state_.episode, epsilon));
    } catch (const Error& error) {
      throw Error(error.what() + observer.update_failed(chosen));
    }
    warn_of_divergence(observer);
  }

  /// No discounted return exceeds max |r| / (1 − γ), or max |r| · episode_limit undiscounted. Values ten times that are
  /// on their way to infinity. Rewards below 1 count as 1: a network's first values are of that size.
  void warn_of_divergence(TrainingObserver& observer) {
    if (state_.divergence_warned) return;
    const double horizon = options_.gamma < 1 ? 1 / (1 - options_.gamma) : double(rollout_->info().episode_limit);
    const double bound = std::max(state_.largest_reward, 1.0) * horizon;
    const double largest = double(learner_->largest_q());
    if (largest <= 10 * bound) return;
    state_.divergence_warned = true;
    observer.warning("values diverge: |Q_tot| is " + detail::shortest(largest) + " at update " +
                     std::to_string(learner_->updates()) + ", though no return can exceed " + detail::shortest(bound));
  }

  /// Rows of what has happened since the last ones; none if nothing has.
  void log(TrainingObserver& observer) {
    if (state_.episodes.returns.count == 0) return;
    state_.last_log = state_.t_env;
    const auto emit = [&](const std::string& key, double value) { row(observer, key, value); };
    state_.episodes.report(state_.metric_names, emit);
    state_.learner.report(emit);
    emit("epsilon", epsilon());
    emit("updates", double(learner_->updates()));
    emit("buffer_episodes", double(buffer_.size()));
    emit("buffer_bytes", double(buffer_.bytes()));
    emit("episodes_aborted", double(state_.aborted));
    state_.episodes = {};
    state_.learner = {};
  }

  void row(TrainingObserver& observer, const std::string& key, double value) {
    observer.metric({state_.t_env, state_.episode, key, value});
  }

  void tell(TrainingObserver& observer) {
    TrainingProgress& p = state_.progress;
    p.t_env = state_.t_env;
    p.episode = state_.episode;
    p.updates = learner_->updates();
    p.aborted = state_.aborted;
    p.epsilon = epsilon();
    if (state_.episodes.returns.count > 0) p.return_mean = state_.episodes.returns.mean;
    if (state_.learner.loss.count > 0) p.loss = state_.learner.loss.mean;
    observer.progress(p);
  }

  TrainingOptions options_;
  std::unique_ptr<ParallelRollout> rollout_;
  std::unique_ptr<AnyLearner<float>> learner_;
  EpisodeBuffer buffer_;
  TiledBatch<float> batch_;
  Threads learner_threads_;
  TrainerState state_;
};

}  // namespace qatten::inline QATTEN_ABI
