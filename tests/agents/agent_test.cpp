// What holds of every team, recurrent or not, with messages or without.

#include "qatten/agents/agent.hpp"

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "support/agent_options.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr double tiny = 1e-13;

/// A team with its data: sequences of 4, 3 and 1 steps.
template <template <class> class Agent>
struct Fixture {
  explicit Fixture(const AgentOptions& o) : options(o), agent(layout, "agent", o) {
    p = random_matrix<double>(layout.size(), 1, random);
    obs = random_matrix<double>(o.obs_shape, columns(), random);
    h0 = random_matrix<double>(o.hidden_dim, batch(), random);
    last_actions = random_last_actions(o, ragged, random);
    agent.prepare(cache, scratch, columns(), batch());
    q = forward();
  }
  Index columns() const { return ragged.total() * options.n_agents; }
  Index batch() const { return ragged.sequences() * options.n_agents; }
  AgentInputs<double> inputs() const { return {obs, last_actions}; }
  Matrix<double> forward() {
    Matrix<double> out = Matrix<double>::Constant(options.n_actions, columns(), not_a_number);
    agent.forward(p, ragged, inputs(), h0, out, cache, scratch);
    return out;
  }
  Vector<double> gradient(const Matrix<double>& dq) {
    Vector<double> g = Vector<double>::Zero(layout.size());
    agent.backward(p, cache, ragged, inputs(), h0, dq, g, {}, {}, scratch);
    return g;
  }

  AgentOptions options;
  ParameterLayout layout;
  Agent<double> agent;
  Random random{1};
  Ragged ragged{std::vector<Index>{4, 3, 1}};
  Vector<double> p;
  Matrix<double> obs, h0, q;
  Matrix<std::int32_t> last_actions;
  typename Agent<double>::Cache cache;
  typename Agent<double>::Scratch scratch;
};

using Recurrent = Fixture<RecurrentAgent>;
using FeedForward = Fixture<FeedForwardAgent>;
using Tarmac = Fixture<TarmacAgent>;

/// f(fixture) for both kinds of agents that are by themselves, with every option.
template <class F>
void for_each_silent_team(const F& f) {
  for (const AgentOptions& options : agent_options(true)) {
    INFO("recurrent, " << description(options));
    Recurrent fixture(options);
    f(fixture);
  }
  for (const AgentOptions& options : agent_options(false)) {
    INFO("feed-forward, " << description(options));
    FeedForward fixture(options);
    f(fixture);
  }
}

/// And for those that send messages.
template <class F>
void for_each_team(const F& f) {
  for_each_silent_team(f);
  for (const AgentOptions& options : tarmac_options()) {
    INFO("TarMAC, " << description(options));
    Tarmac fixture(options);
    f(fixture);
  }
}

/// [o; onehot(a); onehot(i)] of a column.
Vector<double> concatenated(const AgentOptions& o, const Matrix<double>& obs, const Matrix<std::int32_t>& last_actions,
                            Index column) {
  const Index actions = o.obs_last_action ? o.n_actions : 0, ids = o.obs_agent_id ? o.n_agents : 0;
  Vector<double> x = Vector<double>::Zero(o.obs_shape + actions + ids);
  x.head(o.obs_shape) = obs.col(column);
  if (o.obs_last_action && last_actions(0, column) >= 0) x(o.obs_shape + last_actions(0, column)) = 1;
  if (o.obs_agent_id) x(o.obs_shape + actions + column % o.n_agents) = 1;
  return x;
}

Vector<double> affine(const ParameterLayout& layout, const Vector<double>& p, const std::string& w,
                      const std::string& b, const Vector<double>& x) {
  return block(p, layout.find(w)) * x + block(p, layout.find(b));
}

Vector<double> relu(const Vector<double>& x) { return x.cwiseMax(0.); }

}  // namespace

