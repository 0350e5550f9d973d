// MAAC: the critic against its definition, both losses against dual numbers, what is drawn, and what an update does.

#include "qatten/learners/maac.hpp"

#include <set>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "support/actor_critic_check.hpp"
#include "support/episodes.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 3, .n_actions = 3, .obs_shape = 3, .state_shape = 2, .unit_dim = 1};

AgentOptions team(bool share_parameters = true) {
  return {.n_agents = 3, .n_actions = 3, .obs_shape = 3, .hidden_dim = 3, .share_parameters = share_parameters};
}
/// A regulariser strong enough to be seen.
MaacCriticSizes critic_sizes(bool share_parameters = true) {
  return {.n_agents = 3,
          .n_actions = 3,
          .obs_shape = 3,
          .hidden = 4,
          .attend_heads = 2,
          .attend_reg_coef = 0.3,
          .share_parameters = share_parameters};
}
const MaacOptions small{.gamma = 0.9, .reward_scale = 4};

template <class Scalar, template <class> class Agent = RecurrentAgent>
struct Maac {
  ParameterLayout layout;
  MaacLearner<Agent<Scalar>, Adam<Scalar>> learner;

  explicit Maac(const AgentOptions& options = team(), const MaacOptions& maac = small, std::uint64_t seed = 1)
      : learner(make(layout, options, maac, seed)) {}

  static MaacLearner<Agent<Scalar>, Adam<Scalar>> make(ParameterLayout& layout, const AgentOptions& options,
                                                       const MaacOptions& maac, std::uint64_t seed) {
    const Agent<Scalar> agent(layout, "agent", options);
    MaacCriticSizes s = critic_sizes(options.share_parameters);
    s.n_actions = options.n_actions;
    return {layout, agent, MaacCritic<Scalar>(layout, "critic", s), Adam<Scalar>(), Adam<Scalar>(), maac, seed};
  }
};

template <template <class> class Agent>
void check_gradients(const AgentOptions& options) {
  using D = Dual<double>;
  Maac<double, Agent> maac(options);
  Maac<D, Agent> dual(options);
  Random random(2);
  const auto episodes = random_episodes<double>({3, 5, 1, 3}, random, sizes);
  const Vector<double> p = 0.8 * random_matrix<double>(maac.layout.size(), 1, random);
  const Vector<double> target = 0.8 * random_matrix<double>(maac.layout.size(), 1, random);
  const auto batch = batch_of<double>(episodes);
  const auto dual_batch = batch_of<D>(episodes);
  const Vector<D> dual_target = target.cast<D>();

  const Vector<double> policy = maac.learner.policy_gradient(p, one(batch));
  check_by_duals(maac.layout, p, policy,
                 [&](const Vector<D>& q) { return dual.learner.policy_loss(q, one(dual_batch)); });
  check_part(maac.layout, policy, "agent");
  const Vector<double> critic = maac.learner.critic_gradient(p, target, one(batch));
  check_by_duals(maac.layout, p, critic,
                 [&](const Vector<D>& q) { return dual.learner.critic_loss(q, dual_target, one(dual_batch)); });
  check_part(maac.layout, critic, "critic");
  CHECK(same(maac.learner.policy_gradient(p, one(batch)), policy));  // nothing is left over
  CHECK(same(maac.learner.critic_gradient(p, target, one(batch)), critic));
}

/// The policies π of parameters p (n_actions, n_agents · observations).
Matrix<double> policies(const RecurrentAgent<double>& agent, const Vector<double>& p,
                        const EpisodeBatch<double>& batch) {
  RecurrentAgent<double>::Scratch scratch;
  agent.prepare(scratch, batch.obs.cols(), batch.obs.cols());
  Matrix<double> pi(agent.options().n_actions, batch.obs.cols());
  agent.evaluate(p, batch.ragged, {batch.obs, batch.last_actions}, {}, pi, scratch);
  masked_softmax<double>(pi, batch.available);
  return pi;
}

/// The critic's values (n_actions, columns).
Matrix<double> values(const MaacCritic<double>& critic, const Vector<double>& p, const Matrix<double>& obs,
                      const Matrix<std::int32_t>& actions) {
  MaacCritic<double>::Scratch scratch;
  critic.prepare(scratch, obs.cols() / critic.sizes().n_agents);
  Matrix<double> q(critic.sizes().n_actions, obs.cols());
  critic.evaluate(p, {obs, actions}, q, scratch);
  return q;
}

