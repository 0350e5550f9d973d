#pragma once
// Playing episodes: an environment, a policy, and an Episode of exactly the length it took.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "qatten/agents/agent.hpp"
#include "qatten/environments/environment.hpp"
#include "qatten/replay/episode.hpp"
#include "qatten/training/exploration.hpp"

namespace qatten::inline QATTEN_ABI {

/// What a policy sees before it fills `actions` (one an agent): the step, the observation, and the actions of the step
/// before (−1 at the start of an episode).
struct Decision {
  Index t;
  const Observation& observation;
  ConstView<std::int32_t> last_actions;  ///< (1, n_agents)
  std::span<int> actions;
};

/// Plays one environment. Reuses its memory from episode to episode; each episode handed out has memory of its own.
template <Environment E>
class Rollout {
 public:
  explicit Rollout(E& environment) : environment_(environment), info_(environment.info()) {
    detail::require(info_.n_agents >= 1 && info_.n_actions >= 1 && info_.obs_shape >= 1 && info_.episode_limit >= 1,
                    "Rollout", "the environment's info() must have agents, actions, observations and an episode_limit");
    record_.resize(info_.n_agents, info_.n_actions, info_.obs_shape, info_.state_shape, info_.unit_dim,
                   info_.episode_limit);
    actions_.resize(static_cast<std::size_t>(info_.n_agents));
    last_actions_.resize(1, info_.n_agents);
  }

  const EnvironmentInfo& info() const { return info_; }

  /// One episode on the given stream; `policy(const Decision&)` fills the actions. An episode that reaches the
  /// environment's episode_limit without ending is cut off there. Throws for an action that is not available.
  template <class Policy>
  Episode<float> play(const Random& stream, Policy&& policy) {
    environment_.reset(stream);
    last_actions_.setConstant(-1);
    record_.terminated = false;
    Index t = 0;
    for (bool ended = false; !ended; ++t) {
      const Observation observation = observe(t);
      policy(Decision{t, observation, last_actions_, actions_});
      check(observation, t);
      const StepResult result = environment_.step(actions_);
      record_.rewards(t) = result.reward;
      record_.terminated = result.terminated;
      for (Index i = 0; i < info_.n_agents; ++i)
        record_.actions(i, t) = last_actions_(0, i) = actions_[static_cast<std::size_t>(i)];
      ended = result.terminated || result.truncated || t + 1 == info_.episode_limit;
    }
    observe(t);
    return record_.first(t);
  }

 private:
  /// Lets the environment write observation t into the record.
  Observation observe(Index t) {
    const Index n = info_.n_agents;
    Observation o{record_.obs.middleCols(t * n, n), record_.state.col(t),
                  View<float>(record_.units.data() + t * record_.units.rows(), info_.unit_dim, n, info_.unit_dim),
                  record_.available.middleCols(t * n, n), record_.alive.col(t)};
    record_.obs.middleCols(t * n, n).setZero();
    record_.state.col(t).setZero();
    record_.units.col(t).setZero();
    record_.available.middleCols(t * n, n).setOnes();
    record_.alive.col(t).setOnes();
    environment_.observe(o);
    return o;
  }

  void check(const Observation& observation, Index t) const {
    for (Index i = 0; i < info_.n_agents; ++i) {
      const int a = actions_[static_cast<std::size_t>(i)];
      if (a < 0 || a >= info_.n_actions || observation.available(a, i) == 0) [[unlikely]]
        throw Error("Rollout: agent " + std::to_string(i) + " chose action " + std::to_string(a) + " at step " +
                    std::to_string(t) + ", which is not available");
    }
  }

  E& environment_;
  EnvironmentInfo info_;
  Episode<float> record_;  ///< of episode_limit steps
  std::vector<int> actions_;
  Matrix<std::int32_t> last_actions_;
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
