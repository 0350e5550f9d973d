#pragma once
// Playing episodes: an environment, a policy, and an Episode of exactly the length it took.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "qatten/agents/agent.hpp"
#include "qatten/training/exploration.hpp"
#include "qatten/training/recorder.hpp"

namespace qatten::inline QATTEN_ABI {

/// What a policy sees before it fills `actions` (one an agent): the step, the observation, and the actions of the step
/// before (−1 at the start of an episode).
struct Decision {
  Index t;
  const Observation observation;
  ConstView<std::int32_t> last_actions;  ///< (1, n_agents)
  std::span<int> actions;
};

/// Plays one environment. Reuses its memory from episode to episode; each episode handed out has memory of its own.
template <Environment E>
class Rollout {
 public:
  explicit Rollout(E& environment)
      : recorder_(environment), actions_(static_cast<std::size_t>(recorder_.info().n_agents)) {}

  const EnvironmentInfo& info() const { return recorder_.info(); }

  /// One episode on the given stream; `policy(const Decision&)` fills the actions. An episode that reaches the
  /// environment's episode_limit without ending is cut off there. Throws for an action that is not available, and when
  /// the environment voids the episode (`ParallelRollout` plays such an episode again).
  template <class Policy>
  Episode<float> play(const Random& stream, Policy&& policy) {
    recorder_.begin(stream);
    do {
      policy(Decision{recorder_.t(), recorder_.observation(), recorder_.last_actions(), actions_});
    } while (recorder_.step(actions_));
    detail::require(!recorder_.aborted(), "Rollout",
                    "the environment voided the episode at step " + std::to_string(recorder_.t()));
    return recorder_.episode();
  }

 private:
  Recorder<E> recorder_;
  std::vector<int> actions_;
};

/// The agent's values at every step, and ε-greedy on them.
template <Agent A>
class EpsilonGreedyPolicy {
 public:
  using Scalar = typename A::Scalar;

  explicit EpsilonGreedyPolicy(const A& agent) : agent_(agent) {
    const AgentOptions& options = agent.options();
    agent_.prepare(scratch_, options.n_agents, options.n_agents);
    hidden_.setZero(options.hidden_dim, options.n_agents);
    q_.resize(options.n_actions, options.n_agents);
    obs_.resize(options.obs_shape, options.n_agents);
  }

  /// For the episodes that follow: whose values, how much chance and from which stream.
  void set(const Vector<Scalar>& parameters, double epsilon, Random& random) {
    parameters_ = &parameters;
    epsilon_ = epsilon;
    random_ = &random;
  }

  void operator()(const Decision& d) {
    if (d.t == 0) hidden_.setZero();
    obs_ = d.observation.obs.template cast<Scalar>();
    agent_.step(*parameters_, {obs_, d.last_actions}, hidden_, q_, scratch_);
    epsilon_greedy<Scalar>(q_, d.observation.available, epsilon_, *random_, d.actions);
  }

  /// The values of the last decision (n_actions, n_agents).
  const Matrix<Scalar>& q() const { return q_; }

 private:
  A agent_;
  typename A::Scratch scratch_;
  Matrix<Scalar> hidden_, q_, obs_;
  const Vector<Scalar>* parameters_ = nullptr;
  double epsilon_ = 0;
  Random* random_ = nullptr;
};

/// The joint action given in advance for each step, `joint_actions[t]`, the last one repeated.
inline auto scripted_policy(std::vector<std::vector<int>> joint_actions) {
  return [joint_actions = std::move(joint_actions)](const Decision& d) {
    const auto& actions = joint_actions[std::min(static_cast<std::size_t>(d.t), joint_actions.size() - 1)];
    std::copy(actions.begin(), actions.end(), d.actions.begin());
  };
}

}  // namespace qatten::inline QATTEN_ABI
