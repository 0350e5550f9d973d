#pragma once
// QTRAN's state value (Son et al. 2019), which makes up for what a sum of the agents' values misses:
//
//   V_jt = V([s])   (PyMARL)   or   V([s; Σ_i f(h_i)])   (the paper; starry-sky6688/MARL-Algorithms)
//
// and what QTRAN's nets read.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qatten/mixers/sum_encoder.hpp"

namespace qatten::inline QATTEN_ABI {

/// What QTRAN's nets read, for R samples at once.
template <class Scalar>
struct QtranInputs {
  ConstView<Scalar> hidden;         ///< (hidden_dim, n_agents · R): what the agents remember, h_i
  ConstView<std::int32_t> actions;  ///< (n_agents, R): the joint action u
  ConstView<Scalar> state;          ///< (state_dim, R)
};

struct QtranSizes {
  Index n_agents = 1;
  Index n_actions = 1;
  Index hidden_dim = 1;
  Index state_dim = 1;
};

struct QtranOptions {
  Index mixing_embed_dim = 64;  ///< width of the hidden layers of Q_jt and V_jt
  bool hidden_value = false;    ///< V_jt reads the hidden states as well as the state
};

/// Parameters `name`.V and, if it reads hidden states, `name`.V_encoding.
template <class Scalar>
class QtranValue {
 public:
  struct Cache {
    typename SumEncoder<Scalar>::Cache encoder;
    typename Mlp<Scalar>::Cache value;
    Matrix<Scalar> input;  ///< [s; Σ_i f(h_i)]
  };
  struct Scratch {
    typename SumEncoder<Scalar>::Scratch encoder;
    typename Mlp<Scalar>::Scratch value;
    Matrix<Scalar> input;
  };

  QtranValue(ParameterLayout& layout, const std::string& name, const QtranSizes& sizes, const QtranOptions& options)
      : state_dim_(sizes.state_dim),
        value_(layout, name + ".V",
               {sizes.state_dim + (options.hidden_value ? sizes.hidden_dim : 0), options.mixing_embed_dim,
                options.mixing_embed_dim, 1}) {
    if (options.hidden_value) encoder_.emplace(layout, name + ".V_encoding", sizes.hidden_dim, sizes.n_agents);
  }

  void initialise(Vector<Scalar>& p, Random& random) const {
    value_.initialise(p, random);
    if (encoder_) encoder_->initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    value_.prepare(cache.value, scratch.value, rows);
    for (auto* m : {&cache.input, &scratch.input}) m->resize(value_.inputs(), rows);
    if (encoder_) encoder_->prepare(cache.encoder, scratch.encoder, rows);
  }

  /// Writes v (1, R).
  void forward(const Vector<Scalar>& p, const QtranInputs<Scalar>& in, View<Scalar> v, Cache& cache) const {
    const Index rows = v.cols();
    detail::check_shape("QtranValue", "state", in.state, state_dim_, rows);
    detail::check_prepared("QtranValue", cache.input, rows);
    View<Scalar> x = cache.input.leftCols(rows);
    x.topRows(state_dim_) = in.state;
    if (encoder_) encoder_->forward(p, in.hidden, x.bottomRows(encoder_->size()), cache.encoder);
    value_.forward(p, x, v, cache.value);
  }

  /// Adds to `gradients`, overwrites `dhidden` (hidden_dim, n_agents · R).
  void backward(const Vector<Scalar>& p, const Cache& cache, const QtranInputs<Scalar>& in, ConstView<Scalar> dv,
                Vector<Scalar>& gradients, View<Scalar> dhidden, Scratch& scratch) const {
    const Index rows = dv.cols();
    const ConstView<Scalar> x = cache.input.leftCols(rows);
    if (!encoder_) {
      value_.backward(p, cache.value, x, dv, gradients, {}, scratch.value);
      dhidden.setZero();
      return;
    }
    View<Scalar> dx = scratch.input.leftCols(rows);
    value_.backward(p, cache.value, x, dv, gradients, dx, scratch.value);
    encoder_->backward(p, cache.encoder, in.hidden, dx.bottomRows(encoder_->size()), gradients, dhidden,
                       scratch.encoder);
  }

 private:
  Index state_dim_;
  Mlp<Scalar> value_;
  std::optional<SumEncoder<Scalar>> encoder_;
};

}  // namespace qatten::inline QATTEN_ABI
