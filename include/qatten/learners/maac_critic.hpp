#pragma once
// MAAC's critic (Iqbal and Sha 2019, arXiv 1810.02912): for each agent, the values of all of its actions, from its own
// observation and from what it attends to of its team-mates' observations and actions.
//
//   s_i = f(W_s [o_i; id_i] + b_s)                                                f is LeakyReLU, D = hidden / heads
//   e_j = f(W_e [o_j; onehot(u_j); id_j] + b_e)
//   q_{h,i} = W_q,h s_i,   k_{h,j} = W_k,h e_j,   v_{h,j} = f(W_v,h e_j + b_v,h)
//   ℓ_{h,i,j} = q_{h,i} · k_{h,j},   λ_{h,i,·} = softmax over j ≠ i of ℓ_{h,i,j} / √D
//   x_{h,i} = Σ_{j≠i} λ_{h,i,j} v_{h,j}
//   Q_i(o, u_−i, ·) = fc2 f(fc1 [s_i; x_{1,i}; …; x_{H,i}])
//
// Backward, with δ = ∂L/∂x_{h,i}, and the regulariser c Σ_{h,i} mean_{r,j≠i} ℓ² over R moments:
//
//   ∂v_{h,j} += λ_j δ,   α_j = δ · v_{h,j},   ∂ℓ_j = λ_j (α_j − Σ_m λ_m α_m) / √D + 2 c ℓ_j / (R (n − 1))
//   ∂q_{h,i} = Σ_j ∂ℓ_j k_{h,j},   ∂k_{h,j} += ∂ℓ_j q_{h,i}
//   ∂e = W_vᵀ (∂v ∘ f') + W_kᵀ ∂k,   ∂s = ∂(input of fc1) + W_qᵀ ∂q

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "qatten/agents/input_layer.hpp"
#include "qatten/nn/linear.hpp"
#include "qatten/nn/softmax.hpp"

namespace qatten::inline QATTEN_ABI {

/// The authors' defaults.
struct MaacCriticSizes {
  Index n_agents = 2;
  Index n_actions = 1;
  Index obs_shape = 1;
  Index hidden = 128;             ///< of encoders, critic heads, and of all attention heads together
  Index attend_heads = 4;         ///< a divisor of hidden
  double attend_reg_coef = 1e-3;  ///< c: weight of the regulariser
  bool share_parameters = false;  ///< one pair of encoders and one critic head for all agents, or one for each
  bool obs_agent_id = true;       ///< where they are shared, id is the agent's one-hot index; where not, it is empty
};

/// R moments of a team, its agents in neighbouring columns.
template <class Scalar>
struct MaacCriticInputs {
  ConstView<Scalar> obs;            ///< (obs_shape, n_agents · R)
  ConstView<std::int32_t> actions;  ///< (1, n_agents · R)
  Index moments = 0;                ///< the regulariser's R where these are a part of a larger batch; 0: they are all
};

/// Parameters under the authors' names: critic_encoders.{i}.enc_fc1, key_extractors.{h}, selector_extractors.{h},
/// value_extractors.{h}.0, state_encoders.{i}.s_enc_fc1, critics.{i}.critic_fc1 and critic_fc2; i is 0 where shared.
/// Observations are data: they get no gradient. The authors' batch normalisation of inputs is left out.
template <class Scalar_>
class MaacCritic {
 public:
  using Scalar = Scalar_;
  struct Activations {
    Matrix<Scalar> x;  ///< input of fc1: s above, what is attended to below (2 hidden, n_agents · R)
    Matrix<Scalar> e, query, key, value, y;  ///< (hidden, n_agents · R); y is fc1's output after f
    Matrix<Scalar> logits, attention;        ///< ℓ and λ ((n_agents − 1) · heads, n_agents · R), see `other`
  };
  struct Cache : Activations {
    Scalar regulariser{0};  ///< c Σ_{h,i} mean ℓ²; of a part, its part of it
  };
  using Scratch = Activations;  ///< likewise, or their gradients

