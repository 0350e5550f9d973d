#pragma once
// Qatten (Yang et al. 2020, arXiv 2002.03939): the joint value as a multi-head attention over the agents' values.
//
//   Q^h = Σ_i λ_{h,i}(s, u) Q_i                                λ_h a softmax over agents (nn/attention.hpp)
//   Q_tot = Σ_h w_h(s) Q^h + c(s),   w = |f(s)| or 1           (eq. 12)
//
// so ∂Q_tot/∂Q_i = Σ_h w_h λ_{h,i} >= 0. At a fixed state, and without `nonlinear`, Q_tot is affine in every Q_i.
//
// Backward, with g = ∂L/∂Q_tot:
//
//   ∂Q_i = g Σ_h w_h λ_{h,i},   ∂λ_{h,i} = g w_h Q_i,   ∂w_h = g Q^h,   ∂f_h = sign(f_h) ∂w_h,   ∂c = g

#include <string_view>
#include <utility>

#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/attention.hpp"
#include "qatten/nn/hypernetwork.hpp"

namespace qatten::inline QATTEN_ABI {

/// Every option of the two published implementations, under PyMARL's names where one exists.
struct QattenOptions {
  enum class Names { authors, pymarl2 };

  Index n_head = 4;
  Index embed = 32;            ///< E: entries of queries and keys (mixing_embed_dim, n_query_embedding_layer2)
  Index query_hidden = 64;     ///< width of the query's hidden layer; 0: one layer (hypernet_layers 1)
  Index head_hidden = 64;      ///< likewise of the head weights
  Index value_hidden = 32;     ///< width of c(s)'s hidden layer
  bool query_bias = false;     ///< bias of the query's last layer
  bool key_bias = false;       ///< no effect on Q_tot: softmax does not see it
  bool weighted_head = false;  ///< w = |f(s)|; otherwise 1
  bool state_bias = true;      ///< c(s)
  bool nonlinear = false;      ///< Q_i enters the keys: gives up monotonicity and IGM (the authors, for MMM2)
  bool mask_dead = false;      ///< dead agents, by the inputs' `alive`, get no attention
  double attend_reg_coef = 0;  ///< weight of Σ_h mean ℓ², over real samples and living agents
  Names names = Names::authors;

  /// The authors' code (2020): few biases, regulariser 0.01, heads not weighted.
  static QattenOptions authors() {
    QattenOptions options;
    options.attend_reg_coef = 0.01;
    return options;
  }
  /// PyMARL2 (Hu et al. 2021): biases everywhere, weighted heads, no regulariser.
  static QattenOptions pymarl2() {
    QattenOptions options;
    options.query_bias = options.key_bias = options.weighted_head = true;
    options.names = Names::pymarl2;
    return options;
  }
};

/// Reads agent_qs, state and units, and alive when `mask_dead`. Parameters are `name`.… in the chosen naming; their
/// number does not depend on the number of agents.
template <class Scalar_>
class Qatten {
 public:
  using Scalar = Scalar_;
  using Activations = typename Hypernetwork<Scalar>::Activations;

  struct Cache {
    Activations nets;
    typename StateAttention<Scalar>::Cache attention;
    Matrix<Scalar> lambda;        ///< λ (n_agents · n_head, R), head by head
    Matrix<Scalar> head_qs;       ///< Q^h (n_head, R)
    Matrix<Scalar> head_weights;  ///< w (n_head, R)
  };
  struct Scratch {
    Activations nets;
    typename StateAttention<Scalar>::Scratch attention;
    Matrix<Scalar> lambda, head_qs, head_weights;
  };

  Qatten(ParameterLayout& layout, const std::string& name, Index n_agents, Index state_dim, Index unit_dim,
         const QattenOptions& options = {})
      : n_agents_(n_agents),
        options_(options),
        names_(name_table(name, options)),
        nets_(layout, state_dim, nets(options, names_)),
        attention_(layout, attention_options(options, state_dim, unit_dim),
                   [this](Index h) { return std::pair(query_name(h), names_.key + "." + std::to_string(h)); }) {}

  Index n_agents() const { return n_agents_; }
  Index state_dim() const { return nets_.inputs(); }
  Index unit_dim() const { return attention_.options().units; }
  Index outputs() const { return 1; }
  const QattenOptions& options() const { return options_; }
  MixerPromises promises() const {
    const bool linear = !options_.nonlinear;
    return {.monotonic = linear, .igm = linear, .additive = linear};
  }

