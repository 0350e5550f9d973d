#pragma once
// QMIX (Rashid et al. 2018, arXiv 1803.11485): a mixing network whose non-negative weights come from the state.
//
//   W_1 = pos(hyper_w_1(s)) (E, n),  b_1 = hyper_b_1(s),  w_2 = pos(hyper_w_final(s)) (E)
//   y = ELU(W_1 Q + b_1),   Q_tot = w_2 · y + V(s)
//
// so ∂Q_tot/∂Q >= 0. ELU is convex and the weights are non-negative: Q_tot is convex and supermodular in Q.
//
// Backward, with g = ∂L/∂Q_tot and ∂x = g w_2 ∘ ELU'(·):
//
//   ∂w_2 = g y,   ∂b_1 = ∂x,   ∂W_1 = ∂x Qᵀ,   ∂Q = W_1ᵀ ∂x,   ∂V = g,   and through pos' to the hypernetworks

#include <string>
#include <string_view>

#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/hypernetwork.hpp"

namespace qatten::inline QATTEN_ABI {

/// PyMARL's options under its names.
struct QmixOptions {
  Index mixing_embed_dim = 32;        ///< E
  Index hypernet_embed = 64;          ///< width of the hypernetworks' hidden layer; 0: one layer (hypernet_layers 1)
  Positive positive = Positive::abs;  ///< abs (the paper), softplus or square (PyMARL2); none gives monotonicity up
};

/// Reads agent_qs and state. Parameters `name`.hyper_w_1, .hyper_w_final, .hyper_b_1 and .V, as in PyMARL.
template <class Scalar_>
class Qmix {
 public:
  using Scalar = Scalar_;
  using Activations = typename Hypernetwork<Scalar>::Activations;

  struct Cache {
    Activations nets;
    Matrix<Scalar> w_1;  ///< W_1 (E · n_agents, R), agent by agent
    Matrix<Scalar> w_2;  ///< (E, R)
    Matrix<Scalar> y;    ///< (E, R)
  };
  struct Scratch {
    Activations nets;
    Matrix<Scalar> w_1, w_2, y;
  };

  /// Throws unless there are agents and an embedding.
  Qmix(ParameterLayout& layout, const std::string& name, Index n_agents, Index state_dim,
       const QmixOptions& options = {})
      : n_agents_(n_agents),
        options_(options),
        nets_(layout, state_dim,
              {{name + ".hyper_w_1", options.mixing_embed_dim * n_agents, options.hypernet_embed},
               {name + ".hyper_w_final", options.mixing_embed_dim, options.hypernet_embed},
               {name + ".hyper_b_1", options.mixing_embed_dim},
               {name + ".V", 1, options.mixing_embed_dim}}) {
    detail::require(n_agents >= 1 && options.mixing_embed_dim >= 1, "Qmix",
                    "got " + std::to_string(n_agents) + " agents and mixing_embed_dim " +
                        std::to_string(options.mixing_embed_dim) + ", expected at least 1 each");
  }

  Index n_agents() const { return n_agents_; }
  Index state_dim() const { return nets_.inputs(); }
  Index outputs() const { return 1; }
  const QmixOptions& options() const { return options_; }
  MixerPromises promises() const {
    const bool positive = options_.positive != Positive::none;
    return {.monotonic = positive, .igm = positive, .additive = false};
  }

