// MAAC on Duet: it learns the optimum from the episodes of players who do anything, and its critic's attention lies on
// the one team-mate who matters.

#include <memory>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/environments/games/duet.hpp"
#include "qatten/training/make_trainer.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

using MaacOf = LearnerOf<MaacLearner<FeedForwardAgent<float>, AnyOptimizer<float>>>;

/// A training by options; the critic is half as wide as the authors', and all of it one head.
struct DuetTraining {
  std::unique_ptr<Trainer> trainer;
  MaacOf* learner = nullptr;

  explicit DuetTraining(const Assignments& options) {
    const TrainingOptions o = resolve_options({}, options);
    auto rollout =
        std::make_unique<ParallelRollout>([](Index) { return make_environment<Duet>(); }, o.batch_size_run, 1);
    ParameterLayout layout;
    const FeedForwardAgent<float> agent(layout, "agent", agent_options(o, rollout->info()));
    MaacCriticSizes sizes = maac_critic_sizes(o, rollout->info());
    sizes.hidden = 64;
    const MaacCritic<float> critic(layout, "critic", sizes);
    auto owned =
        std::make_unique<MaacOf>(layout, agent, critic, Adam<float>({.lr = o.lr}), Adam<float>({.lr = o.critic_lr}),
                                 MaacOptions{.reward_scale = o.reward_scale, .target_update = target_update(o)},
                                 static_cast<std::uint64_t>(o.seed));
    learner = owned.get();
    trainer = std::make_unique<Trainer>(o, std::move(rollout), std::move(owned));
    TrainingObserver nobody;
    trainer->run(nobody);
  }
};

/// Every pair (told, named) of n agents with every joint action of two actions, n columns each.
struct AllMoments {
  explicit AllMoments(Index n) {
    const Index joints = Index{1} << n, moments = n * (n - 1) * joints;
    obs.setZero(n, n * moments);
    actions.resize(1, n * moments);
    for (Index told = 0; told < n; ++told)
      for (Index named = 0; named < n; ++named)
        for (Index joint = 0; joint < joints && told != named; ++joint) {
          const Index first = n * static_cast<Index>(pairs.size());
          obs(named, first + told) = 1;
          for (Index k = 0; k < n; ++k) actions(0, first + k) = joint >> k & 1;
          pairs.emplace_back(told, named);
        }
  }

  Matrix<float> obs;
  Matrix<std::int32_t> actions;
  std::vector<std::pair<Index, Index>> pairs;
};

}  // namespace

TEST_CASE("MAAC plays Duet's optimum, and who is told looks at who was named") {
  const Duet game;
  const Index n = game.info().n_agents;
  const AllMoments all(n);
  const Index moments = static_cast<Index>(all.pairs.size());
  for (int seed = 1; seed <= 5; ++seed) {
    const DuetTraining training({{"mixer", "maac"},
                                 {"agent", "ff"},
                                 {"seed", std::to_string(seed)},
                                 {"t_max", "8000"},
                                 {"test_nepisode", "0"},
                                 {"batch_size_run", "8"},
                                 {"buffer_size", "8000"},
                                 {"updates_per_episode", "1/2"},
                                 {"critic_lr", "0.003"},
                                 {"target_update_interval_or_tau", "0.01"},
                                 {"epsilon_start", "1"},
                                 {"epsilon_finish", "1"},
                                 {"attend_heads", "1"},
                                 {"attend_reg_coef", "0.0003"}});
    const auto& learner = training.learner->learner();
    const auto& critic = learner.critic();
    MaacCritic<float>::Scratch scratch;
    critic.prepare(scratch, moments);
    Matrix<float> q(2, n * moments), logits(2, n * moments), hidden = Matrix<float>::Zero(64, n * moments);
    critic.evaluate(learner.state().parameters, {all.obs, all.actions}, q, scratch);
    const Matrix<float> attention = critic.attention(scratch, moments);
    training.learner->prepare(moments);
    const Matrix<std::int32_t> none = Matrix<std::int32_t>::Constant(1, n * moments, -1);
    training.learner->step({all.obs, none}, hidden, logits);

    double on_named = 0, error = 0, played = 0;
    for (Index r = 0; r < moments; ++r) {
      const auto [i, j] = all.pairs[static_cast<std::size_t>(r)];
      const auto greedy = [&](Index k) { return logits(1, n * r + k) > logits(0, n * r + k) ? 1 : 0; };
      const Index a_i = all.actions(0, n * r + i), a_j = all.actions(0, n * r + j);
      on_named += double(attention(j, n * r + i)) / double(moments);
      error += std::pow(double(q(a_i, n * r + i)) - game.payoff()(a_i, a_j), 2) / double(moments);
      played += game.payoff()(greedy(i), greedy(j)) / double(moments);
    }
    CAPTURE(seed, on_named, error, played);
    CHECK(std::abs(played - game.optimal_return()) < 1e-9);
    CHECK(on_named >= 0.9);
    CHECK(error < 2.5);  // a tenth of what a critic leaves that sees no team-mate's action
  }
}
