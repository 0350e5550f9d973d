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

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"
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
    Matrix<Scalar> a, c;
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
    for (auto* m : {&scratch.a, &scratch.c}) m->resize(3 * hidden_, batch);
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
    auto& [a, c] = scratch;
    const Index batch = x.cols();
    detail::check_prepared("GruCell", a, batch);
    step(p, x, h, h_next, top(a, batch), middle(a, batch), bottom(a, batch), bottom(c, batch), scratch);
  }

  /// Adds to `gradients`, overwrites `dx` (an empty one is not computed) and `dh`, which may be dh_next. `x` and `h`
  /// are what `forward` was given.
  void backward(const Vector<Scalar>& p, const Cache& cache, ConstView<Scalar> x, ConstView<Scalar> h,
                ConstView<Scalar> dh_next, Vector<Scalar>& gradients, View<Scalar> dx, View<Scalar> dh,
                Scratch& scratch, Index column = 0) const {
    const Index batch = x.cols();
    View<Scalar> da = scratch.a.leftCols(batch), dc = scratch.c.leftCols(batch);
    for (Index j = 0; j < batch; ++j) {
      const auto r = cache.r.col(column + j).array(), z = cache.z.col(column + j).array();
      const auto n = cache.n.col(column + j).array(), c_n = cache.c_n.col(column + j).array();
      const auto delta = dh_next.col(j).array();
      auto dn = da.col(j).tail(hidden_).array();
      auto dz = da.col(j).segment(hidden_, hidden_).array();
      auto dr = da.col(j).head(hidden_).array();
      dn = delta * (Scalar(1) - z) * (Scalar(1) - n * n);
      dz = delta * (h.col(j).array() - n) * z * (Scalar(1) - z);
      dr = dn * c_n * r * (Scalar(1) - r);
      dc.col(j).head(2 * hidden_) = da.col(j).head(2 * hidden_);
      dc.col(j).tail(hidden_).array() = dn * r;
      dh.col(j).array() = delta * z;
    }

    block(gradients, weight_ih_).noalias() += da * x.transpose();
    block(gradients, weight_hh_).noalias() += dc * h.transpose();
    add_columns<Scalar>(block(gradients, bias_ih_), da);
    add_columns<Scalar>(block(gradients, bias_hh_), dc);

    if (dx.size() > 0) dx.noalias() = block(p, weight_ih_).transpose() * da;
    dh.noalias() += block(p, weight_hh_).transpose() * dc;
  }

 private:
  void step(const Vector<Scalar>& p, ConstView<Scalar> x, ConstView<Scalar> h, View<Scalar> h_next, View<Scalar> r,
            View<Scalar> z, View<Scalar> n, View<Scalar> c_n, Scratch& scratch) const {
    const Index batch = x.cols();
    detail::check_shape("GruCell", "x", x, inputs_, -1);
    detail::check_shape("GruCell", "h", h, hidden_, batch);
    detail::check_shape("GruCell", "h_next", h_next, hidden_, batch);
    detail::check_prepared("GruCell", scratch.a, batch);
    View<Scalar> a = scratch.a.leftCols(batch), c = scratch.c.leftCols(batch);
    const auto b = block(p, bias_ih_).col(0).array(), d = block(p, bias_hh_).col(0).array();

    a.noalias() = block(p, weight_ih_) * x;
    c.noalias() = block(p, weight_hh_) * h;
    for (Index j = 0; j < batch; ++j) {
      auto a_j = a.col(j).array(), c_j = c.col(j).array();
      r.col(j).array() = (a_j.head(hidden_) + b.head(hidden_) + c_j.head(hidden_) + d.head(hidden_)).logistic();
      z.col(j).array() = (a_j.segment(hidden_, hidden_) + b.segment(hidden_, hidden_) + c_j.segment(hidden_, hidden_) +
                          d.segment(hidden_, hidden_))
                             .logistic();
      c_n.col(j).array() = c_j.tail(hidden_) + d.tail(hidden_);
      n.col(j).array() = (a_j.tail(hidden_) + b.tail(hidden_) + r.col(j).array() * c_n.col(j).array()).tanh();
      h_next.col(j).array() = n.col(j).array() + z.col(j).array() * (h.col(j) - n.col(j)).array();
    }
  }

  auto top(Matrix<Scalar>& m, Index batch) const { return m.topLeftCorner(hidden_, batch); }
  auto middle(Matrix<Scalar>& m, Index batch) const { return m.block(hidden_, 0, hidden_, batch); }
  auto bottom(Matrix<Scalar>& m, Index batch) const { return m.bottomLeftCorner(hidden_, batch); }

  Index inputs_, hidden_;
  Block weight_ih_, weight_hh_, bias_ih_, bias_hh_;
};

}  // namespace qatten::inline QATTEN_ABI
