#pragma once
// Least squares with coefficients that must not be negative.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

// Sums over columns as plain loops: as Eigen's expressions they would be most of what this header takes to compile.
template <class M>
auto* column(M& A, Index j) {
  return A.data() + j * A.rows();
}
inline double dot(const double* x, const double* y, Index size) { return std::inner_product(x, x + size, y, 0.0); }
inline double norm(const double* x, Index size) { return std::sqrt(dot(x, x, size)); }

/// y −= a x
inline void subtract(double a, const double* x, double* y, Index size) {
  for (Index k = 0; k < size; ++k) y[k] -= a * x[k];
}

/// The least squares solution in which all coefficients that are not free are 0: modified Gram-Schmidt on the free
/// columns and b, the longest remaining column first (Björck 1967), until what remains is rounding.
inline Vector<double> solve_free(const Matrix<double>& A, Vector<double> b, const std::vector<bool>& free) {
  const Index m = A.rows();
  std::vector<Index> order;
  for (Index j = 0; j < A.cols(); ++j)
    if (free[static_cast<std::size_t>(j)]) order.push_back(j);
  Matrix<double> Q = A, R = Matrix<double>::Zero(A.cols(), A.cols());
  Vector<double> y = Vector<double>::Zero(A.cols());
  std::size_t rank = 0;
  double largest = 0;
  for (; rank < order.size(); ++rank) {
    const auto longest =
        std::max_element(order.begin() + static_cast<std::ptrdiff_t>(rank), order.end(),
                         [&](Index i, Index j) { return norm(column(Q, i), m) < norm(column(Q, j), m); });
    std::swap(*longest, order[rank]);
    const Index k = order[rank];
    double* const q = column(Q, k);
    R(k, k) = norm(q, m);
    largest = std::max(largest, R(k, k));
    if (R(k, k) <= 1e-13 * largest) break;
    for (Index row = 0; row < m; ++row) q[row] /= R(k, k);
    for (std::size_t next = rank + 1; next < order.size(); ++next) {
      const Index j = order[next];
      R(k, j) = dot(q, column(Q, j), m);
      subtract(R(k, j), q, column(Q, j), m);
    }
    y[k] = dot(q, b.data(), m);
    subtract(y[k], q, b.data(), m);
  }
  Vector<double> x = Vector<double>::Zero(A.cols());
  for (std::size_t row = rank; row-- > 0;) {
    const Index k = order[row];
    x[k] = y[k];
    for (std::size_t next = row + 1; next < rank; ++next) x[k] -= R(k, order[next]) * x[order[next]];
    x[k] /= R(k, k);
  }
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
  std::vector<bool> free(static_cast<std::size_t>(A.cols()), false);
  const auto is_free = [&](Index j) { return free[static_cast<std::size_t>(j)]; };
  double largest = 0;
  for (Index k = 0; k < A.size(); ++k) largest = std::max(largest, std::abs(A.data()[k]));
  const double tolerance =
      1e-11 * largest * detail::norm(b.data(), b.size()) * std::sqrt(static_cast<double>(A.rows()));

  for (Index step = 0; step < 10 * A.cols(); ++step) {
    // The coefficient whose growth from 0 helps most, unless none helps: then the Karush-Kuhn-Tucker conditions hold.
    Index entering = 0;
    Vector<double> residual = b, slope(A.cols());
    for (Index j = 0; j < A.cols(); ++j) detail::subtract(x[j], detail::column(A, j), residual.data(), A.rows());
    for (Index j = 0; j < A.cols(); ++j) {
      slope[j] = is_free(j) ? -std::numeric_limits<double>::infinity()
                            : detail::dot(detail::column(A, j), residual.data(), A.rows());
      if (slope[j] > slope[entering]) entering = j;
    }
    if (!(slope[entering] > tolerance)) return x;
    free[static_cast<std::size_t>(entering)] = true;

    // Towards the solution without bounds, as far as none turns negative; what would do so first is fixed at 0.
    for (bool reached = false; !reached;) {
      const Vector<double> z = detail::solve_free(A, b, free);
      double share = 1;
      Index blocking = -1;
      for (Index j = 0; j < x.size(); ++j)
        if (is_free(j) && z[j] < 0 && x[j] / (x[j] - z[j]) < share) {
          share = x[j] / (x[j] - z[j]);
          blocking = j;
        }
      for (Index j = 0; j < x.size(); ++j) x[j] += share * (z[j] - x[j]);
      reached = blocking < 0;
      if (!reached) {
        x[blocking] = 0;
        free[static_cast<std::size_t>(blocking)] = false;
      }
    }
  }
  throw Error(std::string(name) + ": no solution after " + std::to_string(10 * A.cols()) + " steps");
}

}  // namespace qatten::inline QATTEN_ABI