  /// Throws when there are fewer than two agents: one has nobody to attend to.
  MaacCritic(ParameterLayout& layout, const std::string& name, const MaacCriticSizes& sizes)
      : sizes_(sizes), first_parameter_(layout.size()) {
    detail::require(sizes.n_agents >= 2, "MaacCritic", "an agent needs others to attend to, got n_agents 1");
    detail::require(sizes.attend_heads >= 1 && sizes.hidden % sizes.attend_heads == 0, "MaacCritic",
                    "attend_heads must divide hidden, got " + std::to_string(sizes.attend_heads) + " and " +
                        std::to_string(sizes.hidden));
    const Index nets = sizes.share_parameters ? 1 : sizes.n_agents, width = sizes.hidden;
    AgentOptions inputs{.n_agents = sizes.n_agents,
                        .n_actions = sizes.n_actions,
                        .obs_shape = sizes.obs_shape,
                        .obs_agent_id = sizes.share_parameters && sizes.obs_agent_id};
    const auto encoder = [&](const std::string& part, Index i) {
      return InputLayer<Scalar>(layout, name + part, inputs, width, sizes.n_agents / nets, i, Activation::leaky_relu);
    };
    for (Index i = 0; i < nets; ++i)
      action_encoders_.push_back(encoder(".critic_encoders." + std::to_string(i) + ".enc_fc1", i));
    const auto heads = [&](const std::string& part) {
      std::vector<ParameterLayout::Band> bands;
      for (Index h = 0; h < sizes.attend_heads; ++h) {
        const std::size_t place = part.find('*');
        bands.push_back({name + part.substr(0, place) + std::to_string(h) + part.substr(place + 1), head_width()});
      }
      return bands;
    };
    key_ = layout.add_stacked(heads(".key_extractors.*.weight"), width);
    query_ = layout.add_stacked(heads(".selector_extractors.*.weight"), width);
    value_ = layout.add_stacked(heads(".value_extractors.*.0.weight"), width);
    value_bias_ = layout.add_stacked(heads(".value_extractors.*.0.bias"));
    common_ = layout.size() - first_parameter_;
    inputs.obs_last_action = false;
    for (Index i = 0; i < nets; ++i) {
      state_encoders_.push_back(encoder(".state_encoders." + std::to_string(i) + ".s_enc_fc1", i));
      const std::string head = name + ".critics." + std::to_string(i);
      fc1_.emplace_back(layout, head + ".critic_fc1", 2 * width, width);
      fc2_.emplace_back(layout, head + ".critic_fc2", width, sizes.n_actions);
    }
    if (sizes.share_parameters) common_ = layout.size() - first_parameter_;
  }

  const MaacCriticSizes& sizes() const { return sizes_; }
  /// Where its parameters begin.
  Index first_parameter() const { return first_parameter_; }
  /// How many of them, from the first on, every agent's values depend on.
  Index common_parameters() const { return common_; }

  /// PyTorch's default.
  void initialise(Vector<Scalar>& p, Random& random) const {
    for (const auto* encoders : {&action_encoders_, &state_encoders_})
      for (const InputLayer<Scalar>& encoder : *encoders) encoder.initialise(p, random);
    const double bound = 1 / std::sqrt(double(sizes_.hidden));
    for (const Block& b : {key_, query_, value_, value_bias_}) initialise_uniform(block(p, b), bound, random);
    for (const auto* layers : {&fc1_, &fc2_})
      for (const Linear<Scalar>& layer : *layers) layer.initialise(p, random);
  }

  /// For R moments. A cache is an Activations, too.
  void prepare(Activations& memory, Index moments) const {
    const Index columns = sizes_.n_agents * moments;
    memory.x.resize(2 * sizes_.hidden, columns);
    for (auto* m : {&memory.e, &memory.query, &memory.key, &memory.value, &memory.y}) m->resize(sizes_.hidden, columns);
    for (auto* m : {&memory.logits, &memory.attention}) m->resize(others() * sizes_.attend_heads, columns);
  }

  /// q (n_actions, n_agents · R).
  void forward(const Vector<Scalar>& p, const MaacCriticInputs<Scalar>& in, View<Scalar> q, Cache& cache) const {
    run(p, in, q, cache);
    cache.regulariser = static_cast<Scalar>(regulariser_scale(in)) * cache.logits.leftCols(in.obs.cols()).squaredNorm();
  }
  void evaluate(const Vector<Scalar>& p, const MaacCriticInputs<Scalar>& in, View<Scalar> q, Scratch& scratch) const {
    run(p, in, q, scratch);
  }

