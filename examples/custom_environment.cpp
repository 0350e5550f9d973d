// An environment of one's own, checked and trained on.
//
// Relay: two agents pass a ball. Only the one who has it may pass (action 1) and must do so at the right time, which
// the state shows but only the other agent sees.

#include <iostream>

#include "qatten/qatten.hpp"

using namespace qatten;

class Relay {
 public:
  EnvironmentInfo info() const {
    return {.n_agents = 2, .n_actions = 2, .obs_shape = 2, .state_shape = 3, .unit_dim = 1, .episode_limit = 10};
  }

  void reset(const Random& stream) {
    random_ = stream;
    holder_ = 0;
    step_ = 0;
    open_ = random_.uniform() < 0.5;
  }

  void observe(const Observation& o) const {
    for (Index i = 0; i < 2; ++i) {
      o.obs(0, i) = float(i == holder_);
      o.obs(1, i) = float(open_);
      o.available(1, i) = i == holder_;  // without the ball there is nothing to pass
      o.units(0, i) = float(i == holder_);
    }
    o.state(holder_, 0) = 1;
    o.state(2, 0) = float(open_);
  }

  StepResult step(std::span<const int> actions) {
    const bool passed = actions[static_cast<std::size_t>(holder_)] == 1;
    const float reward = passed ? (open_ ? 1.0F : -1.0F) : 0.0F;
    if (passed) holder_ = 1 - holder_;
    open_ = random_.uniform() < 0.5;
    return {.reward = reward, .truncated = ++step_ == 10};
  }

 private:
  Random random_{0};
  Index holder_ = 0, step_ = 0;
  bool open_ = false;
};
static_assert(Environment<Relay>);

int main() {
  Relay relay;
  for (const std::string& problem : check_environment(relay)) std::cout << problem << "\n";

  Rollout<Relay> rollout(relay);
  const EnvironmentInfo& info = rollout.info();
  ParameterLayout layout;
  const RecurrentAgent<float> agent(
      layout, "agent",
      {.n_agents = info.n_agents, .n_actions = info.n_actions, .obs_shape = info.obs_shape, .hidden_dim = 32});
  const Qatten<float> mixer(layout, "mixer", info.n_agents, info.state_shape, info.unit_dim);
  QLearner learner(layout, agent, mixer, Adam<float>(), {.target_update = {TargetUpdate::Rule::every_episodes, 50}},
                   Random(1, "parameters"));
  EpisodeBuffer buffer(1000, std::size_t{64} << 20);
  EpisodeBatch<float> batch;
  EpsilonGreedyPolicy policy(agent);
  Random exploration(1, "exploration"), replay(1, "replay");
  const EpsilonSchedule epsilon{.anneal_time = 5000};

  double sum = 0;
  for (int episode = 1; episode <= 1000; ++episode) {
    policy.set(learner.state().parameters, epsilon(10 * episode), exploration);
    const Episode<float> played = rollout.play(Random(1, "environment", std::uint64_t(episode)), policy);
    sum += double(played.rewards.sum());
    buffer.add(played);
    if (buffer.size() < 32) continue;
    batch.assign(buffer.sample(32, replay));
    const QLearnerStats stats = learner.update(batch, episode);
    if (episode % 200 == 0) {
      std::cout << "episode " << episode << "  return_mean " << sum / 200 << "  loss " << stats.loss << "\n";
      sum = 0;
    }
  }
}
