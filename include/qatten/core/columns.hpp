#pragma once
// Many short columns, one behind the other in memory: the sum of each, and a number of its own into each.
//
// A column fills part of a packet, and its end lies anywhere. So W columns are taken at a time, W being the numbers of
// a packet, and their W sums are one packet:
//
//   few numbers a column   the first numbers of all W, shuffled into one packet; the second ones, …; and added
//   more                   every column to a packet of partial sums; then two packets to one, as long as there are two:
//                          a and b to a₀ + a₁, b₀ + b₁, a₂ + a₃, …, those to pairs of pairs, …: log₂ W times
//
// In which order a column is summed depends on n and the instruction set alone.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "qatten/core/lanes.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

template <class Scalar>
struct Columns {
  static constexpr int W = int(Pack<Scalar>::size);
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::int32_t, std::int64_t>;
  typedef Scalar V __attribute__((vector_size(W * sizeof(Scalar))));
  typedef Bits Mask __attribute__((vector_size(W * sizeof(Scalar))));
  template <int N>
  using Upto = std::make_integer_sequence<int, N>;

  static V load(const Scalar* from, std::size_t count = W) {
    V v = {};
    std::memcpy(&v, from, count * sizeof(Scalar));
    return v;
  }
  static void store(Scalar* to, V v) { std::memcpy(to, &v, sizeof v); }

  // Few numbers a column: v[0 … N) are W columns.

  template <int N, int I, int B, int... K>
  static V pick(V found, V from, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(found, from, ((K * N + I) / W == B ? W + (K * N + I) % W : K)...);
  }
  template <int N, int I, int... B>
  static V numbers(const V* v, std::integer_sequence<int, B...>) {
    V found = v[0];
    ((found = pick<N, I, B>(found, v[B], Upto<W>())), ...);
    return found;
  }
  template <int N, int... I>
  static V sum_numbers(const V* v, std::integer_sequence<int, I...>) {
    V sum = numbers<N, 0>(v, Upto<N>());
    ((sum += numbers<N, I + 1>(v, Upto<N>())), ...);
    return sum;
  }
  template <int N>
  static void sum_few(const Scalar* x, Index columns, Scalar* sums) {
    Index c = 0;
    if constexpr (N > 4 && 2 * N < W) {  // the others the compiler shuffles well enough by itself
      for (; c + W <= columns; c += W) {
        V v[N];
        for (int b = 0; b < N; ++b) v[b] = load(x + c * N + b * W);
        store(sums + c, sum_numbers<N>(v, Upto<N - 1>()));
      }
    }
    for (; c < columns; ++c) {
      Scalar sum = x[c * N];
      for (int i = 1; i < N; ++i) sum += x[c * N + i];
      sums[c] = sum;
    }
  }

  // More: by pairs.

  template <int L, int... K>
  static V add_pairs(V a, V b, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(a, b, (K / L % 2 == 0 ? K : W + K)...) +
           __builtin_shufflevector(a, b, (K / L % 2 == 0 ? K + L : W + K - L)...);
  }
  /// The partial sums of a column, whose last packet reaches into the next.
  static V partial(const Scalar* x, Index n, Mask mask) {
    V sum = {};
    Index i = 0;
    for (; i + W < n; i += W) sum += load(x + i);
    return sum + (V)((Mask)load(x + i) & mask);
  }
  /// Packets of 2 L columns.
  template <int L>
  static V sum_pairs(const Scalar* x, Index n, Mask mask) {
    if constexpr (L == 0) {
      return partial(x, n, mask);
    } else {
      return add_pairs<L>(sum_pairs<L / 2>(x, n, mask), sum_pairs<L / 2>(x + L * n, n, mask), Upto<W>());
    }
  }
  /// The same of one column, whatever lies behind it.
  static Scalar sum_one(const Scalar* x, Index n) {
    V sum = {};
    Index i = 0;
    for (; i + W < n; i += W) sum += load(x + i);
    sum += load(x + i, std::size_t(n - i));
    return fold<1>(sum)[0];
  }
  /// Every pair of neighbours, of pairs, …, to the sum of all numbers in each lane.
  template <int L>
  static V fold(V v) {
    if constexpr (L == W) {
      return v;
    } else {
      return fold<2 * L>(v + across<L>(v, Upto<W>()));
    }
  }
  template <int L, int... K>
  static V across(V v, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(v, v, (K ^ L)...);
  }
  static void sum_many(const Scalar* x, Index n, Index columns, Scalar* sums) {
    const Index packets = (n + W - 1) / W;
    Mask mask = {};
    for (int k = 0; k < W; ++k) mask[k] = k < n - (packets - 1) * W ? -1 : 0;
    Index c = 0;
    for (; (c + W - 1) * n + packets * W <= columns * n; c += W) store(sums + c, sum_pairs<W / 2>(x + c * n, n, mask));
    for (; c < columns; ++c) sums[c] = sum_one(x + c * n, n);
  }

