#pragma once
// RMSprop (Tieleman and Hinton 2012), with ε where PyTorch has it:
//
//   g ← g + weight_decay θ
//   v ← α v + (1 − α) g²,   θ ← θ − lr g / (√v + ε)

#include "qatten/core/error.hpp"
#include "qatten/optim/optimizer.hpp"

namespace qatten::inline QATTEN_ABI {

/// PyMARL's defaults (optim_alpha, optim_eps).
struct RmsPropOptions {
  double lr = 5e-4;
  double alpha = 0.99;
  double eps = 1e-5;
  double weight_decay = 0;
};

template <class Scalar>
struct RmsPropState {
  Vector<Scalar> v;
};

template <class Scalar_>
class RmsProp {
 public:
  using Scalar = Scalar_;
  using State = RmsPropState<Scalar>;

  /// Throws for a negative rate, ε or decay.
  explicit RmsProp(const RmsPropOptions& options = {}) : options_(options) {
    detail::require(options.lr >= 0 && options.eps >= 0 && options.weight_decay >= 0, "RmsProp",
                    "lr, eps and weight_decay must not be negative");
  }

  const RmsPropOptions& options() const { return options_; }

  void prepare(State& state, Index size) const { state.v.setZero(size); }

  void update(Vector<Scalar>& parameters, const Vector<Scalar>& gradients, State& state) const {
    detail::check_shape("RmsProp::update", "gradients", gradients, parameters.size(), 1);
    detail::check_shape("RmsProp::update", "state", state.v, parameters.size(), 1);
    const auto alpha = static_cast<Scalar>(options_.alpha), rest = static_cast<Scalar>(1 - options_.alpha);
    const auto rate = static_cast<Scalar>(options_.lr);
    const auto decay = static_cast<Scalar>(options_.weight_decay), eps = static_cast<Scalar>(options_.eps);
    const auto g = gradients.array() + decay * parameters.array();
    state.v.array() = alpha * state.v.array() + rest * g.square();
    parameters.array() -= rate * g / (state.v.array().sqrt() + eps);
  }

 private:
  RmsPropOptions options_;
};

static_assert(Optimizer<RmsProp<float>>);

}  // namespace qatten::inline QATTEN_ABI
