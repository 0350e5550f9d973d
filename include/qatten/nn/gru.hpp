#pragma once
// A GRU cell over ragged sequences (core/ragged.hpp): h_t = cell(x_t, h_{t−1}) for every sequence that lives at step t.
//
// Backward through time, from the last step: the carry ∂L/∂h_t of the sequences that go on is added to what the
// outputs of step t receive; sequences that end at t start with no carry.

#include "qatten/core/ragged.hpp"
#include "qatten/nn/gru_cell.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: x (inputs, total · group), h (hidden, total · group), h0 (hidden, sequences · group) or empty for zeros,
/// with the columns of `Ragged`, each of them `group` neighbouring samples (a team of agents that lives and ends
/// together).
template <class Scalar>
class Gru {
 public:
  using Cache = typename GruCell<Scalar>::Cache;
  struct Scratch {
    typename GruCell<Scalar>::Scratch cell;
    Matrix<Scalar> zero;   ///< h before the first step
    Matrix<Scalar> carry;  ///< ∂L/∂h_t
  };

  Gru(ParameterLayout& layout, const std::string& name, Index inputs, Index hidden)
      : cell_(layout, name, inputs, hidden) {}

  const GruCell<Scalar>& cell() const { return cell_; }
  Index hidden() const { return cell_.hidden(); }

  void initialise(Vector<Scalar>& p, Random& random) const { cell_.initialise(p, random); }

  /// For up to `columns` samples in all steps together and `batch` in one step.
  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    cell_.prepare(cache, scratch.cell, columns, batch);
    prepare(scratch, batch);
  }

  /// For `evaluate` alone.
  void prepare(Scratch& scratch, Index batch) const {
    cell_.prepare(scratch.cell, batch);
    scratch.zero.setZero(hidden(), batch);
    scratch.carry.resize(hidden(), batch);
  }

  void forward(const Vector<Scalar>& p, const Ragged& ragged, Index group, ConstView<Scalar> x, ConstView<Scalar> h0,
               View<Scalar> h, Cache& cache, Scratch& scratch) const {
    check(ragged, group, x, h0, h, scratch);
    for (Index t = 0; t < ragged.steps(); ++t) {
      const Index column = ragged.offset(t) * group, batch = ragged.living(t) * group;
      cell_.forward(p, x.middleCols(column, batch), previous(ragged, group, t, h0, h, scratch),
                    h.middleCols(column, batch), cache, scratch.cell, column);
    }
  }

  /// The same h bit for bit, without a cache.
  void evaluate(const Vector<Scalar>& p, const Ragged& ragged, Index group, ConstView<Scalar> x, ConstView<Scalar> h0,
                View<Scalar> h, Scratch& scratch) const {
    check(ragged, group, x, h0, h, scratch);
    for (Index t = 0; t < ragged.steps(); ++t) {
      const Index column = ragged.offset(t) * group, batch = ragged.living(t) * group;
      cell_.evaluate(p, x.middleCols(column, batch), previous(ragged, group, t, h0, h, scratch),
                     h.middleCols(column, batch), scratch.cell);
    }
  }

  /// From dh (hidden, total · group), the gradient of the outputs. Adds to `gradients`, overwrites `dx` and `dh0`; an
  /// empty one is not computed.
  void backward(const Vector<Scalar>& p, const Cache& cache, const Ragged& ragged, Index group, ConstView<Scalar> x,
                ConstView<Scalar> h0, ConstView<Scalar> h, ConstView<Scalar> dh, Vector<Scalar>& gradients,
                View<Scalar> dx, View<Scalar> dh0, Scratch& scratch) const {
    for (Index t = ragged.steps(); t-- > 0;) {
      const Index column = ragged.offset(t) * group, batch = ragged.living(t) * group;
      const Index going_on = ragged.living(t + 1) * group;
      View<Scalar> carry = scratch.carry.leftCols(batch);
      carry.leftCols(going_on) += dh.middleCols(column, going_on);
      carry.rightCols(batch - going_on) = dh.middleCols(column + going_on, batch - going_on);
      cell_.backward(p, cache, x.middleCols(column, batch), previous(ragged, group, t, h0, h, scratch), carry,
                     gradients, dx.size() > 0 ? View<Scalar>(dx.middleCols(column, batch)) : View<Scalar>(), carry,
                     scratch.cell, column);
    }
    if (dh0.size() > 0) dh0 = scratch.carry.leftCols(ragged.living(0) * group);
  }

 private:
  void check(const Ragged& ragged, Index group, ConstView<Scalar> x, ConstView<Scalar> h0, ConstView<Scalar> h,
             const Scratch& scratch) const {
    const Index batch = ragged.living(0) * group;
    detail::check_shape("Gru", "x", x, cell_.inputs(), ragged.total() * group);
    detail::check_shape("Gru", "h", h, hidden(), ragged.total() * group);
    if (h0.size() > 0) detail::check_shape("Gru", "h0", h0, hidden(), batch);
    detail::check_prepared("Gru", scratch.zero, batch);
  }

  /// h_{t−1} of the sequences that live at t: a prefix of the step before.
  ConstView<Scalar> previous(const Ragged& ragged, Index group, Index t, ConstView<Scalar> h0, ConstView<Scalar> h,
                             const Scratch& scratch) const {
    const Index batch = ragged.living(t) * group;
    if (t > 0) return h.middleCols(ragged.offset(t - 1) * group, batch);
    return h0.size() > 0 ? h0 : ConstView<Scalar>(scratch.zero.leftCols(batch));
  }

  GruCell<Scalar> cell_;
};

}  // namespace qatten::inline QATTEN_ABI