  void initialise(Vector<Scalar>& p, Random& random) const { nets_.initialise(p, random); }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    nets_.prepare(cache.nets, rows);
    nets_.prepare(scratch.nets, rows);
    for (auto* m : {&cache.w_1, &scratch.w_1}) m->resize(embed() * n_agents_, rows);
    for (auto* m : {&cache.w_2, &scratch.w_2, &cache.y, &scratch.y}) m->resize(embed(), rows);
  }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch&) const {
    mix(p, in, q_tot, cache);
  }

  void evaluate(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch& scratch) const {
    mix(p, in, q_tot, scratch);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>& gradients, View<Scalar> dagent_qs, Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    check(in, "dq_tot", dq_tot, cache.y);
    detail::check_prepared("Qmix", scratch.y, rows);
    detail::check_shape("Qmix", "dagent_qs", dagent_qs, n_agents_, rows);
    auto& d = scratch.nets;
    View<Scalar> dw_1 = nets_.output(d, hyper_w_1, rows), dw_2 = nets_.output(d, hyper_w_final, rows);
    View<Scalar> dx = nets_.output(d, hyper_b_1, rows);
    nets_.output(d, value, rows) = dq_tot;
    for (Index r = 0; r < rows; ++r) {
      lanes<Scalar>(embed(), [&](auto at) {
        const auto g = at.constant(dq_tot(0, r));
        at.store(dw_2.col(r).data(), g * at(cache.y.col(r).data()));
        at.store(dx.col(r).data(), g * at(cache.w_2.col(r).data()));
      });
    }
    activate_backward<Scalar>(Activation::elu, cache.y.leftCols(rows), dx);
    for (Index r = 0; r < rows; ++r) {
      const Scalar* dxr = dx.col(r).data();
      for (Index i = 0; i < n_agents_; ++i) {
        const Scalar q = in.agent_qs(i, r);
        Scalar* dw = dw_1.col(r).data() + i * embed();
        lanes<Scalar>(embed(), [&](auto at) { at.store(dw, at.constant(q) * at(dxr)); });
        dagent_qs(i, r) = lane_dot(cache.w_1.col(r).data() + i * embed(), dxr, embed());
      }
    }
    make_positive_backward<Scalar>(options_.positive, nets_.output(cache.nets, hyper_w_1, rows), dw_1, dw_1);
    make_positive_backward<Scalar>(options_.positive, nets_.output(cache.nets, hyper_w_final, rows), dw_2, dw_2);
    nets_.backward(p, cache.nets, in.state, gradients, d);
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  enum : std::size_t { hyper_w_1, hyper_w_final, hyper_b_1, value };

  Index embed() const { return options_.mixing_embed_dim; }

  void check(const MixerInputs<Scalar>& in, std::string_view name, ConstView<Scalar> q_tot,
             const Matrix<Scalar>& prepared) const {
    const Index rows = in.agent_qs.cols();
    detail::check_shape("Qmix", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Qmix", "state", in.state, state_dim(), rows);
    detail::check_shape("Qmix", name, q_tot, 1, rows);
    detail::check_prepared("Qmix", prepared, rows);
  }

  /// `Memory` is Cache or Scratch.
  template <class Memory>
  void mix(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Memory& memory) const {
    const Index rows = in.agent_qs.cols();
    check(in, "q_tot", q_tot, memory.y);
    nets_.forward(p, in.state, memory.nets);
    View<Scalar> w_1 = memory.w_1.leftCols(rows), w_2 = memory.w_2.leftCols(rows), y = memory.y.leftCols(rows);
    make_positive<Scalar>(options_.positive, nets_.output(memory.nets, hyper_w_1, rows), w_1);
    make_positive<Scalar>(options_.positive, nets_.output(memory.nets, hyper_w_final, rows), w_2);
    y = nets_.output(memory.nets, hyper_b_1, rows);
    for (Index r = 0; r < rows; ++r) {
      const Scalar *w = w_1.col(r).data(), *q = in.agent_qs.col(r).data();
      lanes<Scalar>(embed(), [&](auto at) {
        auto x = at(y.col(r).data());
        for (Index i = 0; i < n_agents_; ++i) x = x + at.constant(q[i]) * at(w + i * embed());
        at.store(y.col(r).data(), x);
      });
    }
    activate<Scalar>(Activation::elu, y);
    const ConstView<Scalar> v = nets_.output(memory.nets, value, rows);
    for (Index r = 0; r < rows; ++r) q_tot(0, r) = v(0, r) + lane_dot(w_2.col(r).data(), y.col(r).data(), embed());
  }

  Index n_agents_;
  QmixOptions options_;
  Hypernetwork<Scalar> nets_;
};

static_assert(Mixer<Qmix<float>>);

}  // namespace qatten::inline QATTEN_ABI
