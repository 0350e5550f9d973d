#pragma once
// QPLEX (Wang et al. 2021, arXiv 2008.01062): a duplex dueling mixer, which can represent every joint value whose
// greedy joint action is the agents' own, and no other.
//
//   w = |hyper_w_final(s)| + ε,   b = V(s)                                            (n), ε = 1e-10
//   Q'_i = w_i Q_i + b_i,   A'_i = w_i (Q_i − max_a Q_i(a)) <= 0
//   λ_i  = Σ_k (|key_k(s)| + ε) σ(agents_k(s))_i σ(action_k([s; onehot(u)]))_i > 0
//   Q_tot = Σ_i Q'_i + Σ_i (λ_i − 1) sg[A'_i]     = Σ_i (max Q_i)' + Σ_i λ_i A'_i
//
// At the greedy joint action every A' is 0; elsewhere λ scales what is lost, as it likes. sg[·], a constant, is the
// authors' `is_minus_one`: the agents learn through Σ Q'_i alone, as if λ were 1.
//
// Backward, with g = ∂L/∂Q_tot, x_k = |key_k| + ε and the outputs α_k of σ(agents_k), β_k of σ(action_k):
//
//   ∂b_i = g,   ∂w_i = g Q_i,   ∂Q_i = g w_i,   ∂λ_i = g A'_i
//   ∂x_k = Σ_i ∂λ_i α_ki β_ki,   ∂α_ki = ∂λ_i x_k β_ki,   ∂β_ki = ∂λ_i x_k α_ki

#include <string>
#include <vector>

#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/hypernetwork.hpp"

namespace qatten::inline QATTEN_ABI {

/// The authors' options under their names, with their defaults for SMAC (theirs for matrix games: 10 kernels, 3
/// layers).
struct QplexOptions {
  Index num_kernel = 4;          ///< K
  Index hypernet_embed = 64;     ///< width of w's and b's hidden layers
  Index adv_hypernet_embed = 0;  ///< width of the hidden layers of λ's nets; 0: one layer (adv_hypernet_layers 1)
};

/// Reads agent_qs, max_qs, actions and state. Parameters `name`.hyper_w_final, .V and
/// .si_weight.{key,agents,action}_extractors.k, as in the authors' code.
template <class Scalar_>
class Qplex {
 public:
  using Scalar = Scalar_;
  using Activations = typename Hypernetwork<Scalar>::Activations;

  /// Of a joint action, the mixer reads more than its values.
  static constexpr bool reads_actions = true;

  struct Cache {
    Activations state_nets, action_nets;  ///< agents_k and action_k after σ
    Matrix<Scalar> input;                 ///< [s; onehot(u)] (state_dim + n_agents · n_actions, R)
    Matrix<Scalar> advantages;            ///< A' (n_agents, R)
    Matrix<Scalar> lambda;                ///< λ (n_agents, R)
  };
  using Scratch = Cache;

  Qplex(ParameterLayout& layout, const std::string& name, Index n_agents, Index n_actions, Index state_dim,
        const QplexOptions& options = {})
      : n_agents_(n_agents),
        n_actions_(n_actions),
        options_(options),
        state_nets_(layout, state_dim, state_nets(name)),
        action_nets_(layout, state_dim + n_agents * n_actions, action_nets(name)) {}

  Index n_agents() const { return n_agents_; }
  Index n_actions() const { return n_actions_; }
  Index state_dim() const { return state_nets_.inputs(); }
  Index outputs() const { return 1; }
  const QplexOptions& options() const { return options_; }
  MixerPromises promises() const { return {.igm = true}; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    state_nets_.initialise(p, random);
    action_nets_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    for (auto* memory : {&cache, &scratch}) {
      state_nets_.prepare(memory->state_nets, rows);
      action_nets_.prepare(memory->action_nets, rows);
      memory->input.resize(action_nets_.inputs(), rows);
      for (auto* m : {&memory->advantages, &memory->lambda}) m->resize(n_agents_, rows);
    }
  }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch&) const {
    evaluate(p, in, q_tot, cache);
  }

