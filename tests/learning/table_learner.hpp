#pragma once
// Any objective on all the data there is, each once: what exploration at ε = 1 sees, without its noise.

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/optim/by_name.hpp"
#include "qatten/training/enumerate.hpp"

namespace qatten::test {

/// The values (n_actions, n_agents) of a team that neither remembers nor sees its last actions.
inline Matrix<float> values_of(const FeedForwardAgent<float>& agent, const Vector<float>& p, ConstView<float> obs) {
  const auto& options = agent.options();
  FeedForwardAgent<float>::Scratch scratch;
  agent.prepare(scratch, options.n_agents, options.n_agents);
  Matrix<float> q(options.n_actions, options.n_agents), hidden(options.hidden_dim, options.n_agents);
  agent.step(p, {obs}, hidden, q, scratch);
  return q;
}

/// The joint action of the largest values (the first of equals).
inline Index greedy(const Matrix<float>& q) {
  std::vector<int> actions(static_cast<std::size_t>(q.cols()));
  for (Index i = 0; i < q.cols(); ++i) {
    Index best;
    q.col(i).maxCoeff(&best);
    actions[static_cast<std::size_t>(i)] = static_cast<int>(best);
  }
  return joint_index(actions, q.rows());
}

struct TableOptions {
  std::vector<Random> streams{Random(0)};  ///< one for each start of the environment
  Index steps = 1;                         ///< of an episode
  double gamma = 0.99;
  Index hidden_dim = 32;
  bool rmsprop = false;  ///< RMSprop with PyMARL's constants instead of Adam with PyTorch's
};

/// `MakeObjective(layout, agent, info, options)` lays out what lies behind the agents.
template <class Objective>
class TableLearner {
 public:
  using Agent = FeedForwardAgent<float>;

  template <Environment E, class MakeObjective>
  TableLearner(E& environment, std::uint64_t seed, const MakeObjective& make, const TableOptions& options = {})
      : rmsprop_(options.rmsprop) {
    const EnvironmentInfo info = environment.info();
    episodes = enumerate_episodes(environment, std::span<const Random>(options.streams), options.steps);
    std::vector<const Episode<float>*> pointers;
    for (const auto& e : episodes) pointers.push_back(&e);
    batch.assign(pointers);
    const Agent agent(layout, "agent",
                      {.n_agents = info.n_agents,
                       .n_actions = info.n_actions,
                       .obs_shape = info.obs_shape,
                       .obs_last_action = false,
                       .hidden_dim = options.hidden_dim});
    Objective objective =
        make(layout, agent, info, {.gamma = options.gamma, .target_update = {TargetUpdate::Rule::every_updates, 50}});
    learner.emplace(layout, std::move(objective), optimizer(1e-3), Random(seed, "parameters"));
  }

  /// `updates` steps, the learning rate falling from `lr` to a hundredth of it. Returns the last loss.
  double train(int updates, double lr) {
    double loss = 0;
    for (int k = 0; k < updates; ++k) {
      learner->set_optimizer(optimizer(lr * std::pow(0.01, double(k) / updates)));
      loss = learner->update(batch).loss;
    }
    return loss;
  }

  /// The same on batches of `batch_size` episodes drawn anew each time: uniform exploration with its noise. The rate
  /// falls in the last fifth only. Afterwards q_tot() is that of all episodes, each once.
  void train_on_draws(int updates, double lr, Index batch_size, Random random) {
    EpisodeBatch<float> drawn;
    std::vector<const Episode<float>*> pointers(static_cast<std::size_t>(batch_size));
    for (int k = 0; k < updates; ++k) {
      for (auto& pointer : pointers)
        pointer = &episodes[static_cast<std::size_t>(random.integer(static_cast<Index>(episodes.size())))];
      drawn.assign(pointers);
      learner->set_optimizer(optimizer(lr * std::pow(0.01, std::max(0.0, 5 * double(k) / updates - 4))));
      learner->update(drawn);
    }
    learner->loss(learner->state().parameters, learner->state().target, batch);
  }

  /// The agents' values (n_actions, n_agents) at observation column `column` of the batch.
  Matrix<float> values(Index column = 0) {
    const Index n = learner->agent().options().n_agents;
    return values_of(learner->agent(), learner->state().parameters, batch.obs.middleCols(column * n, n));
  }

  /// The joint action of transition k.
  Index taken(Index k) const {
    const std::span<const int> actions(batch.actions.col(k).data(), static_cast<std::size_t>(batch.n_agents));
    return joint_index(actions, learner->agent().options().n_actions);
  }

  ParameterLayout layout;
  std::vector<Episode<float>> episodes;
  EpisodeBatch<float> batch;
  std::optional<Learner<Objective, AnyOptimizer<float>>> learner;

 private:
  AnyOptimizer<float> optimizer(double lr) const {
    if (rmsprop_) return RmsProp<float>({.lr = lr, .alpha = 0.99, .eps = 1e-5});
    return Adam<float>({.lr = lr});
  }

  bool rmsprop_;
};

}  // namespace qatten::test
