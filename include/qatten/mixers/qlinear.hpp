#pragma once
// Qlinear, the ablation in the code of Qatten's authors (2020): Qatten without attention.
//
//   Q_tot = c(s) + Σ_i |f(u_i, s)| Q_i,   f(u, s) = w · relu(W_u u + W_s s + b)
//
// All agents share the state's part W_s s + b. Backward, with g = ∂L/∂Q_tot and a_i = f(u_i, s):
//
//   ∂Q_i = g |a_i|,  ∂a_i = sign(a_i) g Q_i,  ∂c = g;   ∂W_s sᵀ receives the sum over the agents

#include <string>
#include <string_view>

#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/hypernetwork.hpp"

namespace qatten::inline QATTEN_ABI {

struct QlinearOptions {
  Index hidden = 64;
  Index value_hidden = 32;
};

/// Reads agent_qs, state and units. Parameters `name`.hyper_w.0 (hidden, unit_dim + state_dim), .hyper_w.2 (1, hidden)
/// without bias, .V.
template <class Scalar_>
class Qlinear {
 public:
  using Scalar = Scalar_;
  struct Cache {
    typename Hypernetwork<Scalar>::Activations value;
    Matrix<Scalar> hidden;   ///< (hidden, n_agents · R)
    Matrix<Scalar> weights;  ///< a (n_agents, R)
  };
  struct Scratch {
    typename Hypernetwork<Scalar>::Activations value;
    Matrix<Scalar> hidden, weights;
    Matrix<Scalar> shared;  ///< W_s s + b, or its gradient (hidden, R)
  };

  Qlinear(ParameterLayout& layout, const std::string& name, Index n_agents, Index state_dim, Index unit_dim,
          const QlinearOptions& options = {})
      : n_agents_(n_agents),
        state_dim_(state_dim),
        unit_dim_(unit_dim),
        first_(layout, name + ".hyper_w.0", unit_dim + state_dim, options.hidden),
        last_(layout, name + ".hyper_w.2", options.hidden, 1, false),
        value_(layout, state_dim, {{name + ".V", 1, options.value_hidden}}) {}

  Index n_agents() const { return n_agents_; }
  Index state_dim() const { return state_dim_; }
  Index unit_dim() const { return unit_dim_; }
  Index outputs() const { return 1; }
  MixerPromises promises() const { return {.monotonic = true, .igm = true, .additive = true}; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    first_.initialise(p, random);
    last_.initialise(p, random);
    value_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    value_.prepare(cache.value, rows);
    value_.prepare(scratch.value, rows);
    for (auto* m : {&cache.hidden, &scratch.hidden}) m->resize(first_.outputs(), n_agents_ * rows);
    for (auto* m : {&cache.weights, &scratch.weights}) m->resize(n_agents_, rows);
    scratch.shared.resize(first_.outputs(), rows);
  }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch& scratch) const {
    mix(p, in, q_tot, cache, scratch.shared);
  }

  void evaluate(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch& scratch) const {
    mix(p, in, q_tot, scratch, scratch.shared);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>& gradients, View<Scalar> dagent_qs, Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    check(in, "dq_tot", dq_tot, cache.weights, scratch.shared);
    detail::check_shape("Qlinear", "dagent_qs", dagent_qs, n_agents_, rows);
    const ConstView<Scalar> a = cache.weights.leftCols(rows);
    const ConstView<Scalar> hidden = cache.hidden.leftCols(n_agents_ * rows);
    View<Scalar> da = scratch.weights.leftCols(rows), dhidden = scratch.hidden.leftCols(n_agents_ * rows);
    dagent_qs = (a.array().abs().rowwise() * dq_tot.row(0).array()).matrix();
    da = (in.agent_qs.array().rowwise() * dq_tot.row(0).array()).matrix();
    make_positive_backward<Scalar>(Positive::abs, a, da, da);

    last_.backward(p, hidden, per_agent(da), gradients, dhidden);
    activate_backward<Scalar>(Activation::relu, hidden, dhidden);
    View<Scalar> dshared = scratch.shared.leftCols(rows);
    dshared.setZero();
    for (Index j = 0; j < dhidden.cols(); ++j) dshared.col(j / n_agents_) += dhidden.col(j);
    View<Scalar> dw = block(gradients, first_.weight());
    for (Index i = 0; i < n_agents_; ++i)
      product<Scalar>(dw.leftCols(unit_dim_), of_agent(dhidden, i), transposed(units(in, i)), {.add = true});
    product<Scalar>(dw.rightCols(state_dim_), dshared, transposed(in.state), {.add = true});
    add_columns<Scalar>(block(gradients, first_.bias()), dshared);

    value_.output(scratch.value, 0, rows) = dq_tot;
    value_.backward(p, cache.value, in.state, gradients, scratch.value);
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  /// Agent i's unit features (unit_dim, R), and its columns (hidden, R) of a (hidden, n_agents · R) matrix.
  ConstView<Scalar> units(const MixerInputs<Scalar>& in, Index i) const {
    return in.units.middleRows(i * unit_dim_, unit_dim_);
  }
  View<Scalar> of_agent(View<Scalar> hidden, Index i) const {
    return {hidden.data() + i * hidden.rows(), hidden.rows(), hidden.cols() / n_agents_, hidden.rows() * n_agents_};
  }
  View<Scalar> per_agent(View<Scalar> x) const { return {x.data(), 1, x.size(), 1}; }

  void check(const MixerInputs<Scalar>& in, std::string_view name, ConstView<Scalar> q_tot,
             const Matrix<Scalar>& weights, const Matrix<Scalar>& shared) const {
    const Index rows = in.agent_qs.cols();
    detail::check_shape("Qlinear", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Qlinear", "state", in.state, state_dim_, rows);
    detail::check_shape("Qlinear", "units", in.units, unit_dim_ * n_agents_, rows);
    detail::check_shape("Qlinear", name, q_tot, 1, rows);
    detail::check_prepared("Qlinear", weights, rows);
    detail::check_prepared("Qlinear", shared, rows);
  }

  template <class Memory>
  void mix(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Memory& memory,
           Matrix<Scalar>& shared_memory) const {
    using std::abs;
    const Index rows = in.agent_qs.cols();
    check(in, "q_tot", q_tot, memory.weights, shared_memory);
    const auto w = block(p, first_.weight());
    View<Scalar> shared = shared_memory.leftCols(rows), hidden = memory.hidden.leftCols(n_agents_ * rows);
    product<Scalar>(shared, w.rightCols(state_dim_), in.state, {.bias = block(p, first_.bias()).data()});
    for (Index j = 0; j < hidden.cols(); ++j) hidden.col(j) = shared.col(j / n_agents_);
    for (Index i = 0; i < n_agents_; ++i)
      product<Scalar>(of_agent(hidden, i), w.leftCols(unit_dim_), units(in, i), {.add = true, .relu = true});
    View<Scalar> a = memory.weights.leftCols(rows);
    last_.forward(p, hidden, per_agent(a));
    value_.forward(p, in.state, memory.value);
    q_tot = value_.output(memory.value, 0, rows);
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < n_agents_; ++i) q_tot(0, r) += abs(a(i, r)) * in.agent_qs(i, r);
  }

  Index n_agents_, state_dim_, unit_dim_;
  Linear<Scalar> first_, last_;
  Hypernetwork<Scalar> value_;
};

static_assert(Mixer<Qlinear<float>>);

}  // namespace qatten::inline QATTEN_ABI
