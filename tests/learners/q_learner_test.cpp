#include "qatten/learners/q_learner.hpp"

#include <memory>

#include "qatten/agents/recurrent.hpp"
#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"
#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 2, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .unit_dim = 2};
const AgentOptions team{.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden_dim = 5};
const QattenOptions qatten_options{
    .n_head = 2, .embed = 3, .query_hidden = 4, .value_hidden = 2, .attend_reg_coef = 0.1};

using Agents = RecurrentAgent<double>;
template <class M>
using LearnerOf = QLearner<Agents, M, Adam<double>>;

template <class M>
LearnerOf<M> make_learner(const QLearnerOptions& options = {}, std::uint64_t seed = 1) {
  ParameterLayout layout;
  Agents agents(layout, "agent", team);
  const auto mixer = [&] {
    if constexpr (std::is_constructible_v<M, Index>)
      return M(team.n_agents);
    else
      return M(layout, "mixer", team.n_agents, sizes.state_shape, sizes.unit_dim, qatten_options);
  }();
  return {layout, agents, mixer, Adam<double>({.lr = 0.01}), options, Random(seed)};
}

/// The target parameters far from the online ones.
template <class L>
void scatter_target(L& learner, Random& random) {
  learner.state().target = 0.8 * random_matrix<double>(learner.state().target.size(), 1, random);
}

/// Q values of a team over one episode: (n_actions, n_agents · (L + 1)).
Matrix<double> values(const Agents& agents, const Vector<double>& p, const Episode<double>& e) {
  const Index n = e.n_agents(), columns = e.obs.cols();
  Matrix<std::int32_t> last_actions(1, columns);
  for (Index j = 0; j < columns; ++j) last_actions(0, j) = j < n ? -1 : e.actions(j % n, j / n - 1);
  const Ragged ragged(std::vector<Index>{e.length() + 1});
  Agents::Scratch scratch;
  agents.prepare(scratch, columns, n);
  Matrix<double> q(e.available.rows(), columns);
  agents.evaluate(p, ragged, {e.obs, last_actions}, {}, q, scratch);
  return q;
}

template <class M>
Matrix<double> mix(const M& mixer, const Vector<double>& p, const Matrix<double>& qs, const Episode<double>& e,
                   Index t) {
  typename M::Cache cache;
  typename M::Scratch scratch;
  mixer.prepare(cache, scratch, 1);
  Matrix<double> out(mixer.outputs(), 1);
  mixer.evaluate(p, {qs, e.state.col(t), e.units.col(t), e.alive.col(t)}, out, scratch);
  return out;
}

/// The targets and Q_tot of one episode, (outputs, L) each, as PyMARL defines them.
template <class L>
std::pair<Matrix<double>, Matrix<double>> definition(const L& learner, const Episode<double>& e) {
  const auto& options = learner.options();
  const auto& state = learner.state();
  const Matrix<double> q = values(learner.agent(), state.parameters, e);
  const Matrix<double> target_q = values(learner.agent(), state.target, e);
  const Index n = e.n_agents(), length = e.length(), outputs = learner.mixer().outputs();
  Matrix<double> targets(outputs, length), q_tot(outputs, length), taken(n, 1), best(n, 1);
  for (Index t = length; t-- > 0;) {
    for (Index i = 0; i < n; ++i) {
      taken(i, 0) = q(e.actions(i, t), t * n + i);
      const Index next = (t + 1) * n + i;
      double largest = -std::numeric_limits<double>::infinity();
      for (Index a = 0; a < q.rows(); ++a) {
        const double judge = options.double_q ? q(a, next) : target_q(a, next);
        if (e.available(a, next) == 0 || judge <= largest) continue;
        largest = judge;
        best(i, 0) = target_q(a, next);
      }
    }
    q_tot.col(t) = mix(learner.mixer(), state.parameters, taken, e, t);
    Matrix<double> future = mix(learner.mixer(), state.target, best, e, t + 1);
    if (t + 1 < length) future = (1 - options.td_lambda) * future + options.td_lambda * targets.col(t + 1);
    if (t + 1 == length && e.terminated) future.setZero();
    targets.col(t) = (options.gamma * future).array() + e.rewards(t);
  }
  return {targets, q_tot};
}

template <class M>
double loss_of(LearnerOf<M>& learner, const std::vector<Episode<double>>& episodes) {
  return learner.loss(learner.state().parameters, learner.state().target, batch_of<double>(episodes));
}

}  // namespace

