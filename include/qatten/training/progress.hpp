#pragma once
// A training in words: what it is before it starts, and how far it is.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>

#include "qatten/training/observer.hpp"
#include "qatten/training/trainer.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

template <class... Numbers>
std::string format(const char* pattern, Numbers... numbers) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, numbers...);
  return text.data();
}

inline std::string bytes_text(double bytes) {
  const std::array<const char*, 5> units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return format(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

inline std::string duration_text(double seconds) {
  const auto s = std::llround(std::min(seconds, 1e12));
  return format("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace detail

/// Several lines: the environment's sizes, the learner, the schedule, and how much memory replay may come to take.
inline std::string describe(const Trainer& trainer) {
  const TrainingOptions& o = trainer.options();
  const EnvironmentInfo& i = trainer.rollout().info();
  const auto n = [](auto x) { return std::to_string(x); };
  return "environment  " + o.env + ": " + n(i.n_agents) + " agents, " + n(i.n_actions) + " actions, obs " +
         n(i.obs_shape) + ", state " + n(i.state_shape) + ", units " + n(i.unit_dim) + ", at most " +
         n(i.episode_limit) + " steps\nlearner      " + o.mixer + ", agent " + o.agent + ", " +
         n(trainer.learner().layout().size()) + " parameters, " + o.optimizer + " " + detail::shortest(o.lr) +
         "\nschedule     " + n(o.batch_size_run) + " environments, " + detail::to_text(o.updates_per_episode) +
         " updates an episode, batches of " + n(o.batch_size) + " episodes, t_max " + n(o.t_max) + ", seed " +
         n(o.seed) + "\nreplay       " + n(o.buffer_size) + " episodes of at most " +
         detail::bytes_text(double(trainer.episode_bytes())) + " each; at most " +
         detail::bytes_text(double(trainer.replay_bytes())) + " in all (buffer_bytes_max " +
         detail::bytes_text(double(o.buffer_bytes_max)) + ")\n";
}

/// Environment steps a second, over the time since about ten seconds ago.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  double operator()(std::int64_t t_env) {
    const Clock::time_point now = Clock::now();
    if (marks_[0].t_env < 0) marks_ = {Mark{t_env, now}, Mark{t_env, now}};
    if (now - marks_[1].time > std::chrono::seconds(5)) marks_ = {marks_[1], Mark{t_env, now}};
    const double seconds = std::chrono::duration<double>(now - marks_[0].time).count();
    return seconds > 0 ? double(t_env - marks_[0].t_env) / seconds : 0;
  }

 private:
  struct Mark {
    std::int64_t t_env = -1;
    Clock::time_point time{};
  };
  std::array<Mark, 2> marks_{};  ///< older and newer
};

/// One line: steps, steps a second, time left, return, win rate, loss, ε. What is not known is left out.
inline std::string progress_line(const TrainingProgress& p, double steps_per_second) {
  std::string line = "t_env: " + std::to_string(p.t_env) + " / " + std::to_string(p.t_max) +
                     detail::format("  %.0f steps/s", steps_per_second);
  if (steps_per_second > 0)
    line += "  left " + detail::duration_text(double(std::max<std::int64_t>(p.t_max - p.t_env, 0)) / steps_per_second);
  const auto add = [&](const char* pattern, double x) {
    if (!std::isnan(x)) line += detail::format(pattern, x);
  };
  add("  return %.4g", p.return_mean);
  add("  test %.4g", p.test_return_mean);
  add("  won %.3f", p.test_battle_won_mean);
  add("  loss %.3g", p.loss);
  add("  epsilon %.3f", p.epsilon);
  if (p.aborted > 0) line += "  voided " + std::to_string(p.aborted);
  return line;
}

/// Shows progress on a stream: on a terminal one line that is written anew, elsewhere a line every `seconds`.
class ProgressReporter final : public TrainingObserver {
 public:
  ProgressReporter(std::ostream& out, bool terminal, double seconds = 10)
      : out_(out), terminal_(terminal), interval_(terminal ? 0.2 : seconds) {}
  ~ProgressReporter() override { finish(); }

  void progress(const TrainingProgress& p) override {
    last_ = p;
    rate_ = pace_(p.t_env);
    shown_ = false;
    const Pace::Clock::time_point now = Pace::Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::duration_cast<Pace::Clock::duration>(std::chrono::duration<double>(interval_));
    show();
  }

  void warning(const std::string& text) override {
    finish();
    out_ << "warning: " << text << std::endl;
  }

  /// Shows where things stand, and ends the line.
  void finish() {
    show();
    if (std::exchange(open_, false)) out_ << std::endl;
  }

 private:
  void show() {
    if (std::exchange(shown_, true)) return;
    const std::string line = progress_line(last_, rate_);
    // On a terminal too narrow for it the line is cut rather than wrapped: only so can it be written anew.
    out_ << (terminal_ ? "\r\033[K\033[?7l" + line + "\033[?7h" : line + "\n") << std::flush;
    open_ = terminal_;
  }

  std::ostream& out_;
  bool terminal_;
  double interval_;
  Pace pace_;
  Pace::Clock::time_point next_{};
  TrainingProgress last_;
  double rate_ = 0;
  bool shown_ = true;  ///< whether `last_` has been
  bool open_ = false;
};

}  // namespace qatten::inline QATTEN_ABI
