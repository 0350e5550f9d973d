#pragma once
// What several runs measured, as one curve: median and quartiles over the runs.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/training/option_table.hpp"

namespace qatten::inline QATTEN_ABI {

/// Points in ascending order of x.
struct Series {
  std::vector<double> x, y;
};

struct Band {
  std::vector<double> x, low, median, high;  ///< the quartiles 1, 2 and 3
  std::size_t runs = 0;
};

/// The series of a metrics.csv by their keys. Throws for a line that is not one of its rows.
inline std::map<std::string, Series> read_metrics(const std::filesystem::path& path) {
  std::ifstream file(path);
  detail::require(bool(file), "read_metrics", "cannot read " + path.string());
  std::map<std::string, Series> all;
  std::string line;
  std::getline(file, line);
  detail::require(line == "t_env,episode,key,value", "read_metrics", path.string() + " is not a metrics.csv");
  for (int number = 2; std::getline(file, line); ++number) {
    std::istringstream cells(line);
    std::string t_env, episode, key, value;
    double x = 0, y = 0;
    std::getline(cells, t_env, ',');
    std::getline(cells, episode, ',');
    std::getline(cells, key, ',');
    std::getline(cells, value);
    detail::require(
        !key.empty() && detail::parse(std::string_view(t_env), x) && detail::parse(std::string_view(value), y),
        "read_metrics", path.string() + ": line " + std::to_string(number) + " is no row: " + line);
    all[key].x.push_back(x);
    all[key].y.push_back(y);
  }
  return all;
}

/// The quantile q of numbers, between them on a straight line (numpy's default). Throws when there are none.
inline double quantile(std::vector<double> numbers, double q) {
  detail::require(!numbers.empty(), "quantile", "there are no numbers");
  std::sort(numbers.begin(), numbers.end());
  const double place = q * double(numbers.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, numbers.size() - 1);
  return numbers[below] + (place - double(below)) * (numbers[above] - numbers[below]);
}

/// The series at x, on a straight line between its points; x must lie between the first and the last.
inline double interpolate(const Series& s, double x) {
  const auto after = static_cast<std::size_t>(std::lower_bound(s.x.begin(), s.x.end(), x) - s.x.begin());
  detail::require(after < s.x.size() && x >= s.x.front(), "interpolate", "x lies outside of the series");
  if (s.x[after] == x) return s.y[after];
  const double share = (x - s.x[after - 1]) / (s.x[after] - s.x[after - 1]);
  return s.y[after - 1] + share * (s.y[after] - s.y[after - 1]);
}

/// Median and quartiles where all runs have values: at the first run's points within that range, since no two runs are
/// measured after exactly the same number of steps. One run is its own median.
inline Band summarise(const std::vector<Series>& runs) {
  Band band;
  band.runs = runs.size();
  double from = -std::numeric_limits<double>::infinity(), to = -from;
  for (const Series& s : runs) {
    if (s.x.empty()) return band;
    from = std::max(from, s.x.front());
    to = std::min(to, s.x.back());
  }
  if (runs.empty()) return band;
  std::vector<double> grid = runs.front().x;
  std::erase_if(grid, [&](double x) { return x < from || x > to; });
  if (from <= to && (grid.empty() || grid.back() < to)) grid.push_back(to);
  for (const double x : grid) {
    std::vector<double> values;
    values.reserve(runs.size());
    for (const Series& s : runs) values.push_back(interpolate(s, x));
    band.x.push_back(x);
    band.low.push_back(quantile(values, 0.25));
    band.median.push_back(quantile(values, 0.5));
    band.high.push_back(quantile(values, 0.75));
  }
  return band;
}

}  // namespace qatten::inline QATTEN_ABI
