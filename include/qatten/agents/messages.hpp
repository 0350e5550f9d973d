#pragma once
// Targeted messages within a team (TarMAC: Das et al. 2019, arXiv 1810.11187, section 3), from the agents' states h.
// With g = h at first, agent i sends a signature k_i and a value v_i, and agent j listens with a query q_j:
//
//   q_j = W_q g_j + b_q,   v_i = W_v g_i + b_v,   k_i = W_k g_i
//   ℓ_ji = q_j · k_i / √d,   α_ji = softmax_i(ℓ_ji),   c_j = Σ_i α_ji v_i            its own message among them
//
// Each further round refines g_j ← tanh(W_r [c_j; g_j]) and sends anew, with the same weights. A bias of k would add
// the same to all of an agent's logits: softmax does not see it, so there is none.
//
// Backward from the last round's ∂c. With the columns of a team as matrices, α_j and ℓ_j being columns of α and ℓ:
//
//   ∂V = ∂C αᵀ,   ∂α = Vᵀ ∂C,   ∂ℓ_ji = α_ji (∂α_ji − Σ_m α_jm ∂α_jm) / √d,   ∂Q = K ∂ℓ,   ∂K = Q ∂ℓᵀ
//   ∂g += W_qᵀ ∂q + W_vᵀ ∂v + W_kᵀ ∂k
//   δ = ∂g ∘ (1 − g²),   ∂W_r += δ [c; g]ᵀ,   [∂c; ∂g] = W_rᵀ δ                      c and g of the round before

#include <cmath>
#include <string>
#include <vector>

#include "qatten/core/math.hpp"
#include "qatten/core/parameters.hpp"
#include "qatten/core/product.hpp"
#include "qatten/nn/activation.hpp"
#include "qatten/nn/initialise.hpp"
#include "qatten/nn/softmax.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes: h (hidden, columns) and c (value, columns), where each `n_agents` neighbouring columns are a team.
/// Parameters query.weight, query.bias, value.weight, value.bias, signature.weight, and with more than one round
/// refine.weight (hidden, value + hidden).
template <class Scalar>
class Messages {
 public:
  static constexpr Index signature = 16;  ///< entries of q and k: d (the paper's number)
  static constexpr Index value = 32;      ///< entries of v and c (the paper's)

  struct Round {
    Matrix<Scalar> g;          ///< (hidden, columns); not of the first round, which reads h
    Matrix<Scalar> sent;       ///< q, v and k, one above the other (2 d + value, columns)
    Matrix<Scalar> attention;  ///< (n_agents, columns): α_j in column j
    Matrix<Scalar> received;   ///< c (value, columns)
  };
  /// What `forward` leaves for `backward`, which keeps gradients in another one.
  using Memory = std::vector<Round>;

  Messages(ParameterLayout& layout, const std::string& name, Index n_agents, Index hidden, Index rounds)
      : n_agents_(n_agents),
        rounds_(rounds),
        weight_(layout.add_stacked({{name + ".query.weight", signature},
                                    {name + ".value.weight", value},
                                    {name + ".signature.weight", signature}},
                                   hidden)),
        bias_(layout.add_stacked({{name + ".query.bias", signature}, {name + ".value.bias", value}})) {
    detail::require(rounds >= 1, "Messages", "comm_rounds must be at least 1");
    if (rounds > 1) refine_ = layout.add(name + ".refine.weight", hidden, value + hidden);
  }

  /// PyTorch's default for each linear layer.
  void initialise(Vector<Scalar>& p, Random& random) const {
    const double bound = 1 / std::sqrt(double(weight_.cols));
    initialise_uniform(block(p, weight_), bound, random);
    initialise_uniform(block(p, bias_), bound, random);
    if (rounds_ > 1) initialise_uniform(block(p, refine_), 1 / std::sqrt(double(refine_.cols)), random);
  }

