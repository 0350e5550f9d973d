#include "qatten/core/error.hpp"

#include "support/catch.hpp"

using namespace qatten;

namespace {

template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a shape error says function, argument, got and expected") {
  const Matrix<float> x(3, 5);
  CHECK(message([&] { detail::check_shape("Linear", "x", x, 4, 5); }) ==
        "Linear: x is 3x5, expected 4x5 (features x samples)");
  CHECK(message([&] { detail::check_shape("Linear", "x", x, -1, 7); }) ==
        "Linear: x is 3x5, expected anyx7 (features x samples)");
  CHECK(message([&] { detail::check_shape("Linear", "x", x, 2, -1); }) ==
        "Linear: x is 3x5, expected 2xany (features x samples)");
  CHECK(message([&] { detail::check_shape("Linear", "x", x, 3, 5); }) == "no error");
  CHECK(message([&] { detail::check_shape("Linear", "x", x, -1, -1); }) == "no error");
}

TEST_CASE("a module that was not prepared says so") {
  const Matrix<float> memory(3, 5);
  CHECK(message([&] { detail::check_prepared("Gru", memory, 6); }) ==
        "Gru: prepared for 5 columns, given 6; call prepare() first");
  CHECK(message([&] { detail::check_prepared("Gru", memory, 5); }) == "no error");
}

TEST_CASE("require names the function") {
  CHECK(message([] { detail::require(false, "Ragged", "lengths must be positive"); }) ==
        "Ragged: lengths must be positive");
  CHECK(message([] { detail::require(true, "Ragged", "lengths must be positive"); }) == "no error");
}
