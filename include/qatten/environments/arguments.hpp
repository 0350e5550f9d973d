#pragma once
// Options of an environment's own, given as texts (PyMARL's env_args).

#include <charconv>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// Reads each argument by its name, as the type of its default. `check_all_known` then finds those that nobody read.
class EnvironmentArguments {
 public:
  explicit EnvironmentArguments(std::map<std::string, std::string> given) : given_(std::move(given)) {}

  Index integer(const std::string& name, Index otherwise) { return number(name, otherwise, "a whole number"); }
  double real(const std::string& name, double otherwise) { return number(name, otherwise, "a number"); }
  std::string text(const std::string& name, const std::string& otherwise) {
    known_.insert(name);
    const auto found = given_.find(name);
    return found == given_.end() ? otherwise : found->second;
  }
  bool boolean(const std::string& name, bool otherwise) {
    const std::string value = text(name, otherwise ? "true" : "false");
    if (value == "true" || value == "True" || value == "1") return true;
    if (value == "false" || value == "False" || value == "0") return false;
    fail(name, value, "true or false");
  }

  /// Throws, naming those that there are, when an argument was given that the environment did not ask for.
  void check_all_known() const {
    for (const auto& [name, value] : given_) {
      if (known_.contains(name)) continue;
      std::string known;
      for (const std::string& other : known_) known += (known.empty() ? "" : ", ") + other;
      throw Error("env_args." + name + ": the environment has no such argument; it has " +
                  (known.empty() ? "none" : known));
    }
  }

 private:
  template <class T>
  T number(const std::string& name, T otherwise, const char* expected) {
    known_.insert(name);
    const auto found = given_.find(name);
    if (found == given_.end()) return otherwise;
    const std::string& value = found->second;
    T x{};
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), x);
    if (error != std::errc() || rest != value.data() + value.size()) fail(name, value, expected);
    return x;
  }

  [[noreturn]] static void fail(const std::string& name, const std::string& got, const std::string& expected) {
    throw Error("env_args." + name + ": got '" + got + "', expected " + expected);
  }

  std::map<std::string, std::string> given_;
  std::set<std::string> known_;
};

}  // namespace qatten::inline QATTEN_ABI