TEST_CASE("a recurrent agent is fc1, ReLU, GRU, optional layer norm and fc2 on its concatenated input") {
  for (const AgentOptions& options : agent_options(true)) {
    INFO(description(options));
    const Recurrent f(options);
    const Index n = options.n_agents, hidden = options.hidden_dim;
    for (Index b = 0; b < f.ragged.sequences(); ++b) {
      for (Index i = 0; i < n; ++i) {
        const std::string name = options.share_parameters ? "agent." : "agent.agents." + std::to_string(i) + ".";
        Vector<double> h = f.h0.col(b * n + i);
        for (Index t = 0; t < f.ragged.length(b); ++t) {
          const Index column = f.ragged.column(b, t) * n + i;
          const auto linear = [&](const std::string& w, const std::string& bias, const Vector<double>& x) {
            return affine(f.layout, f.p, name + w, name + bias, x);
          };
          const Vector<double> in = concatenated(options, f.obs, f.last_actions, column);
          const Vector<double> a = linear("rnn.weight_ih", "rnn.bias_ih", relu(linear("fc1.weight", "fc1.bias", in)));
          const Vector<double> c = linear("rnn.weight_hh", "rnn.bias_hh", h);
          for (Index k = 0; k < hidden; ++k) {
            const double r = 1 / (1 + std::exp(-a(k) - c(k))), z = 1 / (1 + std::exp(-a(hidden + k) - c(hidden + k)));
            h(k) = (1 - z) * std::tanh(a(2 * hidden + k) + r * c(2 * hidden + k)) + z * h(k);
          }
          Vector<double> last = h;
          if (options.use_layer_norm) {
            const Vector<double> centred = h.array() - h.mean();
            last = centred / std::sqrt(centred.squaredNorm() / double(hidden) + 1e-5);
            last = last.cwiseProduct(block(f.p, f.layout.find(name + "layer_norm.weight")).col(0)) +
                   block(f.p, f.layout.find(name + "layer_norm.bias")).col(0);
          }
          CHECK(distance(f.q.col(column), linear("fc2.weight", "fc2.bias", last)) <= tiny);
        }
      }
    }
  }
}

TEST_CASE("a feed-forward agent is three linear layers with ReLU between them on its concatenated input") {
  for (const AgentOptions& options : agent_options(false)) {
    INFO(description(options));
    const FeedForward f(options);
    for (Index column = 0; column < f.columns(); ++column) {
      const Index i = column % options.n_agents;
      const std::string name = options.share_parameters ? "agent." : "agent.agents." + std::to_string(i) + ".";
      Vector<double> x = concatenated(options, f.obs, f.last_actions, column);
      for (const std::string layer : {"fc1", "fc2"})
        x = relu(affine(f.layout, f.p, name + layer + ".weight", name + layer + ".bias", x));
      CHECK(distance(f.q.col(column), affine(f.layout, f.p, name + "fc3.weight", name + "fc3.bias", x)) <= tiny);
    }
  }
}

TEST_CASE("one-hot look-ups are the product with the concatenated input, forward and backward") {
  const auto check = [](auto& f) {
    const AgentOptions& o = f.options;
    AgentOptions plain = o;
    plain.obs_shape += (o.obs_last_action ? o.n_actions : 0) + (o.obs_agent_id ? o.n_agents : 0);
    plain.obs_last_action = plain.obs_agent_id = false;
    std::remove_cvref_t<decltype(f)> explicit_input(plain);
    REQUIRE(explicit_input.layout.size() == f.layout.size());
    explicit_input.p = f.p;
    explicit_input.h0 = f.h0;
    for (Index column = 0; column < f.columns(); ++column)
      explicit_input.obs.col(column) = concatenated(o, f.obs, f.last_actions, column);
    CHECK(distance(f.q, explicit_input.forward()) <= tiny);
    const Matrix<double> dq = random_matrix<double>(o.n_actions, f.columns(), f.random);
    CHECK(distance(f.gradient(dq), explicit_input.gradient(dq)) <= tiny);
  };
  for_each_team(check);
}

TEST_CASE("evaluate gives the bits of forward") {
  for_each_team([](auto& f) {
    typename std::remove_cvref_t<decltype(f.scratch)> scratch;
    f.agent.prepare(scratch, f.columns(), f.batch());
    Matrix<double> q = Matrix<double>::Constant(f.q.rows(), f.q.cols(), not_a_number);
    f.agent.evaluate(f.p, f.ragged, f.inputs(), f.h0, q, scratch);
    CHECK(same(q, f.q));
  });
}