  /// Of the loss whose gradient by q is dq, and of the regulariser.
  void backward(const Vector<Scalar>& p, const Cache& cache, const MaacCriticInputs<Scalar>& in, ConstView<Scalar> dq,
                Vector<Scalar>& gradients, Scratch& scratch) const {
    const Index columns = in.obs.cols(), width = sizes_.hidden;
    const ConstView<Scalar> x = cache.x.leftCols(columns), y = cache.y.leftCols(columns);
    const ConstView<Scalar> s = x.topRows(width), e = cache.e.leftCols(columns);
    View<Scalar> dx = scratch.x.leftCols(columns), dy = scratch.y.leftCols(columns), de = scratch.e.leftCols(columns);
    View<Scalar> ds = dx.topRows(width);
    for_each_net([&](std::size_t k, const auto& own) {
      fc2_[k].backward(p, own(y), own(dq), gradients, own(dy));
      activate_backward(Activation::leaky_relu, own(y), own(dy));
      fc1_[k].backward(p, own(x), own(dy), gradients, own(dx));
    });
    attention_backward(cache, in, scratch);

    const ConstView<Scalar> dquery = scratch.query.leftCols(columns), dkey = scratch.key.leftCols(columns);
    View<Scalar> dvalue = scratch.value.leftCols(columns);
    activate_backward<Scalar>(Activation::leaky_relu, cache.value.leftCols(columns), dvalue);
    product<Scalar>(block(gradients, query_), dquery, transposed(s), {.add = true});
    product<Scalar>(block(gradients, key_), dkey, transposed(e), {.add = true});
    product<Scalar>(block(gradients, value_), dvalue, transposed(e), {.add = true});
    add_columns<Scalar>(block(gradients, value_bias_), dvalue);
    product<Scalar>(ds, transposed(block(p, query_)), dquery, {.add = true});
    product<Scalar>(de, transposed(block(p, key_)), dkey);
    product<Scalar>(de, transposed(block(p, value_)), dvalue, {.add = true});
    for_each_net([&](std::size_t k, const auto& own) {
      action_encoders_[k].backward(p, {own(in.obs), own(in.actions)}, own(e), own(de), gradients, {});
      state_encoders_[k].backward(p, {own(in.obs)}, own(s), own(ds), gradients, {});
    });
  }

  /// How the agents attended in the last `forward` or `evaluate` of R moments: λ_{h,i,j} (n_agents · heads,
  /// n_agents · R) of agent i at moment r in column r · n_agents + i, row h · n_agents + j, its own 0. What
  /// analysis/attention.hpp reads. Allocates its result.
  Matrix<Scalar> attention(const Activations& memory, Index moments) const {
    const Index n = sizes_.n_agents;
    Matrix<Scalar> all = Matrix<Scalar>::Zero(n * sizes_.attend_heads, n * moments);
    for (Index c = 0; c < all.cols(); ++c)
      for (Index row = 0; row < memory.attention.rows(); ++row)
        all(row / others() * n + other(c, row % others()), c) = memory.attention(row, c);
    return all;
  }

 private:
  Index head_width() const { return sizes_.hidden / sizes_.attend_heads; }
  Index others() const { return sizes_.n_agents - 1; }
  /// The k-th of the agents that are not column c's own.
  Index other(Index c, Index k) const { return k + (k >= c % sizes_.n_agents ? 1 : 0); }

  double regulariser_scale(const MaacCriticInputs<Scalar>& in) const {
    const Index moments = in.moments > 0 ? in.moments : in.obs.cols() / sizes_.n_agents;
    return sizes_.attend_reg_coef / double(moments * others());
  }

  /// f(k, own) for each net: own(matrix) are the columns that it serves.
  template <class F>
  void for_each_net(const F& f) const {
    const std::size_t nets = fc1_.size();
    for (std::size_t k = 0; k < nets; ++k)
      f(k, [=](auto x) { return every(x, static_cast<Index>(k), static_cast<Index>(nets)); });
  }

  void run(const Vector<Scalar>& p, const MaacCriticInputs<Scalar>& in, View<Scalar> q, Activations& memory) const {
    const Index columns = in.obs.cols();
    detail::check_shape("MaacCritic", "obs", in.obs, sizes_.obs_shape, -1);
    detail::check_shape("MaacCritic", "actions", in.actions, 1, columns);
    detail::check_shape("MaacCritic", "q", q, sizes_.n_actions, columns);
    detail::require(columns % sizes_.n_agents == 0, "MaacCritic", "obs must have n_agents columns a moment");
    detail::check_prepared("MaacCritic", memory.x, columns);
    View<Scalar> x = memory.x.leftCols(columns), y = memory.y.leftCols(columns), e = memory.e.leftCols(columns);
    View<Scalar> s = x.topRows(sizes_.hidden), value = memory.value.leftCols(columns);
    for_each_net([&](std::size_t k, const auto& own) {
      state_encoders_[k].forward(p, {own(in.obs)}, own(s));
      action_encoders_[k].forward(p, {own(in.obs), own(in.actions)}, own(e));
    });
    product<Scalar>(memory.query.leftCols(columns), block(p, query_), s);
    product<Scalar>(memory.key.leftCols(columns), block(p, key_), e);
    product<Scalar>(value, block(p, value_), e, {.bias = block(p, value_bias_).data()});
    activate(Activation::leaky_relu, value);
    attend(memory, columns);
    for_each_net([&](std::size_t k, const auto& own) {
      fc1_[k].forward(p, own(x), own(y));
      activate(Activation::leaky_relu, own(y));
      fc2_[k].forward(p, own(y), own(q));
    });
  }

