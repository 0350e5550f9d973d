// How a mixer's time per sample grows: with agents, samples, the state and heads, one at a time.
//
//   agents:n   the state is 7 n numbers, the features of n units and nothing else (SMAC's units have 4 … 8), 256
//   samples rows:R     MMM2's sizes state:S    4 agents of 7 features each at the head of a state of S numbers, 256
//   samples heads:H    Qatten at MMM2's sizes, 1920 samples
//
// The networks have PyMARL's widths throughout.

#include "mixer_case.hpp"
#include "qatten/mixers/by_name.hpp"

namespace qatten::benchmarks {
namespace {

constexpr Index few_rows = 256;

void add(const std::string& mixer_name, const std::string& point, const Map& map, Index rows,
         const MixerOptions& options = {}) {
  const auto add_one = [&](const std::string& what, auto&& run) {
    const auto body = [=](benchmark::State& state) {
      ParameterLayout layout;
      const AnyMixer<float> any = make_mixer<float>(mixer_name, layout, map.agents, map.state, map.unit, options);
      std::visit([&](const auto& mixer) { run(MixerCase(mixer, layout, map, rows), state); }, any);
      state.counters["ns/row"] = 1e9 / state.counters["rows/s"];
    };
    const std::string name = "BM_Growth/" + mixer_name + "/" + point + "/" + what;
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
  };
  add_one("forward_backward", [](auto&& c, benchmark::State& state) { c.forward_backward(state); });
  add_one("evaluate", [](auto&& c, benchmark::State& state) { c.evaluate(state); });
}

std::string point(const std::string& what, Index value) { return what + ":" + std::to_string(value); }

void add_all() {
  const Map mmm2 = maps()[2];
  for (const std::string mixer : {"vdn", "qmix", "qatten", "qatten-pymarl2"}) {
    for (const Index n : {3, 10, 30, 100, 300, 1000})
      add(mixer, point("agents", n), {.name = "", .agents = n, .state = 7 * n, .unit = 7, .obs = 0, .actions = 0},
          few_rows);
    for (const Index r : {1, 4, 16, 64, 256, 1024, 4096}) add(mixer, point("rows", r), mmm2, r);
    if (mixer == "vdn") continue;  // it reads no state
    for (const Index s : {32, 128, 512, 2048, 4096})
      add(mixer, point("state", s), {.name = "", .agents = 4, .state = s, .unit = 7, .obs = 0, .actions = 0}, few_rows);
  }
  for (const Index h : {1, 2, 4, 8, 16}) {
    MixerOptions options;
    options.qatten.n_head = options.qatten_pymarl2.n_head = h;
    for (const std::string mixer : {"qatten", "qatten-pymarl2"}) add(mixer, point("heads", h), mmm2, rows, options);
  }
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  qatten::benchmarks::add_all();
  return qatten::benchmarks::run_all(argc, argv, "0.02");
}
