#pragma once
// QTRAN-base's joint value (Son et al. 2019, arXiv 1905.05408; PyMARL's `qtran_paper`): of a joint action, from the
// agents' hidden states.
//
//   Q_jt(h, u) = Q([s; Σ_i f([h_i; onehot(u_i)])])
//
// It is no mixer: the agents' values do not enter. learners/qtran.hpp ties it to their sum.

#include "qatten/mixers/qtran_net.hpp"

namespace qatten::inline QATTEN_ABI {

/// Parameters `name`.action_encoding and .Q as in PyMARL.
template <class Scalar_>
class QtranBaseJoint {
 public:
  using Scalar = Scalar_;
  /// Whether it rates, beside a joint action, all that differ from it in one agent's action.
  static constexpr bool counterfactual = false;

  struct Cache {
    typename SumEncoder<Scalar>::Cache encoder;
    typename Mlp<Scalar>::Cache joint;
    Matrix<Scalar> pairs;  ///< [h_i; onehot(u_i)] (hidden_dim + n_actions, n_agents · R)
    Matrix<Scalar> input;  ///< [s; Σ_i f] (state_dim + hidden_dim + n_actions, R)
  };
  struct Scratch {
    typename SumEncoder<Scalar>::Scratch encoder;
    typename Mlp<Scalar>::Scratch joint;
    Matrix<Scalar> pairs, input;
  };

  static constexpr QtranOptions defaults = {};

  QtranBaseJoint(ParameterLayout& layout, const std::string& name, const QtranSizes& sizes, const QtranOptions& options)
      : sizes_(sizes),
        encoder_(layout, name + ".action_encoding", sizes.hidden_dim + sizes.n_actions, sizes.n_agents),
        joint_(layout, name + ".Q",
               {sizes.state_dim + encoder_.size(), options.mixing_embed_dim, options.mixing_embed_dim, 1}) {}

  const QtranSizes& sizes() const { return sizes_; }
  Index outputs() const { return 1; }  ///< joint values of one joint action
  Index choices() const { return 1; }  ///< joint actions that are rated along with it

  void initialise(Vector<Scalar>& p, Random& random) const {
    encoder_.initialise(p, random);
    joint_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    encoder_.prepare(cache.encoder, scratch.encoder, rows);
    joint_.prepare(cache.joint, scratch.joint, rows);
    for (auto* m : {&cache.pairs, &scratch.pairs}) m->resize(encoder_.size(), sizes_.n_agents * rows);
    for (auto* m : {&cache.input, &scratch.input}) m->resize(joint_.inputs(), rows);
  }

  void forward(const Vector<Scalar>& p, const QtranInputs<Scalar>& in, View<Scalar> q, Cache& cache) const {
    const Index rows = in.actions.cols(), columns = sizes_.n_agents * rows;
    detail::check_shape("QtranBase", "actions", in.actions, sizes_.n_agents, -1);
    detail::check_shape("QtranBase", "hidden", in.hidden, sizes_.hidden_dim, columns);
    detail::check_shape("QtranBase", "state", in.state, sizes_.state_dim, rows);
    detail::check_shape("QtranBase", "q", q, 1, rows);
    detail::check_prepared("QtranBase", cache.input, rows);
    View<Scalar> pairs = cache.pairs.leftCols(columns), input = cache.input.leftCols(rows);
    pairs.topRows(sizes_.hidden_dim) = in.hidden;
    pairs.bottomRows(sizes_.n_actions).setZero();
    for (Index c = 0; c < columns; ++c)
      pairs(sizes_.hidden_dim + in.actions(c % sizes_.n_agents, c / sizes_.n_agents), c) = Scalar(1);
    input.topRows(sizes_.state_dim) = in.state;
    encoder_.forward(p, pairs, input.bottomRows(encoder_.size()), cache.encoder);
    joint_.forward(p, input, q, cache.joint);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const QtranInputs<Scalar>& in, ConstView<Scalar> dq,
                Vector<Scalar>& gradients, View<Scalar> dhidden, Scratch& scratch) const {
    const Index rows = in.actions.cols(), columns = sizes_.n_agents * rows;
    View<Scalar> dinput = scratch.input.leftCols(rows), dpairs = scratch.pairs.leftCols(columns);
    joint_.backward(p, cache.joint, cache.input.leftCols(rows), dq, gradients, dinput, scratch.joint);
    encoder_.backward(p, cache.encoder, cache.pairs.leftCols(columns), dinput.bottomRows(encoder_.size()), gradients,
                      dpairs, scratch.encoder);
    dhidden += dpairs.topRows(sizes_.hidden_dim);
  }

 private:
  QtranSizes sizes_;
  SumEncoder<Scalar> encoder_;
  Mlp<Scalar> joint_;
};

/// V_jt reads the state alone, as in PyMARL.
template <class Scalar>
using QtranBase = QtranNet<QtranBaseJoint<Scalar>>;

}  // namespace qatten::inline QATTEN_ABI
