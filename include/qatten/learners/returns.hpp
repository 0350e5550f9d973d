#pragma once
// λ-returns of ragged episodes (Watkins 1989; Peng and Williams 1996), each started at its own end:
//
//   G_L = Q(L),   G_t = r_t + γ c_t ((1 − λ) Q(t+1) + λ G_{t+1})
//
// c_t = 0 where the episode terminated, 1 elsewhere: an episode that was cut off keeps the value of its last
// observation. λ = 0 gives one-step targets r + γ c Q(t+1).

#include "qatten/core/ragged.hpp"

namespace qatten::inline QATTEN_ABI {

/// Shapes, over transitions: rewards and continues (1, K); next_values Q(t+1) and returns (outputs, K). Allocates
/// nothing.
template <class Scalar>
void lambda_returns(const Ragged& transitions, ConstView<Scalar> rewards, ConstView<Scalar> continues,
                    ConstView<Scalar> next_values, double gamma, double lambda, View<Scalar> returns) {
  detail::check_shape("lambda_returns", "rewards", rewards, 1, transitions.total());
  detail::check_shape("lambda_returns", "continues", continues, 1, transitions.total());
  detail::check_shape("lambda_returns", "next_values", next_values, -1, transitions.total());
  detail::check_shape("lambda_returns", "returns", returns, next_values.rows(), transitions.total());
  const auto discount = static_cast<Scalar>(gamma), trace = static_cast<Scalar>(lambda);
  for (Index t = transitions.steps(); t-- > 0;) {
    for (Index b = 0; b < transitions.living(t); ++b) {
      const Index k = transitions.column(b, t);
      auto g = returns.col(k);
      g = next_values.col(k);
      if (b < transitions.living(t + 1))
        g = (Scalar(1) - trace) * g + trace * returns.col(transitions.column(b, t + 1));
      g = ((discount * continues(0, k)) * g).array() + rewards(0, k);
    }
  }
}

}  // namespace qatten::inline QATTEN_ABI