TEMPLATE_TEST_CASE("targets, Q_tot and loss are PyMARL's, episode by episode", "", Vdn<double>, Qatten<double>,
                   Independent<double>) {
  Random random(1);
  const auto episodes = random_episodes<double>({3, 5, 1, 3, 4}, random, sizes);
  const auto batch = batch_of<double>(episodes);
  for (const bool double_q : {true, false}) {
    for (const double lambda : {0., 0.6, 1.}) {
      INFO((double_q ? "double Q" : "single Q") << ", lambda " << lambda);
      auto learner =
          make_learner<TestType>({.gamma = 0.9, .td_lambda = lambda, .double_q = double_q, .loss_scale = 0.5});
      scatter_target(learner, random);
      const double loss = loss_of(learner, episodes);
      double squares = 0;
      for (Index b = 0; b < batch.transitions.sequences(); ++b) {
        const auto& e = episodes[static_cast<std::size_t>(batch.order[static_cast<std::size_t>(b)])];
        const auto [targets, q_tot] = definition(learner, e);
        squares += (targets - q_tot).squaredNorm();
        for (Index t = 0; t < e.length(); ++t) {
          CHECK(distance(learner.targets().col(batch.transitions.column(b, t)), targets.col(t)) <= 1e-12);
          CHECK(distance(learner.q_tot().col(batch.transitions.column(b, t)), q_tot.col(t)) <= 1e-12);
        }
      }
      const double regulariser = learner.mixer().regulariser(learner.mixer_cache());
      const double count = double(learner.targets().size());
      CHECK(std::abs(loss - (0.5 * squares / count + regulariser)) <= 1e-12 * loss);
      CHECK((regulariser > 0) == (std::is_same_v<TestType, Qatten<double>>));
    }
  }
}

TEMPLATE_TEST_CASE("the loss of a batch is the mean of its episodes' losses, weighted by their steps", "", Vdn<double>,
                   Qatten<double>, Independent<double>) {
  Random random(2);
  const auto episodes = random_episodes<double>({3, 5, 1, 3, 4}, random, sizes);
  auto learner = make_learner<TestType>({.td_lambda = 0.6});
  scatter_target(learner, random);
  const auto& p = learner.state().parameters;
  const double loss = loss_of(learner, episodes);
  const Vector<double> gradient = learner.gradient(p, learner.state().target, batch_of<double>(episodes));
  double mean = 0;
  Vector<double> mean_gradient = Vector<double>::Zero(p.size());
  for (const auto& e : episodes) {
    const double weight = double(e.length()) / 16;
    mean += weight * loss_of(learner, {e});
    mean_gradient += weight * learner.gradient(p, learner.state().target, batch_of<double>(std::vector{e}));
  }
  CHECK(std::abs(mean - loss) <= 1e-13 * loss);
  CHECK(distance(mean_gradient, gradient) <= 1e-12);

  auto shuffled = episodes;
  std::swap(shuffled[0], shuffled[3]);
  std::swap(shuffled[1], shuffled[4]);
  CHECK(std::abs(loss_of(learner, shuffled) - loss) <= 1e-13 * loss);
  CHECK(distance(learner.gradient(p, learner.state().target, batch_of<double>(shuffled)), gradient) <= 1e-12);
}

TEST_CASE("targets are the same however large an unavailable action's value is") {
  Random random(3);
  std::vector<Episode<double>> episodes = {random_episode<double>(4, false, random, sizes)};
  episodes[0].available.row(2).setZero();
  episodes[0].available.row(0).setOnes();
  episodes[0].actions.setZero();
  for (const bool double_q : {true, false}) {
    auto learner = make_learner<Vdn<double>>({.double_q = double_q});
    loss_of(learner, episodes);
    const Matrix<double> targets = learner.targets();
    for (auto* p : {&learner.state().parameters, &learner.state().target}) {
      auto bias = block(*p, [&] {
        ParameterLayout layout;
        Agents agents(layout, "agent", team);
        return layout.find("agent.fc2.bias");
      }());
      bias(2, 0) += 1000;
    }
    loss_of(learner, episodes);
    CHECK(same(learner.targets(), targets));
    episodes[0].available.row(2).setOnes();
    loss_of(learner, episodes);
    CHECK(learner.targets().minCoeff() > 500);
    episodes[0].available.row(2).setZero();
  }
}

