#pragma once
// The matrix products of each mixer, for R samples. s: states, A: all first layers stacked, y: their outputs.

#include <vector>

#include "floor.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qlinear.hpp"
#include "qatten/mixers/qmix.hpp"

namespace qatten::benchmarks {

enum class Pass { forward, forward_backward };

/// Hypernetworks on the state: A as high as all hidden layers and one-layer nets together; B_k of the two-layer nets.
///
///   y = A s,                  out_k = B_k y_k
///   ∂B_k = ∂out_k y_kᵀ,       ∂y_k = B_kᵀ ∂out_k,       ∂A = ∂y sᵀ
class HypernetworkFloor {
 public:
  HypernetworkFloor(Floor& floor, Index state_dim, Index height, Index rows)
      : floor_(floor),
        s_(floor.matrix(state_dim, rows)),
        a_(floor.matrix(height, state_dim)),
        y_(floor.matrix(height, rows)),
        dy_(floor.matrix(height, rows)) {
    floor_.product(y_, a_, s_);
  }

  /// The next `hidden` rows of y, and of ∂y.
  struct Band {
    View<float> y, dy;
  };
  Band band(Index hidden) {
    const Index row = std::exchange(next_, next_ + hidden);
    return {y_.middleRows(row, hidden), dy_.middleRows(row, hidden)};
  }

  /// A second layer on the next band.
  void second_layer(Index hidden, Index outputs, Pass pass) {
    const Band k = band(hidden);
    const auto b = floor_.matrix(outputs, hidden), out = floor_.matrix(outputs, y_.cols());
    floor_.product(out, b, k.y);
    if (pass == Pass::forward) return;
    floor_.product(floor_.matrix(outputs, hidden), out, t(k.y));
    floor_.product(k.dy, t(b), out);
  }

  void backward() { floor_.product(floor_.matrix(a_.rows(), a_.cols()), dy_, t(s_)); }

 private:
  Floor& floor_;
  View<float> s_, a_, y_, dy_;
  Index next_ = 0;
};

/// hyper_w_1: E·n from its hidden layer; hyper_w_final: E from its hidden layer; hyper_b_1: E; V: 1 from E.
inline void add_products(Floor& floor, const Qmix<float>& mixer, Index rows, Pass pass) {
  const Index hidden = mixer.options().hypernet_embed, embed = mixer.options().mixing_embed_dim;
  HypernetworkFloor nets(floor, mixer.state_dim(), hidden + hidden + embed + embed, rows);
  nets.second_layer(hidden, embed * mixer.n_agents(), pass);
  nets.second_layer(hidden, embed, pass);
  nets.second_layer(embed, 1, pass);
  if (pass == Pass::forward_backward) nets.backward();
}

/// z_h: the query's hidden layer of head h, all of them bands of y, as are those of the head weights (if weighted) and
/// of c(s). Then, for each head,
///
///   M = W_kᵀ W_q,    pᵀ = z_hᵀ Mᵀ                 for few samples: qᵀ = z_hᵀ W_qᵀ,  pᵀ = qᵀ W_k
///   ∂z_h = Mᵀ ∂p,    ∂Mᵀ = z_h ∂pᵀ,    ∂W_q = W_k ∂M,    ∂W_k = W_q ∂Mᵀ
///
/// p is as high as the few unit features, and so low a factor keeps Eigen's kernels idle: transposed, samples first,
/// the same products take half the time.
inline void add_products(Floor& floor, const Qatten<float>& mixer, Index rows, Pass pass) {
  const QattenOptions& o = mixer.options();
  const Index hidden = o.query_hidden, units = mixer.unit_dim(), weights = o.weighted_head ? o.head_hidden : 0;
  HypernetworkFloor nets(floor, mixer.state_dim(), o.n_head * hidden + weights + o.value_hidden, rows);
  for (Index h = 0; h < o.n_head; ++h) {
    const auto [z, dz] = nets.band(hidden);
    const auto w_q = floor.matrix(o.embed, hidden), w_k = floor.matrix(o.embed, units);
    const auto p = floor.matrix(rows, units);  // pᵀ
    if (rows * o.embed * (hidden + units) < units * hidden * (rows + o.embed)) {
      const auto q = floor.matrix(rows, o.embed);
      floor.product(q, t(z), t(w_q));
      floor.product(p, q, w_k);
      continue;
    }
    const auto m = floor.matrix(units, hidden);
    floor.product(m, t(w_k), w_q);
    floor.product(p, t(z), t(m));
    if (pass == Pass::forward) continue;
    const auto dm = floor.matrix(hidden, units);  // ∂Mᵀ
    floor.product(dz, t(m), t(p));
    floor.product(dm, z, p);
    floor.product(floor.matrix(o.embed, hidden), w_k, t(dm));
    floor.product(floor.matrix(o.embed, units), w_q, dm);
  }
  if (o.weighted_head) nets.second_layer(weights, o.n_head, pass);
  nets.second_layer(o.value_hidden, 1, pass);
  if (pass == Pass::forward_backward) nets.backward();
}

/// The state's parts of all agents' first layers, W_s s, and of c(s) read one input. Then, on the n R agents' units u,
///
///   y = W_u u,   f = w y,   ∂w = ∂f yᵀ,   ∂y = wᵀ ∂f,   ∂W_u = ∂y uᵀ
inline void add_products(Floor& floor, const Qlinear<float>& mixer, Index rows, Pass pass) {
  const auto [hidden, value_hidden] = QlinearOptions{};
  const Index columns = mixer.n_agents() * rows;
  HypernetworkFloor nets(floor, mixer.state_dim(), hidden + value_hidden, rows);
  nets.band(hidden);
  nets.second_layer(value_hidden, 1, pass);
  const auto u = floor.matrix(mixer.unit_dim(), columns), w_u = floor.matrix(hidden, mixer.unit_dim());
  const auto y = floor.matrix(hidden, columns), w = floor.matrix(1, hidden), f = floor.matrix(1, columns);
  floor.product(y, w_u, u);
  floor.product(f, w, y);
  if (pass == Pass::forward) return;
  const auto dy = floor.matrix(hidden, columns);
  floor.product(floor.matrix(1, hidden), f, t(y));
  floor.product(dy, t(w), f);
  floor.product(floor.matrix(hidden, mixer.unit_dim()), dy, t(u));
  nets.backward();
}

/// VDN and independent learners multiply nothing.
template <class Mixer>
void add_products(Floor&, const Mixer&, Index, Pass) {}

}  // namespace qatten::benchmarks