/// The critic by its definition; also λ (heads · n_agents, columns) and the regulariser.
struct ByHand {
  Matrix<double> q, attention;
  double regulariser = 0;

  ByHand(const ParameterLayout& layout, const Vector<double>& p, const MaacCriticSizes& s, const Matrix<double>& obs,
         const Matrix<std::int32_t>& actions)
      : q(s.n_actions, obs.cols()), attention(Matrix<double>::Zero(s.attend_heads * s.n_agents, obs.cols())) {
    const auto w = [&](const std::string& name) { return Matrix<double>(block(p, layout.find("critic." + name))); };
    const auto leaky = [](const Matrix<double>& x) -> Matrix<double> {
      return x.unaryExpr([](double v) { return v > 0 ? v : 0.01 * v; });
    };
    const auto layer = [&](const std::string& name, const Vector<double>& x) -> Matrix<double> {
      return w(name + ".weight") * x + w(name + ".bias");
    };
    const auto net = [&](Index i) { return "." + std::to_string(s.share_parameters ? 0 : i) + "."; };
    const auto concatenated = [&](Index column, bool with_action) {
      const Index i = column % s.n_agents, ids = s.share_parameters ? s.n_agents : 0;
      Vector<double> x = Vector<double>::Zero(s.obs_shape + (with_action ? s.n_actions : 0) + ids);
      x.head(s.obs_shape) = obs.col(column);
      if (with_action) x(s.obs_shape + actions(0, column)) = 1;
      if (ids > 0) x(x.size() - ids + i) = 1;
      return x;
    };
    const Index width = s.hidden / s.attend_heads;
    for (Index c = 0; c < obs.cols(); ++c) {
      const Index i = c % s.n_agents;
      Vector<double> x(2 * s.hidden);
      const Vector<double> own = leaky(layer("state_encoders" + net(i) + "s_enc_fc1", concatenated(c, false)));
      x.head(s.hidden) = own;
      for (Index h = 0; h < s.attend_heads; ++h) {
        const std::string head = "." + std::to_string(h);
        const Vector<double> query = w("selector_extractors" + head + ".weight") * own;
        Vector<double> sum = Vector<double>::Zero(width), lambda = Vector<double>::Zero(s.n_agents);
        std::vector<Vector<double>> value;
        for (Index j = 0; j < s.n_agents; ++j) {
          const Vector<double> e = leaky(layer("critic_encoders" + net(j) + "enc_fc1", concatenated(c - i + j, true)));
          value.emplace_back(leaky(layer("value_extractors" + head + ".0", e)));
          if (j == i) continue;
          const Vector<double> key = w("key_extractors" + head + ".weight") * e;
          const double logit = query.dot(key);
          lambda(j) = std::exp(logit / std::sqrt(double(width)));
          regulariser += s.attend_reg_coef * logit * logit / double(obs.cols() / s.n_agents * (s.n_agents - 1));
        }
        lambda /= lambda.sum();
        for (Index j = 0; j < s.n_agents; ++j) sum += lambda(j) * value[static_cast<std::size_t>(j)];
        x.segment(s.hidden + h * width, width) = sum;
        attention.col(c).segment(h * s.n_agents, s.n_agents) = lambda;
      }
      q.col(c) = layer("critics" + net(i) + "critic_fc2", leaky(layer("critics" + net(i) + "critic_fc1", x)));
    }
  }
};

}  // namespace

TEST_CASE("the critic is what its definition says, shared and not, and its attention can be read") {
  for (const bool share : {true, false}) {
    ParameterLayout layout;
    const MaacCriticSizes s = critic_sizes(share);
    const MaacCritic<double> critic(layout, "critic", s);
    Random random(1);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Index columns = 3 * 5;
    const Matrix<double> obs = random_matrix<double>(3, columns, random);
    Matrix<std::int32_t> actions(1, columns);
    for (Index k = 0; k < columns; ++k) actions(0, k) = static_cast<std::int32_t>(random.integer(3));
    const ByHand want(layout, p, s, obs, actions);

    Matrix<double> q(3, columns);
    MaacCritic<double>::Cache cache;
    critic.prepare(cache, 7);  // more room than is used
    critic.forward(p, {obs, actions}, q, cache);
    CHECK(distance(q, want.q) <= 1e-13);
    CHECK(std::abs(cache.regulariser - want.regulariser) <= 1e-12 * want.regulariser);
    CHECK(distance(critic.attention(cache, 5), want.attention) <= 1e-13);
    CHECK(same(values(critic, p, obs, actions), q));
    CHECK(same(values(critic, p, obs.middleCols(3, 6), actions.middleCols(3, 6)), q.middleCols(3, 6)));
    CHECK_THROWS_AS(critic.forward(p, {obs, actions.leftCols(3)}, q, cache), Error);
    CHECK_THROWS_AS(critic.forward(p, {obs.leftCols(4), actions.leftCols(4)}, q.leftCols(4), cache), Error);
  }
}

