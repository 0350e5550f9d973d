#pragma once
// Matrix products: where the library spends its time, and the one place where it multiplies matrices.
//
//   product     C = A B,   C = Aᵀ B,   C = A Bᵀ           and in the same pass over C: + C, + bias, ReLU
//
// Not Eigen's own, because on small products packing both factors costs as much as the arithmetic, the AVX-512 kernel
// of 3.4 reaches 60 % of the peak, every combination of expression types is compiled anew, and a bias or a ReLU takes
// another pass over memory. Here the rows of A are packed, a panel at a time, into a buffer on the stack; B is read
// where it lies. The kernel keeps a tile of C in registers (3 packets of rows, 8 or 4 columns):
//
//   C[i …, j] += A[i …, k] B[k, j]          k = 0, 1, …
//
// Each entry of C is summed over k in the same order and with the same operations, wherever its column stands and
// however many there are: what becomes of a sample does not depend on its batch, its tile, or its address. (Fewer rows
// than a packet has are dot products instead, where memory allows: packets of k.)

#include <algorithm>
#include <type_traits>

#include "qatten/core/error.hpp"
#include "qatten/core/lanes.hpp"

#if defined(__clang__)
#define QATTEN_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define QATTEN_UNROLL _Pragma("GCC unroll 16")
#else
#define QATTEN_UNROLL
#endif

namespace qatten::inline QATTEN_ABI {

/// A factor that enters a product transposed.
template <class Scalar>
struct Transposed {
  ConstView<Scalar> matrix;
};
template <class Scalar>
Transposed<Scalar> transposed(ConstView<Scalar> matrix) {
  return {matrix};
}

/// What becomes of a product before it is stored: C = relu(A B + C + bias), as far as asked for.
template <class Scalar>
struct Then {
  bool add = false;              ///< add what C holds
  const Scalar* bias = nullptr;  ///< one number a row
  bool relu = false;
};

namespace detail {

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // of Eigen's packets as template arguments
#endif

template <class Scalar>
class Gemm {
  using Packet = typename Eigen::internal::packet_traits<Scalar>::type;
  static constexpr Index packet = Eigen::internal::unpacket_traits<Packet>::size;
  static constexpr int panels = 3;  ///< packets of rows in a full tile
  static constexpr Index rows = panels * packet;
  static constexpr int cols = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;
  static constexpr int most = cols == 8 ? 16 : 8;  ///< packets of rows of a single column
  static constexpr Index depth = 256;              ///< of a packed panel: at most 48 KB
  static constexpr Index width = 256;  ///< columns of B between two packings of A: they stay in the second-level cache
  static constexpr Index few = 32;     ///< columns for which A is not worth packing

 public:
  /// Entry (row, col) lies at data + row · down + col · right.
  struct Factor {
    const Scalar* data;
    Index down, right;
    const Scalar* at(Index row, Index col) const { return data + row * down + col * right; }
  };

  static void run(View<Scalar> c, const Factor& a, const Factor& b, Index inner, const Then<Scalar>& then) {
    if (inner == 0) return finish_empty(c, then);
    if (c.rows() < packet && a.right == 1 && b.down == 1) return dots(c, a, b, inner, then);
    for (Index j = 0; j < c.cols(); j += width) {
      const Index n = std::min(width, c.cols() - j);
      for (Index k = 0; k < inner; k += depth) {
        const Index d = std::min(depth, inner - k);
        const bool last = k + d == inner;
        const Then<Scalar> now{then.add || k > 0, last ? then.bias : nullptr, last && then.relu};
        slab(c.data() + j * c.outerStride(), c.outerStride(), c.rows(), n, {a.at(0, k), a.down, a.right},
             {b.at(k, j), b.down, b.right}, d, now);
      }
    }
  }

  /// C[:, s] = A_s B[:, s] + bias_s from a(s) and bias(s): the sums of several products in one loop. How many it did,
  /// from the first; only some numbers of rows are done at all.
  template <class A, class Bias>
  static Index side_by_side(View<Scalar> c, A&& a, ConstView<Scalar> b, Bias&& bias) {
    if (b.rows() > depth) return 0;
    if (c.rows() == packet) return all_beside<1, 4>(c, a, b, bias);
    if (c.rows() == 2 * packet) return all_beside<2, 4>(c, a, b, bias);
    if (c.rows() == 4 * packet) return all_beside<4, most / 4>(c, a, b, bias);
    return 0;
  }

 private:
  template <int Panels, int Side, class A, class Bias>
  static Index all_beside(View<Scalar> c, A&& a, ConstView<Scalar> b, Bias&& bias) {
    Index s = 0;
    for (; s + Side <= c.cols(); s += Side) beside<Panels, Side>(c, a, b, bias, s);
    return s;
  }

