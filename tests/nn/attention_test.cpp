#include "qatten/nn/attention.hpp"

#include <array>

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index heads = 2, sources = 4, units = 2, embed = 3;

/// One choice of options and sizes, with its data. Sources, agents' values and parameters lie in one vector.
struct Problem {
  StateAttentionOptions options;
  bool shared_source = false;
  Index rows = 7, agents = 3;

  std::string description() const {
    std::string text = std::to_string(rows) + " rows, " + std::to_string(agents) + " agents";
    for (const auto& [on, name] : {std::pair{options.query_bias, "query_bias"},
                                   {options.key_bias, "key_bias"},
                                   {options.nonlinear, "nonlinear"},
                                   {options.mask_dead, "mask_dead"},
                                   {options.attend_reg_coef != 0, "regulariser"},
                                   {shared_source, "shared source"}})
      if (on) text += std::string(", ") + name;
    return text;
  }
};

/// Every combination of options, on few rows (q is formed), on many (M is formed), with a single agent.
std::vector<Problem> problems() {
  std::vector<Problem> all;
  for (int bits = 0; bits < 64; ++bits) {
    for (const auto& [rows, agents] : {std::pair<Index, Index>{1, 3}, {7, 3}, {6, 1}}) {
      Problem problem;
      problem.options = {.heads = heads,
                         .sources = sources,
                         .units = units,
                         .embed = embed,
                         .query_bias = (bits & 1) != 0,
                         .key_bias = (bits & 2) != 0,
                         .nonlinear = (bits & 4) != 0,
                         .mask_dead = (bits & 8) != 0,
                         .attend_reg_coef = (bits & 16) != 0 ? 0.3 : 0};
      problem.shared_source = (bits & 32) != 0;
      problem.rows = rows;
      problem.agents = agents;
      all.push_back(problem);
    }
  }
  return all;
}

template <class Scalar>
StateAttention<Scalar> make(ParameterLayout& layout, const StateAttentionOptions& options) {
  return StateAttention<Scalar>(
      layout, options, [](Index h) { return std::pair("query." + std::to_string(h), "key." + std::to_string(h)); });
}

/// In sample 1 two of three agents are dead, in the last one all.
Matrix<std::uint8_t> life(const Problem& problem) {
  Matrix<std::uint8_t> alive = Matrix<std::uint8_t>::Ones(problem.agents, problem.rows);
  if (problem.rows > 1) {
    if (problem.agents > 1) alive.col(1).head(2).setZero();
    alive.col(problem.rows - 1).setZero();
  } else {
    alive(0, 0) = problem.agents > 1 ? 0 : 1;
  }
  return alive;
}

template <class Scalar>
struct Data {
  explicit Data(const Problem& problem) : attention(make<Scalar>(layout, problem.options)), alive(life(problem)) {
    z = layout.add("z", sources * (problem.shared_source ? 1 : heads), problem.rows);
    qs = layout.add("agent_qs", problem.agents, problem.rows);
    Random random(1);
    p = random_matrix<Scalar>(layout.size(), 1, random);
    u = random_matrix<Scalar>(units * problem.agents, problem.rows, random);
    attention.prepare(cache, scratch, problem.agents, problem.rows);
    lambda.resize(problem.agents * heads, problem.rows);
  }
  typename StateAttention<Scalar>::Inputs inputs() const { return {block(p, z), u, block(p, qs), alive}; }

  ParameterLayout layout;
  StateAttention<Scalar> attention;
  Block z, qs;
  Vector<Scalar> p;
  Matrix<Scalar> u, lambda;
  Matrix<std::uint8_t> alive;
  typename StateAttention<Scalar>::Cache cache;
  typename StateAttention<Scalar>::Scratch scratch;
};

