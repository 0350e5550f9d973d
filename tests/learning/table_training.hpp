#pragma once
// Training on all the data there is, each once: what exploration at ε = 1 sees, without its noise.

#include <optional>
#include <vector>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/analysis/joint_table.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/training/enumerate.hpp"

namespace qatten::test {

/// A learner on a fixed batch. `MakeMixer(layout, info)` lays the mixer out.
template <class M>
struct TableTraining {
  using Agent = FeedForwardAgent<float>;
  using Learner = QLearner<Agent, M, Adam<float>>;

  template <Environment E, class MakeMixer>
  TableTraining(E& environment, const std::vector<Random>& streams, Index steps, std::uint64_t seed, MakeMixer&& make,
                double gamma = 0.99) {
    const EnvironmentInfo info = environment.info();
    episodes = enumerate_episodes(environment, std::span<const Random>(streams), steps);
    std::vector<const Episode<float>*> pointers;
    for (const auto& e : episodes) pointers.push_back(&e);
    batch.assign(pointers);
    const Agent agent(layout, "agent",
                      {.n_agents = info.n_agents,
                       .n_actions = info.n_actions,
                       .obs_shape = info.obs_shape,
                       .obs_last_action = false,
                       .hidden_dim = 32});
    const M mixer = make(layout, info);
    learner.emplace(layout, agent, mixer, Adam<float>(),
                    QLearnerOptions{.gamma = gamma, .target_update = {TargetUpdate::Rule::every_updates, 50}},
                    Random(seed, "parameters"));
  }

  /// `updates` steps, the learning rate falling from `lr` to a hundredth of it. Returns the last loss.
  double train(int updates, double lr) {
    double loss = 0;
    for (int k = 0; k < updates; ++k) {
      learner->set_optimizer(Adam<float>({.lr = lr * std::pow(0.01, double(k) / updates)}));
      loss = learner->update(batch).loss;
    }
    return loss;
  }

  /// The agents' values (n_actions, n_agents) at observation column `column` of the batch.
  Matrix<float> values(Index column = 0) {
    const auto& options = learner->agent().options();
    const Index n = options.n_agents;
    typename Agent::Scratch scratch;
    learner->agent().prepare(scratch, n, n);
    Matrix<float> q(options.n_actions, n), hidden(options.hidden_dim, n);
    learner->agent().step(learner->state().parameters,
                          {batch.obs.middleCols(column * n, n), batch.last_actions.middleCols(column * n, n)}, hidden,
                          q, scratch);
    return q;
  }

  /// Q_tot of every joint action at observation column `column`.
  Vector<double> table(Index column = 0) {
    return joint_table(learner->mixer(), learner->state().parameters, values(column), batch.state.col(column),
                       batch.units.col(column))
        .template cast<double>();
  }

  ParameterLayout layout;
  std::vector<Episode<float>> episodes;
  EpisodeBatch<float> batch;
  std::optional<Learner> learner;
};

/// Each agent's greedy action (the first of equals).
inline std::vector<int> greedy(const Matrix<float>& q) {
  std::vector<int> actions;
  for (Index i = 0; i < q.cols(); ++i) {
    Index best;
    q.col(i).maxCoeff(&best);
    actions.push_back(static_cast<int>(best));
  }
  return actions;
}

}  // namespace qatten::test