TEST_CASE("an agent's value does not depend on its own action") {
  ParameterLayout layout;
  const MaacCritic<double> critic(layout, "critic", critic_sizes());
  Random random(2);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const Matrix<double> obs = random_matrix<double>(3, 3, random);
  Matrix<std::int32_t> actions{{0, 1, 2}};
  const Matrix<double> q = values(critic, p, obs, actions);
  actions(0, 1) = 0;
  const Matrix<double> other = values(critic, p, obs, actions);
  CHECK(same(other.col(1), q.col(1)));
  CHECK_FALSE(same(other.col(0), q.col(0)));
  CHECK_FALSE(same(other.col(2), q.col(2)));
}

TEST_CASE("gradients of the losses of critic and policies, through all that each learns") {
  check_gradients<RecurrentAgent>(team());
  check_gradients<RecurrentAgent>(team(false));
  check_gradients<FeedForwardAgent>(team());
}

TEST_CASE("what one agent's loss reaches of the critic is what its parameters in common are, and what is its own") {
  for (const bool share : {true, false}) {
    ParameterLayout layout;
    layout.add("before", 5);
    const MaacCritic<double> critic(layout, "critic", critic_sizes(share));
    CHECK(critic.first_parameter() == 5);
    Random random(3);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Matrix<double> obs = random_matrix<double>(3, 6, random);
    const Matrix<std::int32_t> actions{{0, 1, 2, 2, 0, 1}};
    Matrix<double> q(3, 6), dq = Matrix<double>::Zero(3, 6);
    for (const Index c : {1, 4}) dq.col(c).setOnes();
    MaacCritic<double>::Cache cache;
    MaacCritic<double>::Scratch scratch;
    critic.prepare(cache, 2);
    critic.prepare(scratch, 2);
    critic.forward(p, {obs, actions}, q, cache);
    cache.logits.setZero();  // no regulariser, which is everyone's
    Vector<double> gradient = Vector<double>::Zero(layout.size());
    critic.backward(p, cache, {obs, actions}, dq, gradient, scratch);
    for (const NamedBlock& b : layout.blocks()) {
      INFO(b.name);
      const bool common = b.offset >= 5 && b.offset < 5 + critic.common_parameters();
      const bool own = b.name.starts_with("critic.state_encoders.") || b.name.starts_with("critic.critics.");
      CHECK(common == (b.name.starts_with("critic.") && (share || !own)));
      if (own && !share) CHECK((block(gradient, b).cwiseAbs().maxCoeff() > 0) == (b.name.find("s.1.") != b.name.npos));
    }
  }
}

TEST_CASE("batches in tiles have the gradients of the batch, and threads change no bit") {
  Maac<double> maac;
  Random random(4);
  const auto episodes = random_episodes<double>({5, 4, 4, 3, 2, 1}, random, sizes);  // draws are numbered in this order
  const auto batch = batch_of<double>(episodes);
  using Episodes = std::vector<Episode<double>>;
  const std::vector tiles{batch_of<double>(Episodes(episodes.begin(), episodes.begin() + 2)),
                          batch_of<double>(Episodes(episodes.begin() + 2, episodes.begin() + 5)),
                          batch_of<double>(Episodes(episodes.begin() + 5, episodes.end()))};
  const Vector<double> p = random_matrix<double>(maac.layout.size(), 1, random), target = 0.9 * p;
  const Vector<double> policy = maac.learner.policy_gradient(p, one(batch));
  CHECK(distance(maac.learner.policy_gradient(p, tiles), policy) <= 1e-12);
  const Vector<double> critic = maac.learner.critic_gradient(p, target, one(batch));
  CHECK(distance(maac.learner.critic_gradient(p, target, tiles), critic) <= 1e-12);

  Maac<double> alone, together;
  const Threads threads(2);
  together.learner.set_threads(&threads);
  for (int k = 0; k < 5; ++k) {
    alone.learner.update(tiles, 0, 0);
    together.learner.update(tiles, 0, 0);
  }
  CHECK(same(alone.learner.state().parameters, together.learner.state().parameters));
  CHECK(same(alone.learner.state().target, together.learner.state().target));
}

