// COMA: the critic against its definition, both losses against dual numbers, and what the baseline may not change.

#include "qatten/learners/coma.hpp"

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "qatten/replay/tiled_batch.hpp"
#include "support/actor_critic_check.hpp"
#include "support/episodes.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 3, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .unit_dim = 1};
const ComaCriticSizes critic_sizes{.n_agents = 3, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .hidden = 5};

AgentOptions team(bool share_parameters = true) {
  return {.n_agents = 3, .n_actions = 3, .obs_shape = 3, .hidden_dim = 3, .share_parameters = share_parameters};
}

template <class Scalar, template <class> class Agent = RecurrentAgent>
struct Coma {
  ParameterLayout layout;
  ComaLearner<Agent<Scalar>, Adam<Scalar>> learner;

  explicit Coma(const AgentOptions& options = team(), const ComaOptions& coma = {.gamma = 0.9, .td_lambda = 0.7},
                std::uint64_t seed = 1)
      : learner(make(layout, options, coma, seed)) {}

  static ComaLearner<Agent<Scalar>, Adam<Scalar>> make(ParameterLayout& layout, const AgentOptions& options,
                                                       const ComaOptions& coma, std::uint64_t seed) {
    const Agent<Scalar> agent(layout, "agent", options);
    const ComaCritic<Scalar> critic(layout, "critic", critic_sizes);
    return {layout, agent, critic, Adam<Scalar>(), Adam<Scalar>(), coma, seed};
  }
};

template <template <class> class Agent>
void check_gradients(const AgentOptions& options, double epsilon) {
  using D = Dual<double>;
  Coma<double, Agent> coma(options);
  Coma<D, Agent> dual(options);
  Random random(2);
  const auto episodes = random_episodes<double>({3, 5, 1, 3}, random, sizes);
  const Vector<double> p = 0.8 * random_matrix<double>(coma.layout.size(), 1, random);
  const Vector<double> target = 0.8 * random_matrix<double>(coma.layout.size(), 1, random);
  const auto batch = batch_of<double>(episodes);
  const auto dual_batch = batch_of<D>(episodes);
  const Vector<D> dual_target = target.cast<D>();

  const Vector<double> policy = coma.learner.policy_gradient(p, one(batch), epsilon);
  check_by_duals(coma.layout, p, policy,
                 [&](const Vector<D>& q) { return dual.learner.policy_loss(q, one(dual_batch), epsilon); });
  check_part(coma.layout, policy, "agent");
  CHECK(same(coma.learner.policy_gradient(p, one(batch), epsilon), policy));  // nothing is left over

  for (const Index t : {0, 2, 4}) {
    const Vector<double> critic = coma.learner.critic_gradient(p, target, one(batch), t, epsilon);
    check_by_duals(coma.layout, p, critic, [&](const Vector<D>& q) {
      return dual.learner.critic_loss(q, dual_target, one(dual_batch), t, epsilon);
    });
    CHECK(block(critic, coma.layout.find("critic.fc1.weight")).cwiseAbs().maxCoeff() > 0);
  }
  check_part(coma.layout, coma.learner.critic_gradient(p, target, one(batch), 1, epsilon), "critic");
}

}  // namespace

