#pragma once
// Trains policies on Duet and looks at what came out.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/environments/games/duet.hpp"
#include "qatten/learners/coma.hpp"
#include "qatten/training/make_trainer.hpp"

namespace qatten::test {

/// A training by ordinary options on Duet; `Learner_` is a LearnerOf.
template <class Learner_>
struct DuetTraining {
  Index n;
  Learner_* learner = nullptr;
  std::unique_ptr<Trainer> trainer;

  /// make(layout, agent, options, info) gives the learner.
  template <class Make>
  DuetTraining(Index n_agents, const Assignments& options, const Make& make) : n(n_agents) {
    const TrainingOptions o = resolve_options({}, options);
    auto rollout = std::make_unique<ParallelRollout>([n_agents](Index) { return make_environment<Duet>(n_agents); },
                                                     o.batch_size_run, o.env_threads);
    ParameterLayout layout;
    const FeedForwardAgent<float> agent(layout, "agent", agent_options(o, rollout->info()));
    std::unique_ptr<Learner_> owned = make(layout, agent, o, rollout->info());
    learner = owned.get();
    trainer = std::make_unique<Trainer>(o, std::move(rollout), std::move(owned));
    struct Nobody : TrainingObserver {
    } nobody;
    trainer->run(nobody);
  }

  /// f(the pair, its observations (n, n)) for every pair.
  template <class F>
  void for_each_pair(const F& f) const {
    for (Index j = 0; j < n; ++j)
      for (Index i = 0; i < j; ++i) {
        Matrix<float> obs = Matrix<float>::Zero(n, n);
        for (const Index k : {i, j}) obs.row(k).setOnes();
        f(std::pair(i, j), obs);
      }
  }

  /// What the most probable actions earn, over all pairs.
  double greedy_return() const {
    Matrix<float> hidden = Matrix<float>::Zero(64, n), logits(2, n);
    const Matrix<std::int32_t> nothing = Matrix<std::int32_t>::Constant(1, n, -1);
    double sum = 0;
    learner->prepare(1);
    for_each_pair([&](const auto& pair, const Matrix<float>& obs) {
      learner->step({obs, nothing}, hidden, logits);
      const auto action = [&](Index k) { return logits(1, k) > logits(0, k); };
      sum += action(pair.first) != action(pair.second) ? 1 : 0;
    });
    return 2 * sum / double(n * (n - 1));
  }
};

}  // namespace qatten::test
