#pragma once
// Qatten's attention (Yang et al. 2020, arXiv 2002.03939, section 4): the state asks, the agents are the keys. For each
// head h and agent i, from a feature vector z_h of the state and the unit features u_i,
//
//   q_h = W_q z_h + b_q,   k_i = W_k u_i + b_k,   ℓ_i = q_h · k_i,   λ = softmax_i(ℓ / √E)
//
// with W_q, W_k, … of the head's own. All agents share a head's query, so it is projected to the units' space once:
//
//   p = W_kᵀ q_h = M z_h + m   with M = W_kᵀ W_q, m = W_kᵀ b_q,      ℓ_i = p · u_i + q_h · b_k
//
// M depends on the parameters alone, so with many samples it is formed first. The key bias adds the same q_h · b_k to
// every agent's logit: softmax does not see it, and it has no gradient unless the regulariser, which reads ℓ, is on.
// Then, and with `nonlinear`, units and key matrix are extended: ũ_i = (u_i, Q_i, 1), W̃_k = [W_k, b_k].
//
// Backward, with δ = ∂L/∂λ, and the regulariser c Σ_h mean_{r,i} ℓ² (mean over samples and living agents, N of them):
//
//   ∂ℓ_i = λ_i (δ_i − Σ_j λ_j δ_j) / √E + 2 c ℓ_i / N
//   ∂p = Σ_i ∂ℓ_i ũ_i,   ∂M = ∂p zᵀ,   ∂m = Σ ∂p,   ∂z = Mᵀ ∂p
//   ∂W_k += W_q ∂Mᵀ + b_q ∂mᵀ,   ∂W_q += W_k ∂M,   ∂b_q += W_k ∂m,   ∂Q_i += Σ_h p_Q ∂ℓ_i       (nonlinear)

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/initialise.hpp"
#include "qatten/nn/softmax.hpp"

namespace qatten::inline QATTEN_ABI {

struct StateAttentionOptions {
  Index heads = 4;
  Index sources = 64;          ///< entries of z_h
  Index units = 4;             ///< entries of u_i
  Index embed = 32;            ///< E: entries of queries and keys
  bool query_bias = false;     ///< b_q
  bool key_bias = false;       ///< b_k
  bool nonlinear = false;      ///< Q_i is a further key input: λ depends on Q, and a mixer on top is not monotonic
  bool mask_dead = false;      ///< agents with alive 0 get no attention (all dead: uniform, as in the authors' code)
  double attend_reg_coef = 0;  ///< c: weight of the regulariser
};

/// Shapes, for R samples and n agents: z (sources · heads, R), z_h stacked, or (sources, R) when all heads read the
/// same; units (units · n, R), u_i stacked; agent_qs (n, R), read only when nonlinear; alive (n, R) or empty; attention
/// (n · heads, R), λ_{h,i} in row h · n + i.
template <class Scalar>
class StateAttention {
 public:
  struct Inputs {
    ConstView<Scalar> z;
    ConstView<Scalar> units;
    ConstView<Scalar> agent_qs{};
    ConstView<std::uint8_t> alive{};
    Index regularised = 0;  ///< N where these samples are a part of a larger batch; 0: they are all
  };
  struct Cache {
    Matrix<Scalar> projected;  ///< p (keys · heads, R)
    Matrix<Scalar> logits;     ///< ℓ (n · heads, R), kept for the regulariser alone
    Scalar regulariser{0};     ///< c Σ_h mean ℓ²; of a part, its part of it
    Index regularised = 0;     ///< N
  };
  struct Scratch {
    Matrix<Scalar> projected;     ///< p, or ∂p
    Matrix<Scalar> fold, bias;    ///< Mᵀ (sources, keys) and m (keys, 1)
    Matrix<Scalar> dfold, dbias;  ///< their gradients
    Matrix<Scalar> query;         ///< q_h (embed, R) where M does not pay; of one sample, of all heads (embed, heads)
  };

  /// `names(h)` gives the names of head h's two layers: query and key.
  template <class Names>
  StateAttention(ParameterLayout& layout, const StateAttentionOptions& options, Names&& names)
      : options_(options), inverse_root_(1 / std::sqrt(double(options.embed))) {
    for (const auto& [what, size] : {std::pair{"heads", options.heads},
                                     {"numbers a state", options.sources},
                                     {"numbers a unit", options.units},
                                     {"numbers an embedding", options.embed}})
      detail::require(size >= 1, "StateAttention",
                      "got " + std::to_string(size) + " " + what + ", expected at least 1");
    key_inputs_ = options.units + (options.nonlinear ? 1 : 0);
    keys_ = key_inputs_ + (options.key_bias && options.attend_reg_coef != 0 ? 1 : 0);
    for (Index h = 0; h < options.heads; ++h) {
      const auto [query, key] = names(h);
      Head head;
      head.query = layout.add(query + ".weight", options.embed, options.sources);
      if (options.query_bias) head.query_bias = layout.add(query + ".bias", options.embed);
      head.key = layout.add(key + ".weight", options.embed, key_inputs_);
      if (options.key_bias) layout.add(key + ".bias", options.embed);
      heads_.push_back(head);
    }
  }

