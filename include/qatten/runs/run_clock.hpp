#pragma once
// How long a training took to get where it is, over all the processes that took part.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "qatten/runs/append_file.hpp"
#include "qatten/runs/curves.hpp"
#include "qatten/training/progress.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// A row of times.csv; false for what is none.
inline bool parse_time(std::string_view row, std::int64_t& t_env, double& seconds) {
  const std::size_t comma = row.find(',');
  return comma != row.npos && parse(row.substr(0, comma), t_env) && parse(row.substr(comma + 1), seconds);
}

}  // namespace detail

/// times.csv of a run: rows of t_env and the seconds that it took to get there. No two runs agree about them, which is
/// why they do not stand in metrics.csv.
class RunClock {
 public:
  static constexpr std::string_view header = "t_env,seconds\n";

  explicit RunClock(std::filesystem::path path) : file_(std::move(path)) {}

  /// From here on time counts: of a new training (t_env −1), or of one that goes on from t_env. What an earlier process
  /// wrote of later steps is dropped.
  void start(std::int64_t t_env = -1) {
    std::ifstream written(file_.path());
    std::string line;
    std::getline(written, line);
    std::int64_t kept = line + "\n" == header ? std::int64_t(header.size()) : 0;
    before_ = 0, last_ = -1;
    std::int64_t at = 0;
    for (double seconds = 0; kept > 0 && std::getline(written, line) && !written.eof(); last_ = at, before_ = seconds) {
      if (!detail::parse_time(line, at, seconds) || at > t_env) break;
      kept += static_cast<std::int64_t>(line.size()) + 1;
    }
    file_.cut(kept);
    if (kept == 0) file_.append(header);
    began_ = Clock::now();
  }

  /// Notes the time; of each t_env the first one.
  void mark(std::int64_t t_env) {
    if (t_env <= last_) return;
    last_ = t_env;
    const double seconds = before_ + std::chrono::duration<double>(Clock::now() - began_).count();
    file_.append(std::to_string(t_env) + "," + detail::format("%.3f", seconds) + "\n");
  }

 private:
  using Clock = std::chrono::steady_clock;

  AppendFile file_;
  Clock::time_point began_ = Clock::now();
  double before_ = 0;       ///< seconds of earlier processes
  std::int64_t last_ = -1;  ///< t_env of the last row
};

/// times.csv as minutes over steps. Throws for a line that is not one of its rows.
inline Series read_minutes(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  detail::require(line + "\n" == RunClock::header, "read_minutes", path.string() + " is not a times.csv");
  Series minutes;
  for (int number = 2; std::getline(file, line); ++number) {
    std::int64_t t_env = 0;
    double seconds = 0;
    detail::require(detail::parse_time(line, t_env, seconds), "read_minutes",
                    path.string() + ": line " + std::to_string(number) + " is no row: " + line);
    minutes.x.push_back(double(t_env));
    minutes.y.push_back(seconds / 60);
  }
  return minutes;
}

/// The series over the minutes that its steps took. Throws where there is no time for one of them.
inline Series over_minutes(Series series, const Series& minutes) {
  for (double& x : series.x) x = interpolate(minutes, x);
  return series;
}

}  // namespace qatten::inline QATTEN_ABI
