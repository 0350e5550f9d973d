#pragma once
// Clipping by the global norm (Pascanu, Mikolov, Bengio 2013), as torch.nn.utils.clip_grad_norm_ does it:
//
//   g ← g · min(1, c / (‖g‖ + 1e-6))

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// Scales `gradients` to at most `max_norm` and returns their norm before.
template <class Scalar>
Scalar clip_global_norm(Vector<Scalar>& gradients, double max_norm) {
  const Scalar norm = gradients.norm();
  const Scalar scale = static_cast<Scalar>(max_norm) / (norm + static_cast<Scalar>(1e-6));
  if (scale < Scalar(1)) gradients *= scale;
  return norm;
}

}  // namespace qatten::inline QATTEN_ABI
