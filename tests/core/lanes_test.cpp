// Element-wise loops: every row once, whole packets and rests alike, wherever the column lies.

#include "qatten/core/lanes.hpp"

#include <cmath>
#include <vector>

#include "qatten/analysis/dual.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEMPLATE_TEST_CASE("loops over lanes touch each row once and nothing else", "", float, double, Dual<double>) {
  for (Index n = 0; n < 40; ++n) {
    CAPTURE(n);
    std::vector<TestType> x(static_cast<std::size_t>(n + 2), TestType(1));
    lanes<TestType>(n, [&](auto at) { at.store(x.data() + 1, at(x.data() + 1) + at.constant(TestType(2))); });
    CHECK(x.front() == TestType(1));
    CHECK(x.back() == TestType(1));
    for (std::size_t i = 1; i + 1 < x.size(); ++i) CHECK(x[i] == TestType(3));
  }
}

TEMPLATE_TEST_CASE("functions of lanes are the functions, bit for bit the same at every address", "", float, double) {
  Random random(1);
  const double tolerance = std::is_same_v<TestType, float> ? 4e-6 : 1e-14;  // of Eigen 3.4's float logistic function
  for (const Index n : {1, 5, 16, 37}) {
    const Matrix<TestType> x = random_matrix<TestType>(n, 1, random) * TestType(3);
    Matrix<TestType> y(n, 3);
    const auto run = [n](const TestType* from, Matrix<TestType>& to) {
      lanes<TestType>(n, [&](auto at) {
        at.store(to.col(0).data(), sigmoid(at(from)));
        at.store(to.col(1).data(), hyperbolic_tangent(at(from)));
        at.store(to.col(2).data(), exponential(at(from)));
      });
    };
    run(x.data(), y);
    for (Index i = 0; i < n; ++i) {
      const double xi = double(x(i, 0));
      CHECK(std::abs(double(y(i, 0)) - 1 / (1 + std::exp(-xi))) <= tolerance);
      CHECK(std::abs(double(y(i, 1)) - std::tanh(xi)) <= tolerance);
      CHECK(std::abs(double(y(i, 2)) / std::exp(xi) - 1) <= tolerance);
    }
    for (Index shift = 1; shift < 20; ++shift) {
      Matrix<TestType> moved(n + shift, 1), again(n, 3);
      moved.bottomRows(n) = x;
      run(moved.data() + shift, again);
      CHECK(same(again, y));
    }
  }
}

TEMPLATE_TEST_CASE("only what is positive lets through", "", float, double) {
  const Matrix<TestType> y{{1}, {0}, {-1}, {2}, {-0.0}}, x{{10}, {20}, {30}, {40}, {50}};
  Matrix<TestType> kept(5, 1);
  lanes<TestType>(5, [&](auto at) { at.store(kept.data(), where_positive(at(y.data()), at(x.data()))); });
  CHECK(same(kept, Matrix<TestType>{{10}, {0}, {0}, {40}, {0}}));
}

TEMPLATE_TEST_CASE("sums and dot products", "", float, double) {
  Random random(2);
  for (Index n = 0; n < 70; ++n) {
    CAPTURE(n);
    const Matrix<TestType> x = random_matrix<TestType>(n, 1, random), y = random_matrix<TestType>(n, 1, random);
    double total = 0, along = 0, bound = 1;
    for (Index i = 0; i < n; ++i) {
      total += double(x(i, 0));
      along += double(x(i, 0)) * double(y(i, 0));
      bound += std::abs(double(x(i, 0))) + std::abs(double(x(i, 0)) * double(y(i, 0)));
    }
    bound *= double(n + 1) * double(std::numeric_limits<TestType>::epsilon());
    CHECK(std::abs(double(sum(x.data(), n)) - total) <= bound);
    CHECK(std::abs(double(dot(x.data(), y.data(), n)) - along) <= bound);
  }
}
