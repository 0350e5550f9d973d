#pragma once
// Numbers about a training, under PyMARL's names.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/replay/episode.hpp"

namespace qatten::inline QATTEN_ABI {

/// One number of one moment. `t_env` counts environment steps of training (one joint step is one), `episode` episodes.
struct MetricRow {
  std::int64_t t_env = 0;
  std::int64_t episode = 0;
  std::string key;
  double value = 0;
};

/// Mean and spread of numbers as they come (Welford 1962).
struct RunningMean {
  std::int64_t count = 0;
  double mean = 0;
  double m2 = 0;  ///< the sum of squared differences from the mean

  void add(double x) {
    const double before = x - mean;
    mean += before / double(++count);
    m2 += before * (x - mean);
  }
  /// Over all of them, as numpy's std. 0 before the first.
  double std() const { return count > 0 ? std::sqrt(m2 / double(count)) : 0; }
};

/// How episodes went: their sum of rewards, their length, how many ended by themselves rather than being cut off, and
/// the environment's metrics of their last step.
struct EpisodeStats {
  RunningMean returns, length, terminated;
  std::vector<RunningMean> metrics;

  void add(const Episode<float>& episode, const std::vector<double>& environment) {
    returns.add(episode.rewards.cast<double>().sum());
    length.add(double(episode.length()));
    terminated.add(episode.terminated ? 1 : 0);
    metrics.resize(environment.size());
    for (std::size_t k = 0; k < environment.size(); ++k) metrics[k].add(environment[k]);
  }

  /// f(key, value) under PyMARL's names; `metric_names` are the environment's.
  template <class F>
  void report(const std::vector<std::string>& metric_names, F&& f) const {
    if (returns.count == 0) return;
    f("return_mean", returns.mean);
    f("return_std", returns.std());
    f("ep_length_mean", length.mean);
    f("terminated_mean", terminated.mean);
    for (std::size_t k = 0; k < metrics.size() && k < metric_names.size(); ++k)
      f(metric_names[k] + "_mean", metrics[k].mean);
  }
};

/// Means of what updates saw.
struct LearnerStats {
  RunningMean loss, grad_norm, td_error_abs, q_taken_mean, target_mean;
  RunningMean coma_loss, agent_grad_norm, advantage_mean, pi_max;  ///< of policies

  void add(const QLearnerStats& stats) {
    loss.add(stats.loss);
    grad_norm.add(stats.grad_norm);
    td_error_abs.add(stats.td_error_abs);
    q_taken_mean.add(stats.q_taken_mean);
    target_mean.add(stats.target_mean);
    if (!stats.policy) return;
    coma_loss.add(stats.policy->loss);
    agent_grad_norm.add(stats.policy->grad_norm);
    advantage_mean.add(stats.policy->advantage_mean);
    pi_max.add(stats.policy->pi_max);
  }

  template <class F>
  void report(F&& f) const {
    if (loss.count == 0) return;
    f("loss", loss.mean);
    f("grad_norm", grad_norm.mean);
    f("td_error_abs", td_error_abs.mean);
    f("q_taken_mean", q_taken_mean.mean);
    f("target_mean", target_mean.mean);
    if (coma_loss.count == 0) return;
    f("coma_loss", coma_loss.mean);
    f("agent_grad_norm", agent_grad_norm.mean);
    f("advantage_mean", advantage_mean.mean);
    f("pi_max", pi_max.mean);
  }
};

}  // namespace qatten::inline QATTEN_ABI