/// λ and the regulariser by the definition, in plain loops.
template <class Scalar>
std::pair<Matrix<double>, double> definition(const Problem& problem, const Data<Scalar>& data) {
  const StateAttentionOptions& o = problem.options;
  const auto number = [&](const std::string& name, Index i, Index j) {
    return double(block(data.p, data.layout.find(name))(i, j));
  };
  Matrix<double> lambda(problem.agents * heads, problem.rows);
  double squares = 0, living = 0;
  for (Index r = 0; r < problem.rows; ++r) {
    const auto dead = [&](Index i) { return o.mask_dead && data.alive(i, r) == 0; };
    for (Index i = 0; i < problem.agents; ++i) living += !dead(i);
    for (Index h = 0; h < heads; ++h) {
      const std::string query = "query." + std::to_string(h), key = "key." + std::to_string(h);
      std::vector<double> logits;
      for (Index i = 0; i < problem.agents; ++i) {
        double logit = 0;
        for (Index e = 0; e < embed; ++e) {
          double q = o.query_bias ? number(query + ".bias", e, 0) : 0, k = o.key_bias ? number(key + ".bias", e, 0) : 0;
          for (Index s = 0; s < sources; ++s)
            q += number(query + ".weight", e, s) *
                 double(block(data.p, data.z)(problem.shared_source ? s : h * sources + s, r));
          for (Index j = 0; j < units; ++j) k += number(key + ".weight", e, j) * double(data.u(i * units + j, r));
          if (o.nonlinear) k += number(key + ".weight", e, units) * double(block(data.p, data.qs)(i, r));
          logit += q * k;
        }
        if (!dead(i)) squares += logit * logit;
        logits.push_back(dead(i) ? -99999999. : logit / std::sqrt(double(embed)));
      }
      double sum = 0;
      const double largest = *std::max_element(logits.begin(), logits.end());
      for (const double l : logits) sum += std::exp(l - largest);
      for (Index i = 0; i < problem.agents; ++i)
        lambda(h * problem.agents + i, r) = std::exp(logits[static_cast<std::size_t>(i)] - largest) / sum;
    }
  }
  return {lambda, o.attend_reg_coef * squares / std::max(living, 1.)};
}

}  // namespace

TEMPLATE_TEST_CASE("attention is softmax(q . k / sqrt(E)) in plain loops, with every option", "", float, double) {
  const double tolerance = std::is_same_v<TestType, float> ? 2e-5 : 1e-13;
  for (const Problem& problem : problems()) {
    INFO(problem.description());
    Data<TestType> data(problem);
    data.attention.forward(data.p, data.inputs(), data.lambda, data.cache, data.scratch);
    const auto [lambda, regulariser] = definition(problem, data);
    CHECK(distance(data.lambda, lambda) <= tolerance);
    CHECK(std::abs(double(data.cache.regulariser) - regulariser) <= tolerance * regulariser);

    Matrix<TestType> evaluated = Matrix<TestType>::Constant(data.lambda.rows(), problem.rows, TestType(not_a_number));
    typename StateAttention<TestType>::Scratch scratch;
    data.attention.prepare(scratch, problem.rows);
    data.attention.evaluate(data.p, data.inputs(), evaluated, scratch);
    CHECK(same(evaluated, data.lambda));
  }
}

TEST_CASE("attention's gradients, with every option") {
  for (const Problem& problem : problems()) {
    INFO(problem.description());
    Data<double> data(problem);
    const Vector<double>& p = data.p;
    Random random(2);
    const Matrix<double> dlambda = random_matrix<double>(data.lambda.rows(), problem.rows, random);
    data.attention.forward(p, data.inputs(), data.lambda, data.cache, data.scratch);
    const Vector<double> gradient = gradient_of(data.layout, {data.z}, [&](Vector<double>& g) {
      Matrix<double> used_up = dlambda, dz(sources * heads, problem.rows);
      data.attention.backward(p, data.cache, data.inputs(), data.lambda, used_up, g, dz, block(g, data.qs),
                              data.scratch);
      block(g, data.z) = problem.shared_source ? (dz.topRows(sources) + dz.bottomRows(sources)).eval() : dz;
    });
    const auto loss = [&]<class S>(const Vector<S>& q) {
      ParameterLayout layout;
      const auto copy = make<S>(layout, problem.options);
      typename StateAttention<S>::Cache cache;
      typename StateAttention<S>::Scratch scratch;
      copy.prepare(cache, scratch, problem.agents, problem.rows);
      Matrix<S> lambda(problem.agents * heads, problem.rows);
      const Matrix<S> u = data.u.template cast<S>();
      copy.forward(q, {block(q, data.z), u, block(q, data.qs), data.alive}, lambda, cache, scratch);
      return weighted_sum(dlambda, lambda) + cache.regulariser;
    };
    if (problem.rows == 7) {
      check_twice(data.layout, p, gradient, loss);
    } else {
      check_by_duals(data.layout, p, gradient, loss);
    }

    if (problem.options.key_bias && problem.options.attend_reg_coef == 0)
      for (Index h = 0; h < heads; ++h)
        CHECK(block(gradient, data.layout.find("key." + std::to_string(h) + ".bias")).isZero(0));

    Vector<double> without_dz = Vector<double>::Zero(data.layout.size());
    Matrix<double> used_up = dlambda;
    data.attention.backward(p, data.cache, data.inputs(), data.lambda, used_up, without_dz, {},
                            block(without_dz, data.qs), data.scratch);
    CHECK(same(without_dz.head(data.z.offset), gradient.head(data.z.offset)));
  }
}