TEST_CASE("an update clips, steps and tells what it saw") {
  Random random(4);
  const auto episodes = random_episodes<double>({3, 5, 1}, random, sizes);
  const auto batch = batch_of<double>(episodes);
  for (const double clip : {1e-3, 1e3}) {
    auto learner = make_learner<Qatten<double>>({.grad_norm_clip = clip});
    auto twin = make_learner<Qatten<double>>();
    const Vector<double> before = learner.state().parameters;
    Vector<double> gradient = twin.gradient(before, twin.state().target, batch);
    const QLearnerStats stats = learner.update(batch);
    CHECK(stats.loss == twin.loss(before, twin.state().target, batch));
    CHECK(std::abs(stats.grad_norm - gradient.norm()) <= 1e-14 * gradient.norm());
    if (clip < stats.grad_norm) gradient *= clip / (stats.grad_norm + 1e-6);
    CHECK(distance(learner.gradients(), gradient) <= 1e-14);
    Adam<double>::State state;
    Vector<double> after = before;
    Adam<double>({.lr = 0.01}).prepare(state, before.size());
    Adam<double>({.lr = 0.01}).update(after, learner.gradients(), state);
    CHECK(same(learner.state().parameters, after));
    CHECK(learner.state().updates == 1);
    const Matrix<double> q_tot = twin.q_tot(), y = twin.targets();
    CHECK(std::abs(stats.td_error_abs - (q_tot - y).cwiseAbs().mean()) <= 1e-13);
    CHECK(std::abs(stats.q_taken_mean - q_tot.mean() / 2) <= 1e-13);
    CHECK(std::abs(stats.target_mean - y.mean() / 2) <= 1e-13);
  }
}

TEST_CASE("repeated updates on one batch lower its loss") {
  Random random(5);
  const auto batch = batch_of<double>(random_episodes<double>({3, 5, 1}, random, sizes));
  auto learner = make_learner<Qatten<double>>({.target_update = {TargetUpdate::Rule::every_updates, 1000}});
  const double first = learner.update(batch).loss;
  for (int k = 0; k < 100; ++k) learner.update(batch);
  CHECK(learner.update(batch).loss < 0.5 * first);
}

TEST_CASE("the target is copied every k updates") {
  Random random(6);
  const auto batch = batch_of<double>(random_episodes<double>({3, 2}, random, sizes));
  auto learner = make_learner<Vdn<double>>({.target_update = {TargetUpdate::Rule::every_updates, 3}});
  Vector<double> want = learner.state().target;
  CHECK(same(want, learner.state().parameters));
  for (int k = 1; k <= 8; ++k) {
    learner.update(batch, 1000 * k);  // episodes do not matter
    if (k % 3 == 0) want = learner.state().parameters;
    CHECK(same(learner.state().target, want));
    CHECK(same(learner.state().parameters, want) == (k % 3 == 0));
  }
}

TEST_CASE("the target is copied when k episodes have passed since") {
  Random random(7);
  const auto batch = batch_of<double>(random_episodes<double>({3, 2}, random, sizes));
  auto learner = make_learner<Vdn<double>>({.target_update = {TargetUpdate::Rule::every_episodes, 10}});
  const std::pair<int, bool> calls[] = {{1, false},  {9, false}, {12, true}, {20, false},
                                        {21, false}, {22, true}, {60, true}, {61, false}};
  for (const auto& [episodes, copied] : calls) {
    INFO("after " << episodes << " episodes");
    const Vector<double> before = learner.state().target;
    learner.update(batch, episodes);
    CHECK(same(learner.state().target, copied ? learner.state().parameters : before));
    CHECK(!same(learner.state().parameters, before));
  }
  CHECK(learner.state().last_target_episode == 60);
}

TEST_CASE("a soft target moves by tau of the way at every update") {
  Random random(8);
  const auto batch = batch_of<double>(random_episodes<double>({3, 2}, random, sizes));
  auto learner = make_learner<Vdn<double>>({.target_update = {.rule = TargetUpdate::Rule::soft, .tau = 0.25}});
  Vector<double> want = learner.state().target;
  for (int k = 0; k < 5; ++k) {
    learner.update(batch);
    want = 0.75 * want + 0.25 * learner.state().parameters;
    CHECK(distance(learner.state().target, want) <= 1e-15);
  }
}

TEST_CASE("numbers that are not finite stop an update and leave everything as it was") {
  Random random(9);
  auto episodes = random_episodes<double>({3, 2}, random, sizes);
  auto learner = make_learner<Qatten<double>>({.target_update = {TargetUpdate::Rule::every_updates, 1}});
  learner.update(batch_of<double>(episodes));
  const auto before = learner.state();
  for (const double reward : {not_a_number, std::numeric_limits<double>::infinity(), 1e200}) {
    episodes[1].rewards(0) = reward;
    try {
      learner.update(batch_of<double>(episodes));
      FAIL("no error");
    } catch (const Error& e) {
      CHECK(std::string(e.what()).find("not finite at update 1") != std::string::npos);
    }
    CHECK(same(learner.state().parameters, before.parameters));
    CHECK(same(learner.state().target, before.target));
    CHECK(same(learner.state().optimizer.m, before.optimizer.m));
    CHECK(same(learner.state().optimizer.v, before.optimizer.v));
    CHECK(learner.state().optimizer.step == before.optimizer.step);
    CHECK(learner.state().updates == 1);
  }
  episodes[1].rewards(0) = 0;
  CHECK_NOTHROW(learner.update(batch_of<double>(episodes)));
  CHECK(learner.state().parameters.allFinite());
}