TEST_CASE("acting step by step is the unroll") {
  for_each_team([](auto& f) {
    const Index n = f.options.n_agents;
    Matrix<double> hidden = f.h0;
    for (Index t = 0; t < f.ragged.steps(); ++t) {
      const Index column = f.ragged.offset(t) * n, count = f.ragged.living(t) * n;
      Matrix<double> q(f.options.n_actions, count);
      f.agent.step(f.p, {f.obs.middleCols(column, count), f.last_actions.middleCols(column, count)},
                   hidden.leftCols(count), q, f.scratch);
      CHECK(distance(q, f.q.middleCols(column, count)) <= tiny);
    }
  });
}

TEST_CASE("a team alone gives what it gives in a batch") {
  for_each_team([](auto& f) {
    const Index n = f.options.n_agents;
    for (Index b = 0; b < f.ragged.sequences(); ++b) {
      const Index length = f.ragged.length(b);
      Matrix<double> obs(f.obs.rows(), n * length), want(f.q.rows(), n * length), got = want;
      Matrix<std::int32_t> last_actions(1, n * length);
      for (Index t = 0; t < length; ++t) {
        obs.middleCols(t * n, n) = f.obs.middleCols(f.ragged.column(b, t) * n, n);
        last_actions.middleCols(t * n, n) = f.last_actions.middleCols(f.ragged.column(b, t) * n, n);
        want.middleCols(t * n, n) = f.q.middleCols(f.ragged.column(b, t) * n, n);
      }
      const Ragged alone(std::vector<Index>{length});
      f.agent.evaluate(f.p, alone, {obs, last_actions}, f.h0.middleCols(b * n, n), got, f.scratch);
      CHECK(distance(got, want) <= tiny);
    }
  });
}

TEST_CASE("no h0 is an h0 of zeros") {
  for_each_team([](auto& f) {
    f.h0.setZero();
    const Matrix<double> zeros = f.forward();
    Matrix<double> none = zeros;
    f.agent.forward(f.p, f.ragged, f.inputs(), {}, none, f.cache, f.scratch);
    CHECK(same(none, zeros));
  });
}

TEST_CASE("networks of their own with equal parameters are the shared network; the gradient is shared out") {
  const auto check = [](auto& f) {
    if (!f.options.share_parameters) return;
    AgentOptions own = f.options;
    own.share_parameters = false;
    std::remove_cvref_t<decltype(f)> separate(own);
    separate.obs = f.obs;
    separate.h0 = f.h0;
    separate.last_actions = f.last_actions;
    REQUIRE(separate.layout.size() == f.layout.size() * own.n_agents);
    for (const NamedBlock& b : f.layout.blocks())
      for (Index i = 0; i < own.n_agents; ++i)
        block(separate.p, separate.layout.find("agent.agents." + std::to_string(i) + b.name.substr(5))) = block(f.p, b);
    CHECK(distance(separate.forward(), f.q) <= tiny);
    const Matrix<double> dq = random_matrix<double>(own.n_actions, f.columns(), f.random);
    const Vector<double> shared = f.gradient(dq), parts = separate.gradient(dq);
    for (const NamedBlock& b : f.layout.blocks()) {
      Matrix<double> sum = Matrix<double>::Zero(b.rows, b.cols);
      for (Index i = 0; i < own.n_agents; ++i)
        sum += block(parts, separate.layout.find("agent.agents." + std::to_string(i) + b.name.substr(5)));
      INFO(b.name);
      CHECK(distance(sum, block(shared, b)) <= tiny);
    }
  };
  for_each_silent_team(check);
}

TEST_CASE("an agent sees its own history alone: others' observations and actions do not change its values") {
  for_each_silent_team([](auto& f) {
    const Index n = f.options.n_agents;
    for (Index i = 0; i < n; ++i) {
      auto& obs = f.obs;
      const auto kept_obs = f.obs;
      const auto kept_actions = f.last_actions;
      for (Index column = 0; column < f.columns(); ++column) {
        if (column % n == i) continue;
        obs.col(column).array() += 3;
        f.last_actions(0, column) = static_cast<std::int32_t>((f.last_actions(0, column) + 1) % f.options.n_actions);
      }
      const Matrix<double> q = f.forward();
      bool others_changed = false;
      for (Index column = 0; column < f.columns(); ++column) {
        if (column % n == i) {
          CHECK(same(q.col(column), f.q.col(column)));
        } else {
          others_changed = others_changed || !same(q.col(column), f.q.col(column));
        }
      }
      CHECK(others_changed);
      f.obs = kept_obs;
      f.last_actions = kept_actions;
    }
  });
}

