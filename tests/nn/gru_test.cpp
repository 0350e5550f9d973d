#include "qatten/nn/gru.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index inputs = 3, hidden = 4;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// torch.nn.GRUCell on one sample, by its documentation.
template <class Scalar>
std::vector<double> cell(const ParameterLayout& layout, const Vector<Scalar>& p, const std::vector<double>& x,
                         const std::vector<double>& h) {
  const auto affine = [&](const std::string& w, const std::string& b, Index row, const std::vector<double>& v) {
    double sum = double(block(p, layout.find("rnn." + b))(row, 0));
    for (std::size_t k = 0; k < v.size(); ++k)
      sum += double(block(p, layout.find("rnn." + w))(row, static_cast<Index>(k))) * v[k];
    return sum;
  };
  const auto from_x = [&](Index row) { return affine("weight_ih", "bias_ih", row, x); };
  const auto from_h = [&](Index row) { return affine("weight_hh", "bias_hh", row, h); };
  std::vector<double> next(h.size());
  for (Index i = 0; i < hidden; ++i) {
    const double r = sigmoid(from_x(i) + from_h(i)), z = sigmoid(from_x(hidden + i) + from_h(hidden + i));
    const double n = std::tanh(from_x(2 * hidden + i) + r * from_h(2 * hidden + i));
    next[static_cast<std::size_t>(i)] = (1 - z) * n + z * h[static_cast<std::size_t>(i)];
  }
  return next;
}

template <class Derived>
std::vector<double> entries(const Eigen::MatrixBase<Derived>& column) {
  std::vector<double> all;
  for (Index i = 0; i < column.rows(); ++i) all.push_back(double(column(i, 0)));
  return all;
}

template <class Scalar>
struct Problem {
  Problem(const std::vector<Index>& lengths, Index group_, bool with_h0)
      : gru(layout, "rnn", inputs, hidden), ragged(lengths), group(group_) {
    Random random(1);
    p = Scalar(0.7) * random_matrix<Scalar>(layout.size(), 1, random);
    x = random_matrix<Scalar>(inputs, ragged.total() * group, random);
    if (with_h0) h0 = random_matrix<Scalar>(hidden, ragged.sequences() * group, random);
    h.setConstant(hidden, x.cols(), Scalar(not_a_number));
    gru.prepare(cache, scratch, x.cols(), ragged.sequences() * group);
    gru.forward(p, ragged, group, x, h0, h, cache, scratch);
  }

  ParameterLayout layout;
  Gru<Scalar> gru;
  Ragged ragged;
  Index group;
  Vector<Scalar> p;
  Matrix<Scalar> x, h0, h;
  typename Gru<Scalar>::Cache cache;
  typename Gru<Scalar>::Scratch scratch;
};

}  // namespace