  /// `Side` of them, from s on. The order of a sum is that of `kernel`.
  template <int Panels, int Side, class A, class Bias>
  static void beside(View<Scalar> c, A&& a, ConstView<Scalar> b, Bias&& bias, Index s) {
    namespace E = Eigen::internal;
    Packet sum[Side][Panels];
    const Scalar *column[Side], *x[Side];
    const Index step = a(s).outerStride();
    QATTEN_UNROLL
    for (int j = 0; j < Side; ++j) {
      column[j] = a(s + j).data();
      x[j] = b.col(s + j).data();
      QATTEN_UNROLL
      for (int i = 0; i < Panels; ++i) sum[j][i] = E::pset1<Packet>(Scalar(0));
    }
    for (Index k = 0; k < b.rows(); ++k) {
      QATTEN_UNROLL
      for (int j = 0; j < Side; ++j) {
        const Packet y = E::pset1<Packet>(x[j][k]);
        QATTEN_UNROLL
        for (int i = 0; i < Panels; ++i)
          sum[j][i] = E::pmadd(E::ploadu<Packet>(column[j] + k * step + i * packet), y, sum[j][i]);
      }
    }
    QATTEN_UNROLL
    for (int j = 0; j < Side; ++j) {
      const Scalar* const shift = bias(s + j);
      QATTEN_UNROLL
      for (int i = 0; i < Panels; ++i) {
        if (shift != nullptr) sum[j][i] = E::padd(sum[j][i], E::ploadu<Packet>(shift + i * packet));
        E::pstoreu(c.col(s + j).data() + i * packet, sum[j][i]);
      }
    }
  }

  /// Few rows, along which A lies contiguous, like B along its columns: packets of k.
  static void dots(View<Scalar> c, const Factor& a, const Factor& b, Index inner, const Then<Scalar>& then) {
    for (Index j = 0; j < c.cols(); ++j) {
      Scalar* const to = c.col(j).data();
      Index i = 0;
      for (; i + 4 <= c.rows(); i += 4) dots_of<4>(to, i, a, b.at(0, j), inner, then);
      for (; i < c.rows(); ++i) dots_of<1>(to, i, a, b.at(0, j), inner, then);
    }
  }

  /// `Rows` of them from row i on: their sums do not wait for each other.
  template <int Rows>
  static void dots_of(Scalar* to, Index i, const Factor& a, const Scalar* b, Index inner, const Then<Scalar>& then) {
    namespace E = Eigen::internal;
    Packet sum[Rows];
    for (int r = 0; r < Rows; ++r) sum[r] = E::pset1<Packet>(Scalar(0));
    Index k = 0;
    for (; k + packet <= inner; k += packet) {
      const Packet y = E::ploadu<Packet>(b + k);
      QATTEN_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r] = E::pmadd(E::ploadu<Packet>(a.at(i + r, k)), y, sum[r]);
    }
    QATTEN_UNROLL
    for (int r = 0; r < Rows; ++r) {
      Scalar x = E::predux(sum[r]);
      for (Index l = k; l < inner; ++l) x += *a.at(i + r, l) * b[l];
      to[i + r] = finish(x, to[i + r], i + r, then);
    }
  }

  /// All rows of C, few enough columns, little enough depth.
  static void slab(Scalar* c, Index c_stride, Index m, Index n, const Factor& a, const Factor& b, Index d,
                   const Then<Scalar>& then) {
    alignas(64) Scalar packed[depth * rows];
    const bool as_it_lies = a.down == 1 && n <= few;
    for (Index i = 0; i < m;) {
      const int wide = as_it_lies && n == 1 ? panels_of_one(m - i) : m - i >= rows ? panels : 1;
      const Index height = wide * packet, count = std::min(m - i, height);
      const Then<Scalar> here{then.add, then.bias == nullptr ? nullptr : then.bias + i, then.relu};
      const Scalar* panel = a.at(i, 0);
      Index step = a.right;
      if (!as_it_lies || count < packet) {
        pack(packed, a, i, count, height, d);
        panel = packed;
        step = height;
      }
      switch (wide) {
        case 16:
          if constexpr (most == 16) tile<16, 1>(c + i, c_stride, count, panel, step, b, 0, d, here);
          break;
        case 8:
          tile<8, 1>(c + i, c_stride, count, panel, step, b, 0, d, here);
          break;
        case 4:
          tile<4, 1>(c + i, c_stride, count, panel, step, b, 0, d, here);
          break;
        case 2:
          tile<2, 1>(c + i, c_stride, count, panel, step, b, 0, d, here);
          break;
        case panels:
          band<panels>(c + i, c_stride, count, n, panel, step, b, d, here);
          break;
        default:
          band<1>(c + i, c_stride, count, n, panel, step, b, d, here);
      }
      i += count;
    }
  }

