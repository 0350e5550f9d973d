#pragma once
// QTRAN-alt's joint value (Son et al. 2019, arXiv 1905.05408; layers of starry-sky6688/MARL-Algorithms): for each agent
// i, the values of all its actions beside what the others do, in one pass.
//
//   Q_jt(h, ·, u_−i) = Q([s; onehot(i); Σ_j f(h_j); Σ_{j≠i} g(onehot(u_j))])      (n_actions values)
//
// Backward: ∂f(h_j) = Σ_i ∂(Σ f)_i,   ∂g_j = Σ_{i≠j} ∂(Σ g)_i.

#include "qatten/mixers/qtran_net.hpp"

namespace qatten::inline QATTEN_ABI {

/// As QtranBaseJoint, with n_agents outputs (each agent's view of the joint value) and n_actions choices: q(a, r n + i)
/// = Q_jt(h, a, u_−i) of sample r. Parameters `name`.hidden_encoding, .action_encoding and .Q.
template <class Scalar_>
class QtranAltJoint {
 public:
  using Scalar = Scalar_;
  /// Whether it rates, beside a joint action, all that differ from it in one agent's action.
  static constexpr bool counterfactual = true;

  struct Cache {
    typename SumEncoder<Scalar>::Cache hidden;
    typename Mlp<Scalar>::Cache actions, joint;
    Matrix<Scalar> taken;    ///< onehot(u_i) (n_actions, n_agents · R)
    Matrix<Scalar> encoded;  ///< g(onehot(u_i)), likewise
    Matrix<Scalar> summed;   ///< Σ_j f(h_j) (hidden_dim, R)
    Matrix<Scalar> input;    ///< (state_dim + n_agents + hidden_dim + n_actions, n_agents · R)
  };
  struct Scratch {
    typename SumEncoder<Scalar>::Scratch hidden;
    typename Mlp<Scalar>::Scratch actions, joint;
    Matrix<Scalar> encoded, summed, input, dhidden;
  };

  static constexpr QtranOptions defaults = {.hidden_value = true};

  QtranAltJoint(ParameterLayout& layout, const std::string& name, const QtranSizes& sizes, const QtranOptions& options)
      : sizes_(sizes),
        hidden_(layout, name + ".hidden_encoding", sizes.hidden_dim, sizes.n_agents),
        actions_(layout, name + ".action_encoding", {sizes.n_actions, sizes.n_actions, sizes.n_actions}),
        joint_(layout, name + ".Q",
               {sizes.state_dim + sizes.n_agents + sizes.hidden_dim + sizes.n_actions, options.mixing_embed_dim,
                options.mixing_embed_dim, sizes.n_actions}) {}

  const QtranSizes& sizes() const { return sizes_; }
  Index outputs() const { return sizes_.n_agents; }
  Index choices() const { return sizes_.n_actions; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    hidden_.initialise(p, random);
    actions_.initialise(p, random);
    joint_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    const Index columns = sizes_.n_agents * rows;
    hidden_.prepare(cache.hidden, scratch.hidden, rows);
    actions_.prepare(cache.actions, scratch.actions, columns);
    joint_.prepare(cache.joint, scratch.joint, columns);
    for (auto* m : {&cache.taken, &cache.encoded, &scratch.encoded}) m->resize(sizes_.n_actions, columns);
    for (auto* m : {&cache.summed, &scratch.summed}) m->resize(sizes_.hidden_dim, rows);
    for (auto* m : {&cache.input, &scratch.input}) m->resize(joint_.inputs(), columns);
    scratch.dhidden.resize(sizes_.hidden_dim, columns);
  }

  void forward(const Vector<Scalar>& p, const QtranInputs<Scalar>& in, View<Scalar> q, Cache& cache) const {
    const Index n = sizes_.n_agents, rows = in.actions.cols(), columns = n * rows;
    detail::check_shape("QtranAlt", "actions", in.actions, n, -1);
    detail::check_shape("QtranAlt", "hidden", in.hidden, sizes_.hidden_dim, columns);
    detail::check_shape("QtranAlt", "state", in.state, sizes_.state_dim, rows);
    detail::check_shape("QtranAlt", "q", q, sizes_.n_actions, columns);
    detail::check_prepared("QtranAlt", cache.input, columns);
    View<Scalar> taken = cache.taken.leftCols(columns), encoded = cache.encoded.leftCols(columns);
    View<Scalar> summed = cache.summed.leftCols(rows), input = cache.input.leftCols(columns);
    taken.setZero();
    for (Index c = 0; c < columns; ++c) taken(in.actions(c % n, c / n), c) = Scalar(1);
    actions_.forward(p, taken, encoded, cache.actions);
    hidden_.forward(p, in.hidden, summed, cache.hidden);
    input.setZero();
    for (Index c = 0; c < columns; ++c) {
      const Index r = c / n, i = c % n;
      auto x = input.col(c);
      x.head(sizes_.state_dim) = in.state.col(r);
      x(sizes_.state_dim + i) = Scalar(1);
      x.segment(hidden_row(), sizes_.hidden_dim) = summed.col(r);
      for (Index j = 0; j < n; ++j)
        if (j != i) x.tail(sizes_.n_actions) += encoded.col(r * n + j);
    }
    joint_.forward(p, input, q, cache.joint);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const QtranInputs<Scalar>& in, ConstView<Scalar> dq,
                Vector<Scalar>& gradients, View<Scalar> dhidden, Scratch& scratch) const {
    const Index n = sizes_.n_agents, rows = in.actions.cols(), columns = n * rows;
    View<Scalar> dinput = scratch.input.leftCols(columns), dencoded = scratch.encoded.leftCols(columns);
    View<Scalar> dsummed = scratch.summed.leftCols(rows), dh = scratch.dhidden.leftCols(columns);
    joint_.backward(p, cache.joint, cache.input.leftCols(columns), dq, gradients, dinput, scratch.joint);
    const auto dothers = dinput.bottomRows(sizes_.n_actions);
    for (Index r = 0; r < rows; ++r) {
      dsummed.col(r).setZero();
      for (Index i = 0; i < n; ++i) dsummed.col(r) += dinput.col(r * n + i).segment(hidden_row(), sizes_.hidden_dim);
      for (Index j = 0; j < n; ++j) {
        dencoded.col(r * n + j).setZero();
        for (Index i = 0; i < n; ++i)
          if (i != j) dencoded.col(r * n + j) += dothers.col(r * n + i);
      }
    }
    actions_.backward(p, cache.actions, cache.taken.leftCols(columns), dencoded, gradients, {}, scratch.actions);
    hidden_.backward(p, cache.hidden, in.hidden, dsummed, gradients, dh, scratch.hidden);
    dhidden += dh;
  }

 private:
  Index hidden_row() const { return sizes_.state_dim + sizes_.n_agents; }

  QtranSizes sizes_;
  SumEncoder<Scalar> hidden_;
  Mlp<Scalar> actions_, joint_;
};

/// V_jt reads the hidden states as well as the state, as in the paper.
template <class Scalar>
using QtranAlt = QtranNet<QtranAltJoint<Scalar>>;

}  // namespace qatten::inline QATTEN_ABI
