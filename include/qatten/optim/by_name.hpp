#pragma once
// An optimiser chosen at run time by its name. One step is one call an update: here the choice may as well be made
// every time, and learners need not be compiled once an optimiser.

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar_>
class AnyOptimizer {
 public:
  using Scalar = Scalar_;
  using State = std::variant<AdamState<Scalar>, RmsPropState<Scalar>>;

  AnyOptimizer(const Adam<Scalar>& optimizer) : optimizer_(optimizer) {}
  AnyOptimizer(const RmsProp<Scalar>& optimizer) : optimizer_(optimizer) {}

  void prepare(State& state, Index size) const {
    std::visit(
        [&](const auto& optimizer) {
          optimizer.prepare(state.template emplace<typename std::decay_t<decltype(optimizer)>::State>(), size);
        },
        optimizer_);
  }

  /// Throws when the state is another optimiser's.
  void update(Vector<Scalar>& parameters, const Vector<Scalar>& gradients, State& state) const {
    std::visit(
        [&](const auto& optimizer) {
          auto* own = std::get_if<typename std::decay_t<decltype(optimizer)>::State>(&state);
          detail::require(own != nullptr, "AnyOptimizer::update", "the state is another optimiser's");
          optimizer.update(parameters, gradients, *own);
        },
        optimizer_);
  }

 private:
  std::variant<Adam<Scalar>, RmsProp<Scalar>> optimizer_;
};

static_assert(Optimizer<AnyOptimizer<float>>);

}  // namespace qatten::inline QATTEN_ABI
