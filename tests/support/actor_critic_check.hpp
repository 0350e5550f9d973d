#pragma once
// What the tests of learners with a critic have in common.

#include <span>
#include <string>

#include "qatten/core/parameters.hpp"
#include "qatten/replay/episode_batch.hpp"
#include "support/catch.hpp"

namespace qatten::testing {

template <class Scalar>
std::span<const EpisodeBatch<Scalar>> one(const EpisodeBatch<Scalar>& batch) {
  return {&batch, 1};
}

/// Every block of a part of the layout has a gradient somewhere, the others have none.
inline void check_part(const ParameterLayout& layout, const Vector<double>& gradient, const std::string& part) {
  for (const NamedBlock& b : layout.blocks()) {
    INFO(b.name);
    CHECK((block(gradient, b).cwiseAbs().maxCoeff() > 0) == b.name.starts_with(part + "."));
  }
}

}  // namespace qatten::testing
