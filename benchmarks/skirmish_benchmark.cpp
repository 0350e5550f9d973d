// Environment steps a second: observation, state and masks included, resets included, with random available actions
// that cost next to nothing.

#include <string>
#include <vector>

#include "measure.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"

namespace qatten::benchmarks {
namespace {

/// Plays for ever.
class Game {
 public:
  explicit Game(const skirmish::Map& map, const skirmish::Options& options = {})
      : game_(map, options),
        info_(game_.info()),
        obs_(info_.obs_shape, info_.n_agents),
        state_(info_.state_shape, 1),
        units_(info_.unit_dim, info_.n_agents),
        available_(info_.n_actions, info_.n_agents),
        alive_(info_.n_agents, 1),
        actions_(static_cast<std::size_t>(info_.n_agents)) {
    reset();
  }

  const Matrix<float>& obs() const { return obs_; }

  void step() {
    choose();
    const StepResult result = game_.step(actions_);
    observe();
    if (result.terminated) reset();
  }

 private:
  void reset() {
    game_.reset(Random(1, "benchmark", episode_++));
    observe();
  }

  void observe() {
    obs_.setZero();
    state_.setZero();
    units_.setZero();
    available_.setOnes();
    alive_.setOnes();
    game_.observe(Observation{obs_, state_, units_, available_, alive_});
  }

  /// The first available action from a random one on; dead agents have but one.
  void choose() {
    for (Index i = 0; i < info_.n_agents; ++i) {
      seed_ = seed_ * 6364136223846793005 + 1442695040888963407;
      auto a = static_cast<Index>((seed_ >> 33) % static_cast<std::uint64_t>(info_.n_actions));
      if (alive_(i, 0) == 0) a = 0;
      while (available_(a, i) == 0) a = a + 1 == info_.n_actions ? 0 : a + 1;
      actions_[static_cast<std::size_t>(i)] = static_cast<int>(a);
    }
  }

  Skirmish game_;
  EnvironmentInfo info_;
  Matrix<float> obs_, state_, units_;
  Matrix<std::uint8_t> available_, alive_;
  std::vector<int> actions_;
  std::uint64_t seed_ = 1, episode_ = 0;
};

/// Turns of some milliseconds; the fastest is reported beside the median, because others take the machine away.
void run(benchmark::State& state, const skirmish::Map& map) {
  Game game(map);
  for (int k = 0; k < 1000; ++k) game.step();
  if (!game.obs().allFinite()) return state.SkipWithError("the observations are not finite");
  constexpr Index turn = 4096;
  std::vector<double> times;
  while (state.KeepRunningBatch(turn)) times.push_back(seconds([&] { game.step(); }, turn));
  while (times.size() < 7) times.push_back(seconds([&] { game.step(); }, turn));
  state.counters["steps/s"] = 1 / median(times);
  state.counters["fastest"] = 1 / *std::min_element(times.begin(), times.end());
  state.counters["units"] = skirmish::count(map.allies) + skirmish::count(map.enemies);
}

/// n marines against n: the curve against the number of units.
skirmish::Map marines(int n) {
  skirmish::Map map = skirmish::map_named("25m");
  map.allies[0].count = map.enemies[0].count = n;
  return map;
}

void add(const std::string& name, const skirmish::Map& map) {
  benchmark::RegisterBenchmark(name.c_str(), [map](benchmark::State& state) {
    run(state, map);
  })->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const qatten::skirmish::Map& map : qatten::skirmish::maps) add("BM_Skirmish/" + std::string(map.name), map);
  for (const int n : {1, 2, 4, 8, 16, 32, 48})
    add("BM_Skirmish/marines/" + std::to_string(n) + "_vs_" + std::to_string(n), marines(n));
  return run_all(argc, argv);
}