TEST_CASE("targets are of one step: the target critic at actions of the target policies, and their entropy") {
  Maac<double> maac;
  Random random(5);
  const auto episodes = random_episodes<double>({4, 2, 3}, random, sizes);  // the second is cut off
  const auto batch = batch_of<double>(episodes);
  const Vector<double> p = random_matrix<double>(maac.layout.size(), 1, random);
  const Vector<double> target = random_matrix<double>(maac.layout.size(), 1, random);
  maac.learner.critic_loss(p, target, one(batch));
  const Matrix<double> pi = policies(maac.learner.agent(), target, batch);
  const Index n = 3, columns = n * batch.transitions.total(), first = n * 3;
  const Matrix<std::int32_t> follow = maac.learner.drawn();
  const Matrix<double> q = values(maac.learner.critic(), target, batch.obs.rightCols(columns), follow);
  double going_on = 0;
  for (Index c = 0; c < columns; ++c) {
    const Index a = follow(0, c), k = c / n;
    REQUIRE(batch.available(a, first + c) == 1);
    const double soft = q(a, c) - std::log(pi(a, first + c)) / 4;
    CHECK(std::abs(maac.learner.targets()(c % n, k) - (batch.rewards(0, k) + 0.9 * batch.continues(0, k) * soft)) <
          1e-12);
    going_on += batch.continues(0, k);
  }
  CHECK(going_on == 3 * (4 - 1 + 2 + 3 - 1));
}

TEST_CASE("actions are drawn from the target policies and from the present ones, by seed and by update") {
  Random random(6);
  Episode<double> e = random_episode<double>(1, false, random, sizes);
  e.available.setOnes();
  e.available(1, 4) = 0;
  const auto batch = batch_of<double>(std::vector{e});
  const Maac<double> maac;
  const Vector<double> p = 0.5 * random_matrix<double>(maac.layout.size(), 1, random);
  const Vector<double> target = 0.5 * random_matrix<double>(maac.layout.size(), 1, random);
  const int draws = 2000;
  const auto check = [&](const Matrix<double>& pi, const auto& draw) {
    Matrix<double> count = Matrix<double>::Zero(3, 3);
    for (int k = 0; k < draws; ++k) {
      const Matrix<std::int32_t> drawn = draw(k);
      for (Index i = 0; i < 3; ++i) count(drawn(0, i), i) += 1;
    }
    for (Index i = 0; i < 9; ++i) {
      const double expected = pi.reshaped()(i);
      CHECK(std::abs(count.reshaped()(i) - draws * expected) <= 5 * std::sqrt(draws * expected * (1 - expected)));
    }
  };
  for (const bool by_seed : {true, false}) {
    const auto learner = [&](int k) {
      Maac<double> drawing(team(), small, by_seed ? static_cast<std::uint64_t>(k) : 1);
      drawing.learner.state().updates = by_seed ? 0 : k;
      return drawing.learner;
    };
    check(policies(maac.learner.agent(), target, batch).rightCols(3), [&](int k) {
      auto drawing = learner(k);
      drawing.critic_loss(p, target, one(batch));
      return Matrix<std::int32_t>(drawing.drawn());
    });
    check(policies(maac.learner.agent(), p, batch).leftCols(3), [&](int k) {
      auto drawing = learner(k);
      drawing.policy_loss(p, one(batch));
      return Matrix<std::int32_t>(drawing.drawn());
    });
  }
}