  /// Of a single column: sums enough to hide their latency, and long pieces of A's columns, which are read but once.
  static int panels_of_one(Index left) {
    int wide = most;
    while (wide > 1 && left < wide * packet) wide /= 2;
    return wide;
  }

  /// One panel of rows, all columns. 5 are 3 and 2: a column by itself waits for its sums.
  template <int Panels>
  static void band(Scalar* c, Index c_stride, Index count, Index n, const Scalar* a, Index step, const Factor& b,
                   Index d, const Then<Scalar>& then) {
    const auto some = [&]<int Cols>(Index j) {
      tile<Panels, Cols>(c + j * c_stride, c_stride, count, a, step, b, j, d, then);
      return Cols;
    };
    for (Index j = 0; j < n;) {
      const Index left = n - j;
      if (cols > 4 && left >= cols)
        j += some.template operator()<cols>(j);
      else if (left >= 4 && left != 5)
        j += some.template operator()<4>(j);
      else if (left >= 3)
        j += some.template operator()<3>(j);
      else if (left == 2)
        j += some.template operator()<2>(j);
      else
        j += some.template operator()<1>(j);
    }
  }

  template <int Panels, int Cols>
  static void tile(Scalar* c, Index c_stride, Index count, const Scalar* a, Index step, const Factor& b, Index j,
                   Index d, const Then<Scalar>& then) {
    if constexpr (Cols > 1)
      if (b.down == 1)
        return kernel<Panels, Cols>(c, c_stride, count, a, step, b.at(0, j), std::integral_constant<Index, 1>(),
                                    b.right, d, then);
    kernel<Panels, Cols>(c, c_stride, count, a, step, b.at(0, j), b.down, std::integral_constant<Index, 1>(), d, then);
  }

  /// A tile of C. One of B's steps is known to be 1 at compile time; of a single column, the one that it never takes.
  template <int Panels, int Cols, class Down, class Right>
  static void kernel(Scalar* c, Index c_stride, Index count, const Scalar* a, Index step, const Scalar* b, Down down,
                     Right right, Index d, const Then<Scalar>& then) {
    namespace E = Eigen::internal;
    Packet sum[Cols][Panels];
    QATTEN_UNROLL
    for (int j = 0; j < Cols; ++j) {
      QATTEN_UNROLL
      for (int i = 0; i < Panels; ++i) sum[j][i] = E::pset1<Packet>(Scalar(0));
    }
    for (Index k = 0; k < d; ++k, a += step, b += down) {
      Packet x[Panels];
      QATTEN_UNROLL
      for (int i = 0; i < Panels; ++i) x[i] = E::ploadu<Packet>(a + i * packet);
      QATTEN_UNROLL
      for (int j = 0; j < Cols; ++j) {
        const Packet y = E::pset1<Packet>(b[j * right]);
        QATTEN_UNROLL
        for (int i = 0; i < Panels; ++i) sum[j][i] = E::pmadd(x[i], y, sum[j][i]);
      }
    }
    if (count == Panels * packet) {
      QATTEN_UNROLL
      for (int j = 0; j < Cols; ++j) {
        QATTEN_UNROLL
        for (int i = 0; i < Panels; ++i) {
          Scalar* const to = c + j * c_stride + i * packet;
          Packet x = sum[j][i];
          if (then.add) x = E::padd(x, E::ploadu<Packet>(to));
          if (then.bias != nullptr) x = E::padd(x, E::ploadu<Packet>(then.bias + i * packet));
          if (then.relu) x = E::pmax(x, E::pset1<Packet>(Scalar(0)));
          E::pstoreu(to, x);
        }
      }
    } else {
      Scalar whole[packet];
      for (int j = 0; j < Cols; ++j) {
        E::pstoreu(whole, sum[j][0]);
        for (Index i = 0; i < count; ++i) c[j * c_stride + i] = finish(whole[i], c[j * c_stride + i], i, then);
      }
    }
  }

  static Scalar finish(Scalar x, Scalar held, Index row, const Then<Scalar>& then) {
    if (then.add) x += held;
    if (then.bias != nullptr) x += then.bias[row];
    return then.relu && x < Scalar(0) ? Scalar(0) : x;
  }

  static void finish_empty(View<Scalar> c, const Then<Scalar>& then) {
    for (Index j = 0; j < c.cols(); ++j)
      for (Index i = 0; i < c.rows(); ++i) c(i, j) = finish(Scalar(0), c(i, j), i, then);
  }

