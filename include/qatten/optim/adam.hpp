#pragma once
// Adam (Kingma and Ba 2015), with ε where PyTorch has it:
//
//   g ← g + weight_decay θ
//   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
//   θ ← θ − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

#include <cmath>
#include <cstdint>

#include "qatten/core/error.hpp"
#include "qatten/optim/optimizer.hpp"

namespace qatten::inline QATTEN_ABI {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

template <class Scalar>
struct AdamState {
  Vector<Scalar> m, v;
  std::int64_t step = 0;
};

template <class Scalar_>
class Adam {
 public:
  using Scalar = Scalar_;
  using State = AdamState<Scalar>;

  /// Throws for a negative rate, ε or decay.
  explicit Adam(const AdamOptions& options = {}) : options_(options) {
    detail::require(options.lr >= 0 && options.eps >= 0 && options.weight_decay >= 0, "Adam",
                    "lr, eps and weight_decay must not be negative");
  }

  const AdamOptions& options() const { return options_; }

  void prepare(State& state, Index size) const {
    state.m.setZero(size);
    state.v.setZero(size);
    state.step = 0;
  }

  void update(Vector<Scalar>& parameters, const Vector<Scalar>& gradients, State& state) const {
    detail::check_shape("Adam::update", "gradients", gradients, parameters.size(), 1);
    detail::check_shape("Adam::update", "state", state.m, parameters.size(), 1);
    const auto beta1 = static_cast<Scalar>(options_.beta1), beta2 = static_cast<Scalar>(options_.beta2);
    const auto rest1 = static_cast<Scalar>(1 - options_.beta1), rest2 = static_cast<Scalar>(1 - options_.beta2);
    const auto decay = static_cast<Scalar>(options_.weight_decay), eps = static_cast<Scalar>(options_.eps);
    const double t = static_cast<double>(++state.step);
    const auto rate = static_cast<Scalar>(options_.lr / (1 - std::pow(options_.beta1, t)));
    const auto root = static_cast<Scalar>(std::sqrt(1 - std::pow(options_.beta2, t)));
    const auto g = gradients.array() + decay * parameters.array();
    state.m.array() = beta1 * state.m.array() + rest1 * g;
    state.v.array() = beta2 * state.v.array() + rest2 * g.square();  // 1 − β₂ in float is off by 5e-5
    parameters.array() -= rate * state.m.array() / (state.v.array().sqrt() / root + eps);
  }

 private:
  AdamOptions options_;
};

static_assert(Optimizer<Adam<float>>);

}  // namespace qatten::inline QATTEN_ABI
