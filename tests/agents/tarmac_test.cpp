// TarMAC against its definition in plain loops, and who hears what when.

#include "qatten/agents/tarmac.hpp"

#include <algorithm>

#include "support/agent_options.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr double tiny = 1e-13;
constexpr Index d = Messages<double>::signature, value = Messages<double>::value;

/// A team with its data: sequences of 4, 3 and 1 steps.
struct Fixture {
  explicit Fixture(const AgentOptions& o) : options(o), agent(layout, "agent", o) {
    p = 0.7 * random_matrix<double>(layout.size(), 1, random);
    obs = random_matrix<double>(o.obs_shape, columns(), random);
    h0 = random_matrix<double>(o.hidden_dim, batch(), random);
    last_actions = random_last_actions(o, ragged, random);
    agent.prepare(cache, scratch, columns(), batch());
  }
  Index columns() const { return ragged.total() * options.n_agents; }
  Index batch() const { return ragged.sequences() * options.n_agents; }
  Matrix<double> forward() {
    Matrix<double> q = Matrix<double>::Constant(options.n_actions, columns(), not_a_number);
    agent.forward(p, ragged, {obs, last_actions}, h0, q, cache, scratch);
    return q;
  }
  ConstView<double> w(const std::string& name) const { return block(p, layout.find("agent." + name)); }
  Vector<double> affine(const std::string& name, const Vector<double>& x) const {
    return w(name + ".weight") * x + w(name + ".bias");
  }

  AgentOptions options;
  ParameterLayout layout;
  TarmacAgent<double> agent;
  Random random{1};
  Ragged ragged{std::vector<Index>{4, 3, 1}};
  Vector<double> p;
  Matrix<double> obs, h0;
  Matrix<std::int32_t> last_actions;
  TarmacAgent<double>::Cache cache;
  TarmacAgent<double>::Scratch scratch;
};

/// What the agents of a team hear, c_j, and the α of each round: rows j, columns i.
struct Heard {
  std::vector<Vector<double>> c;
  std::vector<Matrix<double>> attention;
};

Heard listen(const Fixture& f, std::vector<Vector<double>> g) {
  const std::size_t n = g.size();
  Heard heard;
  for (Index round = 0; round < f.options.comm_rounds; ++round) {
    if (round > 0)
      for (std::size_t j = 0; j < n; ++j) {
        Vector<double> both(value + f.options.hidden_dim);
        both << heard.c[j], g[j];
        g[j] = (f.w("refine.weight") * both).array().tanh();
      }
    heard.c.assign(n, Vector<double>::Zero(value));
    Matrix<double> alpha = Matrix<double>::Zero(Index(n), Index(n));
    for (std::size_t j = 0; j < n; ++j) {
      const Vector<double> query = f.affine("query", g[j]);
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i)
        sum += alpha(Index(j), Index(i)) = std::exp(query.dot(f.w("signature.weight") * g[i]) / 4);  // √16
      alpha.row(Index(j)) /= sum;
      for (std::size_t i = 0; i < n; ++i) heard.c[j] += alpha(Index(j), Index(i)) * f.affine("value", g[i]);
    }
    heard.attention.push_back(alpha);
  }
  return heard;
}

/// [o; onehot(a); onehot(i)] of a column.
Vector<double> input(const Fixture& f, Index column) {
  const AgentOptions& o = f.options;
  const Index actions = o.obs_last_action ? o.n_actions : 0, ids = o.obs_agent_id ? o.n_agents : 0;
  Vector<double> x = Vector<double>::Zero(o.obs_shape + actions + ids);
  x.head(o.obs_shape) = f.obs.col(column);
  if (o.obs_last_action && f.last_actions(0, column) >= 0) x(o.obs_shape + f.last_actions(0, column)) = 1;
  if (o.obs_agent_id) x(o.obs_shape + actions + column % o.n_agents) = 1;
  return x;
}