  void prepare(Memory& memory, Index columns) const {
    memory.resize(static_cast<std::size_t>(rounds_));
    for (Round& round : memory) {
      round.g.resize(weight_.cols, &round == &memory.front() ? 0 : columns);
      round.sent.resize(weight_.rows, columns);
      round.attention.resize(n_agents_, columns);
      round.received.resize(value, columns);
    }
  }

  /// c from h. `memory` may hold many steps side by side: `column` says where this one lies.
  void forward(const Vector<Scalar>& p, ConstView<Scalar> h, View<Scalar> c, Memory& memory, Index column = 0) const {
    const Index columns = h.cols();
    detail::check_shape("Messages", "h", h, weight_.cols, -1);
    detail::check_shape("Messages", "c", c, value, columns);
    detail::require(columns % n_agents_ == 0, "Messages", "the columns are not whole teams");
    detail::require(!memory.empty(), "Messages", "call prepare() first");
    detail::check_prepared("Messages", memory.front().sent, column + columns);
    for (std::size_t r = 0; r < memory.size(); ++r) {
      if (r > 0) refine(p, state(memory, r - 1, h, column), memory, r, column);
      send(p, state(memory, r, h, column), memory[r].sent.middleCols(column, columns));
      listen(memory[r], column, columns);
    }
    c = memory.back().received.middleCols(column, columns);
  }

  /// Adds to `gradients` and to `dh`. `memory` and `h` are those of `forward`.
  void backward(const Vector<Scalar>& p, const Memory& memory, ConstView<Scalar> h, ConstView<Scalar> dc,
                Vector<Scalar>& gradients, View<Scalar> dh, Memory& scratch, Index column = 0) const {
    const Index columns = h.cols();
    scratch.back().received.leftCols(columns) = dc;
    for (std::size_t r = memory.size(); r-- > 0;) {
      View<Scalar> dg = r == 0 ? dh : View<Scalar>(scratch[r].g.leftCols(columns));
      View<Scalar> dsent = scratch[r].sent.leftCols(columns);
      listen_backward(memory[r], column, columns, scratch[r]);
      product<Scalar>(block(gradients, weight_), dsent, transposed(state(memory, r, h, column)), {.add = true});
      add_columns<Scalar>(block(gradients, bias_), dsent.topRows(bias_.rows));
      product<Scalar>(dg, transposed(block(p, weight_)), dsent, {.add = r == 0 || r + 1 < memory.size()});
      if (r > 0) refine_backward(p, memory, r, h, column, gradients, dg, dh, scratch);
    }
  }

 private:
  /// The rows of q, v and k, or of their gradients.
  template <class V>
  static V queries(V sent) {
    return sent.topRows(signature);
  }
  template <class V>
  static V values(V sent) {
    return sent.middleRows(signature, value);
  }
  template <class V>
  static V signatures(V sent) {
    return sent.bottomRows(signature);
  }

  /// The columns of W_r that read c, and those that read g.
  template <class V>
  static V of_message(V w) {
    return w.leftCols(value);
  }
  template <class V>
  static V of_state(V w) {
    return w.rightCols(w.cols() - value);
  }

  /// g of round r.
  static ConstView<Scalar> state(const Memory& memory, std::size_t r, ConstView<Scalar> h, Index column) {
    return r == 0 ? h : ConstView<Scalar>(memory[r].g.middleCols(column, h.cols()));
  }

  void send(const Vector<Scalar>& p, ConstView<Scalar> g, View<Scalar> sent) const {
    const ConstView<Scalar> w = block(p, weight_);
    product<Scalar>(sent.topRows(bias_.rows), w.topRows(bias_.rows), g, {.bias = block(p, bias_).data()});
    product<Scalar>(signatures(sent), signatures(w), g);
  }

