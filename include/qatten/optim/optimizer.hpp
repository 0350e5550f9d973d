#pragma once
// What an optimiser must offer.

#include <concepts>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// One step on a flat parameter vector. Moments and step count are the caller's `State`, so that a checkpoint has them.
template <class O>
concept Optimizer = requires(const O optimizer, typename O::State& state, Vector<typename O::Scalar>& parameters,
                             const Vector<typename O::Scalar>& gradients, Index size) {
  optimizer.prepare(state, size);                  // the only method that allocates: a fresh state
  optimizer.update(parameters, gradients, state);  // parameters one step down the gradients
};

}  // namespace qatten::inline QATTEN_ABI
