#pragma once
// Many episodes side by side: every environment on its own, all agents' actions in one product.
//
// Everything by chance is named by (seed, purpose, episode): how many threads there are, and which of them steps which
// environment, changes nothing.

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/threads.hpp"
#include "qatten/environments/any_environment.hpp"
#include "qatten/learners/any_learner.hpp"
#include "qatten/training/exploration.hpp"
#include "qatten/training/recorder.hpp"

namespace qatten::inline QATTEN_ABI {

/// Which episodes to play, and how: episode k of a purpose has the streams (seed, purpose, k) for the environment and
/// (seed, purpose + " exploration", k) for ε and draws from a policy.
struct EpisodePlan {
  std::uint64_t seed = 1;
  std::string purpose = "environment";
  std::int64_t first = 0;  ///< episodes first … first + count − 1
  Index count = 1;
  double epsilon = 0;
  bool test_mode = false;  ///< a policy's most probable action is played, but for ε, rather than a draw
};

/// An episode and how it went.
struct PlayedEpisode {
  Episode<float> episode;
  std::vector<double> metrics;  ///< the environment's, in the order of `metric_names()`
};

/// Plays episodes in several environments of one kind at once. An episode that its environment voids (`aborted`) is
/// counted and played again, on the same streams at first: a crash by bad luck changes nothing.
class ParallelRollout {
 public:
  /// Environments 0 … count − 1, stepped by `threads` threads (the caller's included); more than `count` are not
  /// started. Throws when there is none, or when their sizes differ.
  ParallelRollout(const EnvironmentFactory& make, Index count, Index threads)
      : threads_(static_cast<int>(std::min(threads, std::max<Index>(count, 1)))) {
    detail::require(count >= 1, "ParallelRollout", "expected at least one environment");
    for (Index k = 0; k < count; ++k) {
      slots_.push_back(std::make_unique<Slot>(make(k)));
      detail::require(slots_[static_cast<std::size_t>(k)]->recorder.info() == info(), "ParallelRollout",
                      "environment " + std::to_string(k) + " has other sizes than environment 0");
    }
  }

  const EnvironmentInfo& info() const { return slots_.front()->recorder.info(); }
  /// What environment 0 says it is; may be empty.
  std::string description() const { return slots_.front()->environment.description(); }
  Index environments() const { return static_cast<Index>(slots_.size()); }

  /// Episodes voided since the last call of `play` began.
  Index aborted() const { return aborted_; }
  /// Of the environment's metrics; empty before the first episode.
  const std::vector<std::string>& metric_names() const { return metric_names_; }

  /// The episodes of the plan, in the order of their numbers, whoever ends first. Throws what an environment throws,
  /// and when an episode is voided `max_attempts` times.
  std::vector<PlayedEpisode> play(AnyLearner<float>& learner, const EpisodePlan& plan) {
    const AgentOptions team = learner.team();
    detail::require(
        team.n_agents == info().n_agents && team.n_actions == info().n_actions && team.obs_shape == info().obs_shape,
        "ParallelRollout::play", "the learner's agents have other sizes than the environment's");
    prepare(learner);
    aborted_ = 0;
    std::vector<PlayedEpisode> played(static_cast<std::size_t>(plan.count));
    std::vector<Attempt> waiting;
    for (Index k = 0; k < plan.count; ++k) waiting.push_back({k, 0});
    while (!waiting.empty()) play_round(learner, plan, waiting, played);
    return played;
  }

  static constexpr int max_attempts = 10;

 private:
  /// An episode of the plan that is to be played.
  struct Attempt {
    Index episode;
    int number;
  };

  /// An environment and the episode that it plays.
  struct Slot {
    explicit Slot(AnyEnvironment given)
        : environment(std::move(given)),
          recorder(environment),
          actions(static_cast<std::size_t>(recorder.info().n_agents)) {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    AnyEnvironment environment;
    Recorder<AnyEnvironment> recorder;
    Attempt attempt{};
    Random exploration{0};
    std::vector<int> actions;
    bool going_on = false;
  };

  void prepare(AnyLearner<float>& learner) {
    const Index n = info().n_agents, columns = n * environments();
    learner.prepare(environments());
    hidden_.resize(learner.team().hidden_dim, columns);
    q_.resize(info().n_actions, columns);
    obs_.resize(info().obs_shape, columns);
    last_actions_.resize(1, columns);
  }

  /// As many of the waiting episodes as there are environments, side by side until all have ended. Those that were
  /// voided stay among the waiting.
  void play_round(AnyLearner<float>& learner, const EpisodePlan& plan, std::vector<Attempt>& waiting,
                  std::vector<PlayedEpisode>& played) {
    living_.resize(std::min(waiting.size(), slots_.size()));
    std::iota(living_.begin(), living_.end(), std::size_t{0});
    for (const std::size_t k : living_) slots_[k]->attempt = waiting[k];
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(living_.size()));
    hidden_.setZero();
    for_living([&](Slot& slot) { begin(slot, plan); });
    while (!living_.empty()) {
      choose_values(learner);
      const bool draw = learner.learns_policy() && !plan.test_mode;
      for_each_living([&](Slot& slot, Index k) { step(slot, k, plan.epsilon, draw); });
      finish(plan, waiting, played);
    }
  }