TEST_CASE("the critic is a net of [state; observation; others' actions; all last actions; index]") {
  ParameterLayout layout;
  const ComaCritic<double> critic(layout, "critic", critic_sizes);
  Random random(1);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const Index n = 3, a = 3, rows = 7;
  const Matrix<double> state = random_matrix<double>(4, rows, random), obs = random_matrix<double>(3, n * rows, random);
  Matrix<std::int32_t> actions(n, rows), last(1, n * rows);
  Matrix<double> inputs = Matrix<double>::Zero(4 + 3 + 2 * n * a + n, n * rows);
  for (Index k = 0; k < n * rows; ++k) {
    actions(k % n, k / n) = static_cast<std::int32_t>(random.integer(a));
    last(0, k) = k < n ? -1 : static_cast<std::int32_t>(random.integer(a));
  }
  for (Index k = 0; k < n * rows; ++k) {
    inputs.col(k).head(4) = state.col(k / n);
    inputs.col(k).segment(4, 3) = obs.col(k);
    for (Index j = 0; j < n; ++j) {
      if (j != k % n) inputs(4 + 3 + j * a + actions(j, k / n), k) = 1;
      if (k >= n) inputs(4 + 3 + n * a + j * a + last(0, k / n * n + j), k) = 1;
    }
    inputs(4 + 3 + 2 * n * a + k % n, k) = 1;
  }
  const auto w = [&](const std::string& name) { return Matrix<double>(block(p, layout.find("critic." + name))); };
  const auto layer = [&](const std::string& name, const Matrix<double>& x) -> Matrix<double> {
    return (w(name + ".weight") * x).colwise() + Vector<double>(w(name + ".bias"));
  };
  const Matrix<double> x_1 = layer("fc1", inputs).cwiseMax(0), x_2 = layer("fc2", x_1).cwiseMax(0);

  Matrix<double> q(a, n * rows), again(a, n * rows);
  ComaCritic<double>::Cache cache;
  ComaCritic<double>::Scratch scratch;
  critic.prepare(cache, rows);
  critic.prepare(scratch, rows);
  critic.forward(p, {state, obs, actions, last}, q, cache, scratch);
  critic.evaluate(p, {state, obs, actions, last}, again, scratch);
  CHECK(distance(q, layer("fc3", x_2)) <= 1e-14);
  CHECK(same(q, again));
  CHECK_THROWS_AS(critic.evaluate(p, {state, obs.leftCols(3), actions, last}, again, scratch), Error);
}

TEST_CASE("gradients of the policy's loss through the agents, and of the critic's at every step") {
  check_gradients<RecurrentAgent>(team(), 0.2);
  check_gradients<RecurrentAgent>(team(false), 0);
  check_gradients<FeedForwardAgent>(team(), 0.5);
  check_gradients<TarmacAgent>(team(), 0.2);
}

TEST_CASE("batches in tiles have the gradients of the batch") {
  Coma<double> coma;
  Random random(3);
  auto episodes = random_episodes<double>({3, 5, 1, 3, 4, 2}, random, sizes);
  for (auto& e : episodes) e.terminated = true;  // draws beyond a cut are numbered by tile
  std::vector<const Episode<double>*> many;
  for (int copy = 0; copy < 8; ++copy)
    for (const auto& e : episodes) many.push_back(&e);
  TiledBatch<double> tiled;
  tiled.assign(many);
  REQUIRE(tiled.tiles().size() > 1);
  const auto batch = batch_of<double>(episodes);
  const Vector<double> p = random_matrix<double>(coma.layout.size(), 1, random), target = 0.9 * p;
  const Vector<double> policy = coma.learner.policy_gradient(p, one(batch), 0.1);
  CHECK(distance(coma.learner.policy_gradient(p, tiled.tiles(), 0.1), policy) <= 1e-12);
  const Vector<double> critic = coma.learner.critic_gradient(p, target, one(batch), 2, 0.1);
  CHECK(distance(coma.learner.critic_gradient(p, target, tiled.tiles(), 2, 0.1), critic) <= 1e-12);

  Coma<double> alone, together;
  const Threads threads(2);
  together.learner.set_threads(&threads);
  for (int k = 0; k < 3; ++k) {
    alone.learner.update(tiled.tiles(), 0, 0.1);
    together.learner.update(tiled.tiles(), 0, 0.1);
  }
  CHECK(same(alone.learner.state().parameters, together.learner.state().parameters));
}