Vector<double> gru(const Fixture& f, const Vector<double>& x, const Vector<double>& h) {
  const Index hidden = h.size();
  const Vector<double> a = f.w("rnn.weight_ih") * x + f.w("rnn.bias_ih"),
                       c = f.w("rnn.weight_hh") * h + f.w("rnn.bias_hh");
  Vector<double> next(hidden);
  for (Index k = 0; k < hidden; ++k) {
    const double r = 1 / (1 + std::exp(-a(k) - c(k))), z = 1 / (1 + std::exp(-a(hidden + k) - c(hidden + k)));
    next(k) = (1 - z) * std::tanh(a(2 * hidden + k) + r * c(2 * hidden + k)) + z * h(k);
  }
  return next;
}

Vector<double> normalised(const Fixture& f, const Vector<double>& h) {
  const Vector<double> centred = h.array() - h.mean();
  const Vector<double> x = centred / std::sqrt(centred.squaredNorm() / double(h.size()) + 1e-5);
  return x.cwiseProduct(f.w("layer_norm.weight").col(0)) + f.w("layer_norm.bias").col(0);
}

AgentOptions team(Index comm_rounds = 1) {
  return {.n_agents = 4,
          .n_actions = 3,
          .obs_shape = 3,
          .obs_agent_id = false,
          .hidden_dim = 5,
          .comm_rounds = comm_rounds};
}

}  // namespace

TEST_CASE("TarMAC is fc1, what the team sent of its states before, GRU, optional layer norm and fc2") {
  for (const AgentOptions& options : tarmac_options()) {
    INFO(description(options));
    Fixture f(options);
    const Matrix<double> q = f.forward();
    const Index n = options.n_agents;
    for (Index b = 0; b < f.ragged.sequences(); ++b) {
      std::vector<Vector<double>> h;
      for (Index i = 0; i < n; ++i) h.emplace_back(f.h0.col(b * n + i));
      for (Index t = 0; t < f.ragged.length(b); ++t) {
        const Heard heard = listen(f, h);
        for (Index i = 0; i < n; ++i) {
          const Index column = f.ragged.column(b, t) * n + i;
          const auto at = static_cast<std::size_t>(i);
          Vector<double> x(options.hidden_dim + value);
          x << f.affine("fc1", input(f, column)).cwiseMax(0.), heard.c[at];
          h[at] = gru(f, x, h[at]);
          CHECK(distance(q.col(column), f.affine("fc2", options.use_layer_norm ? normalised(f, h[at]) : h[at])) <=
                tiny);
          for (Index round = 0; round < options.comm_rounds; ++round)
            CHECK(distance(f.agent.attention(f.cache, f.columns(), round).col(column),
                           heard.attention[static_cast<std::size_t>(round)].row(i).transpose()) <= tiny);
        }
      }
    }
  }
}

TEST_CASE("what an agent sees reaches its team one step later, and no other team") {
  for (const Index rounds : {1, 2, 3}) {
    Fixture f(team(rounds));
    const Index n = f.options.n_agents, speaker = f.ragged.column(1, 1) * n + 2;  // agent 2 of the second team, t = 1
    const Matrix<double> before = f.forward();
    f.obs.col(speaker).array() += 1;
    const Matrix<double> after = f.forward();
    for (Index b = 0; b < f.ragged.sequences(); ++b)
      for (Index t = 0; t < f.ragged.length(b); ++t)
        for (Index i = 0; i < n; ++i) {
          CAPTURE(rounds, b, t, i);
          const Index column = f.ragged.column(b, t) * n + i;
          const bool knows = b == 1 && (t > 1 || (t == 1 && i == 2));
          CHECK(same(before.col(column), after.col(column)) == !knows);
        }
  }
}

TEST_CASE("agents without numbers are interchangeable: permuting them permutes their values and their attention") {
  for (const Index rounds : {1, 2, 3}) {
    CAPTURE(rounds);
    Fixture f(team(rounds)), permuted(team(rounds));
    const std::vector<Index> order{2, 0, 3, 1};
    const Index n = f.options.n_agents;
    const auto permute = [&](const auto& from, auto& to) {
      for (Index j = 0; j < from.cols(); ++j) to.col(j) = from.col(j - j % n + order[static_cast<std::size_t>(j % n)]);
    };
    permute(f.obs, permuted.obs);
    permute(f.h0, permuted.h0);
    permute(f.last_actions, permuted.last_actions);
    const Matrix<double> q = f.forward();
    Matrix<double> want = q;
    permute(q, want);
    CHECK(distance(permuted.forward(), want) <= tiny);
    CHECK(distance(q, want) > 0.1);
    const Matrix<double> attention = f.agent.attention(f.cache, f.columns(), rounds - 1);
    Matrix<double> columns = attention, both = attention;
    permute(attention, columns);
    for (Index i = 0; i < n; ++i) both.row(i) = columns.row(order[static_cast<std::size_t>(i)]);
    CHECK(distance(permuted.agent.attention(permuted.cache, f.columns(), rounds - 1), both) <= tiny);
  }
}

