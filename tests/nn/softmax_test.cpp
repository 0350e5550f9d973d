#include "qatten/nn/softmax.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEMPLATE_TEST_CASE("softmax is exp over its sum, column by column", "", float, double) {
  Random random(1);
  const Matrix<TestType> x = random_matrix<TestType>(5, 4, random);
  Matrix<TestType> y = x;
  softmax<TestType>(y);
  Matrix<double> want(5, 4);
  for (Index j = 0; j < 4; ++j) {
    double sum = 0;
    for (Index i = 0; i < 5; ++i) sum += std::exp(double(x(i, j)));
    for (Index i = 0; i < 5; ++i) want(i, j) = std::exp(double(x(i, j))) / sum;
  }
  CHECK(distance(y, want) <= 8 * double(std::numeric_limits<TestType>::epsilon()));
}

TEMPLATE_TEST_CASE("softmax of extremes stays a distribution", "", float, double) {
  Matrix<TestType> x(3, 5);
  x << 1e4F, -1e4F, 1e4F, 0, 3e38F,   //
      0, -1e4F, 1e4F, -1e4F, -3e38F,  //
      -1e4F, -1e4F, 0, 1, 0;
  softmax<TestType>(x);
  REQUIRE(x.allFinite());
  CHECK(distance(x.colwise().sum(), Matrix<double>::Ones(1, 5)) <= 1e-6);
  CHECK(x(0, 0) == 1);
  CHECK(x(1, 0) < 1e-300);  // Eigen 3.4 has exp(-709) for anything below
  CHECK(x(2, 1) == TestType(1) / TestType(3));
  CHECK(x(0, 2) == TestType(0.5));
  CHECK(x(1, 3) < 1e-300);
  CHECK(x(0, 4) == 1);
}

TEST_CASE("softmax does not see a shift, and one row gets everything") {
  Random random(2);
  Matrix<double> x = random_matrix<double>(4, 3, random), shifted = x.array() + 16;
  softmax<double>(x);
  softmax<double>(shifted);
  CHECK(distance(shifted, x) <= 1e-14);
  Matrix<double> one = random_matrix<double>(1, 3, random);
  softmax<double>(one);
  CHECK(same(one, Matrix<double>::Ones(1, 3)));
}

TEST_CASE("softmax's gradient") {
  ParameterLayout layout;
  const Block x = layout.add("x", 4, 3);
  Random random(3);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const Matrix<double> dy = random_matrix<double>(4, 3, random);
  Matrix<double> y = block(p, x);
  softmax<double>(y);
  const Vector<double> gradient =
      gradient_of(layout, {x}, [&](Vector<double>& g) { softmax_backward<double>(y, dy, block(g, x)); });
  check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
    Matrix<S> out = block(q, x);
    softmax<S>(out);
    return weighted_sum(dy, out);
  });
  Matrix<double> in_place = dy;
  softmax_backward<double>(y, in_place, in_place);
  CHECK(same(in_place, block(gradient, x)));
}

TEST_CASE("softmax does not hide NaN") {
  Matrix<double> x = Matrix<double>::Zero(3, 2);
  x(1, 0) = not_a_number;
  softmax<double>(x);
  CHECK(x.col(0).array().isNaN().all());
  CHECK(x.col(1).allFinite());
}