// All joint actions of one moment: Σ_u π(u) A_i ∇log π_i and Σ_u π(u) Q_i ∇log π_i are the same, though not for each u.
TEST_CASE("the counterfactual baseline leaves the expected gradient as it is") {
  using Agent = RecurrentAgent<double>;
  const double epsilon = 0.3;
  Coma<double> coma;
  Random random(4);
  const Vector<double> p = random_matrix<double>(coma.layout.size(), 1, random);
  Episode<double> moment = random_episode<double>(1, true, random, sizes);
  moment.available.setOnes();
  moment.available(1, 2) = 0;
  Vector<double> expected = Vector<double>::Zero(p.size()), without = expected, biased = expected;
  double probability = 0, most_different = 0;
  for (int u = 0; u < 27; ++u) {
    const int joint[3] = {u / 9, u / 3 % 3, u % 3};
    if (joint[2] == 1) continue;  // not available
    for (Index i = 0; i < 3; ++i) moment.actions(i, 0) = joint[i];
    const auto batch = batch_of<double>(std::vector{moment});
    const Vector<double> gradient = coma.learner.policy_gradient(p, one(batch), epsilon);

    // −1/n Σ_i weight_i ∇log π_i(u_i), from the agents alone.
    Agent::Cache cache;
    Agent::Scratch scratch;
    coma.learner.agent().prepare(cache, scratch, 6, 3);
    Matrix<double> policy(3, 6), dlogits = Matrix<double>::Zero(3, 6);
    const AgentInputs<double> inputs{batch.obs, batch.last_actions};
    coma.learner.agent().forward(p, batch.ragged, inputs, {}, policy, cache, scratch);
    masked_softmax<double>(policy, batch.available);
    const auto gradient_of = [&](const std::array<double, 3>& weights) {
      for (Index i = 0; i < 3; ++i)
        Policy<double>(policy, batch.available, i, epsilon)
            .backward(joint[i], -weights[static_cast<std::size_t>(i)] / 3, dlogits.col(i).data());
      Vector<double> g = Vector<double>::Zero(p.size());
      coma.learner.agent().backward(p, cache, batch.ragged, inputs, {}, dlogits, g, {}, {}, scratch);
      return g;
    };
    std::array<double, 3> q{}, other{};
    double pi = 1;
    for (Index i = 0; i < 3; ++i) {
      const auto k = static_cast<std::size_t>(i);
      q[k] = coma.learner.values()(joint[i], i);
      other[k] = q[k] - joint[i];  // a baseline that knows the agent's own action
      pi *= Policy<double>(policy, batch.available, i, epsilon)(joint[i]);
    }
    const Vector<double> plain = gradient_of(q);
    probability += pi;
    expected += pi * gradient;
    without += pi * plain;
    biased += pi * gradient_of(other);
    most_different = std::max(most_different, distance(gradient, plain));
  }
  CHECK(std::abs(probability - 1) < 1e-14);
  REQUIRE(without.norm() > 1e-3);
  CHECK(distance(expected, without) <= 1e-12);
  CHECK(most_different > 0.1);
  CHECK(distance(biased, without) > 1e-3);
}

TEST_CASE("targets are λ-returns of the target critic at the actions that were taken") {
  Coma<double> coma;
  Random random(5);
  for (const bool terminated : {true, false}) {
    Episode<double> e = random_episode<double>(3, terminated, random, sizes);
    e.available.rightCols(3).setZero();  // nothing to draw after the cut
    e.available.rightCols(3).row(1).setOnes();
    const auto batch = batch_of<double>(std::vector{e});
    const Vector<double> p = random_matrix<double>(coma.layout.size(), 1, random);
    const Vector<double> target = random_matrix<double>(coma.layout.size(), 1, random);
    coma.learner.critic_loss(p, target, one(batch), 0, 0.1);

    Matrix<std::int32_t> actions(3, 4);
    actions.leftCols(3) = e.actions;
    actions.col(3).setOnes();
    Matrix<double> q(3, 12);
    ComaCritic<double>::Scratch scratch;
    coma.learner.critic().prepare(scratch, 4);
    coma.learner.critic().evaluate(target, {batch.state, batch.obs, actions, batch.last_actions}, q, scratch);
    for (Index i = 0; i < 3; ++i) {
      const auto next = [&](Index t) { return q(actions(i, t), 3 * t + i); };
      const double end = terminated ? 0 : next(3);
      const double g_2 = e.rewards(2) + 0.9 * end, g_1 = e.rewards(1) + 0.9 * (0.3 * next(2) + 0.7 * g_2),
                   g_0 = e.rewards(0) + 0.9 * (0.3 * next(1) + 0.7 * g_1);
      CHECK(std::abs(coma.learner.targets()(i, 2) - g_2) < 1e-12);
      CHECK(std::abs(coma.learner.targets()(i, 1) - g_1) < 1e-12);
      CHECK(std::abs(coma.learner.targets()(i, 0) - g_0) < 1e-12);
    }
  }
}

