#pragma once
// What tests of numbers share: random data, comparisons that reject NaN, gradients found three ways.

#include <limits>
#include <string>
#include <vector>

#include "qatten/analysis/gradient_check.hpp"
#include "support/catch.hpp"

namespace qatten::testing {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Standard normal entries: the same numbers, rounded, for every scalar.
template <class Scalar>
Matrix<Scalar> random_matrix(Index rows, Index cols, Random& random) {
  Matrix<Scalar> x(rows, cols);
  for (Index j = 0; j < cols; ++j)
    for (Index i = 0; i < rows; ++i) x(i, j) = static_cast<Scalar>(random.normal());
  return x;
}

/// max |got - want| / max |want|, absolute where everything wanted is 0; infinite where sizes differ or a number is not
/// finite.
template <class Got, class Want>
double distance(const Got& got, const Want& want) {
  const Matrix<double> a = got.matrix().template cast<double>(), b = want.matrix().template cast<double>();
  if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
  if (!a.allFinite() || !b.allFinite()) return std::numeric_limits<double>::infinity();
  if (a.size() == 0) return 0;
  const double scale = b.cwiseAbs().maxCoeff(), difference = (a - b).cwiseAbs().maxCoeff();
  return scale > 0 ? difference / scale : difference;
}

/// Equal sizes, equal numbers, no NaN.
template <class A, class B>
bool same(const A& a, const B& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() && (a.array() == b.array()).all();
}

/// A loss whose gradient with respect to y is `weights`.
template <class Scalar>
Scalar weighted_sum(const Matrix<double>& weights, const Matrix<Scalar>& y) {
  Scalar sum(0);
  for (Index j = 0; j < y.cols(); ++j)
    for (Index i = 0; i < y.rows(); ++i) sum += Scalar(weights(i, j)) * y(i, j);
  return sum;
}

/// What `backward(gradient)` leaves, after checking that it adds to the gradients of parameters and overwrites those of
/// inputs. Inputs are blocks of the layout too, behind those of the modules.
template <class Backward>
Vector<double> gradient_of(const ParameterLayout& layout, const std::vector<Block>& inputs, const Backward& backward) {
  const auto run = [&](double start) {
    Vector<double> g = Vector<double>::Constant(layout.size(), start);
    for (const Block& b : inputs) block(g, b).setConstant(not_a_number);
    backward(g);
    return g;
  };
  const Vector<double> gradient = run(0), shifted = run(1);
  Vector<double> want = gradient.array() + 1;
  for (const Block& b : inputs) block(want, b) = block(gradient, b);
  CHECK(distance(shifted, want) <= 1e-14);
  return gradient;
}

/// Checks `gradient` of a loss that is templated on its scalar: every entry by dual numbers, to 1e-12.
template <class Loss>
void check_by_duals(const ParameterLayout& layout, const Vector<double>& p, const Vector<double>& gradient,
                    const Loss& loss) {
  const GradientReport report = check_gradient_by_duals(layout, p, gradient, loss);
  INFO(to_string(report));
  CHECK(report.passed(1e-12));
}

/// The same by dual numbers and by central differences, which share no scalar code with them.
template <class Loss>
void check_twice(const ParameterLayout& layout, const Vector<double>& p, const Vector<double>& gradient,
                 const Loss& loss) {
  check_by_duals(layout, p, gradient, loss);
  const GradientReport report = check_gradient_by_differences(layout, p, gradient, loss);
  INFO(to_string(report));
  CHECK(report.passed(1e-8));
}

}  // namespace qatten::testing
