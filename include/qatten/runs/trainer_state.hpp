#pragma once
// A training into a checkpoint and back: everything it needs to go on to the same bits.

#include <string>
#include <utility>
#include <vector>

#include "qatten/io/training_state.hpp"
#include "qatten/training/trainer.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// Every mean of a trainer's state, in one order.
template <class State, class F>
void for_each_mean(State& s, F&& f) {
  for (auto* mean : {&s.episodes.returns, &s.episodes.length, &s.episodes.terminated, &s.learner.loss,
                     &s.learner.grad_norm, &s.learner.td_error_abs, &s.learner.q_taken_mean, &s.learner.target_mean,
                     &s.learner.coma_loss, &s.learner.agent_grad_norm, &s.learner.advantage_mean, &s.learner.pi_max})
    f(*mean);
  for (auto& mean : s.episodes.metrics) f(mean);
}

/// Its counts and numbers, with their names.
template <class State, class F>
void for_each_number(State& s, F&& f) {
  f("t_env", s.t_env);
  f("episode", s.episode);
  f("aborted", s.aborted);
  f("evaluations", s.evaluations);
  f("last_test", s.last_test);
  f("last_log", s.last_log);
  f("last_save", s.last_save);
  f("largest_reward", s.largest_reward);
  f("divergence_warned", s.divergence_warned);
  f("return_mean", s.progress.return_mean);
  f("loss", s.progress.loss);
  f("test_return_mean", s.progress.test_return_mean);
  f("test_battle_won_mean", s.progress.test_battle_won_mean);
}

/// What a resumed run must keep, a line an option.
inline std::string fixed_options(const TrainingOptions& options) {
  std::string text;
  for (const Option& option : option_table())
    if (option.limits.fixed) text.append(option.name).append(" = ").append(get_option(options, option)).append("\n");
  for (const auto& [name, value] : options.env_args)
    text.append("env_args.").append(name).append(" = ").append(value).append("\n");
  return text;
}

}  // namespace detail

inline void put_trainer(Checkpoint& to, const Trainer& trainer) {
  const TrainerState& s = trainer.state();
  to.put("options", detail::fixed_options(trainer.options()));
  put_learner(to, "learner", trainer.learner().layout(), trainer.learner().state());
  put_replay(to, "replay", trainer.buffer());
  detail::for_each_number(s, [&](const std::string& name, auto number) { to.put("trainer." + name, number); });
  std::vector<std::int64_t> counts;
  std::vector<double> means, m2;
  detail::for_each_mean(s, [&](const RunningMean& mean) {
    counts.push_back(mean.count);
    means.push_back(mean.mean);
    m2.push_back(mean.m2);
  });
  to.put("trainer.means.count", counts);
  to.put("trainer.means.mean", means);
  to.put("trainer.means.m2", m2);
  std::string names;
  for (const std::string& name : s.metric_names) names += name + "\n";
  to.put("trainer.metric_names", names);
}

/// Throws, and leaves the trainer as it was, when the checkpoint lacks a part, is another environment's or was written
/// under other options.
inline void get_trainer(const Checkpoint& from, Trainer& trainer) {
  const std::string options = detail::fixed_options(trainer.options());
  if (const auto stored = from.get<std::string>("options"); stored != options)
    throw Error("get_trainer: the checkpoint's options differ: it " + detail::first_difference(stored, options));
  TrainerState s;
  detail::for_each_number(
      s, [&]<class T>(const std::string& name, T& number) { number = from.get<T>("trainer." + name); });
  const auto counts = from.get<std::vector<std::int64_t>>("trainer.means.count");
  const auto means = from.get<std::vector<double>>("trainer.means.mean");
  const auto m2 = from.get<std::vector<double>>("trainer.means.m2");
  std::size_t fixed = 0;
  detail::for_each_mean(s, [&](const RunningMean&) { ++fixed; });
  detail::require(counts.size() >= fixed && means.size() == counts.size() && m2.size() == counts.size(), "get_trainer",
                  "the means do not fit together");
  s.episodes.metrics.resize(counts.size() - fixed);
  std::size_t k = 0;
  detail::for_each_mean(s, [&](RunningMean& mean) {
    mean = {counts[k], means[k], m2[k]};
    ++k;
  });
  std::istringstream names(from.get<std::string>("trainer.metric_names"));
  for (std::string name; std::getline(names, name);) s.metric_names.push_back(name);

  LearnerState<float> learner;
  get_learner(from, "learner", trainer.learner().layout(), learner);
  EpisodeBuffer buffer = empty_buffer(trainer.options());
  get_replay(from, "replay", buffer);
  trainer.restore(std::move(s), std::move(learner), std::move(buffer));
}

}  // namespace qatten::inline QATTEN_ABI