TEMPLATE_TEST_CASE("a GRU over ragged sequences is PyTorch's cell, step by step, for every sequence alone", "", float,
                   double) {
  for (const Index group : {1, 2}) {
    for (const bool with_h0 : {false, true}) {
      const Problem<TestType> problem({5, 3, 3, 1}, group, with_h0);
      const Ragged& ragged = problem.ragged;
      for (Index b = 0; b < ragged.sequences(); ++b) {
        for (Index g = 0; g < group; ++g) {
          std::vector<double> h(hidden, 0.);
          if (with_h0) h = entries(problem.h0.col(b * group + g));
          for (Index t = 0; t < ragged.length(b); ++t) {
            const Index column = ragged.column(b, t) * group + g;
            h = cell(problem.layout, problem.p, entries(problem.x.col(column)), h);
            INFO("sequence " << b << ", sample " << g << ", step " << t);
            const Eigen::Map<const Vector<double>> want(h.data(), hidden);
            CHECK(distance(problem.h.col(column), want) <= (std::is_same_v<TestType, float> ? 1e-5 : 1e-14));
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("a GRU evaluates to the same bits as it goes forward", "", float, double) {
  for (const bool with_h0 : {false, true}) {
    Problem<TestType> problem({5, 3, 3, 1}, 2, with_h0);
    typename Gru<TestType>::Scratch scratch;
    problem.gru.prepare(scratch, 8);
    Matrix<TestType> h = Matrix<TestType>::Constant(hidden, problem.x.cols(), TestType(not_a_number));
    problem.gru.evaluate(problem.p, problem.ragged, 2, problem.x, problem.h0, h, scratch);
    CHECK(same(h, problem.h));
  }
}

TEST_CASE("a sequence alone gives what it gives in a batch, gradients too") {
  for (const bool with_h0 : {false, true}) {
    Problem<double> batch({5, 3, 3, 1}, 2, with_h0);
    Random random(2);
    const Matrix<double> dh = random_matrix<double>(hidden, batch.x.cols(), random);
    Vector<double> gradient = Vector<double>::Zero(batch.layout.size()), sum = gradient;
    Matrix<double> dx(inputs, batch.x.cols()), dh0(hidden, 8);
    batch.gru.backward(batch.p, batch.cache, batch.ragged, 2, batch.x, batch.h0, batch.h, dh, gradient, dx, dh0,
                       batch.scratch);
    for (Index b = 0; b < 4; ++b) {
      const Index length = batch.ragged.length(b);
      Problem<double> single({length}, 2, with_h0);
      Matrix<double> single_dh(hidden, 2 * length), single_dx(inputs, 2 * length), single_dh0(hidden, 2);
      for (Index t = 0; t < length; ++t) {
        const Index column = batch.ragged.column(b, t) * 2;
        single.x.middleCols(2 * t, 2) = batch.x.middleCols(column, 2);
        single_dh.middleCols(2 * t, 2) = dh.middleCols(column, 2);
      }
      if (with_h0) single.h0 = batch.h0.middleCols(2 * b, 2);
      single.gru.forward(batch.p, single.ragged, 2, single.x, single.h0, single.h, single.cache, single.scratch);
      single.gru.backward(batch.p, single.cache, single.ragged, 2, single.x, single.h0, single.h, single_dh, sum,
                          single_dx, single_dh0, single.scratch);
      for (Index t = 0; t < length; ++t) {
        const Index column = batch.ragged.column(b, t) * 2;
        CHECK(distance(single.h.middleCols(2 * t, 2), batch.h.middleCols(column, 2)) <= 1e-14);
        CHECK(distance(single_dx.middleCols(2 * t, 2), dx.middleCols(column, 2)) <= 1e-13);
      }
      CHECK(distance(single_dh0, dh0.middleCols(2 * b, 2)) <= 1e-13);
    }
    CHECK(distance(sum, gradient) <= 1e-13);
  }
}

TEST_CASE("gradients through time over ragged sequences") {
  for (const Index group : {1, 2}) {
    for (const bool with_h0 : {true, false}) {
      INFO("group " << group << (with_h0 ? ", h0" : ""));
      ParameterLayout layout;
      const Gru<double> gru(layout, "rnn", inputs, hidden);
      const Ragged ragged(std::vector<Index>{5, 3, 3, 1});
      const Index columns = ragged.total() * group, batch = ragged.sequences() * group;
      const Block x = layout.add("x", inputs, columns), h0 = layout.add("h0", hidden, batch);
      Random random(3);
      const Vector<double> p = 0.7 * random_matrix<double>(layout.size(), 1, random);
      const Matrix<double> dh = random_matrix<double>(hidden, columns, random);
      const auto start = [&]<class S>(const Vector<S>& q) { return with_h0 ? block(q, h0) : ConstView<S>(); };

      Gru<double>::Cache cache;
      Gru<double>::Scratch scratch;
      gru.prepare(cache, scratch, columns, batch);
      Matrix<double> h(hidden, columns);
      gru.forward(p, ragged, group, block(p, x), start(p), h, cache, scratch);
      const Vector<double> gradient = gradient_of(layout, {x, h0}, [&](Vector<double>& g) {
        if (!with_h0) block(g, h0).setZero();
        gru.backward(p, cache, ragged, group, block(p, x), start(p), h, dh, g, block(g, x),
                     with_h0 ? block(g, h0) : View<double>(), scratch);
      });
      check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
        ParameterLayout same_layout;
        const Gru<S> copy(same_layout, "rnn", inputs, hidden);
        typename Gru<S>::Scratch memory;
        copy.prepare(memory, batch);
        Matrix<S> out(hidden, columns);
        copy.evaluate(q, ragged, group, block(q, x), start(q), out, memory);
        return weighted_sum(dh, out);
      });

      Vector<double> without_inputs = Vector<double>::Zero(layout.size());
      gru.backward(p, cache, ragged, group, block(p, x), start(p), h, dh, without_inputs, {}, {}, scratch);
      CHECK(same(without_inputs.head(x.offset), gradient.head(x.offset)));
    }
  }
}

TEST_CASE("a cell's forward may write over h, its backward over dh'") {
  ParameterLayout layout;
  const GruCell<double> cell(layout, "rnn", inputs, hidden);
  Random random(4);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const Matrix<double> x = random_matrix<double>(inputs, 3, random), h = random_matrix<double>(hidden, 3, random);
  const Matrix<double> dh_next = random_matrix<double>(hidden, 3, random);
  GruCell<double>::Cache cache;
  GruCell<double>::Scratch scratch;
  cell.prepare(cache, scratch, 3, 3);
  Matrix<double> next(hidden, 3), over = h, evaluated_over = h, dh(hidden, 3), d_over = dh_next;
  cell.forward(p, x, h, next, cache, scratch);
  cell.forward(p, x, over, over, cache, scratch);
  cell.evaluate(p, x, evaluated_over, evaluated_over, scratch);
  CHECK(same(over, next));
  CHECK(same(evaluated_over, next));
  Vector<double> a = Vector<double>::Zero(layout.size()), b = a;
  cell.backward(p, cache, x, h, dh_next, a, {}, dh, scratch);
  cell.backward(p, cache, x, h, d_over, b, {}, d_over, scratch);
  CHECK(same(d_over, dh));
  CHECK(same(a, b));
}

TEST_CASE("saturated gates neither overflow nor give NaN") {
  Problem<float> problem({4}, 1, false);
  problem.p *= 1e4F;
  problem.gru.forward(problem.p, problem.ragged, 1, problem.x, {}, problem.h, problem.cache, problem.scratch);
  CHECK(problem.h.allFinite());
  CHECK(problem.h.cwiseAbs().maxCoeff() <= 1);
  Vector<float> gradient = Vector<float>::Zero(problem.layout.size());
  problem.gru.backward(problem.p, problem.cache, problem.ragged, 1, problem.x, {}, problem.h, problem.h, gradient, {},
                       {}, problem.scratch);
  CHECK(gradient.allFinite());
}

TEST_CASE("a GRU rejects wrong shapes and being unprepared") {
  Problem<double> problem({3, 2}, 2, true);
  const auto forward = [&](const Matrix<double>& x, const Matrix<double>& h0, Matrix<double> h) {
    problem.gru.forward(problem.p, problem.ragged, 2, x, h0, h, problem.cache, problem.scratch);
  };
  CHECK_NOTHROW(forward(problem.x, problem.h0, problem.h));
  CHECK_THROWS_AS(forward(problem.x.leftCols(9), problem.h0, problem.h), Error);
  CHECK_THROWS_AS(forward(problem.x.topRows(2), problem.h0, problem.h), Error);
  CHECK_THROWS_AS(forward(problem.x, problem.h0.leftCols(3), problem.h), Error);
  CHECK_THROWS_AS(forward(problem.x, problem.h0, problem.h.leftCols(9)), Error);
  Gru<double>::Cache cache;
  Gru<double>::Scratch scratch;
  problem.gru.prepare(cache, scratch, 9, 4);
  CHECK_THROWS_AS(problem.gru.forward(problem.p, problem.ragged, 2, problem.x, {}, problem.h, cache, scratch), Error);
  problem.gru.prepare(cache, scratch, 10, 3);
  CHECK_THROWS_AS(problem.gru.forward(problem.p, problem.ragged, 2, problem.x, {}, problem.h, cache, scratch), Error);
}
