// One whole update of the Q-learner: targets, loss, gradient, clipping, Adam. 32 episodes whose lengths are drawn
// uniformly from 20 … 60: as one packed batch, in tiles, and in tiles by two threads beside one.

#include <chrono>

#include "agent_floor.hpp"
#include "episodes.hpp"
#include "measure.hpp"
#include "mixer_floor.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"

namespace qatten::benchmarks {
namespace {

/// Online agents forward over all observations and backward over the transitions; target agents and both mixers, the
/// online one with backward.
template <class Mixer>
void add_update(Floor& floor, const AgentOptions& options, const Mixer& mixer, const EpisodeBatch<float>& batch) {
  AgentFloor online(floor, options, batch.ragged.total());
  online.forward(batch.ragged);
  AgentFloor(floor, options, batch.ragged.total()).forward(batch.ragged);
  add_products(floor, mixer, batch.transitions.total(), Pass::forward);
  add_products(floor, mixer, batch.transitions.total(), Pass::forward_backward);
  online.backward(batch.transitions);
}

template <class Mixer>
class Case {
 public:
  Case(const ParameterLayout& layout, const RecurrentAgent<float>& agent, const Mixer& mixer, const Map& map)
      : learner_(layout, agent, mixer, Adam<float>({.lr = 1e-5}), {}, Random(1, "learner")),
        batch_(pack<EpisodeBatch<float>>(random_episodes(map))),
        tiles_(pack<TiledBatch<float>>(random_episodes(map))) {}

  void update(benchmark::State& state) {
    compare(state, [this] { learner_.update(batch_); });
  }
  void tiles(benchmark::State& state) {
    compare(state, [this] { learner_.update(tiles_.tiles()); });
  }

  /// Time on the wall, one thread and two by turns. `speedup`: the median of a turn of one over the next turn of two.
  void threads(benchmark::State& state) {
    const Threads two(2);
    const auto wall = [this](const Threads* threads) {
      learner_.set_threads(threads);
      const auto start = std::chrono::steady_clock::now();
      learner_.update(tiles_.tiles());
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    wall(nullptr);
    wall(&two);
    std::vector<double> ones, twos, ratios;
    for (auto _ : state) {
      ones.push_back(wall(nullptr));
      twos.push_back(wall(&two));
      state.SetIterationTime(twos.back());
      ratios.push_back(ones.back() / twos.back());
    }
    const double steps_done = double(tiles_.transitions());
    state.counters["steps/s"] = steps_done / median(twos);
    state.counters["steps/s of one"] = steps_done / median(ones);
    state.counters["spread"] = spread(twos);
    state.counters["speedup"] = median(ratios);
  }

 private:
  /// The floor is that of the batch as a whole, tiles or not: how it is cut is no part of the algebra.
  template <class Work>
  void compare(benchmark::State& state, Work&& work) {
    Floor floor;
    add_update(floor, learner_.agent().options(), learner_.mixer(), batch_);
    measure(state, "steps", batch_.transitions.total(), work, [&] { floor.run(); }, floor.flops(),
            {learner_.state().parameters, learner_.gradients()});
  }

  QLearner<RecurrentAgent<float>, Mixer, Adam<float>> learner_;
  EpisodeBatch<float> batch_;
  TiledBatch<float> tiles_;
};

/// run(case) of the learner with the mixer of that name.
template <class Run>
void with_learner(const std::string& mixer_name, const Map& map, Run&& run) {
  ParameterLayout layout;
  const RecurrentAgent<float> agent(
      layout, "agent",
      {.n_agents = map.agents, .n_actions = map.actions, .obs_shape = map.obs, .hidden_dim = hidden_dim});
  const auto with = [&](const auto& mixer) { run(Case(layout, agent, mixer, map)); };
  if (mixer_name == "vdn") return with(Vdn<float>(map.agents));
  if (mixer_name == "qmix") return with(Qmix<float>(layout, "mixer", map.agents, map.state));
  with(Qatten<float>(layout, "mixer", map.agents, map.state, map.unit, QattenOptions::authors()));
}

void add(const std::string& mixer_name, const Map& map) {
  const auto add_one = [&](const std::string& what, auto&& run) {
    const auto body = [=](benchmark::State& state) { with_learner(mixer_name, map, [&](auto&& c) { run(c, state); }); };
    const std::string name = "BM_Learner/" + mixer_name + "/" + map.name + "/" + what;
    return benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
  };
  add_one("update", [](auto& c, benchmark::State& state) { c.update(state); });
  add_one("tiles", [](auto& c, benchmark::State& state) { c.tiles(state); });
  add_one("threads", [](auto& c, benchmark::State& state) { c.threads(state); })->UseManualTime()->MinTime(0.5);
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const std::string mixer : {"vdn", "qmix", "qatten"})
    for (const Map& map : maps()) add(mixer, map);
  return run_all(argc, argv);
}
