#pragma once
// Errors at public entries: an exception that names the function, the argument, what was given and what was expected.

#include <stdexcept>
#include <string>
#include <string_view>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// What the library throws: `what()` says where, what was given and what was expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

[[noreturn]] inline void shape_error(std::string_view function, std::string_view argument, Index got_rows,
                                     Index got_cols, Index rows, Index cols) {
  throw Error(std::string(function) + ": " + std::string(argument) + " is " + std::to_string(got_rows) + "x" +
              std::to_string(got_cols) + ", expected " + (rows < 0 ? "any" : std::to_string(rows)) + "x" +
              (cols < 0 ? "any" : std::to_string(cols)) + " (features x samples)");
}

/// Throws unless `x` is (rows, cols); a negative number accepts any.
template <class T>
void check_shape(std::string_view function, std::string_view argument, const T& x, Index rows, Index cols) {
  if ((rows >= 0 && x.rows() != rows) || (cols >= 0 && x.cols() != cols)) [[unlikely]]
    shape_error(function, argument, x.rows(), x.cols(), rows, cols);
}

/// Throws `function: message` unless `condition`.
inline void require(bool condition, std::string_view function, std::string_view message) {
  if (!condition) [[unlikely]]
    throw Error(std::string(function) + ": " + std::string(message));
}

/// Throws unless `x`, which `prepare` was to size, holds at least `cols` columns.
template <class T>
void check_prepared(std::string_view function, const T& x, Index cols) {
  if (x.cols() < cols) [[unlikely]]
    throw Error(std::string(function) + ": prepared for " + std::to_string(x.cols()) + " columns, given " +
                std::to_string(cols) + "; call prepare() first");
}

}  // namespace detail
}  // namespace qatten::inline QATTEN_ABI
