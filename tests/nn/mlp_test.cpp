#include "qatten/nn/mlp.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEMPLATE_TEST_CASE("an MLP is its layers one after the other", "", float, double) {
  ParameterLayout layout;
  const Mlp<TestType> mlp(layout, "net", {3, 5, 4, 2}, Activation::tanh);
  CHECK(layout.size() == 3 * 5 + 5 + 5 * 4 + 4 + 4 * 2 + 2);
  CHECK(mlp.inputs() == 3);
  CHECK(mlp.outputs() == 2);
  Random random(1);
  Vector<TestType> p(layout.size());
  mlp.initialise(p, random);
  const Matrix<TestType> x = random_matrix<TestType>(3, 6, random);
  typename Mlp<TestType>::Cache cache;
  typename Mlp<TestType>::Scratch scratch;
  mlp.prepare(cache, scratch, 8);
  Matrix<TestType> y(2, 6), evaluated(2, 6);
  mlp.forward(p, x, y, cache);
  mlp.evaluate(p, x, evaluated, scratch);
  CHECK(same(evaluated, y));

  Matrix<double> want = x.template cast<double>();
  for (const std::string k : {"0", "2", "4"}) {
    const Matrix<double> w = block(p, layout.find("net." + k + ".weight")).template cast<double>();
    const Matrix<double> b = block(p, layout.find("net." + k + ".bias")).template cast<double>();
    Matrix<double> next(w.rows(), want.cols());
    for (Index j = 0; j < want.cols(); ++j)
      for (Index i = 0; i < w.rows(); ++i) {
        double sum = b(i, 0);
        for (Index l = 0; l < w.cols(); ++l) sum += w(i, l) * want(l, j);
        next(i, j) = k == "4" ? sum : std::tanh(sum);
      }
    want = next;
  }
  CHECK(distance(y, want) <= 20 * double(std::numeric_limits<TestType>::epsilon()));

  Matrix<TestType> single(2, 1);
  for (Index j = 0; j < x.cols(); ++j) {
    mlp.forward(p, x.col(j), single, cache);
    CHECK(distance(single, y.col(j)) <= 20 * double(std::numeric_limits<TestType>::epsilon()));
  }
}

TEST_CASE("an MLP's gradients, with every activation") {
  for (const auto activation : {Activation::identity, Activation::relu, Activation::elu, Activation::tanh,
                                Activation::sigmoid, Activation::softplus}) {
    for (const std::vector<Index>& sizes : {std::vector<Index>{3, 2}, {3, 5, 2}, {3, 4, 5, 2}}) {
      INFO("activation " << int(activation) << ", layers " << sizes.size() - 1);
      ParameterLayout layout;
      const Mlp<double> mlp(layout, "net", sizes, activation);
      const Block x = layout.add("x", 3, 4);
      Random random(2);
      const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
      const Matrix<double> dy = random_matrix<double>(2, 4, random);
      Mlp<double>::Cache cache;
      Mlp<double>::Scratch scratch;
      mlp.prepare(cache, scratch, 4);
      Matrix<double> y(2, 4);
      mlp.forward(p, block(p, x), y, cache);
      const Vector<double> gradient = gradient_of(
          layout, {x}, [&](Vector<double>& g) { mlp.backward(p, cache, block(p, x), dy, g, block(g, x), scratch); });
      check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
        ParameterLayout same_layout;
        const Mlp<S> copy(same_layout, "net", sizes, activation);
        typename Mlp<S>::Cache memory;
        typename Mlp<S>::Scratch scratch_memory;
        copy.prepare(memory, scratch_memory, 4);
        Matrix<S> out(2, 4);
        copy.forward(q, block(q, x), out, memory);
        return weighted_sum(dy, out);
      });
    }
  }
}

TEST_CASE("an MLP rejects wrong shapes and being unprepared") {
  ParameterLayout layout;
  CHECK_THROWS_AS(Mlp<double>(layout, "short", {3}), Error);
  const Mlp<double> mlp(layout, "net", {3, 5, 2});
  const Vector<double> p = Vector<double>::Zero(layout.size());
  Mlp<double>::Cache cache;
  Mlp<double>::Scratch scratch;
  mlp.prepare(cache, scratch, 4);
  Matrix<double> y(2, 4), wide(2, 5);
  CHECK_THROWS_AS(mlp.forward(p, Matrix<double>(2, 4), y, cache), Error);
  CHECK_THROWS_AS(mlp.forward(p, Matrix<double>(3, 5), wide, cache), Error);
  CHECK_THROWS_AS(mlp.forward(p, Matrix<double>(3, 4), wide, cache), Error);
}