  Index heads() const { return options_.heads; }
  const StateAttentionOptions& options() const { return options_; }

  /// PyTorch's default for each linear layer.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double query_bound = 1 / std::sqrt(double(options_.sources)), key_bound = 1 / std::sqrt(double(key_inputs_));
    for (const Head& head : heads_) {
      initialise_uniform(block(p, head.query), query_bound, random);
      if (options_.query_bias) initialise_uniform(block(p, head.query_bias), query_bound, random);
      initialise_uniform(block(p, key(head, key_inputs_ + (options_.key_bias ? 1 : 0))), key_bound, random);
    }
  }

  void prepare(Cache& cache, Scratch& scratch, Index n_agents, Index batch) const {
    cache.projected.resize(keys_ * heads(), batch);
    if (options_.attend_reg_coef != 0) cache.logits.resize(n_agents * heads(), batch);
    prepare(scratch, batch);
  }

  /// For `evaluate` alone.
  void prepare(Scratch& scratch, Index batch) const {
    scratch.projected.resize(keys_ * heads(), batch);
    for (auto* m : {&scratch.fold, &scratch.dfold}) m->resize(options_.sources, keys_);
    for (auto* m : {&scratch.bias, &scratch.dbias}) m->resize(keys_, 1);
    Index unfolded = batch;
    while (unfolded > 0 && folds(unfolded)) --unfolded;
    scratch.query.resize(options_.embed, std::max(unfolded, heads()));
  }

  void forward(const Vector<Scalar>& p, const Inputs& in, View<Scalar> attention, Cache& cache,
               Scratch& scratch) const {
    const Index batch = in.units.cols();
    detail::check_prepared("StateAttention", cache.projected, batch);
    View<Scalar> projected = cache.projected.leftCols(batch);
    project(p, in, projected, scratch);
    logits(in, projected, attention);
    if (options_.attend_reg_coef != 0) {
      cache.logits.leftCols(batch) = attention;
      regularise(in, cache);
    }
    normalise(in, attention);
  }

  /// The same attention bit for bit, without a cache.
  void evaluate(const Vector<Scalar>& p, const Inputs& in, View<Scalar> attention, Scratch& scratch) const {
    const Index batch = in.units.cols();
    detail::check_prepared("StateAttention", scratch.projected, batch);
    View<Scalar> projected = scratch.projected.leftCols(batch);
    project(p, in, projected, scratch);
    logits(in, projected, attention);
    normalise(in, attention);
  }

  /// N of these samples: over how many agents the regulariser averages.
  Index regularised(const Inputs& in) const {
    if (!masked(in)) return in.units.rows() / options_.units * in.units.cols();
    return count_set(in.alive);
  }

  /// From `dattention`, which it uses up. Adds to `gradients` and, when nonlinear, to `dagent_qs`; overwrites `dz`, an
  /// empty one is not computed. `in` and `attention` are those of `forward`.
  void backward(const Vector<Scalar>& p, const Cache& cache, const Inputs& in, ConstView<Scalar> attention,
                View<Scalar> dattention, Vector<Scalar>& gradients, View<Scalar> dz, View<Scalar> dagent_qs,
                Scratch& scratch) const {
    const Index batch = in.units.cols();
    View<Scalar> dlogits = dattention, dprojected = scratch.projected.leftCols(batch);
    logits_backward(cache, in, attention, dlogits);
    projected_backward(cache, in, dlogits, dprojected, dagent_qs);

    for (Index h = 0; h < heads(); ++h) {
      const Head& head = heads_[static_cast<std::size_t>(h)];
      const Block whole_key = key(head, keys_);
      const ConstView<Scalar> w_q = block(p, head.query), w_k = block(p, whole_key);
      const ConstView<Scalar> dp = dprojected.middleRows(h * keys_, keys_);
      View<Scalar> fold = scratch.fold, dfold = scratch.dfold;
      if (dz.size() > 0) {
        product<Scalar>(fold, transposed(w_q), w_k);
        product<Scalar>(dz.middleRows(h * options_.sources, options_.sources), fold, dp);
      }
      product<Scalar>(dfold, source(in.z, h), transposed(dp));
      product<Scalar>(block(gradients, head.query), w_k, transposed(ConstView<Scalar>(dfold)), {.add = true});
      product<Scalar>(block(gradients, whole_key), w_q, dfold, {.add = true});
      if (options_.query_bias) {
        View<Scalar> db = scratch.dbias;
        db.setZero();
        add_columns<Scalar>(db, dp);
        product<Scalar>(block(gradients, head.query_bias), w_k, db, {.add = true});
        product<Scalar>(block(gradients, whole_key), block(p, head.query_bias), transposed(ConstView<Scalar>(db)),
                        {.add = true});
      }
    }
  }