  /// From what all have sent: α and c, team by team.
  void listen(Round& round, Index column, Index columns) const {
    const ConstView<Scalar> sent = round.sent.middleCols(column, columns);
    View<Scalar> attention = round.attention.middleCols(column, columns);
    View<Scalar> c = round.received.middleCols(column, columns);
    for (Index j = 0; j < columns; j += n_agents_)
      product<Scalar>(team(attention, j), transposed(team(signatures(sent), j)), team(queries(sent), j));
    attention *= inverse_root();
    softmax<Scalar>(attention);
    for (Index j = 0; j < columns; j += n_agents_)
      product<Scalar>(team(c, j), team(values(sent), j), team(attention, j));
  }

  /// From ∂c in `d.received` to ∂q, ∂v and ∂k in `d.sent`.
  void listen_backward(const Round& round, Index column, Index columns, Round& d) const {
    const ConstView<Scalar> sent = round.sent.middleCols(column, columns), dc = d.received.leftCols(columns);
    const ConstView<Scalar> attention = round.attention.middleCols(column, columns);
    View<Scalar> dsent = d.sent.leftCols(columns), dlogits = d.attention.leftCols(columns);
    for (Index j = 0; j < columns; j += n_agents_) {
      product<Scalar>(team(values(dsent), j), team(dc, j), transposed(team(attention, j)));
      product<Scalar>(team(dlogits, j), transposed(team(values(sent), j)), team(dc, j));
    }
    softmax_backward<Scalar>(attention, dlogits, dlogits);
    dlogits *= inverse_root();
    for (Index j = 0; j < columns; j += n_agents_) {
      const ConstView<Scalar> of_team = team(dlogits, j);
      product<Scalar>(team(queries(dsent), j), team(signatures(sent), j), of_team);
      product<Scalar>(team(signatures(dsent), j), team(queries(sent), j), transposed(of_team));
    }
  }

  /// g of round r from `before`, that of the round before.
  void refine(const Vector<Scalar>& p, ConstView<Scalar> before, Memory& memory, std::size_t r, Index column) const {
    const ConstView<Scalar> w = block(p, refine_);
    View<Scalar> g = memory[r].g.middleCols(column, before.cols());
    product<Scalar>(g, of_message(w), memory[r - 1].received.middleCols(column, before.cols()));
    product<Scalar>(g, of_state(w), before, {.add = true});
    for (Index j = 0; j < g.cols(); ++j)
      lanes<Scalar>(g.rows(), [to = g.col(j).data()](auto at) { at.store(to, lane_tanh(at(to))); });
  }

  /// From `dg` of round r, which it uses up, to ∂c and ∂g of the round before.
  void refine_backward(const Vector<Scalar>& p, const Memory& memory, std::size_t r, ConstView<Scalar> h, Index column,
                       Vector<Scalar>& gradients, View<Scalar> dg, View<Scalar> dh, Memory& scratch) const {
    const Index columns = h.cols();
    const ConstView<Scalar> w = block(p, refine_), c = memory[r - 1].received.middleCols(column, columns);
    View<Scalar> dw = block(gradients, refine_),
                 dbefore = r == 1 ? dh : View<Scalar>(scratch[r - 1].g.leftCols(columns));
    activate_backward(Activation::tanh, state(memory, r, h, column), dg);
    product<Scalar>(of_message(dw), dg, transposed(c), {.add = true});
    product<Scalar>(of_state(dw), dg, transposed(state(memory, r - 1, h, column)), {.add = true});
    product<Scalar>(scratch[r - 1].received.leftCols(columns), transposed(of_message(w)), dg);
    product<Scalar>(dbefore, transposed(of_state(w)), dg, {.add = r == 1});
  }

  /// The columns of the team that begins at column j.
  template <class V>
  V team(V x, Index j) const {
    return x.middleCols(j, n_agents_);
  }

  static Scalar inverse_root() { return Scalar(1 / std::sqrt(double(signature))); }

  Index n_agents_, rounds_;
  Block weight_, bias_, refine_;
};

}  // namespace qatten::inline QATTEN_ABI
