#pragma once
// Element-wise loops over columns, several rows at a time.
//
//   lanes<Scalar>(n, [&](auto at) { at.store(y, lane_sigmoid(at(a) + at(b)) * at(x)); });
//
// runs over rows 0 … n of the arrays a, b, x, y, a packet at a time; `at(a)` is what lies there. The last packet may be
// partly filled. Eigen's expressions start at the first aligned address instead and compute what lies before and behind
// with scalar functions, whose last digits differ from the packets': there, the result depends on where a column lies
// in memory, and an unaligned column of 20 numbers is mostly computed one by one.

#include <algorithm>
#include <type_traits>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// A packet of Eigen's with operators.
template <class Scalar>
struct Pack {
  typename Eigen::internal::packet_traits<Scalar>::type v;
  static constexpr Index size = Eigen::internal::unpacket_traits<decltype(v)>::size;

  Pack() = default;
  Pack(decltype(v) x) : v(x) {}
  explicit Pack(Scalar x) : v(Eigen::internal::pset1<decltype(v)>(x)) {}
  static Pack load(const Scalar* from) { return Eigen::internal::ploadu<decltype(v)>(from); }
  void store(Scalar* to) const { Eigen::internal::pstoreu(to, v); }

  friend Pack operator+(Pack x, Pack y) { return Eigen::internal::padd(x.v, y.v); }
  friend Pack operator-(Pack x, Pack y) { return Eigen::internal::psub(x.v, y.v); }
  friend Pack operator*(Pack x, Pack y) { return Eigen::internal::pmul(x.v, y.v); }
  friend Pack operator/(Pack x, Pack y) { return Eigen::internal::pdiv(x.v, y.v); }
};

namespace detail {

/// f of the whole packet where Eigen has one (double tanh has none before Eigen 5), otherwise of its numbers.
template <class F, class Scalar>
Pack<Scalar> apply(const F& f, Pack<Scalar> x) {
  if constexpr (bool(Eigen::internal::functor_traits<F>::PacketAccess)) {
    return f.packetOp(x.v);
  } else {
    Scalar each[Pack<Scalar>::size];
    x.store(each);
    for (Scalar& value : each) value = f(value);
    return Pack<Scalar>::load(each);
  }
}
template <class F, class Scalar>
Scalar apply(const F& f, const Scalar& x) {
  return f(x);
}

template <class Value>
struct ScalarOf {
  using type = Value;
};
template <class Scalar>
struct ScalarOf<Pack<Scalar>> {
  using type = Scalar;
};

}  // namespace detail

/// Of a packet or of a number.
template <class Value>
Value lane_sigmoid(const Value& x) {
  return detail::apply(Eigen::internal::scalar_logistic_op<typename detail::ScalarOf<Value>::type>(), x);
}
template <class Value>
Value lane_tanh(const Value& x) {
  return detail::apply(Eigen::internal::scalar_tanh_op<typename detail::ScalarOf<Value>::type>(), x);
}
template <class Value>
Value lane_exp(const Value& x) {
  return detail::apply(Eigen::internal::scalar_exp_op<typename detail::ScalarOf<Value>::type>(), x);
}

/// eˣ − 1 = 2 t / (1 − t) with t = tanh(x / 2), for x <= 0: no digits are lost near 0.
template <class Value>
Value lane_expm1(const Value& x) {
  using Scalar = typename detail::ScalarOf<Value>::type;
  const Value t = lane_tanh(x * Value(Scalar(0.5)));
  return Value(Scalar(2)) * t / (Value(Scalar(1)) - t);
}

/// x where y > 0, otherwise 0 or, where given, `other`.
template <class Scalar>
Pack<Scalar> where_positive(Pack<Scalar> y, Pack<Scalar> x) {
  return Eigen::internal::pand(Eigen::internal::pcmp_lt(Pack<Scalar>(Scalar(0)).v, y.v), x.v);
}
template <class Scalar>
Scalar where_positive(const Scalar& y, const Scalar& x) {
  return y > Scalar(0) ? x : Scalar(0);
}
template <class Scalar>
Pack<Scalar> where_positive(Pack<Scalar> y, Pack<Scalar> x, Pack<Scalar> other) {
  return Eigen::internal::pselect(Eigen::internal::pcmp_lt(Pack<Scalar>(Scalar(0)).v, y.v), x.v, other.v);
}
template <class Scalar>
Scalar where_positive(const Scalar& y, const Scalar& x, const Scalar& other) {
  return y > Scalar(0) ? x : other;
}

