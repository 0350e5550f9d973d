#include "qatten/core/view.hpp"

#include "support/catch.hpp"

using namespace qatten;

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Column = Vector<float>;
using Row = Eigen::RowVectorXf;
using Fixed = Eigen::Matrix<float, 2, 3>;
using Block = decltype(std::declval<Matrix<float>&>().block(0, 0, 1, 1));
using ConstBlock = decltype(std::declval<const Matrix<float>&>().block(0, 0, 1, 1));
using RowOfColumnMajor = decltype(std::declval<Matrix<float>&>().row(0));
using RowOfRowMajor = decltype(std::declval<RowMajorMatrix&>().row(0));
using Transposed = decltype(std::declval<Matrix<float>&>().transpose());
using Sum = decltype(std::declval<Matrix<float>&>() + std::declval<Matrix<float>&>());
using EverySecond = Eigen::Map<Matrix<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>>;
using Strided = Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>;
using ConstMap = Eigen::Map<const Matrix<float>>;

template <class T>
constexpr bool readable = std::is_constructible_v<ConstView<float>, T>;
template <class T>
constexpr bool writable = std::is_constructible_v<View<float>, T>;

// What reads: this scalar, column after column.
static_assert(readable<Matrix<float>&> && readable<const Matrix<float>&> && readable<Fixed&> && readable<Column&>);
static_assert(readable<Row&> && readable<RowOfRowMajor> && readable<Block> && readable<ConstBlock>);
static_assert(readable<Strided&> && readable<ConstMap&> && readable<View<float>&>);
// What would need a copy does not.
static_assert(!readable<RowMajorMatrix&> && !readable<Transposed> && !readable<RowOfColumnMajor>);
static_assert(!readable<EverySecond&> && !readable<Sum> && !readable<Matrix<double>&>);
// What writes.
static_assert(writable<Matrix<float>&> && writable<Fixed&> && writable<Column&> && writable<Row&> && writable<Block>);
static_assert(writable<Strided&> && writable<View<float>&>);
static_assert(!writable<ConstView<float>&> && !writable<ConstMap&> && !writable<ConstBlock>);
static_assert(!writable<RowMajorMatrix&> && !writable<Transposed> && !writable<RowOfColumnMajor>);
static_assert(!writable<EverySecond&> && !writable<Sum> && !writable<Matrix<double>&>);
static_assert(!writable<const Matrix<float>&>, "writing to what is const");
static_assert(!writable<Matrix<float>>, "writing to a temporary that nobody sees");
// Arguments convert without being asked.
static_assert(std::is_convertible_v<const Matrix<float>&, ConstView<float>>);
static_assert(std::is_convertible_v<Matrix<float>&, View<float>> && std::is_convertible_v<Block, View<float>>);
static_assert(std::is_convertible_v<View<float>, ConstView<float>>);

TEST_CASE("a view shares memory with the matrix") {
  Matrix<float> m = Matrix<float>::Zero(2, 3);
  View<float> view = m;
  const ConstView<float> reader = m;
  view(1, 2) = 5;
  CHECK(m(1, 2) == 5);
  CHECK(reader(1, 2) == 5);
  CHECK(reader.data() == m.data());
}

TEST_CASE("assignment writes through, it does not rebind") {
  Matrix<float> a = Matrix<float>::Constant(2, 2, 1), b = Matrix<float>::Constant(2, 2, 2);
  View<float> x = a;
  const View<float> y = b;
  x = y;
  CHECK(a(0, 0) == 2);
  CHECK(x.data() == a.data());
  x = 3 * y;
  CHECK(a(1, 1) == 6);
  x += y;
  CHECK(a(1, 1) == 8);
  CHECK(b(1, 1) == 2);
}

TEST_CASE("a copied view looks at the same memory") {
  Matrix<float> m = Matrix<float>::Zero(2, 2);
  const View<float> view = m;
  View<float> copy(view);
  copy(0, 1) = 4;
  CHECK(m(0, 1) == 4);
}

TEST_CASE("a block of a larger matrix is seen with the matrix's stride") {
  Matrix<float> m(4, 5);
  for (Index k = 0; k < m.size(); ++k) m.data()[k] = float(k);
  const ConstView<float> reader = m.block(1, 2, 2, 3);
  CHECK(reader.rows() == 2);
  CHECK(reader.cols() == 3);
  CHECK(reader.outerStride() == 4);
  CHECK(reader == m.block(1, 2, 2, 3));
  View<float> writer = m.block(1, 2, 2, 3);
  writer.setZero();
  CHECK(m(0, 2) == 8);
  CHECK(m(3, 4) == 19);
  CHECK(m.block(1, 2, 2, 3).isZero(0));
  const ConstView<float> deeper = ConstView<float>(m.rightCols(2)).bottomRows(1);
  CHECK(deeper(0, 1) == 19);
}

TEST_CASE("a row vector is one row, and every column one sample") {
  Row row(4);
  row << 1, 2, 3, 4;
  const ConstView<float> reader = row;
  CHECK(reader.rows() == 1);
  CHECK(reader.cols() == 4);
  CHECK(reader(0, 3) == 4);
  View<float> writer = row.segment(1, 2);
  writer *= 10;
  CHECK(row(2) == 30);
  CHECK(row(3) == 4);
  RowMajorMatrix m(2, 3);
  m << 1, 2, 3, 4, 5, 6;
  CHECK(ConstView<float>(m.row(1))(0, 2) == 6);
}

TEST_CASE("raw memory with a stride, and the empty view that stands for not given") {
  const float data[] = {1, 2, -1, 3, 4, -1};
  const ConstView<float> view(data, 2, 2, 3);
  CHECK(view.col(1).sum() == 7);
  CHECK(ConstView<float>().size() == 0);
  CHECK(View<float>().size() == 0);
}

TEST_CASE("every second column") {
  Matrix<float> m{{1, 2, 3, 4}, {5, 6, 7, 8}};
  CHECK(every(ConstView<float>(m), 0, 2) == Matrix<float>{{1, 3}, {5, 7}});
  every(View<float>(m), 1, 2).setZero();
  CHECK(m == Matrix<float>{{1, 0, 3, 0}, {5, 0, 7, 0}});
  every(View<float>(m.bottomRows(1)), 0, 4).setOnes();
  CHECK(m(1, 0) == 1);
  CHECK(every(ConstView<float>(), 1, 2).size() == 0);
}
