#pragma once
// A game that takes every turn an environment may take: episodes of random lengths, masked actions, endings of both
// kinds, metrics; and failures when asked for.

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "qatten/environments/any_environment.hpp"

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

}  // namespace qatten::test
