#include "qatten/nn/layer_norm.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEMPLATE_TEST_CASE("layer norm is (x - mean) / sqrt(var + 1e-5), scaled and shifted", "", float, double) {
  ParameterLayout layout;
  const LayerNorm<TestType> layer(layout, "norm", 5);
  Random random(1);
  Vector<TestType> p(layout.size());
  layer.initialise(p);
  CHECK((block(p, layout.find("norm.weight")).array() == 1).all());
  CHECK((block(p, layout.find("norm.bias")).array() == 0).all());
  p = random_matrix<TestType>(layout.size(), 1, random);

  Matrix<TestType> x = random_matrix<TestType>(5, 6, random);
  x.col(1) *= TestType(1e-3);       // ε matters
  x.col(2).setConstant(2);          // no variance
  x.col(3).array() += TestType(8);  // a large mean
  typename LayerNorm<TestType>::Cache cache;
  layer.prepare(cache, 6);
  Matrix<TestType> y(5, 6), evaluated(5, 6), in_place = x;
  layer.forward(p, x, y, cache);
  layer.evaluate(p, x, evaluated);
  CHECK(same(evaluated, y));

  Matrix<double> want(5, 6);
  for (Index j = 0; j < 6; ++j) {
    double mean = 0, variance = 0;
    for (Index i = 0; i < 5; ++i) mean += double(x(i, j)) / 5;
    for (Index i = 0; i < 5; ++i) variance += std::pow(double(x(i, j)) - mean, 2) / 5;
    for (Index i = 0; i < 5; ++i)
      want(i, j) = double(p(i)) * (double(x(i, j)) - mean) / std::sqrt(variance + 1e-5) + double(p(5 + i));
  }
  CHECK(distance(y, want) <= 60 * double(std::numeric_limits<TestType>::epsilon()));
  layer.forward(p, in_place, in_place, cache);
  CHECK(same(in_place, y));

  Matrix<TestType> single(5, 1);
  for (Index j = 0; j < 6; ++j) {
    layer.evaluate(p, x.col(j), single);
    CHECK(distance(single, y.col(j)) <= 60 * double(std::numeric_limits<TestType>::epsilon()));
  }
}

TEST_CASE("layer norm's gradients") {
  ParameterLayout layout;
  const LayerNorm<double> layer(layout, "norm", 5);
  const Block x = layout.add("x", 5, 4);
  Random random(2);
  Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  block(p, x).col(1) *= 1e-2;
  const Matrix<double> dy = random_matrix<double>(5, 4, random);
  LayerNorm<double>::Cache cache;
  layer.prepare(cache, 4);
  Matrix<double> y(5, 4);
  layer.forward(p, block(p, x), y, cache);
  const Vector<double> gradient =
      gradient_of(layout, {x}, [&](Vector<double>& g) { layer.backward(p, cache, dy, g, block(g, x)); });
  check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
    ParameterLayout same_layout;
    Matrix<S> out(5, 4);
    LayerNorm<S>(same_layout, "norm", 5).evaluate(q, block(q, x), out);
    return weighted_sum(dy, out);
  });
  Vector<double> unused = Vector<double>::Zero(layout.size());
  Matrix<double> in_place = dy;
  layer.backward(p, cache, in_place, unused, in_place);
  CHECK(same(in_place, block(gradient, x)));
  Matrix<double> wide(5, 5);
  CHECK_THROWS_AS(layer.forward(p, wide, wide, cache), Error);
}
