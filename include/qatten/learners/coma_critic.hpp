#pragma once
// COMA's central critic (Foerster et al. 2018; PyMARL's critics/coma.py): for each agent, the values of all of its
// actions while the others do what they do.
//
//   x_1 = relu(fc1 [s; o_i; onehot(u_j) of j ≠ i; onehot of all last actions; onehot(i)])
//   x_2 = relu(fc2 x_1),   Q_i(s, u_−i, ·) = fc3 x_2
//
// The one-hot parts are columns of fc1's weight looked up, and what the agents of a team have in common is computed
// once: W_s s + b + Σ_j W_last,j.

#include <cstdint>
#include <string>

#include "qatten/core/math.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/linear.hpp"

namespace qatten::inline QATTEN_ABI {

struct ComaCriticSizes {
  Index n_agents = 1;
  Index n_actions = 1;
  Index obs_shape = 1;
  Index state_shape = 1;
  Index hidden = 128;  ///< width of both hidden layers
};

/// R moments of a team, its agents in neighbouring columns where there is one an agent.
template <class Scalar>
struct ComaCriticInputs {
  ConstView<Scalar> state;               ///< (state_shape, R)
  ConstView<Scalar> obs;                 ///< (obs_shape, n_agents · R)
  ConstView<std::int32_t> actions;       ///< (n_agents, R)
  ConstView<std::int32_t> last_actions;  ///< (1, n_agents · R), −1: none yet
};

/// Parameters `name`.fc1, fc2, fc3 as in PyMARL, the columns of fc1 in the order above. States and observations are
/// data: they get no gradient.
template <class Scalar_>
class ComaCritic {
 public:
  using Scalar = Scalar_;
  struct Cache {
    Matrix<Scalar> x_1, x_2;  ///< (hidden, n_agents · R)
  };
  struct Scratch {
    Matrix<Scalar> common;    ///< what a team's agents share of fc1 (hidden, R), or its gradient
    Matrix<Scalar> x_1, x_2;  ///< (hidden, n_agents · R), or their gradients
  };

  ComaCritic(ParameterLayout& layout, const std::string& name, const ComaCriticSizes& sizes)
      : sizes_(sizes),
        weight_(layout.add(name + ".fc1.weight", sizes.hidden, id_column() + sizes.n_agents)),
        bias_(layout.add(name + ".fc1.bias", sizes.hidden)),
        fc2_(layout, name + ".fc2", sizes.hidden, sizes.hidden),
        fc3_(layout, name + ".fc3", sizes.hidden, sizes.n_actions) {}

  const ComaCriticSizes& sizes() const { return sizes_; }
  /// Where its parameters begin.
  Index first_parameter() const { return weight_.offset; }

  /// PyTorch's default.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = 1 / std::sqrt(double(weight_.cols));
    initialise_uniform(block(p, weight_), bound, random);
    initialise_uniform(block(p, bias_), bound, random);
    fc2_.initialise(p, random);
    fc3_.initialise(p, random);
  }

  void prepare(Cache& cache, Index rows) const {
    for (auto* m : {&cache.x_1, &cache.x_2}) m->resize(sizes_.hidden, sizes_.n_agents * rows);
  }
  void prepare(Scratch& scratch, Index rows) const {
    scratch.common.resize(sizes_.hidden, rows);
    for (auto* m : {&scratch.x_1, &scratch.x_2}) m->resize(sizes_.hidden, sizes_.n_agents * rows);
  }