  void evaluate(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache) const {
    const Index rows = in.agent_qs.cols();
    check(in, rows);
    detail::check_shape("Qplex", "q_tot", q_tot, 1, rows);
    detail::check_prepared("Qplex", cache.lambda, rows);
    View<Scalar> input = cache.input.leftCols(rows);
    input.topRows(state_dim()) = in.state;
    input.bottomRows(n_agents_ * n_actions_).setZero();
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < n_agents_; ++i) input(state_dim() + i * n_actions_ + in.actions(i, r), r) = Scalar(1);
    state_nets_.forward(p, in.state, cache.state_nets);
    action_nets_.forward(p, input, cache.action_nets);
    View<Scalar> lambda = cache.lambda.leftCols(rows);
    lambda.setZero();
    for (std::size_t k = 0; k < kernels(); ++k) {
      View<Scalar> alpha = state_nets_.output(cache.state_nets, agents(k), rows);
      View<Scalar> beta = action_nets_.output(cache.action_nets, k, rows);
      activate(Activation::sigmoid, alpha);
      activate(Activation::sigmoid, beta);
      const ConstView<Scalar> x = state_nets_.output(cache.state_nets, key(k), rows);
      for (Index r = 0; r < rows; ++r) lambda.col(r) += positive(x(0, r)) * alpha.col(r).cwiseProduct(beta.col(r));
    }
    const ConstView<Scalar> w = state_nets_.output(cache.state_nets, weights, rows);
    const ConstView<Scalar> b = state_nets_.output(cache.state_nets, values, rows);
    for (Index r = 0; r < rows; ++r) {
      Scalar sum(0);
      for (Index i = 0; i < n_agents_; ++i) {
        const Scalar weight = positive(w(i, r)), q = in.agent_qs(i, r);
        cache.advantages(i, r) = stop_gradient(Scalar(weight * (q - in.max_qs(i, r))));
        sum += weight * q + b(i, r) + (lambda(i, r) - Scalar(1)) * cache.advantages(i, r);
      }
      q_tot(0, r) = sum;
    }
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>& gradients, View<Scalar> dagent_qs, Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    check(in, rows);
    detail::check_prepared("Qplex", cache.lambda, rows);
    detail::check_prepared("Qplex", scratch.lambda, rows);
    detail::check_shape("Qplex::backward", "dq_tot", dq_tot, 1, rows);
    detail::check_shape("Qplex::backward", "dagent_qs", dagent_qs, n_agents_, rows);
    const ConstView<Scalar> w = state_nets_.output(cache.state_nets, weights, rows);
    View<Scalar> dw = state_nets_.output(scratch.state_nets, weights, rows);
    View<Scalar> db = state_nets_.output(scratch.state_nets, values, rows);
    View<Scalar> dlambda = scratch.lambda.leftCols(rows);
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < n_agents_; ++i) {
        const Scalar g = dq_tot(0, r);
        db(i, r) = g;
        dw(i, r) = g * in.agent_qs(i, r);
        dagent_qs(i, r) = g * positive(w(i, r));
        dlambda(i, r) = g * cache.advantages(i, r);
      }
    make_positive_backward<Scalar>(Positive::abs, w, dw, dw);
    for (std::size_t k = 0; k < kernels(); ++k) {
      const ConstView<Scalar> x = state_nets_.output(cache.state_nets, key(k), rows);
      const ConstView<Scalar> alpha = state_nets_.output(cache.state_nets, agents(k), rows);
      const ConstView<Scalar> beta = action_nets_.output(cache.action_nets, k, rows);
      View<Scalar> dx = state_nets_.output(scratch.state_nets, key(k), rows);
      View<Scalar> dalpha = state_nets_.output(scratch.state_nets, agents(k), rows);
      View<Scalar> dbeta = action_nets_.output(scratch.action_nets, k, rows);
      for (Index r = 0; r < rows; ++r) {
        dx(0, r) = Scalar(0);
        for (Index i = 0; i < n_agents_; ++i) {
          const Scalar d = dlambda(i, r), scale = positive(x(0, r));
          dx(0, r) += d * alpha(i, r) * beta(i, r);
          dalpha(i, r) = d * scale * beta(i, r);
          dbeta(i, r) = d * scale * alpha(i, r);
        }
      }
      make_positive_backward<Scalar>(Positive::abs, x, dx, dx);
      activate_backward(Activation::sigmoid, alpha, dalpha);
      activate_backward(Activation::sigmoid, beta, dbeta);
    }
    state_nets_.backward(p, cache.state_nets, in.state, gradients, scratch.state_nets);
    action_nets_.backward(p, cache.action_nets, cache.input.leftCols(rows), gradients, scratch.action_nets);
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

  /// λ of the last `forward` (n_agents, rows).
  ConstView<Scalar> lambda(const Cache& cache, Index rows) const { return cache.lambda.leftCols(rows); }

 private:
  using Net = typename Hypernetwork<Scalar>::Net;

  // The order of the nets of the state.
  static constexpr std::size_t weights = 0, values = 1;
  static std::size_t key(std::size_t k) { return 2 + 2 * k; }
  static std::size_t agents(std::size_t k) { return 3 + 2 * k; }
  std::size_t kernels() const { return static_cast<std::size_t>(options_.num_kernel); }

  static Scalar positive(const Scalar& x) { return (x < Scalar(0) ? Scalar(-x) : x) + Scalar(1e-10); }

  std::vector<Net> state_nets(const std::string& name) const {
    std::vector<Net> nets = {{name + ".hyper_w_final", n_agents_, options_.hypernet_embed},
                             {name + ".V", n_agents_, options_.hypernet_embed}};
    for (Index k = 0; k < options_.num_kernel; ++k) {
      nets.push_back({name + ".si_weight.key_extractors." + std::to_string(k), 1, options_.adv_hypernet_embed});
      nets.push_back(
          {name + ".si_weight.agents_extractors." + std::to_string(k), n_agents_, options_.adv_hypernet_embed});
    }
    return nets;
  }
  std::vector<Net> action_nets(const std::string& name) const {
    std::vector<Net> nets;
    for (Index k = 0; k < options_.num_kernel; ++k)
      nets.push_back(
          {name + ".si_weight.action_extractors." + std::to_string(k), n_agents_, options_.adv_hypernet_embed});
    return nets;
  }

  void check(const MixerInputs<Scalar>& in, Index rows) const {
    detail::check_shape("Qplex", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Qplex", "max_qs", in.max_qs, n_agents_, rows);
    detail::check_shape("Qplex", "actions", in.actions, n_agents_, rows);
    detail::check_shape("Qplex", "state", in.state, state_dim(), rows);
  }

  Index n_agents_, n_actions_;
  QplexOptions options_;
  Hypernetwork<Scalar> state_nets_, action_nets_;
};

static_assert(Mixer<Qplex<float>>);

}  // namespace qatten::inline QATTEN_ABI
