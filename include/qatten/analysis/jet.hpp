#pragma once
// Truncated Taylor series in one variable: all derivatives along a line in one pass.
//
// A function y of a series x follows from its differential equation y' = s(y, x) x', whose k-th coefficient needs y
// only up to k - 1 (Griewank and Walther 2008, section 13.2):
//
//   k y_k = sum_{j=1..k} j x_j s_{k-j}

#include <array>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

#include "qatten/analysis/dual.hpp"

namespace qatten::inline QATTEN_ABI {

/// c_0 + c_1 t + … + c_{N-1} t^{N-1}, so f^(k)(0) = k! c_k. An Eigen scalar. Comparisons, |x|, max and min decide by
/// c_0, like Dual.
template <class T, int N>
struct Jet {
  static_assert(N >= 1);
  std::array<T, N> coefficients{};

  constexpr Jet() = default;
  constexpr Jet(const T& constant) { coefficients[0] = constant; }
  template <class Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, T>) constexpr Jet(Number constant) {
    coefficients[0] = static_cast<T>(constant);
  }

  /// start + slope t
  static Jet line(const T& start, const T& slope) {
    Jet x(start);
    if constexpr (N > 1) x[1] = slope;
    return x;
  }

  constexpr T& operator[](int k) { return coefficients[static_cast<std::size_t>(k)]; }
  constexpr const T& operator[](int k) const { return coefficients[static_cast<std::size_t>(k)]; }

  Jet& operator+=(const Jet& b) {
    for (int k = 0; k < N; ++k) (*this)[k] += b[k];
    return *this;
  }
  Jet& operator-=(const Jet& b) {
    for (int k = 0; k < N; ++k) (*this)[k] -= b[k];
    return *this;
  }
  Jet& operator*=(const Jet& b) { return *this = *this * b; }
  Jet& operator/=(const Jet& b) { return *this = *this / b; }

  friend Jet operator+(const Jet& a) { return a; }
  friend Jet operator-(const Jet& a) { return Jet{} - a; }
  friend Jet operator+(Jet a, const Jet& b) { return a += b; }
  friend Jet operator-(Jet a, const Jet& b) { return a -= b; }
  friend Jet operator*(const Jet& a, const Jet& b) {
    Jet y;
    for (int k = 0; k < N; ++k)
      for (int j = 0; j <= k; ++j) y[k] += a[j] * b[k - j];
    return y;
  }
  friend Jet operator/(const Jet& a, const Jet& b) {
    Jet y;
    for (int k = 0; k < N; ++k) {
      T rest = a[k];
      for (int j = 1; j <= k; ++j) rest -= b[j] * y[k - j];
      y[k] = rest / b[0];
    }
    return y;
  }

  friend bool operator==(const Jet& a, const Jet& b) { return a[0] == b[0]; }
  friend bool operator!=(const Jet& a, const Jet& b) { return a[0] != b[0]; }
  friend bool operator<(const Jet& a, const Jet& b) { return a[0] < b[0]; }
  friend bool operator>(const Jet& a, const Jet& b) { return a[0] > b[0]; }
  friend bool operator<=(const Jet& a, const Jet& b) { return a[0] <= b[0]; }
  friend bool operator>=(const Jet& a, const Jet& b) { return a[0] >= b[0]; }

  friend Jet max(const Jet& a, const Jet& b) { return a > b ? a : b; }
  friend Jet min(const Jet& a, const Jet& b) { return b < a ? b : a; }
  friend Jet abs(const Jet& x) { return Jet(detail::sign(x[0])) * x; }

