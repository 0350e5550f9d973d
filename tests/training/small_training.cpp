#include "training/small_training.hpp"

#include "qatten/training/make_trainer.hpp"

namespace qatten::test {

std::unique_ptr<AnyLearner<float>> small_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  const Qatten<float> mixer(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, mixer_options(o).qatten);
  return std::make_unique<LearnerOf<QLearner<RecurrentAgent<float>, Qatten<float>, AnyOptimizer<float>>>>(
      layout, agent, mixer, make_optimizer<float>(o), learner_options(o),
      Random(static_cast<std::uint64_t>(o.seed), "parameters"));
}

std::unique_ptr<AnyLearner<float>> small_coma_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  const ComaCritic<float> critic(layout, "critic", {i.n_agents, i.n_actions, i.obs_shape, i.state_shape, 12});
  return std::make_unique<LearnerOf<ComaLearner<RecurrentAgent<float>, AnyOptimizer<float>>>>(
      layout, agent, critic, make_optimizer<float>(o), make_optimizer<float>(o),
      ComaOptions{.target_update = target_update(o)}, static_cast<std::uint64_t>(o.seed));
}

std::unique_ptr<AnyLearner<float>> small_maac_learner(const TrainingOptions& o, const EnvironmentInfo& i) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", agent_options(o, i));
  MaacCriticSizes sizes = maac_critic_sizes(o, i);
  sizes.hidden = 12;
  return std::make_unique<LearnerOf<MaacLearner<RecurrentAgent<float>, AnyOptimizer<float>>>>(
      layout, agent, MaacCritic<float>(layout, "critic", sizes), make_optimizer<float>(o), make_optimizer<float>(o),
      MaacOptions{.target_update = target_update(o)}, static_cast<std::uint64_t>(o.seed));
}

std::unique_ptr<Trainer> small_trainer(const TrainingOptions& o, const EnvironmentFactory& make) {
  auto rollout = std::make_unique<ParallelRollout>(make, o.batch_size_run, o.env_threads);
  std::unique_ptr<AnyLearner<float>> learner;
  if (o.mixer == "coma") {
    learner = small_coma_learner(o, rollout->info());
  } else if (o.mixer == "maac") {
    learner = small_maac_learner(o, rollout->info());
  } else {
    learner = small_learner(o, rollout->info());
  }
  return std::make_unique<Trainer>(o, std::move(rollout), std::move(learner));
}

}  // namespace qatten::test