TEST_CASE("where an episode was cut off the actions that follow are drawn from the policy, by seed and update") {
  const double epsilon = 0.4;
  Random random(10);
  Episode<double> e = random_episode<double>(1, false, random, sizes);
  e.available.rightCols(3) << 1, 0, 1, 0, 1, 0, 1, 0, 0;  // agent 0 has a choice of 0 and 2
  const auto batch = batch_of<double>(std::vector{e});
  Coma<double> coma;
  const Vector<double> p = 0.5 * random_matrix<double>(coma.layout.size(), 1, random), target = 1.1 * p;

  RecurrentAgent<double>::Scratch scratch;
  coma.learner.agent().prepare(scratch, 6, 3);
  Matrix<double> policy(3, 6), q(3, 3);
  coma.learner.agent().evaluate(p, batch.ragged, {batch.obs, batch.last_actions}, {}, policy, scratch);
  masked_softmax<double>(policy, batch.available);
  const double probability = Policy<double>(policy, batch.available, 3, epsilon)(2);
  ComaCritic<double>::Scratch critic_scratch;
  coma.learner.critic().prepare(critic_scratch, 1);
  const Matrix<std::int32_t> follow{{2}, {1}, {0}};
  coma.learner.critic().evaluate(
      target, {batch.state.rightCols(1), batch.obs.rightCols(3), follow, batch.last_actions.rightCols(3)}, q,
      critic_scratch);
  const auto draws_two = [&](std::uint64_t seed, std::int64_t update) {
    Coma<double> drawing(team(), {.gamma = 0.9}, seed);
    drawing.learner.state().updates = update;
    drawing.learner.critic_loss(p, target, one(batch), 0, epsilon);
    const double next = (drawing.learner.targets()(0, 0) - e.rewards(0)) / 0.9;
    const bool two = std::abs(next - q(2, 0)) < 1e-12;  // agent 0's values do not depend on its own action
    CHECK((two || std::abs(next - q(0, 0)) < 1e-12));
    return two;
  };
  int by_seed = 0, by_update = 0;
  const int draws = 1000;
  for (int k = 0; k < draws; ++k) {
    by_seed += draws_two(static_cast<std::uint64_t>(k), 0);
    by_update += draws_two(1, k);
  }
  REQUIRE((probability > 0.2 && probability < 0.8));
  for (const int count : {by_seed, by_update})
    CHECK(std::abs(count - draws * probability) < 5 * std::sqrt(draws * probability * (1 - probability)));
}

TEST_CASE("an update is a step of the critic for each time step, backwards, then one of the agents") {
  Coma<double> coma, by_hand;
  Random random(6);
  auto episodes = random_episodes<double>({3, 2}, random, sizes);
  for (auto& e : episodes) e.terminated = true;
  const auto batch = batch_of<double>(episodes);
  auto& learner = by_hand.learner;
  Vector<double> p = learner.state().parameters;
  const Vector<double> target = learner.state().target;
  const Index first = learner.critic().first_parameter();
  const Adam<double> adam;
  AdamState<double> critic_moments, moments;
  adam.prepare(critic_moments, p.size() - first);
  adam.prepare(moments, first);
  const auto step = [&](Index begin, Index size, const Vector<double>& gradient, AdamState<double>& state) {
    Vector<double> part = p.segment(begin, size);
    adam.update(part, gradient.segment(begin, size), state);
    p.segment(begin, size) = part;
  };
  Matrix<double> values(3, 3 * batch.transitions.total());  // of just before each step
  for (const Index t : {2, 1, 0}) {
    const Vector<double> gradient = learner.critic_gradient(p, target, one(batch), t, 0.1);
    const Index from = 3 * batch.transitions.offset(t), count = 3 * batch.transitions.living(t);
    values.middleCols(from, count) = learner.values().middleCols(from, count);
    step(first, p.size() - first, gradient, critic_moments);
  }
  const QLearnerStats stats = coma.learner.update(batch, 0, 0.1);
  const auto& state = coma.learner.state();
  CHECK(same(coma.learner.values(), values));
  CHECK(same(state.parameters.tail(p.size() - first), p.tail(p.size() - first)));
  CHECK(state.critic.updates == 3);
  CHECK(state.updates == 1);
  CHECK(same(state.target, target));
  CHECK_FALSE(same(state.parameters.head(first), p.head(first)));
  REQUIRE(stats.policy);
  CHECK(stats.policy->grad_norm > 0);
  CHECK((stats.policy->pi_max > 1.0 / 3 && stats.policy->pi_max <= 1));
  CHECK((stats.loss > 0 && stats.td_error_abs > 0));
}

