#pragma once
// One array as a file holds it, and the ways to read it as numbers.

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/io/dtype.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sizes of an array, slowest dimension first; empty for a scalar.
using Shape = std::vector<Index>;

namespace detail {

/// "[2, 3]"
inline std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const Index d : shape) text += (text.size() == 1 ? "" : ", ") + std::to_string(d);
  return text + "]";
}

/// A name for an error message: quoted, and cut where a damaged file made it absurdly long.
inline std::string quote(const std::string& name) {
  constexpr std::size_t limit = 200;
  return "'" + (name.size() <= limit ? name : name.substr(0, limit) + "…") + "'";
}

/// The element at `from`, the two half-precision types as floats.
template <class S>
auto load_element(const std::byte* from) {
  S x;
  std::memcpy(&x, from, sizeof(S));
  if constexpr (StorableNumber<S>)
    return x;
  else
    return static_cast<float>(x);
}

/// Whether `x` as a T is exact or, from one floating-point type to another, finite.
template <StorableNumber T, StorableNumber S>
bool fits(S x) {
  if constexpr (StorableFloat<T> && StorableFloat<S>) return std::isfinite(static_cast<T>(x)) || !std::isfinite(x);
  if constexpr (StorableInteger<T> && StorableInteger<S>) return std::in_range<T>(x);
  if constexpr (StorableInteger<T> && StorableFloat<S>) return false;
  if constexpr (StorableFloat<T> && StorableInteger<S>) {  // the bits between its outermost ones fit the mantissa
    const auto magnitude = x < 0 ? 0 - static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
    return magnitude == 0 ||
           64 - std::countl_zero(magnitude) - std::countr_zero(magnitude) <= std::numeric_limits<T>::digits;
  }
}

}  // namespace detail

/// An array in row-major order. What it was read as need not be what it was stored as: floating-point numbers are
/// rounded to the type asked for, whole numbers and BOOL (0, 1) are exact, and what cannot be had so throws.
struct StoredTensor {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::vector<std::byte> bytes;

  /// How many elements.
  Index size() const { return static_cast<Index>(bytes.size()) / size_of(dtype); }

  /// All elements in row-major order.
  template <StorableNumber T>
  std::vector<T> values() const {
    std::vector<T> to(static_cast<std::size_t>(size()));
    copy_to(to.data());
    return to;
  }

  /// The only element. Throws when there are more or none.
  template <StorableNumber T>
  T value() const {
    if (size() != 1) fail("has the shape " + detail::to_string(shape) + ", expected one element");
    T to;
    copy_to(&to);
    return to;
  }

  /// Samples: the last dimension becomes the rows, all others the columns, as in memory. So [T, B, F] is (F, T * B)
  /// with column t * B + b, [n] is (n, 1), a scalar is (1, 1).
  template <StorableFloat Scalar>
  Matrix<Scalar> matrix() const {
    Index cols = 1;
    for (std::size_t d = 0; d + 1 < shape.size(); ++d) cols *= shape[d];
    Matrix<Scalar> to(shape.empty() ? 1 : shape.back(), cols);
    copy_to(to.data());
    return to;
  }

  /// Weights: PyTorch's [out, in] becomes (out, in), a transposition in memory; [n] becomes (n, 1). Throws for another
  /// rank.
  template <StorableFloat Scalar>
  Matrix<Scalar> weight() const {
    if (shape.size() != 1 && shape.size() != 2)
      fail("has the shape " + detail::to_string(shape) + ", expected [out, in] or [n]");
    Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> to(shape[0],
                                                                              shape.size() == 2 ? shape[1] : 1);
    copy_to(to.data());
    return to;
  }

  /// Writes all elements, in row-major order, to `to`, which has room for `size()`.
  template <StorableNumber T>
  void copy_to(T* to) const {
    if (bytes.empty()) return;
    if (dtype == dtype_of<T>()) {
      std::memcpy(to, bytes.data(), bytes.size());
      return;
    }
    detail::visit_dtype(dtype, [&]<class S>(S) {
      for (Index i = 0; i < size(); ++i) {
        const auto x = detail::load_element<S>(bytes.data() + i * size_of(dtype));
        if (!detail::fits<T>(x) || (dtype == DType::BOOL && x > 1))
          fail("holds " + std::to_string(x) + ", which the type asked for cannot hold");
        to[i] = static_cast<T>(x);  // NOLINT(bugprone-signed-char-misuse): an int8 is a number here
      }
    });
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error("StoredTensor: tensor " + detail::quote(name) + " (" + std::string(name_of(dtype)) + ") " + message);
  }
};

}  // namespace qatten::inline QATTEN_ABI
