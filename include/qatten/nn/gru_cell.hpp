#pragma once
// Gated recurrent unit, one step (Cho et al. 2014, in PyTorch's form: the reset gate acts after the recurrent product).
//
//   a = W x + b,  c = U h + d           (3H, B), blocks r, z, n from top to bottom
//   r = σ(a_r + c_r)                    reset
//   z = σ(a_z + c_z)                    update
//   n = tanh(a_n + r ∘ c_n)             candidate
//   h' = n + z ∘ (h − n)
//
// Backward, with δ = ∂L/∂h':
//
//   ∂n = δ ∘ (1 − z) ∘ (1 − n²)
//   ∂z = δ ∘ (h − n) ∘ z ∘ (1 − z)
//   ∂r = ∂n ∘ c_n ∘ r ∘ (1 − r)
//   ∂a = [∂r; ∂z; ∂n],  ∂c = [∂r; ∂z; ∂n ∘ r]
//   ∂W += ∂a xᵀ,  ∂b += ∂a 1,  ∂U += ∂c hᵀ,  ∂d += ∂c 1
//   ∂x = Wᵀ ∂a,   ∂h = Uᵀ ∂c + δ ∘ z

#include <string>
#include <type_traits>

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/initialise.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (inputs, B), h and h' (hidden, B). Parameters under PyTorch's names: weight_ih (3H, inputs),
/// weight_hh (3H, H), bias_ih and bias_hh (3H).
template <class Scalar>
class GruCell {
 public:
  /// What `forward` leaves for `backward`. It may hold many steps side by side: `column` says where one of them lies.
  struct Cache {
    Matrix<Scalar> r, z, n, c_n;
  };

  /// Working memory whose contents mean nothing between calls: one per thread.
  struct Scratch {
    Matrix<Scalar> a;    ///< (3H, B), or its gradient
    Matrix<Scalar> c_n;  ///< (H, B), likewise
  };

  GruCell(ParameterLayout& layout, const std::string& name, Index inputs, Index hidden)
      : inputs_(inputs),
        hidden_(hidden),
        weight_ih_(layout.add(name + ".weight_ih", 3 * hidden, inputs)),
        weight_hh_(layout.add(name + ".weight_hh", 3 * hidden, hidden)),
        bias_ih_(layout.add(name + ".bias_ih", 3 * hidden)),
        bias_hh_(layout.add(name + ".bias_hh", 3 * hidden)) {}

  Index inputs() const { return inputs_; }
  Index hidden() const { return hidden_; }