TEST_CASE("the target follows by each rule") {
  Random random(7);
  const auto batch = batch_of<double>(random_episodes<double>({3, 2}, random, sizes));
  const auto followed = [&](const TargetUpdate& rule, int updates) {
    Coma<double> coma(team(), {.target_update = rule});
    std::vector<bool> copied;
    for (int k = 1; k <= updates; ++k) {
      coma.learner.update(batch, 8 * k, 0.1);
      copied.push_back(same(coma.learner.state().target, coma.learner.state().parameters));
    }
    return copied;
  };
  using Rule = TargetUpdate::Rule;
  CHECK(followed({Rule::every_updates, 6}, 4) == std::vector{false, true, false, true});  // 3 steps an update
  CHECK(followed({Rule::every_updates, 7}, 6) == std::vector{false, false, true, false, false, true});
  CHECK(followed({Rule::every_episodes, 16}, 4) == std::vector{false, true, false, true});

  Coma<double> soft(team(), {.target_update = {.rule = Rule::soft, .tau = 0.25}});
  const Vector<double> before = soft.learner.state().target;
  soft.learner.update(batch, 0, 0.1);
  const auto& state = soft.learner.state();
  CHECK(distance(state.target, 0.75 * before + 0.25 * state.parameters) <= 1e-14);
}

TEST_CASE("an update that is not finite changes nothing") {
  Coma<double> coma;
  Random random(8);
  auto episodes = random_episodes<double>({4, 2}, random, sizes);
  coma.learner.update(batch_of<double>(episodes), 0, 0.1);
  episodes[0].rewards(0) = not_a_number;  // met after three good steps of the critic
  const auto before = coma.learner.state();
  CHECK_THROWS_AS(coma.learner.update(batch_of<double>(episodes), 8, 0.1), Error);
  const auto& after = coma.learner.state();
  CHECK(same(after.parameters, before.parameters));
  CHECK(same(after.critic.optimizer.v, before.critic.optimizer.v));
  CHECK(after.critic.updates == before.critic.updates);
  CHECK(after.updates == before.updates);
}

TEST_CASE("agents, critic and options that do not fit are errors") {
  ParameterLayout layout;
  const RecurrentAgent<double> agent(layout, "agent", team());
  ComaCriticSizes other = critic_sizes;
  other.n_actions = 4;
  const ComaCritic<double> critic(layout, "critic", critic_sizes), wrong(layout, "wrong", other);
  const auto make = [&](const ComaCritic<double>& c, const ComaOptions& options) {
    return ComaLearner<RecurrentAgent<double>, RmsProp<double>>(layout, agent, c, RmsProp<double>(), RmsProp<double>(),
                                                                options, 1);
  };
  make(critic, {});
  CHECK_THROWS_AS(make(wrong, {}), Error);
  CHECK_THROWS_AS(make(critic, {.gamma = 1.1}), Error);
  CHECK_THROWS_AS(make(critic, {.td_lambda = -0.1}), Error);
  CHECK_THROWS_AS(make(critic, {.grad_norm_clip = 0}), Error);
  CHECK_THROWS_AS(make(critic, {.target_update = {TargetUpdate::Rule::every_updates, 0}}), Error);
  CHECK_THROWS_AS(make(critic, {.target_update = {.tau = 0}}), Error);
  ParameterLayout reversed;
  const ComaCritic<double> first(reversed, "critic", critic_sizes);
  const RecurrentAgent<double> second(reversed, "agent", team());
  CHECK_THROWS_AS((ComaLearner<RecurrentAgent<double>, RmsProp<double>>(reversed, second, first, RmsProp<double>(),
                                                                        RmsProp<double>(), {}, 1)),
                  Error);
  Coma<double> coma;
  Random random(9);
  const auto batch = batch_of<double>(random_episodes<double>({2}, random, sizes));
  for (const double epsilon : {-0.1, 1.1, not_a_number}) CHECK_THROWS_AS(coma.learner.update(batch, 0, epsilon), Error);
  CHECK(same(coma.learner.state().parameters, Coma<double>().learner.state().parameters));
}