TEST_CASE("an agent without an available action is an error") {
  Random random(10);
  auto learner = make_learner<Vdn<double>>();
  auto episodes = random_episodes<double>({3}, random, sizes);
  CHECK_NOTHROW(loss_of(learner, episodes));
  episodes[0].available.col(7).setZero();  // in the last observation, where no action was taken
  try {
    loss_of(learner, episodes);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("no available action") != std::string::npos);
  }
}

TEST_CASE("agents and mixer must agree, and options be sensible") {
  ParameterLayout layout;
  const Agents agents(layout, "agent", team);
  const auto make = [&](Index n, const QLearnerOptions& options) {
    LearnerOf<Vdn<double>>(layout, agents, Vdn<double>(n), Adam<double>(), options, Random(1));
  };
  CHECK_NOTHROW(make(2, {}));
  try {
    make(3, {});
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "QLearner: the team has 2 agents, the mixer expects 3");
  }
  CHECK_THROWS_AS(make(2, {.gamma = 1.1}), Error);
  CHECK_THROWS_AS(make(2, {.gamma = not_a_number}), Error);
  CHECK_THROWS_AS(make(2, {.td_lambda = -0.1}), Error);
  CHECK_THROWS_AS(make(2, {.grad_norm_clip = 0}), Error);
  CHECK_THROWS_AS(make(2, {.target_update = {.interval = 0}}), Error);
  CHECK_THROWS_AS(make(2, {.target_update = {.tau = 0}}), Error);

  Random random(11);
  EpisodeSizes other = sizes;
  ++other.obs_shape;
  auto learner = make_learner<Vdn<double>>();
  CHECK_THROWS_AS(loss_of(learner, random_episodes<double>({2}, random, other)), Error);
  const auto refuses = [&](Index EpisodeSizes::*size, Index by, const std::string& message) {
    other = sizes;
    other.*size += by;
    CHECK_THROWS_WITH(learner.update(batch_of<double>(random_episodes<double>({2}, random, other)), 0), message);
  };
  refuses(&EpisodeSizes::n_agents, 1, "Learner: the batch has n_agents 3, the team 2");
  refuses(&EpisodeSizes::n_actions, 1, "Learner: the batch has n_actions 4, the team 3");
  refuses(&EpisodeSizes::n_actions, -1, "Learner: the batch has n_actions 2, the team 3");
  CHECK_THROWS_AS(learner.update(EpisodeBatch<double>(), 0), Error);

  ParameterLayout early = layout;  // before the mixer asked for its blocks
  const Qatten<double> mixer(layout, "mixer", 2, sizes.state_shape, sizes.unit_dim);
  CHECK_THROWS_WITH(
      (QLearner<Agents, Qatten<double>, Adam<double>>(early, agents, mixer, Adam<double>(), {}, Random(1))),
      contains("it is of another layout, or of this one before all modules were made"));
}

TEST_CASE("the same seed gives the same bits, another seed others") {
  const auto train = [](std::uint64_t seed) {
    Random random(12);
    auto learner = make_learner<Qatten<double>>({.td_lambda = 0.6}, seed);
    for (int k = 0; k < 4; ++k)
      learner.update(batch_of<double>(random_episodes<double>({3, 1 + k, 2}, random, sizes)), 200 * k);
    return learner.state();
  };
  const auto a = train(1), b = train(1), c = train(2);
  CHECK(same(a.parameters, b.parameters));
  CHECK(same(a.target, b.target));
  CHECK(same(a.optimizer.v, b.optimizer.v));
  CHECK(!same(a.parameters, c.parameters));
}

TEST_CASE("batches of any size one after the other: memory from a larger one does not leak into a smaller one") {
  Random random(13);
  const auto small = batch_of<double>(random_episodes<double>({2, 1}, random, sizes));
  const auto large = batch_of<double>(random_episodes<double>({6, 6, 5, 4}, random, sizes));
  const auto many = batch_of<double>(random_episodes<double>({1, 1, 1, 1, 1, 1, 1}, random, sizes));
  auto fresh = make_learner<Qatten<double>>(), used = make_learner<Qatten<double>>();
  const auto& p = fresh.state().parameters;
  const Vector<double> want = fresh.gradient(p, p, small);
  for (const auto* batch : {&large, &small, &many, &small, &large, &small}) {
    const Vector<double> got = used.gradient(p, p, *batch);
    CHECK(got.allFinite());
    if (batch == &small) CHECK(distance(got, want) <= 1e-14);
  }
}