/// `value` where x >= least, NaN where x is NaN, otherwise 0.
template <class Scalar>
Pack<Scalar> where_at_least(Pack<Scalar> x, Scalar least, Pack<Scalar> value) {
  namespace E = Eigen::internal;
  return E::pandnot(E::pselect(E::pcmp_eq(x.v, x.v), value.v, x.v), E::pcmp_lt(x.v, Pack<Scalar>(least).v));
}

/// `count` rows from `row` on, as one Value: a packet or, for scalars without packets, a number.
template <class Scalar, class Value>
struct Lane {
  Index row;
  Index count;

  Value operator()(const Scalar* x) const {
    if constexpr (std::is_same_v<Scalar, Value>) {
      return x[row];
    } else {
      if (count == Value::size) return Value::load(x + row);
      Scalar part[Value::size] = {};
      std::copy_n(x + row, count, part);
      return Value::load(part);
    }
  }
  void store(Scalar* x, const Value& value) const {
    if constexpr (std::is_same_v<Scalar, Value>) {
      x[row] = value;
    } else {
      if (count == Value::size) return value.store(x + row);
      Scalar part[Value::size];
      value.store(part);
      std::copy_n(part, count, x + row);
    }
  }
  static Value constant(Scalar x) { return Value(x); }
};

/// f(lane) until all n rows are done.
template <class Scalar, class F>
void lanes(Index n, F&& f) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    constexpr Index size = Pack<Scalar>::size;
    Index row = 0;
    for (; row + size <= n; row += size) f(Lane<Scalar, Pack<Scalar>>{row, size});
    if (row < n) f(Lane<Scalar, Pack<Scalar>>{row, n - row});
  } else {
    for (Index row = 0; row < n; ++row) f(Lane<Scalar, Scalar>{row, 1});
  }
}

namespace detail {

/// A sum over n rows, whole packets, by `packed(row, sum so far)`.
template <class Scalar, class Packed>
Scalar packed_total(Index n, const Packed& packed) {
  Pack<Scalar> sums(Scalar(0));
  for (Index row = 0; row < n; row += Pack<Scalar>::size) sums = packed(row, sums);
  return Eigen::internal::predux(sums.v);
}

/// A sum over n rows: whole packets, then what is left, by `single(row)`. Short enough to be inlined: most sums over
/// agents are shorter than a packet, and quicker than a call.
template <class Scalar, class Packed, class Single>
Scalar total(Index n, const Packed& packed, const Single& single) {
  Index row = 0;
  Scalar sum(0);
  if constexpr (std::is_floating_point_v<Scalar>) {
    if (n >= Pack<Scalar>::size) {
      row = n - n % Pack<Scalar>::size;
      sum = packed_total<Scalar>(row, packed);
    }
  }
  for (; row < n; ++row) sum += single(row);
  return sum;
}

}  // namespace detail

/// Σ x_i y_i of n numbers, in an order that depends on n alone.
template <class Scalar>
Scalar lane_dot(const Scalar* x, const Scalar* y, Index n) {
  return detail::total<Scalar>(
      n,
      [=](Index i, auto sum) -> decltype(sum) {
        return Eigen::internal::pmadd(sum.load(x + i).v, sum.load(y + i).v, sum.v);
      },
      [=](Index i) { return x[i] * y[i]; });
}

/// Σ x_i, likewise.
template <class Scalar>
Scalar lane_sum(const Scalar* x, Index n) {
  return detail::total<Scalar>(
      n, [=](Index i, auto sum) { return sum + sum.load(x + i); }, [=](Index i) { return x[i]; });
}

}  // namespace qatten::inline QATTEN_ABI