  void initialise(Vector<Scalar>& p, Random& random) const {
    nets_.initialise(p, random);
    attention_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    nets_.prepare(cache.nets, rows);
    nets_.prepare(scratch.nets, rows);
    attention_.prepare(cache.attention, scratch.attention, n_agents_, rows);
    for (auto* m : {&cache.lambda, &scratch.lambda}) m->resize(n_agents_ * options_.n_head, rows);
    for (auto* m : {&cache.head_qs, &scratch.head_qs, &cache.head_weights, &scratch.head_weights})
      m->setOnes(options_.n_head, rows);
  }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    check(in, "q_tot", q_tot, cache.lambda);
    detail::check_prepared("Qatten", scratch.lambda, rows);
    nets_.forward(p, in.state, cache.nets);
    attention_.forward(p, attention_inputs(in, cache.nets), cache.lambda.leftCols(rows), cache.attention,
                       scratch.attention);
    mix(in, q_tot, cache);
  }

  void evaluate(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch& scratch) const {
    check(in, "q_tot", q_tot, scratch.lambda);
    const Index rows = in.agent_qs.cols();
    nets_.forward(p, in.state, scratch.nets);
    attention_.evaluate(p, attention_inputs(in, scratch.nets), scratch.lambda.leftCols(rows), scratch.attention);
    mix(in, q_tot, scratch);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>& gradients, View<Scalar> dagent_qs, Scratch& scratch) const {
    const Index rows = in.agent_qs.cols();
    check(in, "dq_tot", dq_tot, cache.lambda);
    detail::check_prepared("Qatten", scratch.lambda, rows);
    detail::check_shape("Qatten", "dagent_qs", dagent_qs, n_agents_, rows);
    dagent_qs.setZero();
    for (Index r = 0; r < rows; ++r) {
      const Scalar *lambda = cache.lambda.col(r).data(), *q = in.agent_qs.col(r).data();
      Scalar *dlambda = scratch.lambda.col(r).data(), *dq = dagent_qs.col(r).data();
      for (Index h = 0; h < options_.n_head; ++h) {
        const Scalar gw = dq_tot(0, r) * cache.head_weights(h, r);
        for (Index i = 0; i < n_agents_; ++i) {
          *dlambda++ = gw * q[i];
          dq[i] += gw * *lambda++;
        }
      }
    }
    if (options_.weighted_head) {
      View<Scalar> df = nets_.output(scratch.nets, weights_net(), rows);
      for (Index r = 0; r < rows; ++r) df.col(r) = dq_tot(0, r) * cache.head_qs.col(r);
      make_positive_backward<Scalar>(Positive::abs, nets_.output(cache.nets, weights_net(), rows), df, df);
    }
    if (options_.state_bias) nets_.output(scratch.nets, value_net(), rows) = dq_tot;
    const View<Scalar> dz = queries_in_hypernetwork() > 0
                                ? nets_.outputs(scratch.nets, 0, queries_in_hypernetwork(), rows)
                                : View<Scalar>();
    attention_.backward(p, cache.attention, attention_inputs(in, cache.nets), cache.lambda.leftCols(rows),
                        scratch.lambda.leftCols(rows), gradients, dz, dagent_qs, scratch.attention);
    nets_.backward(p, cache.nets, in.state, gradients, scratch.nets);
  }

  Scalar regulariser(const Cache& cache) const { return cache.attention.regulariser; }
  Index regularised(const MixerInputs<Scalar>& in) const {
    return attention_.regularised({{}, in.units, in.agent_qs, in.alive});
  }

  /// What the last `forward` or `evaluate` over `rows` samples found: λ (n_agents · n_head, rows), λ_{h,i} in row
  /// h · n_agents + i; w (n_head, rows), ones unless weighted; c(s) (1, rows), an error without `state_bias`.
  template <class Memory>
  ConstView<Scalar> attention(const Memory& memory, Index rows) const {
    detail::check_prepared("Qatten", memory.lambda, rows);
    return memory.lambda.leftCols(rows);
  }
  template <class Memory>
  ConstView<Scalar> head_weights(const Memory& memory, Index rows) const {
    detail::check_prepared("Qatten", memory.head_weights, rows);
    return memory.head_weights.leftCols(rows);
  }
  template <class Memory>
  ConstView<Scalar> state_value(const Memory& memory, Index rows) const {
    detail::require(options_.state_bias, "Qatten::state_value", "there is no c(s) without state_bias");
    detail::check_prepared("Qatten", memory.lambda, rows);
    return nets_.output(memory.nets, value_net(), rows);
  }

 private:
  struct NameTable {
    std::string query, key, weights, value;
  };