  /// f(column c, head h, first row of h's part of a column of width `hidden`, first row of its logits).
  template <class F>
  void for_each_head(Index columns, const F& f) const {
    for (Index c = 0; c < columns; ++c)
      for (Index h = 0; h < sizes_.attend_heads; ++h) f(c, h * head_width(), h * others());
  }
  /// Of the k-th of the agents that c's may attend to: where its part of a column of m begins.
  template <class M>
  auto* of_other(M& m, Index c, Index k, Index row) const {
    return m.col(c - c % sizes_.n_agents + other(c, k)).data() + row;
  }

  void attend(Activations& m, Index columns) const {
    for_each_head(columns, [&](Index c, Index row, Index first) {
      for (Index k = 0; k < others(); ++k)
        m.logits(first + k, c) =
            lane_dot<Scalar>(m.query.col(c).data() + row, of_other(m.key, c, k, row), head_width());
    });
    m.attention.leftCols(columns) =
        m.logits.leftCols(columns) * static_cast<Scalar>(1 / std::sqrt(double(head_width())));
    softmax<Scalar>({m.attention.data(), others(), sizes_.attend_heads * columns, others()});
    for_each_head(columns, [&](Index c, Index row, Index first) {
      Scalar* const to = m.x.col(c).data() + sizes_.hidden + row;
      lanes<Scalar>(head_width(), [&](auto at) {
        auto sum = at.constant(Scalar(0));
        for (Index k = 0; k < others(); ++k)
          sum = sum + at.constant(m.attention(first + k, c)) * at(of_other(m.value, c, k, row));
        at.store(to, sum);
      });
    });
  }

  /// From d.x; overwrites d.query, d.key and d.value.
  void attention_backward(const Cache& cache, const MaacCriticInputs<Scalar>& in, Scratch& d) const {
    const Index columns = in.obs.cols(), all = sizes_.attend_heads * columns;
    for_each_head(columns, [&](Index c, Index row, Index first) {
      const Scalar* const dx = d.x.col(c).data() + sizes_.hidden + row;
      for (Index k = 0; k < others(); ++k)
        d.attention(first + k, c) = lane_dot<Scalar>(dx, of_other(cache.value, c, k, row), head_width());
    });
    View<Scalar> dlogits = d.logits.leftCols(columns);
    softmax_backward<Scalar>({cache.attention.data(), others(), all, others()},
                             {d.attention.data(), others(), all, others()}, {d.logits.data(), others(), all, others()});
    dlogits *= static_cast<Scalar>(1 / std::sqrt(double(head_width())));
    dlogits += static_cast<Scalar>(2 * regulariser_scale(in)) * cache.logits.leftCols(columns);
    for (auto* m : {&d.query, &d.key, &d.value}) m->leftCols(columns).setZero();
    for_each_head(columns, [&](Index c, Index row, Index first) {
      const Scalar* const dx = d.x.col(c).data() + sizes_.hidden + row;
      const Scalar* const query = cache.query.col(c).data() + row;
      Scalar* const dquery = d.query.col(c).data() + row;
      for (Index k = 0; k < others(); ++k) {
        Scalar *const dkey = of_other(d.key, c, k, row), *const dvalue = of_other(d.value, c, k, row);
        const Scalar* const key = of_other(cache.key, c, k, row);
        lanes<Scalar>(head_width(), [&](auto at) {
          const auto dlogit = at.constant(dlogits(first + k, c)), lambda = at.constant(cache.attention(first + k, c));
          at.store(dquery, at(dquery) + dlogit * at(key));
          at.store(dkey, at(dkey) + dlogit * at(query));
          at.store(dvalue, at(dvalue) + lambda * at(dx));
        });
      }
    });
  }

  MaacCriticSizes sizes_;
  Index first_parameter_, common_ = 0;
  std::vector<InputLayer<Scalar>> action_encoders_, state_encoders_;
  Block key_, query_, value_, value_bias_;
  std::vector<Linear<Scalar>> fc1_, fc2_;
};

}  // namespace qatten::inline QATTEN_ABI
