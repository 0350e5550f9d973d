// QPLEX against its definition in plain loops; gradients with its stop-gradient; IGM for any parameters.

#include "qatten/mixers/qplex.hpp"

#include "qatten/agents/recurrent.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/learners/q_learner.hpp"
#include "support/objective_check.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index n_agents = 3, n_actions = 3, state_dim = 4, rows = 6;

QplexOptions qplex_options(Index hidden) {
  return {.num_kernel = 2, .hypernet_embed = 4, .adv_hypernet_embed = hidden};
}

/// Values of all actions, and a joint action, for each row.
struct Data {
  explicit Data(Random& random)
      : state(random_matrix<double>(state_dim, rows, random)),
        values(random_matrix<double>(n_actions, n_agents * rows, random)),
        actions(n_agents, rows) {
    for (Index k = 0; k < actions.size(); ++k) actions.data()[k] = static_cast<std::int32_t>(random.integer(n_actions));
  }
  Matrix<double> taken() const {
    Matrix<double> qs(n_agents, rows);
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < n_agents; ++i) qs(i, r) = values(actions(i, r), r * n_agents + i);
    return qs;
  }
  Matrix<double> largest() const { return values.colwise().maxCoeff().reshaped(n_agents, rows); }

  Matrix<double> state, values;
  Matrix<std::int32_t> actions;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// One net of the hypernetworks, by the names of its layers.
Vector<double> net(const ParameterLayout& layout, const Vector<double>& p, const std::string& name, bool hidden,
                   const Vector<double>& x) {
  const auto layer = [&](const std::string& part, const Vector<double>& in) -> Vector<double> {
    const std::string full = "mixer." + name + part;
    return block(p, layout.find(full + ".weight")) * in + block(p, layout.find(full + ".bias"));
  };
  return hidden ? layer(".2", layer(".0", x).cwiseMax(0)) : layer("", x);
}

}  // namespace

TEST_CASE("QPLEX is its definition") {
  for (const Index hidden : {0, 5}) {
    ParameterLayout layout;
    const Qplex<double> mixer(layout, "mixer", n_agents, n_actions, state_dim, qplex_options(hidden));
    Random random(1);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Data data(random);
    const Matrix<double> qs = data.taken(), max_qs = data.largest();
    Matrix<double> q_tot(1, rows), evaluated(1, rows);
    Qplex<double>::Cache cache, scratch;
    mixer.prepare(cache, scratch, rows + 1);
    const MixerInputs<double> in{qs, data.state, {}, {}, 0, max_qs, data.actions};
    mixer.forward(p, in, q_tot, cache, scratch);
    mixer.evaluate(p, in, evaluated, scratch);
    CHECK(same(evaluated, q_tot));
    for (Index r = 0; r < rows; ++r) {
      const Vector<double> s = data.state.col(r);
      Vector<double> pair = Vector<double>::Zero(state_dim + n_agents * n_actions);
      pair.head(state_dim) = s;
      for (Index i = 0; i < n_agents; ++i) pair(state_dim + i * n_actions + data.actions(i, r)) = 1;
      const Vector<double> w = net(layout, p, "hyper_w_final", true, s).cwiseAbs(), b = net(layout, p, "V", true, s);
      Vector<double> lambda = Vector<double>::Zero(n_agents);
      for (const std::string k : {"0", "1"}) {
        const double key = std::abs(net(layout, p, "si_weight.key_extractors." + k, hidden > 0, s)(0));
        const Vector<double> agents = net(layout, p, "si_weight.agents_extractors." + k, hidden > 0, s);
        const Vector<double> action = net(layout, p, "si_weight.action_extractors." + k, hidden > 0, pair);
        for (Index i = 0; i < n_agents; ++i) lambda(i) += key * sigmoid(agents(i)) * sigmoid(action(i));
      }
      double want = 0;  // in the paper's form: values at the greedy actions, and advantages weighed by λ
      for (Index i = 0; i < n_agents; ++i)
        want += w(i) * max_qs(i, r) + b(i) + lambda(i) * w(i) * (qs(i, r) - max_qs(i, r));
      CHECK(std::abs(q_tot(0, r) - want) <= 1e-8);  // ε = 1e-10 is left out above
      CHECK(distance(mixer.lambda(cache, rows).col(r), lambda) <= 1e-8);
    }
  }
}

