#pragma once
// Catch2, version 2 or 3.

#include <string>

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace qatten::testing {
/// Matches texts that have this part.
inline auto contains(const std::string& part) { return Catch::Matchers::ContainsSubstring(part); }
}  // namespace qatten::testing
#else
#include <catch2/catch.hpp>

namespace qatten::testing {
inline auto contains(const std::string& part) { return Catch::Matchers::Contains(part); }
}  // namespace qatten::testing
#endif