  /// Rows i … i + count of A, column after column, `height` numbers each, zeros below `count`.
  static void pack(Scalar* to, const Factor& a, Index i, Index count, Index height, Index d) {
    if (count < height) std::fill_n(to, height * d, Scalar(0));
    if (a.down == 1) {
      for (Index k = 0; k < d; ++k) std::copy_n(a.at(i, k), count, to + k * height);
      return;
    }
    Index row = 0;
    for (; row + packet <= count; row += packet) pack_transposed(to + row, a.at(i + row, 0), a.down, height, d);
    for (; row < count; ++row)
      for (Index k = 0; k < d; ++k) to[k * height + row] = *a.at(i + row, k);
  }

  /// `packet` rows of A, each of which is contiguous.
  static void pack_transposed(Scalar* to, const Scalar* a, Index stride, Index height, Index d) {
    namespace E = Eigen::internal;
    Index k = 0;
    for (; k + packet <= d; k += packet) {
      E::PacketBlock<Packet, packet> square;
      QATTEN_UNROLL
      for (int i = 0; i < packet; ++i) square.packet[i] = E::ploadu<Packet>(a + i * stride + k);
      E::ptranspose(square);
      QATTEN_UNROLL
      for (int i = 0; i < packet; ++i) E::pstoreu(to + (k + i) * height, square.packet[i]);
    }
    for (; k < d; ++k)
      for (int i = 0; i < packet; ++i) to[k * height + i] = a[i * stride + k];
  }
};

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/// Scalars that Eigen has no packets for, such as dual numbers: by the definition.
template <class Scalar>
class PlainGemm {
 public:
  struct Factor {
    const Scalar* data;
    Index down, right;
  };
  static void run(View<Scalar> c, const Factor& a, const Factor& b, Index inner, const Then<Scalar>& then) {
    for (Index j = 0; j < c.cols(); ++j)
      for (Index i = 0; i < c.rows(); ++i) {
        Scalar sum(0);
        for (Index k = 0; k < inner; ++k) sum += a.data[i * a.down + k * a.right] * b.data[k * b.down + j * b.right];
        if (then.add) sum += c(i, j);
        if (then.bias != nullptr) sum += then.bias[i];
        c(i, j) = then.relu && sum < Scalar(0) ? Scalar(0) : sum;
      }
  }
  template <class A, class Bias>
  static Index side_by_side(View<Scalar>, A&&, ConstView<Scalar>, Bias&&) {
    return 0;
  }
};

template <class Scalar>
using GemmOf = std::conditional_t<std::is_floating_point_v<Scalar>, Gemm<Scalar>, PlainGemm<Scalar>>;

}  // namespace detail

/// c (m, n) = a (m, k) b (k, n), then what `then` says. c overlaps neither factor. Allocates nothing; takes up to 48 KB
/// of the stack.
template <class Scalar>
void product(View<Scalar> c, ConstView<Scalar> a, ConstView<Scalar> b, const Then<Scalar>& then = {}) {
  eigen_assert(c.rows() == a.rows() && c.cols() == b.cols() && a.cols() == b.rows());
  detail::GemmOf<Scalar>::run(c, {a.data(), 1, a.outerStride()}, {b.data(), 1, b.outerStride()}, a.cols(), then);
}

/// c (m, n) = aᵀ b from a (k, m) and b (k, n).
template <class Scalar>
void product(View<Scalar> c, Transposed<Scalar> a, ConstView<Scalar> b, const Then<Scalar>& then = {}) {
  eigen_assert(c.rows() == a.matrix.cols() && c.cols() == b.cols() && a.matrix.rows() == b.rows());
  detail::GemmOf<Scalar>::run(c, {a.matrix.data(), a.matrix.outerStride(), 1}, {b.data(), 1, b.outerStride()}, b.rows(),
                              then);
}

/// c (m, n) = a bᵀ from a (m, k) and b (n, k).
template <class Scalar>
void product(View<Scalar> c, ConstView<Scalar> a, Transposed<Scalar> b, const Then<Scalar>& then = {}) {
  eigen_assert(c.rows() == a.rows() && c.cols() == b.matrix.rows() && a.cols() == b.matrix.cols());
  detail::GemmOf<Scalar>::run(c, {a.data(), 1, a.outerStride()}, {b.matrix.data(), b.matrix.outerStride(), 1}, a.cols(),
                              then);
}

/// c.col(s) = a(s) b.col(s) + bias(s) for every column s, each by a matrix of its own; all matrices have one shape and
/// stride, bias(s) may be null. The same bits as one product after the other, in less time, because no sum waits for
/// another.
template <class Scalar, class A, class Bias>
void products_of_columns(View<Scalar> c, A&& a, ConstView<Scalar> b, Bias&& bias) {
  eigen_assert(c.cols() == b.cols());
  for (Index s = detail::GemmOf<Scalar>::side_by_side(c, a, b, bias); s < c.cols(); ++s)
    product<Scalar>(c.col(s), a(s), b.col(s), {.bias = bias(s)});
}

}  // namespace qatten::inline QATTEN_ABI