  static NameTable name_table(const std::string& name, const QattenOptions& options) {
    if (options.names == QattenOptions::Names::authors)
      return {name + ".selector_extractors", name + ".key_extractors", name + ".hyper_w_head", name + ".V"};
    return {name + ".query_embedding_layers", name + ".key_embedding_layers", name + ".head_embedding_layer",
            name + ".constrant_value_layer"};  // sic
  }

  static std::vector<typename Hypernetwork<Scalar>::Net> nets(const QattenOptions& options, const NameTable& names) {
    std::vector<typename Hypernetwork<Scalar>::Net> all;
    if (options.query_hidden > 0)
      for (Index h = 0; h < options.n_head; ++h)
        all.push_back({names.query + "." + std::to_string(h) + ".0", options.query_hidden, 0, true});
    if (options.weighted_head) all.push_back({names.weights, options.n_head, options.head_hidden, false});
    if (options.state_bias) all.push_back({names.value, 1, options.value_hidden, false});
    return all;
  }

  static StateAttentionOptions attention_options(const QattenOptions& options, Index state_dim, Index unit_dim) {
    detail::require(unit_dim >= 1, "Qatten", "unit_dim is 0, but its attention reads the features of every unit");
    return {.heads = options.n_head,
            .sources = options.query_hidden > 0 ? options.query_hidden : state_dim,
            .units = unit_dim,
            .embed = options.embed,
            .query_bias = options.query_bias,
            .key_bias = options.key_bias,
            .nonlinear = options.nonlinear,
            .mask_dead = options.mask_dead,
            .attend_reg_coef = options.attend_reg_coef};
  }

  std::string query_name(Index h) const {
    return names_.query + "." + std::to_string(h) + (options_.query_hidden > 0 ? ".2" : "");
  }

  std::size_t queries_in_hypernetwork() const {
    return options_.query_hidden > 0 ? static_cast<std::size_t>(options_.n_head) : 0;
  }
  std::size_t weights_net() const { return queries_in_hypernetwork(); }
  std::size_t value_net() const { return weights_net() + (options_.weighted_head ? 1 : 0); }

  typename StateAttention<Scalar>::Inputs attention_inputs(const MixerInputs<Scalar>& in, const Activations& a) const {
    const Index rows = in.agent_qs.cols();
    const ConstView<Scalar> z = queries_in_hypernetwork() == 0
                                    ? in.state
                                    : nets_.outputs(const_cast<Activations&>(a), 0, queries_in_hypernetwork(), rows);
    return {z, in.units, in.agent_qs, in.alive, in.regularised};
  }

  /// Q^h, w and Q_tot from λ. `Memory` is Cache or Scratch.
  template <class Memory>
  void mix(const MixerInputs<Scalar>& in, View<Scalar> q_tot, Memory& memory) const {
    const Index rows = in.agent_qs.cols();
    View<Scalar> w = memory.head_weights.leftCols(rows);
    if (options_.weighted_head) make_positive<Scalar>(Positive::abs, nets_.output(memory.nets, weights_net(), rows), w);
    const ConstView<Scalar> c = options_.state_bias ? nets_.output(memory.nets, value_net(), rows) : View<Scalar>();
    for (Index r = 0; r < rows; ++r) {
      Scalar sum = options_.state_bias ? c(0, r) : Scalar(0);
      for (Index h = 0; h < options_.n_head; ++h) {
        const Scalar q_h = lane_dot(memory.lambda.col(r).data() + h * n_agents_, in.agent_qs.col(r).data(), n_agents_);
        memory.head_qs(h, r) = q_h;
        sum += w(h, r) * q_h;
      }
      q_tot(0, r) = sum;
    }
  }

  void check(const MixerInputs<Scalar>& in, std::string_view name, ConstView<Scalar> q_tot,
             const Matrix<Scalar>& prepared) const {
    const Index rows = in.agent_qs.cols();
    detail::check_shape("Qatten", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Qatten", "state", in.state, state_dim(), rows);
    detail::check_shape("Qatten", "units", in.units, unit_dim() * n_agents_, rows);
    if (in.alive.size() > 0) detail::check_shape("Qatten", "alive", in.alive, n_agents_, rows);
    detail::check_shape("Qatten", name, q_tot, 1, rows);
    detail::check_prepared("Qatten", prepared, rows);
  }

  Index n_agents_;
  QattenOptions options_;
  NameTable names_;
  Hypernetwork<Scalar> nets_;
  StateAttention<Scalar> attention_;
};

static_assert(Mixer<Qatten<float>>);

}  // namespace qatten::inline QATTEN_ABI
