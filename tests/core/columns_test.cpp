// Sums of columns and their transpose: all sizes, nothing from a neighbour, the same bits wherever a column lies.

#include "qatten/core/columns.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "qatten/analysis/dual.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index most_columns = 40;

/// A matrix that ends where its memory does, so that sanitizers see what reads further.
template <class Scalar>
std::vector<Scalar> numbers(Index n, Index columns) {
  std::vector<Scalar> x(std::size_t(n * columns));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = Scalar(double(i * 7 % 23) - 11);
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("columns are summed exactly, and nothing else is written", "", float, double, Dual<double>) {
  for (Index n = 1; n <= 70; ++n)
    for (Index columns = 0; columns <= most_columns; ++columns) {
      CAPTURE(n, columns);
      const auto x = numbers<TestType>(n, columns);
      std::vector<TestType> sums(std::size_t(columns + 1), TestType(1000));
      column_sums(x.data(), n, columns, sums.data());
      bool right = sums.back() == TestType(1000);
      for (Index c = 0; c < columns; ++c) {
        TestType sum(0);  // of small whole numbers: exact in every order
        for (Index i = 0; i < n; ++i) sum += x[std::size_t(c * n + i)];
        right &= sums[std::size_t(c)] == sum;
      }
      CHECK(right);
    }
}

TEMPLATE_TEST_CASE("each number fills its column and nothing else", "", float, double, Dual<double>) {
  for (Index n = 1; n <= 70; ++n)
    for (Index columns = 0; columns <= most_columns; ++columns) {
      CAPTURE(n, columns);
      const auto x = numbers<TestType>(1, columns);
      std::vector<TestType> to(std::size_t(n * columns + 1), TestType(1000));
      fill_columns(x.data(), n, columns, to.data());
      bool right = to.back() == TestType(1000);
      for (Index k = 0; k < n * columns; ++k) right &= to[std::size_t(k)] == x[std::size_t(k / n)];
      CHECK(right);
    }
}

TEMPLATE_TEST_CASE("a column has one sum, bit for bit, wherever it lies and whatever lies beside it", "", float,
                   double) {
  Random random(1);
  constexpr Index columns = 37;
  for (Index n = 1; n <= 70; ++n) {
    CAPTURE(n);
    Matrix<TestType> x = random_matrix<TestType>(n, columns, random);
    Matrix<TestType> sums(1, columns), each(1, columns);
    column_sums(x.data(), n, columns, sums.data());
    for (Index c = 0; c < columns; ++c) column_sums(x.col(c).data(), n, 1, &each(0, c));
    CHECK(same(sums, each));
    for (Index c = 1; c < columns; c += 2) x.col(c).setConstant(std::numeric_limits<TestType>::quiet_NaN());
    column_sums(x.data(), n, columns, each.data());
    bool right = true;
    for (Index c = 0; c < columns; ++c) right &= c % 2 == 0 ? each(0, c) == sums(0, c) : std::isnan(each(0, c));
    CHECK(right);
  }
}
