#include "qatten/analysis/nnls.hpp"

#include <cmath>

#include "qatten/core/random.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

Matrix<double> random_matrix(Index rows, Index cols, Random& random) {
  Matrix<double> A(rows, cols);
  for (double& x : A.reshaped()) x = random.normal();
  return A;
}

/// The least |A x - b|^2 over x >= 0 from all subsets of columns: the best whose unconstrained solution is feasible.
double best_of_all_subsets(const Matrix<double>& A, const Vector<double>& b) {
  double best = b.squaredNorm();
  for (unsigned subset = 1; subset < 1u << A.cols(); ++subset) {
    std::vector<bool> free(A.cols());
    for (Index j = 0; j < A.cols(); ++j) free[j] = (subset >> j & 1) != 0;
    const Vector<double> x = detail::solve_free(A, b, free);
    if (x.minCoeff() >= 0) best = std::min(best, (A * x - b).squaredNorm());
  }
  return best;
}

}  // namespace

TEST_CASE("non-negative least squares finds the best of all sets of free coefficients") {
  Random random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const Matrix<double> A = random_matrix(6, 5, random);
    const Vector<double> b = random_matrix(6, 1, random);
    const Vector<double> x = nonnegative_least_squares(A, b);
    REQUIRE((x.array() >= 0).all());
    CHECK(std::abs((A * x - b).squaredNorm() - best_of_all_subsets(A, b)) < 1e-12);
  }
}

TEST_CASE("non-negative least squares ends at a Karush-Kuhn-Tucker point, with dependent columns too") {
  Random random(2);
  for (int trial = 0; trial < 50; ++trial) {
    const Matrix<double> A = random_matrix(8, 4, random) * random_matrix(4, 40, random);
    const Vector<double> b = random_matrix(8, 1, random);
    const Vector<double> x = nonnegative_least_squares(A, b);
    const Vector<double> slope = A.transpose() * (b - A * x);
    REQUIRE((x.array() >= 0).all());
    CHECK((slope.array() < 1e-9).all());
    CHECK((x.array() * slope.array()).matrix().norm() < 1e-9);
  }
}

TEST_CASE("non-negative least squares where the answer is plain") {
  const Matrix<double> I = Matrix<double>::Identity(3, 3);
  CHECK((nonnegative_least_squares(I, Vector<double>{{1, -2, 3}}) == Vector<double>{{1, 0, 3}}));
  CHECK((nonnegative_least_squares(I, Vector<double>{{-1, -2, -3}}) == Vector<double>::Zero(3)));
  CHECK((nonnegative_least_squares(I, Vector<double>::Zero(3)) == Vector<double>::Zero(3)));
  CHECK(nonnegative_least_squares(Matrix<double>(3, 0), Vector<double>::Ones(3)).size() == 0);
  CHECK_THROWS_AS(nonnegative_least_squares(I, Vector<double>::Ones(2)), Error);
}