  friend Jet exp(const Jet& x) {
    using std::exp;
    return solve(x, exp(x[0]), [](const Jet& y) { return y; });
  }
  friend Jet expm1(const Jet& x) {
    using std::expm1;
    return solve(x, expm1(x[0]), [](const Jet& y) { return y + T(1); });
  }
  friend Jet log(const Jet& x) {
    using std::log;
    return solve(x, log(x[0]), [&](const Jet&) { return T(1) / x; });
  }
  friend Jet log1p(const Jet& x) {
    using std::log1p;
    return solve(x, log1p(x[0]), [&](const Jet&) { return T(1) / (x + T(1)); });
  }
  friend Jet sqrt(const Jet& x) {
    using std::sqrt;
    return solve(x, sqrt(x[0]), [](const Jet& y) { return T(0.5) / y; });
  }
  friend Jet tanh(const Jet& x) {
    using std::tanh;
    return solve(x, tanh(x[0]), [](const Jet& y) { return T(1) - y * y; });
  }
  friend Jet logistic(const Jet& x) {
    using detail::logistic;
    return solve(x, logistic(x[0]), [](const Jet& y) { return y - y * y; });
  }
  friend Jet sin(const Jet& x) { return sin_cos(x)[0]; }
  friend Jet cos(const Jet& x) { return sin_cos(x)[1]; }
  /// A whole exponent >= 0 allows any base, every other one a base other than 0.
  friend Jet pow(const Jet& x, double exponent) {
    using std::pow;
    if (exponent < 0 || exponent != std::floor(exponent))
      return solve(x, static_cast<T>(pow(x[0], exponent)), [&](const Jet& y) { return T(exponent) * y / x; });
    Jet y(T(1));
    for (double k = 0; k < exponent; ++k) y *= x;
    return y;
  }

  friend bool isfinite(const Jet& x) {
    using std::isfinite;
    return isfinite(x[0]);
  }
  friend bool isnan(const Jet& x) {
    using std::isnan;
    return isnan(x[0]);
  }
  friend bool isinf(const Jet& x) {
    using std::isinf;
    return isinf(x[0]);
  }

 private:
  /// The k-th coefficient of the integral of s x'.
  static T integral(const Jet& s, const Jet& x, int k) {
    T sum{};
    for (int j = 1; j <= k; ++j) sum += T(j) * x[j] * s[k - j];
    return sum / T(k);
  }

  /// y with y(0) = start and y' = slope(y) x'.
  template <class Slope>
  static Jet solve(const Jet& x, const T& start, const Slope& slope) {
    Jet y(start);
    for (int k = 1; k < N; ++k) y[k] = integral(slope(y), x, k);
    return y;
  }

  static std::array<Jet, 2> sin_cos(const Jet& x) {
    using std::sin, std::cos;
    Jet s(sin(x[0])), c(cos(x[0]));
    for (int k = 1; k < N; ++k) {
      s[k] = integral(c, x, k);
      c[k] = -integral(s, x, k);
    }
    return {s, c};
  }
};

}  // namespace qatten::inline QATTEN_ABI

/// Without it `std::numeric_limits<Jet>::infinity()` would compile and be 0.
template <class T, int N>
struct std::numeric_limits<qatten::Jet<T, N>> : std::numeric_limits<T> {};

template <class T, int N>
struct Eigen::NumTraits<qatten::Jet<T, N>> : Eigen::GenericNumTraits<qatten::Jet<T, N>> {
  using Literal = double;
  enum {
    ReadCost = N * int(NumTraits<T>::ReadCost),
    AddCost = N * int(NumTraits<T>::AddCost),
    MulCost = N * N * int(NumTraits<T>::MulCost)
  };
  static qatten::Jet<T, N> dummy_precision() { return NumTraits<T>::dummy_precision(); }
};

template <class T, int N, class Op>
struct Eigen::ScalarBinaryOpTraits<qatten::Jet<T, N>, double, Op> {
  using ReturnType = qatten::Jet<T, N>;
};

template <class T, int N, class Op>
struct Eigen::ScalarBinaryOpTraits<double, qatten::Jet<T, N>, Op> {
  using ReturnType = qatten::Jet<T, N>;
};

/// Eigen's own formula expands to ∞/∞ far from 0.
template <class T, int N>
struct Eigen::internal::scalar_logistic_op<qatten::Jet<T, N>> {
  qatten::Jet<T, N> operator()(const qatten::Jet<T, N>& x) const { return logistic(x); }
};
