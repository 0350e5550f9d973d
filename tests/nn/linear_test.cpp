#include "qatten/nn/linear.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEMPLATE_TEST_CASE("a linear layer is W x + b", "", float, double) {
  for (const bool bias : {true, false}) {
    ParameterLayout layout;
    const Linear<TestType> layer(layout, "fc", 3, 4, bias);
    CHECK(layout.size() == (bias ? 16 : 12));
    Random random(1);
    Vector<TestType> p(layout.size());
    layer.initialise(p, random);
    const Matrix<TestType> x = random_matrix<TestType>(3, 5, random);
    Matrix<TestType> y = Matrix<TestType>::Constant(4, 5, TestType(not_a_number));
    layer.forward(p, x, y);

    Matrix<double> want = Matrix<double>::Zero(4, 5);
    for (Index j = 0; j < 5; ++j)
      for (Index i = 0; i < 4; ++i) {
        for (Index k = 0; k < 3; ++k) want(i, j) += double(block(p, layout.find("fc.weight"))(i, k)) * double(x(k, j));
        if (bias) want(i, j) += double(block(p, layout.find("fc.bias"))(i, 0));
      }
    CHECK(distance(y, want) <= 4 * double(std::numeric_limits<TestType>::epsilon()));

    Matrix<TestType> single(4, 1);
    for (Index j = 0; j < 5; ++j) {
      layer.forward(p, x.col(j), single);
      CHECK(distance(single, y.col(j)) <= 4 * double(std::numeric_limits<TestType>::epsilon()));
    }
  }
}

TEST_CASE("a linear layer's gradients") {
  for (const bool bias : {true, false}) {
    ParameterLayout layout;
    const Linear<double> layer(layout, "fc", 3, 4, bias);
    const Block x = layout.add("x", 3, 5);
    Random random(2);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Matrix<double> dy = random_matrix<double>(4, 5, random);
    const Vector<double> gradient =
        gradient_of(layout, {x}, [&](Vector<double>& g) { layer.backward(p, block(p, x), dy, g, block(g, x)); });
    check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
      ParameterLayout same_layout;
      Matrix<S> y(4, 5);
      Linear<S>(same_layout, "fc", 3, 4, bias).forward(q, block(q, x), y);
      return weighted_sum(dy, y);
    });
    Vector<double> without_dx = Vector<double>::Zero(layout.size());
    layer.backward(p, block(p, x), dy, without_dx, {});
    CHECK(same(without_dx.head(layout.size() - 15), gradient.head(layout.size() - 15)));
  }
}

TEST_CASE("a linear layer rejects wrong shapes") {
  ParameterLayout layout;
  const Linear<double> layer(layout, "fc", 3, 4);
  const Vector<double> p = Vector<double>::Zero(layout.size());
  Matrix<double> y(4, 5), wide(4, 6), tall(5, 5);
  CHECK_THROWS_AS(layer.forward(p, Matrix<double>(2, 5), y), Error);
  CHECK_THROWS_AS(layer.forward(p, Matrix<double>(3, 5), wide), Error);
  CHECK_THROWS_AS(layer.forward(p, Matrix<double>(3, 5), tall), Error);
}