TEST_CASE("decentralised execution: one agent alone, fed its own observations, reproduces its column") {
  const auto check = [](auto& f) {
    if (f.options.obs_agent_id || !f.options.share_parameters) return;  // alone it would have another number
    AgentOptions single = f.options;
    single.n_agents = 1;
    std::remove_cvref_t<decltype(f)> alone(single);
    REQUIRE(alone.layout.size() == f.layout.size());
    const Index n = f.options.n_agents;
    for (Index i = 0; i < n; ++i) {
      Matrix<double> hidden = f.h0.col(i), q(f.options.n_actions, 1);  // of sequence 0
      for (Index t = 0; t < f.ragged.length(0); ++t) {
        const Index column = f.ragged.column(0, t) * n + i;
        alone.agent.step(f.p, {f.obs.col(column), f.last_actions.col(column)}, hidden, q, alone.scratch);
        CHECK(distance(q, f.q.col(column)) <= tiny);
      }
    }
  };
  for_each_silent_team(check);
}

TEST_CASE("initial parameters follow from the seed and leave no block untouched") {
  for_each_team([](auto& f) {
    Vector<double> a = Vector<double>::Constant(f.p.size(), 7), b = a, c = a;
    Random one(3), again(3), other(4);
    f.agent.initialise(a, one);
    f.agent.initialise(b, again);
    f.agent.initialise(c, other);
    CHECK(same(a, b));
    CHECK(!same(a, c));
    CHECK((a.array().abs() <= 1).all());
    const std::string fc1 = f.options.share_parameters ? "agent.fc1.weight" : "agent.agents.0.fc1.weight";
    const auto w = block(a, f.layout.find(fc1));
    CHECK(w.cwiseAbs().maxCoeff() <= 1 / std::sqrt(double(w.cols())));
  });
}

TEST_CASE("copies of a team work, and outlive it") {
  for_each_team([](auto& f) {
    using A = std::remove_cvref_t<decltype(f.agent)>;
    auto original = std::make_unique<A>(f.agent);
    const A copy = *original;
    original.reset();
    f.agent = copy;
    CHECK(same(f.forward(), f.q));
  });
}

TEST_CASE("teams reject wrong shapes, wrong options and being unprepared") {
  for_each_team([](auto& f) {
    const auto forward = [&](const Matrix<double>& obs, const Matrix<std::int32_t>& last_actions, Matrix<double> q) {
      f.agent.forward(f.p, f.ragged, {obs, last_actions}, f.h0, q, f.cache, f.scratch);
    };
    CHECK_NOTHROW(forward(f.obs, f.last_actions, f.q));
    CHECK_THROWS_AS(forward(f.obs.topRows(2), f.last_actions, f.q), Error);
    CHECK_THROWS_AS(forward(f.obs, f.last_actions, f.q.leftCols(f.columns() - 2)), Error);
    CHECK_THROWS_AS(forward(f.obs, f.last_actions, f.q.topRows(2)), Error);
    if (f.options.obs_last_action) CHECK_THROWS_AS(forward(f.obs, {}, f.q), Error);
    f.agent.prepare(f.cache, f.scratch, f.columns() - 2, f.batch());
    CHECK_THROWS_AS(forward(f.obs, f.last_actions, f.q), Error);
  });
  ParameterLayout layout;
  CHECK_THROWS_AS(RecurrentAgent<float>(layout, "a", {.n_agents = 0}), Error);
  CHECK_THROWS_AS(RecurrentAgent<float>(layout, "b", {.n_actions = 0}), Error);
  CHECK_THROWS_AS(RecurrentAgent<float>(layout, "c", {.obs_shape = 0}), Error);
  CHECK_THROWS_AS(FeedForwardAgent<float>(layout, "d", {.use_layer_norm = true}), Error);
  CHECK_THROWS_AS(TarmacAgent<float>(layout, "e", {.n_agents = 0}), Error);
  CHECK_THROWS_WITH(TarmacAgent<float>(layout, "f", {.share_parameters = false}), contains("share_parameters"));
  CHECK_THROWS_WITH(TarmacAgent<float>(layout, "g", {.comm_rounds = 0}), contains("comm_rounds"));
}