  /// PyTorch's default: everything uniform in ±1/√hidden.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = 1 / std::sqrt(double(hidden_));
    for (const Block& b : {weight_ih_, weight_hh_, bias_ih_, bias_hh_}) initialise_uniform(block(p, b), bound, random);
  }

  /// Makes room for `columns` samples in the cache, all steps together, and for `batch` samples at a time.
  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    for (auto* m : {&cache.r, &cache.z, &cache.n, &cache.c_n}) m->resize(hidden_, columns);
    prepare(scratch, batch);
  }

  /// For `evaluate` alone.
  void prepare(Scratch& scratch, Index batch) const {
    scratch.a.resize(3 * hidden_, batch);
    scratch.c_n.resize(hidden_, batch);
  }

  /// h' from x and h. h_next may be the memory of h.
  void forward(const Vector<Scalar>& p, ConstView<Scalar> x, ConstView<Scalar> h, View<Scalar> h_next, Cache& cache,
               Scratch& scratch, Index column = 0) const {
    const Index batch = x.cols();
    detail::check_prepared("GruCell", cache.r, column + batch);
    step(p, x, h, h_next, cache.r.middleCols(column, batch), cache.z.middleCols(column, batch),
         cache.n.middleCols(column, batch), cache.c_n.middleCols(column, batch), scratch);
  }

  /// The same h' bit for bit, the gates in scratch memory.
  void evaluate(const Vector<Scalar>& p, ConstView<Scalar> x, ConstView<Scalar> h, View<Scalar> h_next,
                Scratch& scratch) const {
    const Index batch = x.cols();
    detail::check_prepared("GruCell", scratch.a, batch);
    View<Scalar> a = scratch.a.leftCols(batch);
    step(p, x, h, h_next, a.topRows(hidden_), a.middleRows(hidden_, hidden_), a.bottomRows(hidden_),
         scratch.c_n.leftCols(batch), scratch);
  }

  /// Adds to `gradients`, overwrites `dx` (an empty one is not computed) and `dh`, which may be dh_next. `x` and `h`
  /// are what `forward` was given.
  void backward(const Vector<Scalar>& p, const Cache& cache, ConstView<Scalar> x, ConstView<Scalar> h,
                ConstView<Scalar> dh_next, Vector<Scalar>& gradients, View<Scalar> dx, View<Scalar> dh,
                Scratch& scratch, Index column = 0) const {
    const Index batch = x.cols();
    View<Scalar> da = scratch.a.leftCols(batch), dc_n = scratch.c_n.leftCols(batch);
    for (Index j = 0; j < batch; ++j) {
      const Scalar *r = cache.r.col(column + j).data(), *z = cache.z.col(column + j).data();
      const Scalar *n = cache.n.col(column + j).data(), *c_n = cache.c_n.col(column + j).data();
      const Scalar *delta = dh_next.col(j).data(), *before = h.col(j).data();
      Scalar *dr = da.col(j).data(), *dz = dr + hidden_, *dn = dz + hidden_;
      Scalar *dcn = dc_n.col(j).data(), *dbefore = dh.col(j).data();
      lanes<Scalar>(hidden_, [&](auto at) {
        const auto one = at.constant(Scalar(1));
        const auto d = at(delta), zi = at(z), ni = at(n), ri = at(r);
        const auto dni = d * (one - zi) * (one - ni * ni);
        at.store(dn, dni);
        at.store(dz, d * (at(before) - ni) * zi * (one - zi));
        at.store(dr, dni * at(c_n) * ri * (one - ri));
        at.store(dcn, dni * ri);
        at.store(dbefore, d * zi);
      });
    }
    add_columns<Scalar>(block(gradients, bias_ih_), da);
    add_columns<Scalar>(gates(block(gradients, bias_hh_)), gates(da));
    add_columns<Scalar>(candidate(block(gradients, bias_hh_)), dc_n);

    product<Scalar>(block(gradients, weight_ih_), da, transposed(x), {.add = true});
    product<Scalar>(gates(block(gradients, weight_hh_)), gates(da), transposed(h), {.add = true});
    product<Scalar>(candidate(block(gradients, weight_hh_)), dc_n, transposed(h), {.add = true});
    if (dx.size() > 0) product<Scalar>(dx, transposed(block(p, weight_ih_)), da);
    const auto u = block(p, weight_hh_);
    product<Scalar>(dh, transposed(gates(u)), gates(da), {.add = true});
    product<Scalar>(dh, transposed(candidate(u)), dc_n, {.add = true});
  }

 private:
  void step(const Vector<Scalar>& p, ConstView<Scalar> x, ConstView<Scalar> h, View<Scalar> h_next, View<Scalar> r,
            View<Scalar> z, View<Scalar> n, View<Scalar> c_n, Scratch& scratch) const {
    const Index batch = x.cols();
    detail::check_shape("GruCell", "x", x, inputs_, -1);
    detail::check_shape("GruCell", "h", h, hidden_, batch);
    detail::check_shape("GruCell", "h_next", h_next, hidden_, batch);
    detail::check_prepared("GruCell", scratch.a, batch);
    View<Scalar> a = scratch.a.leftCols(batch);  // a, and c as well in its blocks r and z
    const auto u = block(p, weight_hh_), d = block(p, bias_hh_);
    product<Scalar>(a, block(p, weight_ih_), x, {.bias = block(p, bias_ih_).data()});
    product<Scalar>(gates(a), gates(u), h, {.add = true, .bias = d.data()});
    product<Scalar>(c_n, candidate(u), h, {.bias = d.data() + 2 * hidden_});
    for (Index j = 0; j < batch; ++j) {
      const Scalar *a_r = a.col(j).data(), *a_z = a_r + hidden_, *a_n = a_z + hidden_;
      const Scalar *before = h.col(j).data(), *c_nj = c_n.col(j).data();
      Scalar *rj = r.col(j).data(), *zj = z.col(j).data(), *nj = n.col(j).data(), *next = h_next.col(j).data();
      lanes<Scalar>(hidden_, [&](auto at) {
        const auto ri = sigmoid(at(a_r)), zi = sigmoid(at(a_z));
        const auto ni = hyperbolic_tangent(at(a_n) + ri * at(c_nj));
        at.store(rj, ri);
        at.store(zj, zi);
        at.store(nj, ni);
        at.store(next, ni + zi * (at(before) - ni));
      });
    }
  }

  /// Blocks r and z of three, and block n.
  template <class X>
  auto gates(X&& x) const {
    return std::remove_cvref_t<X>(x.topRows(2 * hidden_));
  }
  template <class X>
  auto candidate(X&& x) const {
    return std::remove_cvref_t<X>(x.bottomRows(hidden_));
  }

  Index inputs_, hidden_;
  Block weight_ih_, weight_hh_, bias_ih_, bias_hh_;
};

}  // namespace qatten::inline QATTEN_ABI
