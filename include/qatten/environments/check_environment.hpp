#pragma once
// Finds out what is wrong with an environment.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/guarded_observation.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

template <Environment E>
class EnvironmentCheck {
 public:
  EnvironmentCheck(E& environment, std::uint64_t seed) : environment_(environment), seed_(seed) {}

  std::vector<std::string> run(int episodes) {
    const bool usable = attempt("info", [&] { info_ = environment_.info(); }) && check_sizes();
    for (int episode = 0; usable && episode < episodes; ++episode) check_episode(episode);
    return std::move(problems_);
  }

 private:
  /// An episode as it happened. There is one more `shown` than there are results, because of the last observation.
  struct Record {
    std::vector<std::array<std::uint64_t, 5>> shown;
    std::vector<std::vector<int>> actions;
    std::vector<StepResult> results;
  };

  static constexpr Index max_steps = 100'000;
  static constexpr Index max_cells = Index{1} << 24;

  /// One problem of each kind is enough: the first.
  void report(std::string_view kind, const std::string& message) {
    if (kinds_.emplace(kind).second) problems_.push_back(where_ + message);
  }

  /// Calls f; false when it threw.
  template <class F>
  bool attempt(const std::string& function, F&& f) {
    try {
      f();
      return true;
    } catch (const std::exception& error) {
      report(function + " threw", function + "() threw an exception: " + error.what());
    } catch (...) {
      report(function + " threw", function + "() threw something that is not a std::exception");
    }
    return false;
  }

  template <class T>
  static std::string text(T x) {
    std::ostringstream out;
    out.precision(9);
    out << +x;
    return out.str();
  }

  bool check_sizes() {
    const auto at_least = [&](const char* name, Index size, Index least) {
      if (size < least)
        report(name, "info()." + std::string(name) + " is " + text(size) + ", expected at least " + text(least));
    };
    at_least("n_agents", info_.n_agents, 1);
    at_least("n_actions", info_.n_actions, 1);
    at_least("obs_shape", info_.obs_shape, 1);
    at_least("state_shape", info_.state_shape, 0);
    at_least("unit_dim", info_.unit_dim, 0);
    at_least("episode_limit", info_.episode_limit, 1);
    const Index rows = std::max({info_.obs_shape, info_.state_shape, info_.unit_dim, info_.n_actions});
    if (static_cast<double>(rows) * static_cast<double>(info_.n_agents) > static_cast<double>(max_cells))
      report("cells", "info() asks for " + text(rows) + " numbers for each of " + text(info_.n_agents) +
                          " agents, more than the " + text(max_cells) + " that check_environment holds");
    return problems_.empty();
  }

  /// Plays an episode, then twice again: the same stream and actions must give the same episode, also from the midst of
  /// another.
  void check_episode(int episode) {
    const std::optional<Record> record = play(episode, nullptr, max_steps, "");
    if (!record) return;
    if (!play(episode, &*record, max_steps, "played again with the same stream and actions, ")) return;
    play(episode, &*record, std::ssize(record->actions) / 2, "played again with the same stream and actions, ");
    play(episode, &*record, max_steps, "played again after a reset in the middle of an episode, ");
  }

  /// Plays an episode with random available actions or, given a `model`, with the actions of the model and in
  /// comparison to it. Stops after `stop` steps. Nothing when it did not come to its proper end.
  std::optional<Record> play(int episode, const Record* model, Index stop, const std::string& how) {
    const Random stream(seed_, "check_environment", static_cast<std::uint64_t>(episode));
    Random chance(seed_, "check_environment actions", static_cast<std::uint64_t>(episode));
    Record record;
    where_ = "episode " + text(episode) + ", step 0: ";
    if (!attempt("reset", [&] { environment_.reset(stream); })) return {};
    for (std::size_t t = 0;; ++t) {
      where_ = "episode " + text(episode) + ", step " + text(t) + ": ";
      const std::optional<Shown> shown = observe();
      if (!shown) return {};
      record.shown.push_back(shown->digests());
      if (model && !same_shown(record.shown[t], model->shown[t], how)) return {};
      if (t > 0 && ended(record.results.back())) return record;
      if (std::cmp_equal(t, model ? stop : std::min(stop, info_.episode_limit))) {
        if (!model) report_endless(t);
        return {};
      }
      if (!model && !all_can_act(*shown)) return {};
      record.actions.push_back(model ? model->actions[t] : choose(shown->available, chance));
      StepResult result;
      if (!attempt("step", [&] { result = environment_.step(record.actions.back()); })) return {};
      record.results.push_back(result);
      check_result(result);
      if (model && !same_result(result, model->results[t], how)) return {};
    }
  }

  static bool ended(const StepResult& result) { return result.terminated || result.truncated; }

  void report_endless(std::size_t t) {
    report("endless",
           std::cmp_less(t, info_.episode_limit)
               ? "the episode still goes on, and check_environment plays no further; info().episode_limit is " +
                     text(info_.episode_limit)
               : "the episode still goes on, expected an end within info().episode_limit = " +
                     text(info_.episode_limit) + " steps");
  }

  /// Looks twice, among different guard cells.
  std::optional<Shown> observe() {
    EnvironmentInfo now;
    if (!attempt("info", [&] { now = environment_.info(); })) return {};
    if (now != info_) {
      report("info", "info() changed, expected the same at all times");
      return {};
    }
    GuardedObservation memory(info_);
    Shown shown[2];
    for (int look = 0; look < 2; ++look) {
      const std::uint8_t guard = look == 0 ? 90 : 165;
      const Observation views = memory.fill(guard);
      if (!attempt("observe", [&] { std::as_const(environment_).observe(views); })) return {};
      report_unless_intact(memory.intact(guard));
      shown[look] = memory.content();
    }
    const auto first = shown[0].digests(), second = shown[1].digests();
    for (std::size_t i = 0; i < first.size(); ++i)
      if (first[i] != second[i])
        report("twice", "observe() called twice in a row wrote different " + std::string(Shown::names[i]) +
                            ", expected the same");
    check_shown(shown[0]);
    return std::move(shown[0]);
  }

