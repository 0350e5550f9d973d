// Mixers on 1920 samples, forward and with backward, and on one.

#include "mixer_case.hpp"
#include "qatten/mixers/by_name.hpp"

namespace qatten::benchmarks {
namespace {

void add(const std::string& mixer_name, const Map& map) {
  const auto add_one = [&](const std::string& what, Index rows, auto&& run) {
    const auto body = [=](benchmark::State& state) {
      ParameterLayout layout;
      const AnyMixer<float> any = make_mixer<float>(mixer_name, layout, map.agents, map.state, map.unit);
      std::visit([&](const auto& mixer) { run(MixerCase(mixer, layout, map, rows), state); }, any);
    };
    const std::string name = "BM_Mixer/" + mixer_name + "/" + map.name + "/" + what;
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
  };
  add_one("forward", rows, [](auto&& c, benchmark::State& state) { c.forward(state); });
  add_one("forward_backward", rows, [](auto&& c, benchmark::State& state) { c.forward_backward(state); });
  add_one("evaluate_one", 1, [](auto&& c, benchmark::State& state) { c.evaluate(state); });
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const std::string mixer : {"vdn", "qmix", "qatten", "qatten-pymarl2", "qlinear"})
    for (const Map& map : maps()) add(mixer, map);
  return run_all(argc, argv);
}
