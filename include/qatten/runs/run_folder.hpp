#pragma once
// The folder of one training: what was asked for, what came out, and where it can go on from.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "qatten/io/checkpoint.hpp"
#include "qatten/runs/config.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

inline std::string time_text(const char* pattern) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), pattern, &local);
  return text.data();
}

/// Calls a function of std::filesystem and turns its error into one of ours.
template <class F>
void filesystem(const std::string& action, const std::filesystem::path& path, F&& f) {
  std::error_code error;
  f(error);
  require(!error, "RunFolder", "cannot " + action + " " + path.string() + ": " + error.message());
}

inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  filesystem("list", folder, [&](std::error_code& error) {
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
      files.push_back(it->path());
  });
  return files;
}

}  // namespace detail

/// The names in a run's folder.
struct RunFolder {
  std::filesystem::path root;

  std::filesystem::path config() const { return root / "config.json"; }
  std::filesystem::path metrics() const { return root / "metrics.csv"; }
  std::filesystem::path times() const { return root / "times.csv"; }
  std::filesystem::path log() const { return root / "log.txt"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }

  /// t_env of each checkpoint, ascending.
  std::vector<std::int64_t> saved() const {
    std::vector<std::int64_t> all;
    for (const std::filesystem::path& path : detail::files_in(checkpoints())) {
      std::int64_t t_env = 0;
      const std::string stem = path.stem().string();
      if (path.extension() == ".safetensors" && detail::parse(std::string_view(stem), t_env)) all.push_back(t_env);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  std::filesystem::path checkpoint(std::int64_t t_env) const {
    return checkpoints() / (std::to_string(t_env) + ".safetensors");
  }
};

/// A new, empty folder <local_results_path>/<env>_<name>_seed<seed>_<time>, numbered if that is taken. Letters, digits,
/// '.', '_' and '-' only. Throws when it cannot be made.
inline RunFolder create_run_folder(const TrainingOptions& options) {
  std::string name = (options.env.empty() ? "" : options.env + "_") +
                     (options.name.empty() ? options.mixer : options.name) + "_seed" + std::to_string(options.seed) +
                     detail::time_text("_%Y-%m-%d_%H-%M-%S");
  for (char& c : name)
    if ((static_cast<unsigned char>(c) & 0x80U) != 0 ||
        (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_' && c != '-'))
      c = '-';
  const std::filesystem::path results = options.local_results_path;
  detail::filesystem("create", results, [&](std::error_code& e) { std::filesystem::create_directories(results, e); });
  for (int number = 1;; ++number) {
    RunFolder folder{results / (name + (number == 1 ? "" : "_" + std::to_string(number)))};
    bool created = false;
    detail::filesystem("create", folder.root,
                       [&](std::error_code& e) { created = std::filesystem::create_directory(folder.root, e); });
    if (created) return folder;
  }
}

/// The options of a run that is to go on: its own, with changes of those that do not change its bits (t_max among
/// them). Throws for any other change, and for a folder that is not a run's.
inline TrainingOptions resumed_options(const RunFolder& folder, const Assignments& changes) {
  std::error_code error;
  detail::require(std::filesystem::is_regular_file(folder.config(), error), "resume",
                  folder.root.string() + " is not the folder of a run: it has no config.json");
  const Assignments own = read_options(folder.config());
  const TrainingOptions before = resolve_options(own, {});
  TrainingOptions options = resolve_options(own, changes);
  for (const Option& option : option_table()) {
    if (!option.limits.fixed || get_option(before, option) == get_option(options, option)) continue;
    throw Error("resume: " + std::string(option.name) + " is " + get_option(before, option) +
                " in this run and cannot become " + get_option(options, option) + "; start a new run");
  }
  detail::require(before.env_args == options.env_args, "resume", "env_args of a run cannot change; start a new run");
  return options;
}

/// The newest checkpoint that is whole. One that is not, and those who saw it happen, are told of by `damaged(error)`.
/// Throws when there are checkpoints and none is whole; `found` stays false when there are none.
template <class Damaged>
Checkpoint load_newest(const RunFolder& folder, bool& found, Damaged&& damaged) {
  std::string problems;
  const std::vector<std::int64_t> saved = folder.saved();
  found = false;
  for (auto t_env = saved.rbegin(); t_env != saved.rend(); ++t_env) {
    try {
      Checkpoint checkpoint = Checkpoint::load(folder.checkpoint(*t_env));
      found = true;
      return checkpoint;
    } catch (const Error& error) {
      problems += std::string(problems.empty() ? "" : "; ") + error.what();
      damaged(error);
    }
  }
  detail::require(saved.empty(), "resume",
                  "no checkpoint in " + folder.checkpoints().string() + " can be read: " + problems);
  return {};
}

}  // namespace qatten::inline QATTEN_ABI
