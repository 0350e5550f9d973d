// Ordinary training: episodes played at ε = 1, replay, batches drawn from it.

#include "learning/table_learner.hpp"
#include "qatten/analysis/projection.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/replay/episode_buffer.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::test;

namespace {

/// Plays `episodes` at ε = 1 first, then learns from batches of 32.
template <class M, Environment E, class Make>
struct Exploration {
  using Agent = FeedForwardAgent<float>;

  Exploration(E& environment, std::uint64_t seed, Make&& make, Index n_episodes, Index hidden_dim,
              bool obs_agent_id = true)
      : buffer(n_episodes, std::size_t{1} << 30) {
    Rollout<E> rollout(environment);
    const EnvironmentInfo& info = rollout.info();
    const Agent agent(layout, "agent",
                      {.n_agents = info.n_agents,
                       .n_actions = info.n_actions,
                       .obs_shape = info.obs_shape,
                       .obs_last_action = false,
                       .obs_agent_id = obs_agent_id,
                       .hidden_dim = hidden_dim});
    const M mixer = make(layout, info);
    learner.emplace(layout, agent, mixer, Adam<float>(),
                    QLearnerOptions{.target_update = {TargetUpdate::Rule::every_updates, 50}},
                    Random(seed, "parameters"));
    Random gain(seed, "last layer");  // PyMARL2's use_orthogonal: values start near zero
    initialise_orthogonal(layout, "agent.fc3", learner->state().parameters, 0.01, gain);
    EpsilonGreedyPolicy policy(agent);
    Random exploration(seed, "exploration");
    policy.set(learner->state().parameters, 1, exploration);
    for (Index k = 0; k < n_episodes; ++k)
      buffer.add(rollout.play(Random(seed, "environment", static_cast<std::uint64_t>(k)), policy));
    batches = Random(seed, "replay");
  }

  void train(int updates, double lr, Index batch_size) {
    for (int k = 0; k < updates; ++k) {
      const auto chosen = buffer.sample(batch_size, batches);
      batch.assign(chosen);
      learner->set_optimizer(Adam<float>({.lr = lr * std::pow(0.01, double(k) / updates)}));
      learner->update(batch);
    }
  }

  /// The agents' values (n_actions, n_agents) of a game whose observations do not change.
  Matrix<float> values() {
    return values_of(learner->agent(), learner->state().parameters,
                     batch.obs.leftCols(learner->agent().options().n_agents));
  }

  ParameterLayout layout;
  EpisodeBuffer buffer;
  std::optional<QLearner<Agent, M, Adam<float>>> learner;
  EpisodeBatch<float> batch;
  Random batches{0};
};

template <class Make>
void check_greedy(Make&& make) {
  using M = decltype(make(std::declval<ParameterLayout&>(), EnvironmentInfo{}));
  for (const std::string name : {"qtran", "matrix_game_3", "climbing", "penalty-100"}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(name, seed);
      MatrixGame game = named_game(name);
      Exploration<M, MatrixGame, Make&> training(game, seed, make, 2000, 32);
      training.train(1000, 5e-3, 32);
      const auto expected = additive_projection(game.payoffs(), 2, 3).greedy;
      const Index chosen = greedy(training.values());
      CHECK(std::count(expected.begin(), expected.end(), chosen) == 1);
    }
  }
}

}  // namespace

TEST_CASE("exploration leads additive mixers to the projection's greedy actions") {
  check_greedy([](ParameterLayout&, const EnvironmentInfo& i) { return Vdn<float>(i.n_agents); });
  check_greedy([](ParameterLayout& layout, const EnvironmentInfo& i) {
    return Qatten<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, QattenOptions::authors());
  });
  check_greedy([](ParameterLayout& layout, const EnvironmentInfo& i) {
    return Qatten<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, QattenOptions::pymarl2());
  });
  check_greedy([](ParameterLayout& layout, const EnvironmentInfo& i) {
    return Qlinear<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim);
  });
}

TEST_CASE("spotlight with a hundred agents: a sum misses by (n-1)/n Var(p)") {
  Spotlight game(100, Vector<double>{{0, 4}});
  const auto make = [](ParameterLayout&, const EnvironmentInfo& i) { return Vdn<float>(i.n_agents); };
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Exploration<Vdn<float>, Spotlight, decltype(make)&> training(game, seed, make, 4000, 16, false);
    training.train(600, 5e-3, 64);
    // The exact error of Σ_i q_i(a_i) against p(a_L), over uniform actions and a uniform light: actions are
    // independent, so with d_i = q_i − q̄_i and m = Σ_i q̄_i − p̄ it is m² + Var(p) + Σ_i Var(q_i) − 2/n Σ_i Cov(q_i, p).
    const Matrix<double> q = training.values().cast<double>();
    const Matrix<double> d = q.rowwise() - q.colwise().mean();
    const Vector<double> p = game.payoffs().array() - game.mean();
    const double bias = q.colwise().mean().sum() - game.mean();
    const double mse = bias * bias + game.variance() + d.squaredNorm() / double(q.rows()) -
                       2.0 / 100 * (d.transpose() * p).sum() / double(q.rows());
    CAPTURE(seed, mse, game.vdn_mse());
    CHECK(mse >= game.vdn_mse() * (1 - 1e-6));
    CHECK(mse <= game.vdn_mse() * 1.01);
  }
}

TEST_CASE("spotlight with a hundred agents: Qatten looks at the agent in the light") {
  Spotlight game(100, Vector<double>{{0, 4}});
  const auto make = [](ParameterLayout& layout, const EnvironmentInfo& i) {
    QattenOptions options = QattenOptions::authors();
    options.attend_reg_coef =
        5e-5;  // without any, one seed in five locks its attention out before its values are right
    return Qatten<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, options);
  };
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Exploration<Qatten<float>, Spotlight, decltype(make)&> training(game, seed, make, 4000, 16, false);
    training.train(2500, 2e-3, 32);
    const auto chosen = training.buffer.sample(1000, training.batches);
    training.batch.assign(chosen);
    const double loss =
        training.learner->loss(training.learner->state().parameters, training.learner->state().target, training.batch) -
        training.learner->mixer().regulariser(training.learner->mixer_cache());
    const ConstView<float> attention = training.learner->mixer().attention(training.learner->mixer_cache(), 1000);
    double lit = 0;
    for (Index r = 0; r < 1000; ++r) {
      Index agent;
      training.batch.transition_state.col(r).maxCoeff(&agent);
      for (Index h = 0; h < 4; ++h) lit += double(attention(h * 100 + agent, r)) / 4000;
    }
    CAPTURE(seed, loss, game.vdn_mse(), lit);
    CHECK(loss < 0.1 * game.vdn_mse());
    CHECK(lit >= 0.9);
  }
}
