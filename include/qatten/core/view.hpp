#pragma once
// Views over memory that the caller owns. A matrix is (features, samples), column-major: one column is one sample.

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "qatten/core/abi.hpp"

namespace qatten::inline QATTEN_ABI {

using Eigen::Index;

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

/// A type whose elements lie in memory as a view needs them: this scalar, column after column, no gaps within a column.
template <class T, class Scalar>
concept ColumnMajor = requires {
  requires std::same_as<typename std::remove_cvref_t<T>::Scalar, Scalar>;
  requires bool(int(std::remove_cvref_t<T>::Flags) & int(Eigen::DirectAccessBit));
  requires !bool(int(std::remove_cvref_t<T>::Flags) & int(Eigen::RowMajorBit)) ||
      bool(std::remove_cvref_t<T>::IsVectorAtCompileTime);
  requires int(std::remove_cvref_t<T>::InnerStrideAtCompileTime) == 1;
};

/// A `ColumnMajor` type that an lvalue, or a temporary view onto an lvalue, lets us write to.
template <class T, class Scalar>
concept WritableColumnMajor = ColumnMajor<T, Scalar> && requires(T& x) {
  requires bool(int(std::remove_cvref_t<T>::Flags) & int(Eigen::LvalueBit));
  requires std::is_lvalue_reference_v<T> || !std::derived_from<T, Eigen::PlainObjectBase<T>>;
  { x.data() } -> std::same_as<Scalar*>;
};

/// Read-only (features, samples) matrix. Converts from anything `ColumnMajor`; another storage order does not compile,
/// where `Eigen::Ref<const …>` would silently copy. Default-constructed it is empty (0, 0): "not given".
template <class Scalar>
class ConstView : public Eigen::Map<const Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>> {
  using Base = Eigen::Map<const Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;

 public:
  ConstView() : Base(nullptr, 0, 0, Eigen::OuterStride<>(0)) {}
  ConstView(const Scalar* data, Index rows, Index cols, Index stride)
      : Base(data, rows, cols, Eigen::OuterStride<>(stride)) {}
  template <ColumnMajor<Scalar> T>
  ConstView(const T& x) : Base(x.data(), x.rows(), x.cols(), Eigen::OuterStride<>(outer_stride(x))) {}

 private:
  template <class T>
  static Index outer_stride(const T& x) {
    return T::IsRowMajor ? Index{1} : Index(x.outerStride());  // a row vector: consecutive columns are neighbours
  }
};

/// Writable (features, samples) matrix; assignment writes through.
template <class Scalar>
class View : public Eigen::Map<Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>> {
  using Base = Eigen::Map<Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;

 public:
  View() : Base(nullptr, 0, 0, Eigen::OuterStride<>(0)) {}
  View(Scalar* data, Index rows, Index cols, Index stride) : Base(data, rows, cols, Eigen::OuterStride<>(stride)) {}
  View(const View&) = default;
  template <WritableColumnMajor<Scalar> T>
  View(T&& x)
      : Base(x.data(), x.rows(), x.cols(),
             Eigen::OuterStride<>(std::remove_cvref_t<T>::IsRowMajor ? Index{1} : Index(x.outerStride()))) {}
  using Base::operator=;
  View& operator=(const View& other) {
    Base::operator=(other);
    return *this;
  }
};

/// How many flags are set. A loop: Eigen's count() of a comparison takes a compiler a quarter of a second.
inline Index count_set(const ConstView<std::uint8_t>& flags) {
  Index count = 0;
  for (Index j = 0; j < flags.cols(); ++j)
    for (Index i = 0; i < flags.rows(); ++i) count += flags(i, j) != 0;
  return count;
}

/// Every `step`-th column, from `first` on: a wider stride, no copy. The number of columns is a multiple of `step`.
template <class Scalar>
ConstView<Scalar> every(ConstView<Scalar> x, Index first, Index step) {
  if (x.size() == 0) return {};
  return {x.data() + first * x.outerStride(), x.rows(), x.cols() / step, x.outerStride() * step};
}
template <class Scalar>
View<Scalar> every(View<Scalar> x, Index first, Index step) {
  if (x.size() == 0) return {};
  return {x.data() + first * x.outerStride(), x.rows(), x.cols() / step, x.outerStride() * step};
}

}  // namespace qatten::inline QATTEN_ABI