// All joint actions of one moment, found among many draws: Σ_u π(u) (β log π_i − A_i) ∇log π_i and the same with Q_i in
// place of A_i are equal, though not for each u.
TEST_CASE("the counterfactual baseline leaves the expected gradient as it is") {
  using Agent = RecurrentAgent<double>;
  Maac<double> maac;
  Random random(7);
  const Vector<double> p = 0.7 * random_matrix<double>(maac.layout.size(), 1, random);
  Episode<double> moment = random_episode<double>(1, true, random, sizes);
  moment.available.setOnes();
  moment.available(1, 2) = 0;
  const auto batch = batch_of<double>(std::vector{moment});
  const Matrix<double> pi = policies(maac.learner.agent(), p, batch);
  Agent::Cache cache;
  Agent::Scratch scratch;
  maac.learner.agent().prepare(cache, scratch, 6, 3);
  Matrix<double> logits(3, 6);
  const AgentInputs<double> inputs{batch.obs, batch.last_actions};
  maac.learner.agent().forward(p, batch.ragged, inputs, {}, logits, cache, scratch);
  const auto through_agents = [&](const Matrix<double>& dlogits) {
    Vector<double> g = Vector<double>::Zero(p.size());
    maac.learner.agent().backward(p, cache, batch.ragged, inputs, {}, dlogits, g, {}, {}, scratch);
    return g;
  };
  Matrix<double> dlogits = 2e-3 / 3 * logits.cwiseProduct(batch.available.cast<double>());
  dlogits.rightCols(3).setZero();
  const Vector<double> regulariser = through_agents(dlogits);

  Vector<double> expected = Vector<double>::Zero(p.size()), without = expected;
  double probability = 0, most_different = 0;
  std::set<std::vector<int>> met;
  for (int k = 0; met.size() < 18; ++k) {
    REQUIRE(k < 100000);
    maac.learner.state().updates = k;
    const Vector<double> gradient = maac.learner.policy_gradient(p, one(batch)) - regulariser;
    const Matrix<std::int32_t> u = maac.learner.drawn();
    if (!met.insert({u(0), u(1), u(2)}).second) continue;
    CHECK(same(maac.learner.values(), values(maac.learner.critic(), p, batch.obs.leftCols(3), u)));
    dlogits.setZero();
    double joint = 1;
    for (Index i = 0; i < 3; ++i) {
      const double weight = std::log(pi(u(i), i)) / 4 - maac.learner.values()(u(i), i);
      dlogits.col(i) = -weight * pi.col(i);
      dlogits(u(i), i) += weight;
      joint *= pi(u(i), i);
    }
    const Vector<double> plain = through_agents(dlogits);
    probability += joint;
    expected += joint * gradient;
    without += joint * plain;
    most_different = std::max(most_different, distance(gradient, plain));
  }
  CHECK(std::abs(probability - 1) < 1e-14);
  REQUIRE(without.norm() > 1e-3);
  CHECK(distance(expected, without) <= 1e-11);
  CHECK(most_different > 0.1);
}

TEST_CASE(
    "an update is a step of the critic, one of the policies with that critic, and a part of the way of the targets") {
  for (const bool share : {true, false}) {
    for (const bool clipped : {true, false}) {
      MaacOptions options = small;
      options.target_update.tau = 0.25;
      options.grad_norm_clip = clipped ? 0.001 : 1e6;
      options.policy_grad_norm_clip = clipped ? 0.002 : 1e6;
      Maac<double> maac(team(share), options), by_hand(team(share), options);
      Random random(8);
      const auto batch = batch_of<double>(random_episodes<double>({3, 2}, random, sizes));
      auto& learner = by_hand.learner;
      const auto& critic = learner.critic();
      Vector<double> p = learner.state().parameters;
      const Vector<double> target = learner.state().target = 1.1 * p;
      maac.learner.state().target = target;
      const Index first = critic.first_parameter();
      const auto step = [&](Index begin, Index size, Vector<double> gradient, double clip) {
        AdamState<double> moments;
        const Adam<double> adam;
        adam.prepare(moments, size);
        Vector<double> part = p.segment(begin, size), its = gradient.segment(begin, size);
        clip_global_norm(its, clip);
        adam.update(part, its, moments);
        p.segment(begin, size) = part;
      };
      Vector<double> gradient = learner.critic_gradient(p, target, one(batch));
      gradient.segment(first, critic.common_parameters()) /= 3;
      step(first, p.size() - first, gradient, 3 * options.grad_norm_clip);
      step(0, first, learner.policy_gradient(p, one(batch)), options.policy_grad_norm_clip);

      const QLearnerStats stats = maac.learner.update(batch, 0, 0.5);
      const auto& state = maac.learner.state();
      CHECK(same(state.parameters, p));
      CHECK(distance(state.target, 0.75 * target + 0.25 * p) <= 1e-14);
      CHECK(state.critic.updates == 1);
      CHECK(state.updates == 1);
      REQUIRE(stats.policy);
      CHECK(stats.policy->grad_norm > 0);
      CHECK((stats.policy->pi_max > 1.0 / 3 && stats.policy->pi_max <= 1));
      CHECK((stats.loss > 0 && stats.td_error_abs > 0));
    }
  }
}

