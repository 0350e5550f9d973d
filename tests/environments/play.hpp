#pragma once
// Plays games by hand.

#include <vector>

#include "qatten/environments/environment.hpp"

namespace qatten_test {

/// An observation with memory of its own, filled as `qatten::Observation` says.
struct Seen {
  explicit Seen(const qatten::EnvironmentInfo& info)
      : obs(qatten::Matrix<float>::Zero(info.obs_shape, info.n_agents)),
        state(qatten::Matrix<float>::Zero(info.state_shape, 1)),
        units(qatten::Matrix<float>::Zero(info.unit_dim, info.n_agents)),
        available(qatten::Matrix<std::uint8_t>::Ones(info.n_actions, info.n_agents)),
        alive(qatten::Matrix<std::uint8_t>::Ones(info.n_agents, 1)) {}

  qatten::Matrix<float> obs, state, units;
  qatten::Matrix<std::uint8_t> available, alive;
};

template <qatten::Environment E>
Seen look(const E& environment) {
  Seen seen(environment.info());
  environment.observe(qatten::Observation{seen.obs, seen.state, seen.units, seen.available, seen.alive});
  return seen;
}

/// Resets and plays these joint actions; the results of all steps.
template <qatten::Environment E>
std::vector<qatten::StepResult> play(E& environment, const std::vector<std::vector<int>>& actions) {
  environment.reset(qatten::Random(0));
  std::vector<qatten::StepResult> results;
  for (const auto& joint : actions) results.push_back(environment.step(joint));
  return results;
}

/// The sum of all rewards of an episode that must end with the last of these joint actions and not before; NaN if not.
template <qatten::Environment E>
double episode_return(E& environment, const std::vector<std::vector<int>>& actions) {
  const auto results = play(environment, actions);
  double sum = 0;
  for (std::size_t t = 0; t < results.size(); ++t) {
    if ((results[t].terminated || results[t].truncated) != (t + 1 == results.size()))
      return std::numeric_limits<double>::quiet_NaN();
    sum += results[t].reward;
  }
  return sum;
}

}  // namespace qatten_test