  static void begin(Slot& slot, const EpisodePlan& plan) {
    // An episode that fails twice may do so because of its stream: then it gets another one.
    const std::string attempt = slot.attempt.number < 2 ? "" : " attempt " + std::to_string(slot.attempt.number);
    const auto index = static_cast<std::uint64_t>(plan.first + slot.attempt.episode);
    slot.exploration = Random(plan.seed, plan.purpose + " exploration" + attempt, index);
    slot.recorder.begin(Random(plan.seed, plan.purpose + attempt, index));
  }

  /// The values of all living agents, in one step of the learner's agent.
  void choose_values(AnyLearner<float>& learner) {
    const Index n = info().n_agents, columns = n * living();
    for (Index k = 0; k < living(); ++k) {
      obs_.middleCols(k * n, n) = slot(k).recorder.observation().obs;
      last_actions_.middleCols(k * n, n) = slot(k).recorder.last_actions();
    }
    learner.step({obs_.leftCols(columns), last_actions_.leftCols(columns)}, hidden_.leftCols(columns),
                 q_.leftCols(columns));
  }

  /// One step of the k-th living episode.
  void step(Slot& slot, Index k, double epsilon, bool draw) {
    const Index n = info().n_agents;
    View<float> q = q_.middleCols(k * n, n);
    const ConstView<std::uint8_t> available = slot.recorder.observation().available;
    if (draw) {
      sample_policy<float>(q, available, epsilon, slot.exploration, slot.actions);
    } else {
      epsilon_greedy<float>(q, available, epsilon, slot.exploration, slot.actions);
    }
    slot.going_on = slot.recorder.step(slot.actions);
  }

  /// Takes the episodes that have ended out, and moves the others' hidden states together.
  void finish(const EpisodePlan& plan, std::vector<Attempt>& waiting, std::vector<PlayedEpisode>& played) {
    const Index n = info().n_agents;
    std::size_t kept = 0;
    for (std::size_t k = 0; k < living_.size(); ++k) {
      Slot& slot = *slots_[living_[k]];
      if (slot.going_on) {
        const auto from = static_cast<Index>(k) * n, to = static_cast<Index>(kept) * n;
        if (from != to)
          for (Index i = 0; i < n; ++i) hidden_.col(to + i) = hidden_.col(from + i);
        living_[kept++] = living_[k];
      } else if (slot.recorder.aborted()) {
        ++aborted_;
        if (++slot.attempt.number == max_attempts)
          throw Error("ParallelRollout: the environment voided " + plan.purpose + " episode " +
                      std::to_string(plan.first + slot.attempt.episode) + " " + std::to_string(max_attempts) +
                      " times; is it still there?");
        waiting.push_back(slot.attempt);
      } else {
        take(slot, played[static_cast<std::size_t>(slot.attempt.episode)]);
      }
    }
    living_.resize(kept);
  }

  void take(Slot& slot, PlayedEpisode& played) {
    played.episode = slot.recorder.episode();
    const std::span<const Metric> metrics = slot.environment.metrics();
    if (metric_names_.empty())
      for (const Metric& m : metrics) add_metric_name(std::string(m.name));
    detail::require(metrics.size() == metric_names_.size(), "ParallelRollout",
                    "the environment's metrics() changed their number");
    for (const Metric& m : metrics) played.metrics.push_back(m.value);
  }

  void add_metric_name(const std::string& name) {
    detail::require(
        !name.empty() && name.find_first_of(",\"\n\r") == name.npos, "ParallelRollout",
        "the environment calls a metric '" + name + "', expected a name without commas, quotes and line ends");
    metric_names_.push_back(name);
  }

  Index living() const { return static_cast<Index>(living_.size()); }
  Slot& slot(Index k) { return *slots_[living_[static_cast<std::size_t>(k)]]; }

  /// f(slot, k) for the k-th living episode, on all threads.
  template <class F>
  void for_each_living(F&& f) {
    threads_.for_each(living(), [&](Index k, int) { f(slot(k), k); });
  }
  template <class F>
  void for_living(F&& f) {
    for_each_living([&](Slot& slot, Index) { f(slot); });
  }

  Threads threads_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::size_t> living_;  ///< the slots whose episodes go on, in their order
  std::vector<std::string> metric_names_;
  Matrix<float> hidden_, q_, obs_;     ///< one column an agent of a living episode
  Matrix<std::int32_t> last_actions_;  ///< likewise
  Index aborted_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
