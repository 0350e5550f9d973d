#pragma once
// Options in files, and where a result comes from.

#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "qatten/training/presets.hpp"
#include "qatten/version.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// The text that `set_option` takes, from a JSON value of the option's type; another type is an error.
inline std::string option_from_json(const Option& option, const nlohmann::ordered_json& value) {
  const std::string_view type = option.type();
  const bool number = type == "int" || type == "float" || type == "ratio";
  if (type == "bool" && value.is_boolean()) return value.dump();
  if (number && value.is_number()) return value.is_number_float() ? shortest(value.get<double>()) : value.dump();
  if ((type == "string" || type == "ratio") && value.is_string()) return value.get<std::string>();
  if (option.name == "mixer" && value.is_null()) return "null";
  option_error(option, value.dump());
}

inline void read_env_args(const nlohmann::ordered_json& value, Assignments& found) {
  require(value.is_object(), "options file", "env_args is " + value.dump() + ", expected an object");
  for (const auto& [name, argument] : value.items())
    found.emplace_back("env_args." + name, argument.is_string() ? argument.get<std::string>() : argument.dump());
}

inline nlohmann::ordered_json read_json(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  require(bool(file), "read_json", "cannot read " + path.string());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error("read_json: " + path.string() + " is not JSON: " + error.what());
  }
}

}  // namespace detail

/// What an options file says: one JSON object of options, or one whose member "options" is that (a run's config.json).
/// Throws for a file that cannot be read, for unknown options, and for values of another type.
inline Assignments read_options(const std::filesystem::path& path) {
  const nlohmann::ordered_json file = detail::read_json(path);
  const auto& options = file.contains("options") ? file["options"] : file;
  detail::require(options.is_object(), "read_options", path.string() + " is not an object of options");
  Assignments found;
  for (const auto& [name, value] : options.items()) {
    if (name == "env_args") {
      detail::read_env_args(value, found);
    } else {
      found.emplace_back(name, detail::option_from_json(find_option(name), value));
    }
  }
  return found;
}

/// All options; `read_options` and `resolve_options` give the same ones back.
inline nlohmann::ordered_json to_json(const TrainingOptions& options) {
  nlohmann::ordered_json json;
  for (const Option& option : option_table()) {
    std::visit(
        [&](auto member) {
          const auto& value = options.*member;
          if constexpr (std::same_as<std::decay_t<decltype(value)>, Ratio>) {
            json[std::string(option.name)] = detail::to_text(value);
          } else {
            json[std::string(option.name)] = value;
          }
        },
        option.member);
    if (option.name == "env")
      json["env_args"] =
          options.env_args.empty() ? nlohmann::ordered_json::object() : nlohmann::ordered_json(options.env_args);
  }
  return json;
}

/// What bits depend on beside options: library, compiler and flags, Eigen and its instruction sets, processor, system.
/// A program that defines QATTEN_COMPILE_FLAGS has them recorded.
inline nlohmann::ordered_json describe_build() {
  const auto number = [](auto x) { return std::to_string(x); };
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
#if defined(QATTEN_COMPILE_FLAGS)
  const std::string flags = QATTEN_COMPILE_FLAGS;
#else
  const std::string flags = "unknown";
#endif
#if defined(EIGEN_PATCH_VERSION)  // since 5.0
  const std::string eigen =
      number(EIGEN_MAJOR_VERSION) + "." + number(EIGEN_MINOR_VERSION) + "." + number(EIGEN_PATCH_VERSION);
#else
  const std::string eigen =
      number(EIGEN_WORLD_VERSION) + "." + number(EIGEN_MAJOR_VERSION) + "." + number(EIGEN_MINOR_VERSION);
#endif
  std::string processor = "unknown";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    processor = line.substr(std::min(line.find(':') + 2, line.size()));
    break;
  }
  utsname system{};
  ::uname(&system);
  return {{"qatten",
           number(QATTEN_VERSION_MAJOR) + "." + number(QATTEN_VERSION_MINOR) + "." + number(QATTEN_VERSION_PATCH)},
          {"compiler", compiler},
          {"flags", flags},
          {"eigen", eigen},
          {"instruction_sets", Eigen::SimdInstructionSetsInUse()},
          {"processor", processor},
          {"system", std::string(system.sysname) + " " + system.release + " " + system.machine}};
}

}  // namespace qatten::inline QATTEN_ABI
