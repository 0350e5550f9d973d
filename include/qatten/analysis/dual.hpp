#pragma once
// Dual numbers: a value and a derivative that pass together through any code templated on its scalar.
//
//   f(a + a' e) = f(a) + f'(a) a' e,  e² = 0        (Clifford 1873; Griewank and Walther 2008, chapter 3)
//
// Comparisons look at values alone, so that code takes the branch that it takes with plain numbers.

#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// -1, 0 or 1; NaN stays NaN.
template <class T>
T sign(const T& x) {
  return x < T(0) ? T(-1) : x > T(0) ? T(1) : x * T(0);
}

template <std::floating_point T>
T logistic(T x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace detail

/// A number and its derivative with respect to whatever was seeded with derivative 1. An Eigen scalar. T may itself be
/// a Dual or a Jet. Kinks are PyTorch's: |x|' = 0 at 0; on a tie max takes its second argument and min its first, so
/// that at 0 the slopes of max(x, 0) and min(x, 0) are those of ReLU and of ELU's lower half, 0 and 1.
template <class T>
struct Dual {
  T value{};
  T derivative{};

  constexpr Dual() = default;
  constexpr Dual(const T& v, const T& d = T{}) : value(v), derivative(d) {}
  template <class Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, T>) constexpr Dual(Number v)
      : value(static_cast<T>(v)) {}

  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) { return *this = *this / b; }

  friend Dual operator+(const Dual& a) { return a; }
  friend Dual operator-(const Dual& a) { return {-a.value, -a.derivative}; }
  friend Dual operator+(const Dual& a, const Dual& b) { return {a.value + b.value, a.derivative + b.derivative}; }
  friend Dual operator-(const Dual& a, const Dual& b) { return {a.value - b.value, a.derivative - b.derivative}; }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const T quotient = a.value / b.value;
    return {quotient, (a.derivative - quotient * b.derivative) / b.value};
  }

  friend bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend bool operator!=(const Dual& a, const Dual& b) { return a.value != b.value; }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }

  friend Dual max(const Dual& a, const Dual& b) { return a > b ? a : b; }
  friend Dual min(const Dual& a, const Dual& b) { return b < a ? b : a; }

  friend Dual abs(const Dual& x) {
    using std::abs;
    return {abs(x.value), detail::sign(x.value) * x.derivative};
  }
  friend Dual exp(const Dual& x) {
    using std::exp;
    const T y = exp(x.value);
    return {y, y * x.derivative};
  }
  friend Dual expm1(const Dual& x) {
    using std::exp, std::expm1;
    return {expm1(x.value), exp(x.value) * x.derivative};
  }
  friend Dual log(const Dual& x) {
    using std::log;
    return {log(x.value), x.derivative / x.value};
  }
  friend Dual log1p(const Dual& x) {
    using std::log1p;
    return {log1p(x.value), x.derivative / (T(1) + x.value)};
  }
  friend Dual sqrt(const Dual& x) {
    using std::sqrt;
    const T y = sqrt(x.value);
    return {y, x.derivative / (T(2) * y)};
  }
  friend Dual sin(const Dual& x) {
    using std::sin, std::cos;
    return {sin(x.value), cos(x.value) * x.derivative};
  }
  friend Dual cos(const Dual& x) {
    using std::sin, std::cos;
    return {cos(x.value), -sin(x.value) * x.derivative};
  }
  friend Dual tanh(const Dual& x) {
    using std::tanh;
    const T y = tanh(x.value);
    return {y, (T(1) - y * y) * x.derivative};
  }
  friend Dual logistic(const Dual& x) {
    using detail::logistic;
    const T y = logistic(x.value);
    return {y, y * (T(1) - y) * x.derivative};
  }
  friend Dual pow(const Dual& x, double exponent) {
    using std::pow;
    if (exponent == 0) return T(1);
    const T slope = static_cast<T>(pow(x.value, exponent - 1));  // std::pow(float, double) is a double
    return {static_cast<T>(pow(x.value, exponent)), T(exponent) * slope * x.derivative};
  }

  friend bool isfinite(const Dual& x) {
    using std::isfinite;
    return isfinite(x.value);
  }
  friend bool isnan(const Dual& x) {
    using std::isnan;
    return isnan(x.value);
  }
  friend bool isinf(const Dual& x) {
    using std::isinf;
    return isinf(x.value);
  }
};

/// Found by the code that is differentiated: see core/math.hpp.
template <class T>
Dual<T> stop_gradient(const Dual<T>& x) {
  return Dual<T>(x.value);
}

}  // namespace qatten::inline QATTEN_ABI

/// Without it `std::numeric_limits<Dual>::infinity()` would compile and be 0.
template <class T>
struct std::numeric_limits<qatten::Dual<T>> : std::numeric_limits<T> {};

template <class T>
struct Eigen::NumTraits<qatten::Dual<T>> : Eigen::GenericNumTraits<qatten::Dual<T>> {
  using Literal = double;
  enum {
    ReadCost = 2 * int(NumTraits<T>::ReadCost),
    AddCost = 2 * int(NumTraits<T>::AddCost),
    MulCost = 3 * int(NumTraits<T>::MulCost) + int(NumTraits<T>::AddCost)
  };
  static qatten::Dual<T> dummy_precision() { return NumTraits<T>::dummy_precision(); }
};

template <class T, class Op>
struct Eigen::ScalarBinaryOpTraits<qatten::Dual<T>, double, Op> {
  using ReturnType = qatten::Dual<T>;
};

template <class T, class Op>
struct Eigen::ScalarBinaryOpTraits<double, qatten::Dual<T>, Op> {
  using ReturnType = qatten::Dual<T>;
};

/// Eigen's own formula differentiates to ∞/∞ far from 0.
template <class T>
struct Eigen::internal::scalar_logistic_op<qatten::Dual<T>> {
  qatten::Dual<T> operator()(const qatten::Dual<T>& x) const { return logistic(x); }
};
