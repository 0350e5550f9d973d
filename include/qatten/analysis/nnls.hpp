#pragma once
// Least squares with coefficients that must not be negative.

#include <Eigen/QR>
#include <cmath>
#include <limits>
#include <string>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// The columns of A that are marked free.
inline Matrix<double> free_columns(const Matrix<double>& A, const Eigen::Array<bool, Eigen::Dynamic, 1>& free) {
  Matrix<double> columns(A.rows(), free.count());
  for (Index j = 0, k = 0; j < A.cols(); ++j)
    if (free[j]) columns.col(k++) = A.col(j);
  return columns;
}

/// The least squares solution in which all coefficients that are not free are 0.
inline Vector<double> solve_free(const Matrix<double>& A, const Vector<double>& b,
                                 const Eigen::Array<bool, Eigen::Dynamic, 1>& free) {
  const Vector<double> coefficients = free_columns(A, free).colPivHouseholderQr().solve(b);
  Vector<double> x = Vector<double>::Zero(A.cols());
  for (Index j = 0, k = 0; j < A.cols(); ++j)
    if (free[j]) x[j] = coefficients[k++];
  return x;
}

}  // namespace detail

/// The x >= 0 that minimises |A x - b|, by the active set method of Lawson and Hanson (1974, chapter 23). Columns of A
/// may depend on each other; then A x is unique, x is not. A is (m, n), b has m entries. For small, well-scaled
/// problems: every step solves a least squares problem anew. Allocates. Throws when shapes disagree or it does not
/// converge.
inline Vector<double> nonnegative_least_squares(const Matrix<double>& A, const Vector<double>& b) {
  const char* name = "nonnegative_least_squares";
  detail::check_shape(name, "b", b, A.rows(), 1);
  Vector<double> x = Vector<double>::Zero(A.cols());
  if (A.size() == 0) return x;
  Eigen::Array<bool, Eigen::Dynamic, 1> free = Eigen::Array<bool, Eigen::Dynamic, 1>::Constant(A.cols(), false);
  const double tolerance = 1e-11 * A.cwiseAbs().maxCoeff() * b.norm() * std::sqrt(static_cast<double>(A.rows()));

  for (Index step = 0; step < 10 * A.cols(); ++step) {
    // The coefficient whose growth from 0 helps most, unless none helps: then the Karush-Kuhn-Tucker conditions hold.
    Index entering = 0;
    Vector<double> slope = A.transpose() * (b - A * x);
    slope = free.select(-std::numeric_limits<double>::infinity(), slope);
    if (!(slope.maxCoeff(&entering) > tolerance)) return x;
    free[entering] = true;

    // Towards the solution without bounds, as far as none turns negative; what would do so first is fixed at 0.
    for (bool reached = false; !reached;) {
      const Vector<double> z = detail::solve_free(A, b, free);
      double share = 1;
      Index blocking = -1;
      for (Index j = 0; j < x.size(); ++j)
        if (free[j] && z[j] < 0 && x[j] / (x[j] - z[j]) < share) {
          share = x[j] / (x[j] - z[j]);
          blocking = j;
        }
      x += share * (z - x);
      reached = blocking < 0;
      if (!reached) {
        x[blocking] = 0;
        free[blocking] = false;
      }
    }
  }
  throw Error(std::string(name) + ": no solution after " + std::to_string(10 * A.cols()) + " steps");
}

}  // namespace qatten::inline QATTEN_ABI