TEST_CASE("the same batch twice is another draw, and copies of a learner go on to the same bits") {
  Maac<double> maac;
  Random random(9);
  const auto batch = batch_of<double>(random_episodes<double>({6, 4, 5}, random, sizes));
  maac.learner.update(batch, 0);
  const Matrix<std::int32_t> before = maac.learner.drawn();
  auto copy = maac.learner;
  for (auto* learner : {&maac.learner, &copy})
    for (int k = 0; k < 3; ++k) learner->update(batch, 0);
  CHECK_FALSE(same(maac.learner.drawn(), before));
  CHECK(same(maac.learner.state().parameters, copy.state().parameters));
  CHECK(same(maac.learner.state().target, copy.state().target));
}

TEST_CASE("masks and single actions leave no NaN") {
  Random random(10);
  auto episodes = random_episodes<double>({4, 2}, random, sizes);
  for (auto& e : episodes) {
    e.available.setZero();
    e.available.row(0).setOnes();
    e.actions.setZero();
  }
  Maac<double> maac;
  for (int k = 0; k < 5; ++k) maac.learner.update(batch_of<double>(episodes), 0);
  CHECK(maac.learner.state().parameters.allFinite());
  // One action is available: its probability is 1 and has no gradient, whatever the critic says.
  const Vector<double> gradient =
      maac.learner.policy_gradient(maac.learner.state().parameters, one(batch_of<double>(episodes)));
  CHECK(gradient.cwiseAbs().maxCoeff() < 1e-2);  // the regulariser's

  EpisodeSizes single = sizes;
  single.n_actions = 1;
  AgentOptions options = team();
  options.n_actions = 1;
  Maac<double> alone(options);
  alone.learner.update(batch_of<double>(random_episodes<double>({3, 1}, random, single)), 0);
  CHECK(alone.learner.state().parameters.allFinite());
}

TEST_CASE("an update that is not finite changes nothing") {
  Maac<double> maac;
  Random random(11);
  auto episodes = random_episodes<double>({4, 2}, random, sizes);
  maac.learner.update(batch_of<double>(episodes), 0);
  const auto before = maac.learner.state();
  const auto check = [&] {
    CHECK_THROWS_AS(maac.learner.update(batch_of<double>(episodes), 8), Error);
    const auto& after = maac.learner.state();
    CHECK(same(after.parameters, before.parameters));
    CHECK(same(after.target, before.target));
    CHECK(same(after.critic.optimizer.v, before.critic.optimizer.v));
    CHECK(after.critic.updates == before.critic.updates);
    CHECK(after.updates == before.updates);
  };
  episodes[0].rewards(0) = not_a_number;
  check();
  episodes[0].rewards(0) = 1;
  episodes[0].obs(0, 0) = not_a_number;
  check();
}

TEST_CASE("agents, critic and options that do not fit are errors") {
  ParameterLayout layout;
  const RecurrentAgent<double> agent(layout, "agent", team());
  MaacCriticSizes other = critic_sizes();
  other.n_actions = 4;
  const MaacCritic<double> critic(layout, "critic", critic_sizes()), wrong(layout, "wrong", other);
  const auto make = [&](const MaacCritic<double>& c, const MaacOptions& options) {
    return MaacLearner<RecurrentAgent<double>, RmsProp<double>>(layout, agent, c, RmsProp<double>(), RmsProp<double>(),
                                                                options, 1);
  };
  make(critic, {});
  CHECK_THROWS_AS(make(wrong, {}), Error);
  CHECK_THROWS_AS(make(critic, {.gamma = 1.1}), Error);
  CHECK_THROWS_AS(make(critic, {.reward_scale = 0}), Error);
  CHECK_THROWS_AS(make(critic, {.grad_norm_clip = 0}), Error);
  CHECK_THROWS_AS(make(critic, {.policy_grad_norm_clip = 0}), Error);
  CHECK_THROWS_AS(make(critic, {.target_update = {.tau = 0}}), Error);

  const auto critic_of = [](Index n_agents, Index heads) {
    ParameterLayout own;
    MaacCritic<double>(own, "critic", {.n_agents = n_agents, .hidden = 8, .attend_heads = heads});
  };
  critic_of(2, 4);
  CHECK_THROWS_WITH(critic_of(1, 4), contains("an agent needs others to attend to"));
  CHECK_THROWS_WITH(critic_of(2, 3), contains("attend_heads must divide hidden, got 3 and 8"));
  CHECK_THROWS_AS(critic_of(2, 0), Error);
}
