#pragma once
// What every game asks of its payoffs.

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI::detail {

/// Throws unless all are finite as floats, which rewards are.
inline void check_payoffs(std::string_view function, std::span<const double> payoffs) {
  for (std::size_t i = 0; i < payoffs.size(); ++i)
    if (!(std::abs(payoffs[i]) <= std::numeric_limits<float>::max())) [[unlikely]]
      throw Error(std::string(function) + ": payoff " + std::to_string(i) + " is " + std::to_string(payoffs[i]) +
                  ", expected a finite number that a float can hold");
}

}  // namespace qatten::inline QATTEN_ABI::detail