  void report_unless_intact(const std::array<bool, 5>& intact) {
    for (std::size_t i = 0; i < intact.size(); ++i)
      if (!intact[i])
        report("outside " + std::string(Shown::names[i]),
               "observe() wrote outside the view " + std::string(Shown::names[i]) +
                   ", expected to stay within rows(), cols() and outerStride()");
  }

  void check_shown(const Shown& shown) {
    check_finite("obs", shown.obs);
    check_finite("state", shown.state);
    check_finite("units", shown.units);
    check_flags("available", shown.available);
    check_flags("alive", shown.alive);
    check_can_act(shown);
  }

  static std::string element(const std::string& name, Index row, Index col) {
    return name + "(" + text(row) + ", " + text(col) + ") is ";
  }

  void check_finite(const std::string& name, const Matrix<float>& x) {
    for (Index j = 0; j < x.cols(); ++j)
      for (Index i = 0; i < x.rows(); ++i)
        if (!std::isfinite(x(i, j)))
          return report("finite " + name, element(name, i, j) + text(x(i, j)) + ", expected a finite number");
  }

  void check_flags(const std::string& name, const Matrix<std::uint8_t>& x) {
    for (Index j = 0; j < x.cols(); ++j)
      for (Index i = 0; i < x.rows(); ++i)
        if (x(i, j) > 1) return report("flag " + name, element(name, i, j) + text(x(i, j)) + ", expected 0 or 1");
  }

  static bool can_act(const Shown& shown, Index agent) { return (shown.available.col(agent).array() != 0).any(); }

  bool all_can_act(const Shown& shown) const {
    for (Index agent = 0; agent < info_.n_agents; ++agent)
      if (!can_act(shown, agent)) return false;
    return true;
  }

  void check_can_act(const Shown& shown) {
    for (Index agent = 0; agent < info_.n_agents; ++agent)
      if (!can_act(shown, agent))
        report("no action", "agent " + text(agent) + " has no available action, expected at least one" +
                                (shown.alive(agent, 0) ? "" : "; it is dead: give it an action that does nothing"));
  }

  static std::vector<int> choose(const Matrix<std::uint8_t>& available, Random& chance) {
    std::vector<int> actions;
    for (Index agent = 0; agent < available.cols(); ++agent) {
      Index skip = chance.integer(count_set(available.col(agent)));
      Index action = 0;
      while (available(action, agent) == 0 || skip-- > 0) ++action;
      actions.push_back(static_cast<int>(action));
    }
    return actions;
  }

  void check_result(const StepResult& result) {
    if (!std::isfinite(result.reward))
      report("finite reward", "step() gave reward " + text(result.reward) + ", expected a finite number");
    if (result.terminated && result.truncated)
      report("both ends", "step() gave both terminated and truncated, expected at most one of them");
  }

  bool same_shown(const std::array<std::uint64_t, 5>& got, const std::array<std::uint64_t, 5>& expected,
                  const std::string& how) {
    for (std::size_t i = 0; i < got.size(); ++i)
      if (got[i] != expected[i]) {
        report("again",
               how + "observe() wrote other " + std::string(Shown::names[i]) + " than before, expected the same");
        return false;
      }
    return true;
  }

  bool same_result(const StepResult& got, const StepResult& expected, const std::string& how) {
    const auto result = [](const StepResult& r) {
      return "reward " + text(r.reward) + ", terminated " + text(r.terminated) + ", truncated " + text(r.truncated);
    };
    const bool same = got.terminated == expected.terminated && got.truncated == expected.truncated &&
                      std::memcmp(&got.reward, &expected.reward, sizeof(float)) == 0;
    if (!same) report("again", how + "step() gave " + result(got) + "; expected " + result(expected) + " as before");
    return same;
  }

  E& environment_;
  std::uint64_t seed_;
  EnvironmentInfo info_;
  std::string where_;
  std::set<std::string, std::less<>> kinds_;
  std::vector<std::string> problems_;
};

}  // namespace detail

/// Plays `episodes` episodes of an environment with random available actions, each several times, and returns what is
/// wrong with it in readable sentences: what was wrong, in which step of which episode, what was got and what was
/// expected. Empty when all is well. Each kind of problem is told once, where it first occurred. Checked is that
///
///   sizes        are positive (state_shape and unit_dim may be 0), and info() never changes
///   observe()    writes inside its views only, twice the same, finite numbers, flags of 0 and 1, and leaves every
///   agent,
///                alive or dead, at least one available action, in the last observation too
///   step()       gives a finite reward, ends the episode within episode_limit steps, by termination or truncation but
///                not both
///   reset()      begins anew from anywhere: same stream and same actions, same bits
///
/// What the environment throws is caught and told. Different streams may give different episodes, but need not.
/// Plays no episode beyond 100 000 steps. Throws only when `episodes` is not positive.
template <Environment E>
std::vector<std::string> check_environment(E& environment, std::uint64_t seed = 1, int episodes = 10) {
  detail::require(episodes >= 1, "check_environment", "got " + std::to_string(episodes) + " episodes, expected >= 1");
  return detail::EnvironmentCheck<E>(environment, seed).run(episodes);
}

}  // namespace qatten::inline QATTEN_ABI