 private:
  struct Head {
    Block query, query_bias, key;
  };

  /// The first `cols` columns of W̃_k: the bias follows its weight in memory.
  static Block key(const Head& head, Index cols) {
    Block b = head.key;
    b.cols = cols;
    return b;
  }

  ConstView<Scalar> source(ConstView<Scalar> z, Index h) const {
    return z.rows() == options_.sources ? z : ConstView<Scalar>(z.middleRows(h * options_.sources, options_.sources));
  }

  /// Whether forming M costs fewer multiplications than it saves.
  bool folds(Index batch) const {
    const Index e = options_.embed, s = options_.sources, k = keys_;
    return batch * (e * s + e * k - k * s) > e * s * k;
  }

  void project(const Vector<Scalar>& p, const Inputs& in, View<Scalar> projected, Scratch& scratch) const {
    const Index batch = in.units.cols();
    detail::require(
        in.z.cols() == batch && (in.z.rows() == options_.sources || in.z.rows() == options_.sources * heads()),
        "StateAttention", "z must be (sources · heads, R) or (sources, R)");
    if (batch == 1 && !folds(1)) return project_one(p, in, projected, scratch);
    for (Index h = 0; h < heads(); ++h) {
      const Head& head = heads_[static_cast<std::size_t>(h)];
      const ConstView<Scalar> w_q = block(p, head.query), w_k = block(p, key(head, keys_));
      const ConstView<Scalar> b_q = options_.query_bias ? block(p, head.query_bias) : ConstView<Scalar>();
      View<Scalar> p_h = projected.middleRows(h * keys_, keys_);
      if (folds(batch)) {
        View<Scalar> fold = scratch.fold, bias = scratch.bias;
        product<Scalar>(fold, transposed(w_q), w_k);
        if (options_.query_bias) product<Scalar>(bias, transposed(w_k), b_q);
        product<Scalar>(p_h, transposed(ConstView<Scalar>(fold)), source(in.z, h),
                        {.bias = options_.query_bias ? bias.data() : nullptr});
      } else {
        View<Scalar> q = scratch.query.leftCols(batch);
        product<Scalar>(q, w_q, source(in.z, h), {.bias = b_q.data()});
        product<Scalar>(p_h, transposed(w_k), q);
      }
    }
  }

  /// One sample: the heads' queries at once.
  void project_one(const Vector<Scalar>& p, const Inputs& in, View<Scalar> projected, Scratch& scratch) const {
    const auto at = [this](Index h) -> const Head& { return heads_[static_cast<std::size_t>(h)]; };
    const Index own = in.z.rows() == options_.sources ? 0 : options_.sources;
    products_of_columns<Scalar>(
        scratch.query.leftCols(heads()), [&](Index h) -> ConstView<Scalar> { return block(p, at(h).query); },
        {in.z.data(), options_.sources, heads(), own},
        [&](Index h) { return options_.query_bias ? block(p, at(h).query_bias).data() : nullptr; });
    for (Index h = 0; h < heads(); ++h)
      product<Scalar>(projected.middleRows(h * keys_, keys_), transposed<Scalar>(block(p, key(at(h), keys_))),
                      scratch.query.col(h));
  }

  /// ℓ_i = p · ũ_i
  void logits(const Inputs& in, ConstView<Scalar> projected, View<Scalar> out) const {
    detail::check_shape("StateAttention", "attention", out, in.units.rows() / options_.units * heads(),
                        in.units.cols());
    const Index n = out.rows() / heads(), d = options_.units;
    for (Index r = 0; r < out.cols(); ++r) {
      const Scalar* u = in.units.col(r).data();
      Scalar* l = out.col(r).data();
      for (Index h = 0; h < heads(); ++h) {
        const Scalar* p = projected.col(r).data() + h * keys_;
        const Scalar shift = keys_ > key_inputs_ ? p[keys_ - 1] : Scalar(0);
        for (Index i = 0; i < n; ++i, ++l) {
          *l = shift;
          for (Index k = 0; k < d; ++k) *l += p[k] * u[i * d + k];
          if (options_.nonlinear) *l += p[d] * in.agent_qs(i, r);
        }
      }
    }
  }

