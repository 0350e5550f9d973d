#pragma once
// The matrix products of a team of recurrent agents that share their parameters, and may send messages (TarMAC).

#include "floor.hpp"
#include "qatten/agents/agent.hpp"

namespace qatten::benchmarks {

/// With o_t, x_t, h_t, q_t the columns of step t, those of the sequences that live then, agents side by side:
///
///   x_t = W_1 o_t,       a = W_ih x_t,        c = W_hh h_{t−1},     q_t = W_2 h_t                   t = 0, 1, …
///   ∂h_t = W_2ᵀ ∂q_t,    ∂x_t = W_ihᵀ ∂a,     ∂h_{t−1} = W_hhᵀ ∂c                                   t = …, 1, 0
///   ∂W_2 = ∂q_t h_tᵀ,    ∂W_ih = ∂a x_tᵀ,     ∂W_hh = ∂c h_{t−1}ᵀ,  ∂W_1 = ∂x_t o_tᵀ
///
/// With messages a_t = W_ih [x_t; c_t], and for t > 0 s = W_s h_{t−1}, ∂h_{t−1} += W_sᵀ ∂s, ∂W_s = ∂s h_{t−1}ᵀ: what is
/// sent. h_{−1} is zero: no product. Step by step, a and c stay in the caches; whole sequences at a time are slower.
class AgentFloor {
 public:
  /// `sent` and `received`: entries of s and c, of one round of messages.
  AgentFloor(Floor& floor, const AgentOptions& options, Index columns, Index sent = 0, Index received = 0)
      : floor_(floor),
        n_(options.n_agents),
        o_(floor.matrix(options.obs_shape, columns * n_)),
        x_(floor.matrix(options.hidden_dim + received, columns * n_)),
        h_(floor.matrix(options.hidden_dim, columns * n_)),
        q_(floor.matrix(options.n_actions, columns * n_)),
        w_1_(floor.matrix(options.hidden_dim, options.obs_shape)),
        w_ih_(floor.matrix(3 * options.hidden_dim, options.hidden_dim + received)),
        w_hh_(floor.matrix(3 * options.hidden_dim, options.hidden_dim)),
        w_s_(floor.matrix(sent, options.hidden_dim)),
        w_2_(floor.matrix(options.n_actions, options.hidden_dim)) {}

  void forward(const Ragged& ragged) {
    auto a = floor_.matrix(w_ih_.rows(), ragged.living(0) * n_), c = floor_.matrix(a.rows(), a.cols());
    auto s = floor_.matrix(w_s_.rows(), a.cols());
    for (Index t = 0; t < ragged.steps(); ++t) {
      const Index first = ragged.offset(t) * n_, count = ragged.living(t) * n_;
      step(first, count, a.leftCols(count));
      if (t > 0) floor_.product(c.leftCols(count), w_hh_, before(ragged, t, count));
      if (t > 0 && sends()) floor_.product(s.leftCols(count), w_s_, before(ragged, t, count));
    }
  }

  void backward(const Ragged& ragged) {
    auto da = floor_.matrix(w_ih_.rows(), ragged.living(0) * n_), dc = floor_.matrix(da.rows(), da.cols());
    auto dh = floor_.matrix(w_hh_.cols(), da.cols()), carry = floor_.matrix(dh.rows(), dh.cols());
    auto dx = floor_.matrix(w_ih_.cols(), da.cols()), ds = floor_.matrix(w_s_.rows(), da.cols());
    auto dw_1 = like(w_1_), dw_ih = like(w_ih_), dw_hh = like(w_hh_), dw_2 = like(w_2_), dw_s = like(w_s_);
    for (Index s = ragged.steps(); s-- > 0;) {
      const Index first = ragged.offset(s) * n_, count = ragged.living(s) * n_;
      auto q = q_.middleCols(first, count);
      auto da_s = da.leftCols(count), dc_s = dc.leftCols(count), dx_s = dx.leftCols(count);
      floor_.product(dh.leftCols(count), t(w_2_), q);
      floor_.product(dw_2, q, t(h_.middleCols(first, count)));
      floor_.product(dx_s, t(w_ih_), da_s);
      floor_.product(dw_ih, da_s, t(x_.middleCols(first, count)));
      floor_.product(dw_1, dx_s.topRows(dw_1.rows()), t(o_.middleCols(first, count)));
      if (s == 0) continue;
      floor_.product(carry.leftCols(count), t(w_hh_), dc_s);
      floor_.product(dw_hh, dc_s, t(before(ragged, s, count)));
      if (!sends()) continue;
      floor_.product(carry.leftCols(count), t(w_s_), ds.leftCols(count));
      floor_.product(dw_s, ds.leftCols(count), t(before(ragged, s, count)));
    }
  }

  /// One step of one team from a hidden state.
  void act() {
    auto a = floor_.matrix(w_ih_.rows(), n_), c = floor_.matrix(w_hh_.rows(), n_);
    step(0, n_, a);
    floor_.product(c, w_hh_, h_.leftCols(n_));
    if (sends()) floor_.product(floor_.matrix(w_s_.rows(), n_), w_s_, h_.leftCols(n_));
  }

 private:
  void step(Index first, Index count, View<float> a) {
    auto x = x_.middleCols(first, count);
    floor_.product(x.topRows(w_1_.rows()), w_1_, o_.middleCols(first, count));
    floor_.product(a, w_ih_, x);
    floor_.product(q_.middleCols(first, count), w_2_, h_.middleCols(first, count));
  }

  bool sends() const { return w_s_.rows() > 0; }

  View<float> like(ConstView<float> w) { return floor_.matrix(w.rows(), w.cols()); }

  /// h of the step before, of the sequences that live at t.
  ConstView<float> before(const Ragged& ragged, Index t, Index count) const {
    return h_.middleCols(ragged.offset(t - 1) * n_, count);
  }

  Floor& floor_;
  Index n_;
  View<float> o_, x_, h_, q_, w_1_, w_ih_, w_hh_, w_s_, w_2_;
};

}  // namespace qatten::benchmarks