TEST_CASE("QPLEX's gradients: every parameter and agent's value, with A' a constant") {
  for (const Index hidden : {0, 5}) {
    ParameterLayout layout;
    const Qplex<double> mixer(layout, "mixer", n_agents, n_actions, state_dim, qplex_options(hidden));
    const Block qs = layout.add("agent_qs", n_agents, rows);
    Random random(2);
    Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Data data(random);
    block(p, qs) = data.taken();
    const Matrix<double> dq_tot = random_matrix<double>(1, rows, random), max_qs = data.largest();
    Matrix<double> q_tot(1, rows);
    Qplex<double>::Cache cache, scratch;
    mixer.prepare(cache, scratch, rows + 2);
    const MixerInputs<double> in{block(p, qs), data.state, {}, {}, 0, max_qs, data.actions};
    mixer.forward(p, in, q_tot, cache, scratch);
    const Vector<double> gradient = gradient_of(
        layout, {qs}, [&](Vector<double>& g) { mixer.backward(p, cache, in, dq_tot, g, block(g, qs), scratch); });
    check_by_duals(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
      ParameterLayout same_layout;
      const Qplex<S> copy(same_layout, "mixer", n_agents, n_actions, state_dim, qplex_options(hidden));
      typename Qplex<S>::Cache memory, unused;
      copy.prepare(memory, unused, rows);
      Matrix<S> out(1, rows);
      const Matrix<S> state = data.state.template cast<S>(), largest = max_qs.template cast<S>();
      copy.forward(q, {block(q, qs), state, {}, {}, 0, largest, data.actions}, out, memory, unused);
      return weighted_sum(dq_tot, out);
    });
    for (const NamedBlock& b : layout.blocks()) {
      INFO(b.name);
      CHECK(block(gradient, b).cwiseAbs().maxCoeff() > 0);
    }
  }
}

TEST_CASE("QPLEX keeps IGM, whatever its parameters") {
  const Index joint = n_joint_actions(n_agents, n_actions);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    ParameterLayout layout;
    const Qplex<double> mixer(layout, "mixer", n_agents, n_actions, state_dim, qplex_options(5));
    Random random(seed);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);  // larger ones underflow λ
    const Matrix<double> values = random_matrix<double>(n_actions, n_agents, random);
    const Matrix<double> state = random_matrix<double>(state_dim, 1, random).replicate(1, joint);
    const Matrix<double> max_qs = values.colwise().maxCoeff().transpose().replicate(1, joint);
    Matrix<std::int32_t> actions(n_agents, joint);
    Matrix<double> qs(n_agents, joint), table(1, joint);
    for (Index u = 0; u < joint; ++u) {
      const std::vector<int> each = joint_action(u, n_agents, n_actions);
      for (Index i = 0; i < n_agents; ++i) {
        actions(i, u) = each[static_cast<std::size_t>(i)];
        qs(i, u) = values(actions(i, u), i);
      }
    }
    Qplex<double>::Cache cache, scratch;
    mixer.prepare(cache, scratch, joint);
    mixer.forward(p, {qs, state, {}, {}, 0, max_qs, actions}, table, cache, scratch);
    Index best;
    table.row(0).maxCoeff(&best);
    for (Index i = 0; i < n_agents; ++i) CHECK(qs(i, best) == max_qs(i, best));
    CHECK(mixer.lambda(cache, joint).minCoeff() > 0);
  }
}

TEST_CASE("QPLEX demands what it reads") {
  ParameterLayout layout;
  const Qplex<double> mixer(layout, "mixer", n_agents, n_actions, state_dim);
  Random random(1);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const Data data(random);
  const Matrix<double> qs = data.taken(), max_qs = data.largest();
  Matrix<double> q_tot(1, rows);
  Qplex<double>::Cache cache, scratch;
  const MixerInputs<double> all{qs, data.state, {}, {}, 0, max_qs, data.actions};
  CHECK_THROWS_AS(mixer.forward(p, all, q_tot, cache, scratch), Error);  // not prepared
  mixer.prepare(cache, scratch, rows);
  CHECK_NOTHROW(mixer.forward(p, all, q_tot, cache, scratch));
  CHECK_THROWS_AS(mixer.forward(p, {qs, data.state}, q_tot, cache, scratch), Error);
  CHECK_THROWS_AS(mixer.forward(p, {qs, data.state, {}, {}, 0, max_qs}, q_tot, cache, scratch), Error);
}

TEST_CASE("QPLEX: gradients of the whole loss") {
  for (const bool double_q : {true, false}) {
    INFO("double_q " << double_q);
    check_objective([&]<class S>(ParameterLayout& layout, S) {
      const RecurrentAgent<S> agent(layout, "agent", team());
      const Qplex<S> mixer(layout, "mixer", 3, 3, 4,
                           {.num_kernel = 2, .hypernet_embed = 3, .adv_hypernet_embed = double_q ? 4 : 0});
      return QObjective<RecurrentAgent<S>, Qplex<S>>(agent, mixer, options(double_q, double_q ? 0.6 : 0));
    });
  }
}