  bool masked(const Inputs& in) const { return options_.mask_dead && in.alive.size() > 0; }

  /// ℓ becomes λ.
  void normalise(const Inputs& in, View<Scalar> x) const {
    const Index n = x.rows() / heads();
    x *= Scalar(inverse_root_);
    if (masked(in)) {
      for (Index r = 0; r < x.cols(); ++r)
        for (Index k = 0; k < x.rows(); ++k)
          if (in.alive(k % n, r) == 0) x(k, r) = Scalar(-99999999.0);  // the authors' number: exp gives exactly 0
    }
    softmax<Scalar>({x.data(), n, heads() * x.cols(), n});
  }

  /// cache.logits holds ℓ: what the regulariser comes to, and N.
  void regularise(const Inputs& in, Cache& cache) const {
    const Index batch = in.units.cols(), n = cache.logits.rows() / heads();
    auto l = cache.logits.leftCols(batch);
    cache.regularised = in.regularised > 0 ? in.regularised : regularised(in);
    if (masked(in)) {
      for (Index r = 0; r < batch; ++r)
        for (Index k = 0; k < l.rows(); ++k)
          if (in.alive(k % n, r) == 0) l(k, r) = Scalar(0);
    }
    cache.regulariser = Scalar(options_.attend_reg_coef) * l.squaredNorm() / mean_over(cache);
  }

  static Scalar mean_over(const Cache& cache) {
    return static_cast<Scalar>(double(std::max<Index>(cache.regularised, 1)));
  }

  /// ∂λ becomes ∂ℓ.
  void logits_backward(const Cache& cache, const Inputs& in, ConstView<Scalar> attention, View<Scalar> d) const {
    const Index n = d.rows() / heads(), all = heads() * d.cols();
    softmax_backward<Scalar>({attention.data(), n, all, n}, {d.data(), n, all, n}, {d.data(), n, all, n});
    d *= Scalar(inverse_root_);
    if (masked(in)) {  // λ = 0 there, but for samples whose agents are all dead
      for (Index r = 0; r < d.cols(); ++r)
        for (Index k = 0; k < d.rows(); ++k)
          if (in.alive(k % n, r) == 0) d(k, r) = Scalar(0);
    }
    if (options_.attend_reg_coef != 0)
      d += (Scalar(2 * options_.attend_reg_coef) / mean_over(cache)) * cache.logits.leftCols(d.cols());
  }

  /// ∂ℓ to ∂p and, when nonlinear, to ∂Q.
  void projected_backward(const Cache& cache, const Inputs& in, View<Scalar> dlogits, View<Scalar> dprojected,
                          View<Scalar> dagent_qs) const {
    const Index n = dlogits.rows() / heads(), d = options_.units;
    dprojected.setZero();
    for (Index r = 0; r < dlogits.cols(); ++r) {
      const Scalar *u = in.units.col(r).data(), *dl = dlogits.col(r).data();
      for (Index h = 0; h < heads(); ++h) {
        Scalar* dp = dprojected.col(r).data() + h * keys_;
        for (Index i = 0; i < n; ++i, ++dl) {
          for (Index k = 0; k < d; ++k) dp[k] += u[i * d + k] * *dl;
          if (options_.nonlinear) {
            dp[d] += in.agent_qs(i, r) * *dl;
            dagent_qs(i, r) += cache.projected(h * keys_ + d, r) * *dl;
          }
          if (keys_ > key_inputs_) dp[keys_ - 1] += *dl;
        }
      }
    }
  }

  StateAttentionOptions options_;
  Index key_inputs_ = 0, keys_ = 0;
  double inverse_root_;
  std::vector<Head> heads_;
};

/// −Σ_i λ_i log(λ_i + 1e-8) in nats, averaged over samples, for each head: (heads, 1). From attention
/// (n · heads, R). What PyMARL-style logs call head_{h}_entropy (the authors' code, 2020). Allocates.
template <class Scalar>
Vector<Scalar> attention_entropy(ConstView<Scalar> attention, Index heads) {
  const Index n = attention.rows() / heads;
  Vector<Scalar> entropy(heads);
  for (Index h = 0; h < heads; ++h) {
    const auto lambda = attention.middleRows(h * n, n).array();
    entropy(h) = -(lambda * (lambda + Scalar(1e-8)).log()).sum() / static_cast<Scalar>(double(attention.cols()));
  }
  return entropy;
}

}  // namespace qatten::inline QATTEN_ABI