TEST_CASE("acting shows the attention of that step") {
  Fixture f(team(2));
  f.forward();
  Matrix<double> hidden = f.h0;
  for (Index t = 0; t < f.ragged.steps(); ++t) {
    const Index column = f.ragged.offset(t) * 4, count = f.ragged.living(t) * 4;
    Matrix<double> q(f.options.n_actions, count);
    f.agent.step(f.p, {f.obs.middleCols(column, count), f.last_actions.middleCols(column, count)},
                 hidden.leftCols(count), q, f.scratch);
    for (const Index round : {0, 1}) {
      const Matrix<double> attention = f.agent.attention(f.scratch, count, round);
      CHECK(distance(attention, f.agent.attention(f.cache, f.columns(), round).middleCols(column, count)) <= tiny);
      CHECK(distance(attention.colwise().sum(), Matrix<double>::Ones(1, count)) <= tiny);
      CHECK(attention.minCoeff() > 0);
    }
  }
}

TEST_CASE("an agent by itself listens to itself alone") {
  AgentOptions options = team();
  options.n_agents = 1;
  Fixture f(options);
  f.forward();
  CHECK(same(f.agent.attention(f.cache, f.columns()), Matrix<double>::Ones(1, f.columns())));
}

TEST_CASE("parameters have PyTorch's shapes under the names of what they make") {
  const Fixture f(team(2));
  const Index hidden = f.options.hidden_dim;
  const auto check = [&](const std::string& name, Index rows, Index cols) {
    INFO(name);
    const NamedBlock& b = f.layout.find("agent." + name);
    CHECK(b.rows == rows);
    CHECK(b.cols == cols);
  };
  check("fc1.weight", hidden, 6);
  check("query.weight", d, hidden);
  check("query.bias", d, 1);
  check("value.weight", value, hidden);
  check("value.bias", value, 1);
  check("signature.weight", d, hidden);
  check("refine.weight", hidden, value + hidden);
  check("rnn.weight_ih", 3 * hidden, hidden + value);
  check("rnn.weight_hh", 3 * hidden, hidden);
  check("fc2.weight", 3, hidden);
  CHECK(f.layout.blocks().size() == 14);
  const Fixture one_round(team(1));
  const auto& blocks = one_round.layout.blocks();
  CHECK(std::none_of(blocks.begin(), blocks.end(), [](const auto& b) { return b.name == "agent.refine.weight"; }));
}

TEST_CASE("half a team, and messages that were not prepared, are errors") {
  Fixture f(team());
  Matrix<double> hidden = f.h0.leftCols(6), q(3, 6);
  CHECK_THROWS_AS(f.agent.step(f.p, {f.obs.leftCols(6), f.last_actions.leftCols(6)}, hidden, q, f.scratch), Error);
  ParameterLayout layout;
  const Messages<double> messages(layout, "m", 2, 3, 1);
  const Vector<double> p = Vector<double>::Zero(layout.size());
  Messages<double>::Memory memory;
  Matrix<double> h = Matrix<double>::Zero(3, 4), c(value, 4);
  CHECK_THROWS_AS(messages.forward(p, h, c, memory), Error);
  messages.prepare(memory, 2);
  CHECK_THROWS_AS(messages.forward(p, h, c, memory), Error);
  messages.prepare(memory, 4);
  CHECK_NOTHROW(messages.forward(p, h, c, memory));
  CHECK_THROWS_AS(messages.forward(p, h.topRows(2), c, memory), Error);
  CHECK_THROWS_AS(messages.forward(p, h, c.topRows(3), memory), Error);
}
