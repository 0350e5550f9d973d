// One whole update of the Q-learner: targets, loss, gradient, clipping, Adam. 32 episodes whose lengths are drawn
// uniformly from 20 … 60.

#include <array>

#include "agent_floor.hpp"
#include "measure.hpp"
#include "mixer_floor.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"

namespace qatten::benchmarks {
namespace {

Episode<float> random_episode(const Map& map, Index length, Random& random) {
  Episode<float> e;
  e.resize(map.agents, map.actions, map.obs, map.state, map.unit, length);
  for (auto* m : {&e.obs, &e.state, &e.units}) *m = random_matrix(m->rows(), m->cols(), random);
  e.available.setOnes();
  e.alive.setOnes();
  for (auto& a : e.actions.reshaped()) a = static_cast<std::int32_t>(random.integer(map.actions));
  e.rewards = random_matrix(length, 1, random);
  e.terminated = true;
  return e;
}

EpisodeBatch<float> random_batch(const Map& map) {
  Random random(1, "batch");
  std::vector<Episode<float>> all;
  for (Index b = 0; b < episodes; ++b) all.push_back(random_episode(map, 20 + random.integer(steps - 20 + 1), random));
  std::vector<const Episode<float>*> pointers;
  for (const auto& e : all) pointers.push_back(&e);
  EpisodeBatch<float> batch;
  batch.assign(pointers);
  return batch;
}

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
void update(benchmark::State& state, const ParameterLayout& layout, const RecurrentAgent<float>& agent,
            const Mixer& mixer, const Map& map) {
  const EpisodeBatch<float> batch = random_batch(map);
  QLearner<RecurrentAgent<float>, Mixer, Adam<float>> learner(layout, agent, mixer, Adam<float>({.lr = 1e-5}), {},
                                                              Random(1, "learner"));
  Floor floor;
  add_update(floor, agent.options(), mixer, batch);
  measure(
      state, "steps", batch.transitions.total(), [&] { learner.update(batch); }, [&] { floor.run(); }, floor.flops(),
      {learner.state().parameters, learner.gradients()});
}

void add(const std::string& mixer_name, const Map& map) {
  const auto body = [=](benchmark::State& state) {
    ParameterLayout layout;
    const RecurrentAgent<float> agent(
        layout, "agent",
        {.n_agents = map.agents, .n_actions = map.actions, .obs_shape = map.obs, .hidden_dim = hidden_dim});
    if (mixer_name == "vdn") {
      update(state, layout, agent, Vdn<float>(map.agents), map);
    } else if (mixer_name == "qmix") {
      update(state, layout, agent, Qmix<float>(layout, "mixer", map.agents, map.state), map);
    } else {
      update(state, layout, agent,
             Qatten<float>(layout, "mixer", map.agents, map.state, map.unit, QattenOptions::authors()), map);
    }
  };
  const std::string name = "BM_Learner/" + mixer_name + "/" + map.name + "/update";
  benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const std::string mixer : {"vdn", "qmix", "qatten"})
    for (const Map& map : maps()) add(mixer, map);
  return run_all(argc, argv);
}
