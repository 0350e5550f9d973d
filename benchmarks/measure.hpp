#pragma once
// How everything is measured: the code and its floor by turns, so that both see the same machine.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "floor.hpp"

namespace qatten::benchmarks {

/// Seconds that the processor spends on one of `calls` calls; what other programs take from us does not count.
template <class Work>
double seconds(Work&& work, Index calls) {
  const std::clock_t start = std::clock();
  for (Index k = 0; k < calls; ++k) {
    work();
    benchmark::ClobberMemory();
  }
  return double(std::clock() - start) / CLOCKS_PER_SEC / double(calls);
}

/// How many calls last long enough for the clock, which ticks in microseconds.
template <class Work>
Index calls_per_turn(Work&& work) {
  constexpr double turn = 500e-6;
  Index calls = 1;
  while (seconds(work, calls) * double(calls) < turn) calls *= 2;
  return calls;
}

inline double median(std::vector<double> x) {
  const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

/// The median distance from the median, as a fraction of it.
inline double spread(std::vector<double> x) {
  const double middle = median(x);
  for (double& value : x) value = std::abs(value - middle);
  return median(std::move(x)) / middle;
}

/// What to call instead of measuring, so that a simulator can count instructions: --count=work:3 calls the work of each
/// benchmark three times, --count=floor:3 its floor.
struct Count {
  bool floor;
  Index calls;
};
inline std::optional<Count>& counting() {
  static std::optional<Count> chosen;
  return chosen;
}

/// Measures `work`, which treats `samples` samples and leaves `results`, beside `floor`, whose arithmetic is `flops`
/// (0: it does none). Counters:
///
///   <unit>/s  samples per second
///   GFLOP/s   the floor's arithmetic in the measured time
///   spread    median distance of the turns' times from their median, as a fraction of it
///   floor     measured time / time of the floor: the median over turns of one right after the other, because on a busy
///             machine a turn and its neighbour are slowed alike, while the fastest of one and the fastest of the other
///             may come from different minutes; called `ratio` where something else than a floor stands beside
template <class Work, class Bare>
void measure(benchmark::State& state, const std::string& unit, Index samples, Work&& work, Bare&& floor, double flops,
             std::initializer_list<ConstView<float>> results, const char* ratio = "floor") {
  if (counting()) {
    for (Index k = 0; k < counting()->calls; ++k) counting()->floor ? floor() : work();
    return state.SkipWithError("counted, not measured");
  }
  work();
  floor();
  for (const ConstView<float>& result : results) {
    benchmark::DoNotOptimize(result.data());
    if (!result.allFinite()) return state.SkipWithError("the results are not finite");
  }
  const Index work_calls = calls_per_turn(work), floor_calls = calls_per_turn(floor);
  std::vector<double> times, ratios;
  const auto turn = [&](auto&& before_work) {
    const double floor_time = seconds(floor, floor_calls);
    before_work();
    times.push_back(seconds(work, work_calls));
    ratios.push_back(times.back() / floor_time);
  };
  while (state.KeepRunningBatch(work_calls)) {
    state.PauseTiming();
    turn([&] { state.ResumeTiming(); });
  }
  while (ratios.size() < 7) turn([] {});  // of slow code Google Benchmark asks for one or two
  const double time = median(times);
  state.counters[unit + "/s"] = double(samples) / time;
  if (flops > 0) state.counters["GFLOP/s"] = flops / time * 1e-9;
  state.counters["spread"] = spread(times);
  state.counters[ratio] = median(ratios);
}

inline std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

/// Takes --count=WHAT:CALLS out of the arguments.
inline void take_count(std::vector<char*>& arguments) {
  const std::string prefix = "--count=", floor = prefix + "floor:", work = prefix + "work:";
  std::erase_if(arguments, [&](const std::string& argument) {
    if (!argument.starts_with(floor) && !argument.starts_with(work)) return false;
    counting() = {argument.starts_with(floor), std::stol(argument.substr(argument.find(':') + 1))};
    return true;
  });
}

/// `main` of every program: Google Benchmark's own, with a table of counters and short runs unless told otherwise.
inline int run_all(int argc, char** argv, const std::string& seconds_each = "0.1") {
  std::string tabular = "--benchmark_counters_tabular=true", min_time = "--benchmark_min_time=" + seconds_each;
  std::vector<char*> arguments = {argv[0], tabular.data(), min_time.data()};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  take_count(arguments);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  benchmark::AddCustomContext("Eigen", std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) +
                                           "." + std::to_string(EIGEN_MINOR_VERSION));
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::AddCustomContext("SIMD", Eigen::SimdInstructionSetsInUse());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace qatten::benchmarks
