#pragma once
// The policy head of a team: what its last layer gives are logits z, and an action that is not available has no
// probability, by construction.
//
//   p(a) = exp(z_a − max z) / Σ_b exp(z_b − max z)   over the m available actions
//   π(a) = (1 − ε) p(a) + ε / m                      their exploration, PyMARL's with mask_before_softmax
//
// Backward, with g = ∂L/∂log π(u) of the action u taken:   ∂z_b = g (1 − ε) p(u) / π(u) · ([b = u] − p(b))

#include <cmath>
#include <cstdint>

#include "qatten/core/error.hpp"
#include "qatten/core/random.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// One agent's policy at one moment: a column of p and of its availability. Views, nothing is owned.
template <class Scalar>
class Policy {
 public:
  /// Of `column` of p, as `masked_softmax` gives it.
  Policy(ConstView<Scalar> p, ConstView<std::uint8_t> available, Index column, double epsilon)
      : p_(p.col(column).data()),
        available_(available.col(column).data()),
        n_actions_(p.rows()),
        chosen_(static_cast<Scalar>(1 - epsilon)) {
    Index count = 0;
    for (Index a = 0; a < n_actions_; ++a) count += available_[a] != 0;
    explored_ = static_cast<Scalar>(epsilon / double(count));
  }

  /// π(a).
  Scalar operator()(Index a) const { return available_[a] != 0 ? chosen_ * p_[a] + explored_ : Scalar(0); }

  /// An action drawn from π.
  Index sample(Random& random) const {
    Scalar rest = static_cast<Scalar>(random.uniform());
    Index last = -1;
    for (Index a = 0; a < n_actions_; ++a) {
      const Scalar probability = (*this)(a);
      if (!(probability > Scalar(0))) continue;
      last = a;
      rest -= probability;
      if (rest < Scalar(0)) break;
    }
    detail::require(last >= 0, "Policy::sample", "no action has a probability");  // as when the logits are NaN
    return last;
  }

  /// Overwrites ∂L/∂z (n_actions) from g = ∂L/∂log π(u).
  void backward(Index u, const Scalar& g, Scalar* dz) const {
    const Scalar slope = g * chosen_ * p_[u] / (*this)(u);
    for (Index b = 0; b < n_actions_; ++b) dz[b] = slope * (Scalar(b == u ? 1 : 0) - p_[b]);
  }

 private:
  const Scalar* p_;
  const std::uint8_t* available_;
  Index n_actions_;
  Scalar chosen_, explored_;
};

/// z = p(z) in place (n_actions, columns). Throws when a column has no available action. Allocates nothing.
template <class Scalar>
void masked_softmax(View<Scalar> z, ConstView<std::uint8_t> available) {
  using std::exp;
  detail::check_shape("masked_softmax", "available", available, z.rows(), z.cols());
  for (Index j = 0; j < z.cols(); ++j) {
    Scalar* const column = z.col(j).data();
    const std::uint8_t* const allowed = available.col(j).data();
    Index best = -1;
    for (Index a = 0; a < z.rows(); ++a)
      if (allowed[a] != 0 && (best < 0 || column[a] > column[best])) best = a;
    detail::require(best >= 0, "masked_softmax", "an agent has no available action");
    const Scalar largest = column[best];
    Scalar sum(0);
    for (Index a = 0; a < z.rows(); ++a) {
      column[a] = allowed[a] != 0 ? exp(column[a] - largest) : Scalar(0);
      sum += column[a];
    }
    for (Index a = 0; a < z.rows(); ++a) column[a] /= sum;
  }
}

}  // namespace qatten::inline QATTEN_ABI