  // The other way.

  template <int N, int B, int... K>
  static V spread(V v, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(v, v, ((B * W + K) / N)...);
  }
  template <int N, int... B>
  static void fill_block(V v, Scalar* to, std::integer_sequence<int, B...>) {
    (store(to + B * W, spread<N, B>(v, Upto<W>())), ...);
  }
  template <int N>
  static void fill_few(const Scalar* x, Index columns, Scalar* to) {
    Index c = 0;
    for (; c + W <= columns; c += W) fill_block<N>(load(x + c), to + c * N, Upto<N>());
    for (; c < columns; ++c)
      for (int i = 0; i < N; ++i) to[c * N + i] = x[c];
  }
  static void fill_many(const Scalar* x, Index n, Index columns, Scalar* to) {
    for (Index c = 0; c < columns; ++c) {
      const V v = x[c] - V{};
      Scalar* const column = to + c * n;
      for (Index i = 0; i + W < n; i += W) store(column + i, v);
      store(column + n - W, v);
    }
  }

  /// f(n) with n known to the compiler, if it is less than W.
  template <class F, int... N>
  static bool with_few(Index n, const F& f, std::integer_sequence<int, N...>) {
    return ((n == N + 1 && (f(std::integral_constant<int, N + 1>()), true)) || ...);
  }
};

template <class Scalar>
constexpr bool has_packets() {
  if constexpr (std::is_floating_point_v<Scalar>) return Pack<Scalar>::size > 1;
  return false;
}

}  // namespace detail

/// sums_c = Σ_i x_{c n + i} over i < n, for c < columns; n >= 1.
template <class Scalar>
void column_sums(const Scalar* x, Index n, Index columns, Scalar* sums) {
  if constexpr (detail::has_packets<Scalar>()) {
    using C = detail::Columns<Scalar>;
    const auto few = [&](auto known) {
      constexpr int N = known;
      if constexpr (N <= 4 || 2 * N <= C::W) {
        C::template sum_few<N>(x, columns, sums);
      } else {
        C::sum_many(x, N, columns, sums);
      }
    };
    if (!C::with_few(n, few, typename C::template Upto<C::W - 1>())) C::sum_many(x, n, columns, sums);
  } else {
    for (Index c = 0; c < columns; ++c) {
      sums[c] = x[c * n];
      for (Index i = 1; i < n; ++i) sums[c] += x[c * n + i];
    }
  }
}

/// to_{c n + i} = x_c for i < n and c < columns; n >= 1.
template <class Scalar>
void fill_columns(const Scalar* x, Index n, Index columns, Scalar* to) {
  if constexpr (detail::has_packets<Scalar>()) {
    using C = detail::Columns<Scalar>;
    const auto few = [&](auto known) { C::template fill_few<known>(x, columns, to); };
    if (!C::with_few(n, few, typename C::template Upto<C::W - 1>())) C::fill_many(x, n, columns, to);
  } else {
    for (Index c = 0; c < columns; ++c) std::fill_n(to + c * n, n, x[c]);
  }
}

}  // namespace qatten::inline QATTEN_ABI