  /// q (n_actions, n_agents · R).
  void forward(const Vector<Scalar>& p, const ComaCriticInputs<Scalar>& in, View<Scalar> q, Cache& cache,
               Scratch& scratch) const {
    run(p, in, q, cache, scratch);
  }
  void evaluate(const Vector<Scalar>& p, const ComaCriticInputs<Scalar>& in, View<Scalar> q, Scratch& scratch) const {
    run(p, in, q, scratch, scratch);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const ComaCriticInputs<Scalar>& in, ConstView<Scalar> dq,
                Vector<Scalar>& gradients, Scratch& scratch) const {
    const Index rows = in.state.cols(), columns = sizes_.n_agents * rows;
    const ConstView<Scalar> x_1 = cache.x_1.leftCols(columns), x_2 = cache.x_2.leftCols(columns);
    View<Scalar> dx_1 = scratch.x_1.leftCols(columns), dx_2 = scratch.x_2.leftCols(columns);
    View<Scalar> dcommon = scratch.common.leftCols(rows), dw = block(gradients, weight_);
    fc3_.backward(p, x_2, dq, gradients, dx_2);
    activate_backward(Activation::relu, x_2, dx_2);
    fc2_.backward(p, x_1, dx_2, gradients, dx_1);
    rectify_backward<Scalar>(x_1, dx_1, block(gradients, bias_));
    product<Scalar>(dw.middleCols(sizes_.state_shape, sizes_.obs_shape), dx_1, transposed(in.obs), {.add = true});
    for (Index r = 0; r < rows; ++r) {
      dcommon.col(r).setZero();
      for (Index i = 0; i < sizes_.n_agents; ++i) {
        const auto d = dx_1.col(r * sizes_.n_agents + i);
        dcommon.col(r) += d;
        for_each_own(in, r, i, [&](Index column) { dw.col(column) += d; });
      }
      for_each_common(in, r, [&](Index column) { dw.col(column) += dcommon.col(r); });
    }
    product<Scalar>(dw.leftCols(sizes_.state_shape), dcommon, transposed(in.state), {.add = true});
  }

 private:
  Index action_column() const { return sizes_.state_shape + sizes_.obs_shape; }
  Index last_column() const { return action_column() + sizes_.n_agents * sizes_.n_actions; }
  Index id_column() const { return last_column() + sizes_.n_agents * sizes_.n_actions; }

  /// f(column of fc1's weight) for each 1 in the one-hot inputs that agent i has for itself.
  template <class F>
  void for_each_own(const ComaCriticInputs<Scalar>& in, Index r, Index i, const F& f) const {
    for (Index j = 0; j < sizes_.n_agents; ++j)
      if (j != i) f(action_column() + j * sizes_.n_actions + in.actions(j, r));
    f(id_column() + i);
  }
  /// Likewise in those that all agents have.
  template <class F>
  void for_each_common(const ComaCriticInputs<Scalar>& in, Index r, const F& f) const {
    for (Index j = 0; j < sizes_.n_agents; ++j)
      if (const Index last = in.last_actions(0, r * sizes_.n_agents + j); last >= 0)
        f(last_column() + j * sizes_.n_actions + last);
  }

  /// `Memory` is Cache or Scratch.
  template <class Memory>
  void run(const Vector<Scalar>& p, const ComaCriticInputs<Scalar>& in, View<Scalar> q, Memory& memory,
           Scratch& scratch) const {
    const Index rows = in.state.cols(), columns = sizes_.n_agents * rows;
    detail::check_shape("ComaCritic", "state", in.state, sizes_.state_shape, -1);
    detail::check_shape("ComaCritic", "obs", in.obs, sizes_.obs_shape, columns);
    detail::check_shape("ComaCritic", "actions", in.actions, sizes_.n_agents, rows);
    detail::check_shape("ComaCritic", "last_actions", in.last_actions, 1, columns);
    detail::check_shape("ComaCritic", "q", q, sizes_.n_actions, columns);
    detail::check_prepared("ComaCritic", memory.x_1, columns);
    const ConstView<Scalar> w = block(p, weight_);
    View<Scalar> common = scratch.common.leftCols(rows);
    View<Scalar> x_1 = memory.x_1.leftCols(columns), x_2 = memory.x_2.leftCols(columns);
    product<Scalar>(common, w.leftCols(sizes_.state_shape), in.state, {.bias = block(p, bias_).data()});
    for (Index r = 0; r < rows; ++r) {
      for_each_common(in, r, [&](Index column) { common.col(r) += w.col(column); });
      for (Index i = 0; i < sizes_.n_agents; ++i) {
        auto x = x_1.col(r * sizes_.n_agents + i);
        x = common.col(r);
        for_each_own(in, r, i, [&](Index column) { x += w.col(column); });
      }
    }
    product<Scalar>(x_1, w.middleCols(sizes_.state_shape, sizes_.obs_shape), in.obs, {.add = true, .relu = true});
    fc2_.forward(p, x_1, x_2);
    activate(Activation::relu, x_2);
    fc3_.forward(p, x_2, q);
  }

  ComaCriticSizes sizes_;
  Block weight_, bias_;
  Linear<Scalar> fc2_, fc3_;
};

}  // namespace qatten::inline QATTEN_ABI