TEST_CASE("few rows, where queries are formed, and many, where their matrix is folded, agree") {
  for (const Problem& problem : problems()) {
    if (problem.rows != 7) continue;
    INFO(problem.description());
    Data<double> data(problem);
    CHECK(data.scratch.query.cols() >= 1);  // one row alone does not fold
    CHECK(data.scratch.query.cols() < 7);   // seven do
    data.attention.forward(data.p, data.inputs(), data.lambda, data.cache, data.scratch);
    const auto in = data.inputs();
    for (Index r = 0; r < problem.rows; ++r) {
      Matrix<double> single(problem.agents * heads, 1);
      data.attention.evaluate(data.p, {in.z.col(r), in.units.col(r), in.agent_qs.col(r), in.alive.col(r)}, single,
                              data.scratch);
      CHECK(distance(single, data.lambda.col(r)) <= 1e-13);
    }
  }
}

TEST_CASE("dead agents get exactly nothing, and all of them dead the same") {
  Problem problem;
  problem.options = {.heads = heads, .sources = sources, .units = units, .embed = embed, .mask_dead = true};
  Data<double> data(problem);
  data.attention.forward(data.p, data.inputs(), data.lambda, data.cache, data.scratch);
  for (Index h = 0; h < heads; ++h) {
    CHECK(data.lambda(h * 3, 1) == 0);
    CHECK(data.lambda(h * 3 + 1, 1) == 0);
    CHECK(data.lambda(h * 3 + 2, 1) == 1);
    for (Index i = 0; i < 3; ++i) CHECK(data.lambda(h * 3 + i, 6) == 1. / 3);
  }
  const StateAttention<double>::Inputs everyone{block(std::as_const(data.p), data.z),
                                                data.u};  // no life flags: all live
  data.attention.forward(data.p, everyone, data.lambda, data.cache, data.scratch);
  CHECK((data.lambda.array() > 0).all());
}

TEST_CASE("a single agent gets all attention") {
  Problem problem;
  problem.options = {.heads = heads, .sources = sources, .units = units, .embed = embed};
  problem.agents = 1;
  Data<double> data(problem);
  data.attention.forward(data.p, data.inputs(), data.lambda, data.cache, data.scratch);
  CHECK(same(data.lambda, Matrix<double>::Ones(heads, 7)));
}

TEST_CASE("entropy of attention: log n when uniform, 0 when one agent has it all") {
  Matrix<double> lambda(8, 2);
  lambda << 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25,  //
      1, 0.5, 0, 0.5, 0, 0, 0, 0;
  const Vector<double> entropy = attention_entropy<double>(lambda, 2);
  REQUIRE(entropy.size() == 2);
  CHECK(std::abs(entropy(0) - std::log(4.)) < 1e-7);
  CHECK(std::abs(entropy(1) - std::log(2.) / 2) < 1e-7);
}

TEST_CASE("attention rejects wrong shapes and being unprepared") {
  Problem problem;
  problem.options = {.heads = heads, .sources = sources, .units = units, .embed = embed};
  Data<double> data(problem);
  const auto forward = [&](StateAttention<double>::Inputs in, Matrix<double> lambda) {
    data.attention.forward(data.p, in, lambda, data.cache, data.scratch);
  };
  const auto in = data.inputs();
  CHECK_NOTHROW(forward(in, data.lambda));
  CHECK_THROWS_AS(forward(in, data.lambda.topRows(5)), Error);
  CHECK_THROWS_AS(forward(in, data.lambda.leftCols(6)), Error);
  CHECK_THROWS_AS(forward({in.z.leftCols(6), in.units}, data.lambda), Error);
  CHECK_THROWS_AS(forward({in.z.topRows(7), in.units}, data.lambda), Error);
  const Matrix<double> z = Matrix<double>::Zero(8, 8), u = Matrix<double>::Zero(6, 8);
  CHECK_THROWS_AS(forward({z, u}, Matrix<double>(6, 8)), Error);
  ParameterLayout layout;
  CHECK_THROWS_AS(make<double>(layout, {.heads = 0}), Error);
}
