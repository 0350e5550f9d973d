// Our side of the comparison with PyTorch (compare.py beside this file runs both).
//
//   peers write DIR       DIR/<map>.safetensors: parameters, inputs, and what we make of them
//   peers serve THREADS   reads lines "<map> <case> <seconds>", answers each with the seconds that one call took
//
// Cases: <mixer>/forward_backward (1920 rows), <mixer>/one_row, gru/forward_backward (60 steps of 32 episodes),
// gru/act (one team, from the observation to greedy available actions), <mixer>/update (ragged episodes).

#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>

#include "episodes.hpp"
#include "measure.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/io/named_parameters.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/training/rollout.hpp"

namespace qatten::benchmarks {
namespace {

/// Column after column is PyTorch's row after row: (features, samples) is stored as [samples, features].
template <class Stored>
void store(SafeTensors& file, const std::string& name, const Matrix<Stored>& m, Shape shape) {
  file.add(name, std::move(shape), std::span<const Stored>(m.data(), static_cast<std::size_t>(m.size())));
}

struct Case {
  std::function<void()> run;
  std::function<void(SafeTensors&)> write;  ///< after one run
};
using Cases = std::map<std::string, Case>;

AgentOptions agent_options(const Map& map) {
  return {.n_agents = map.agents, .n_actions = map.actions, .obs_shape = map.obs, .hidden_dim = hidden_dim};
}

/// A mixer with random inputs; 1920 rows with gradients, and the first row alone.
template <class Mixer>
struct MixerPeer {
  MixerPeer(const ParameterLayout& layout, const Mixer& mixer, const Map& map) : layout(layout), mixer(mixer) {
    Random random(1, "mixer peer");
    qs = random_matrix(map.agents, rows, random);
    state = random_matrix(map.state, rows, random);
    dq_tot = random_matrix(1, rows, random);
    units = state.topRows(map.agents * map.unit);
    p.setZero(layout.size());
    gradients = p;
    mixer.initialise(p, random);
    mixer.prepare(cache, scratch, rows);
    q_tot.resize(1, rows);
    dqs.resize(map.agents, rows);
  }

  void forward_backward() {
    const MixerInputs<float> in{qs, state, units};
    mixer.forward(p, in, q_tot, cache, scratch);
    gradients.setZero();
    mixer.backward(p, cache, in, dq_tot, gradients, dqs, scratch);
  }
  void one_row() {
    mixer.evaluate(p, {qs.leftCols(1), state.leftCols(1), units.leftCols(1)}, q_tot.leftCols(1), scratch);
  }

  void write(SafeTensors& file, const std::string& name) {
    store(file, name + "/qs", qs, {rows, qs.rows()});
    store(file, name + "/state", state, {rows, state.rows()});
    store(file, name + "/dq_tot", dq_tot, {rows});
    store(file, name + "/q_tot", q_tot, {rows});
    store(file, name + "/dqs", dqs, {rows, dqs.rows()});
    add_parameters(file, layout, p, name + "/p/");
    add_parameters(file, layout, gradients, name + "/gradient/");
  }

  ParameterLayout layout;
  Mixer mixer;
  Matrix<float> qs, state, units, dq_tot, q_tot, dqs;
  Vector<float> p, gradients;
  typename Mixer::Cache cache;
  typename Mixer::Scratch scratch;
};

/// A team: unrolled with gradients, and one decision.
struct AgentPeer {
  explicit AgentPeer(const Map& map)
      : agent(layout, "agent", agent_options(map)),
        ragged(std::vector<Index>(static_cast<std::size_t>(episodes), steps)),
        policy(agent) {
    Random random(1, "agent peer");
    const Index columns = ragged.total() * map.agents;
    obs = random_matrix(map.obs, columns, random);
    dq = random_matrix(map.actions, columns, random);
    q.resize(map.actions, columns);
    last_actions.resize(1, columns);
    for (auto& a : last_actions.reshaped()) a = static_cast<std::int32_t>(random.integer(map.actions));
    available.resize(map.actions, map.agents);
    for (auto& a : available.reshaped()) a = random.uniform() < 0.5;
    available.row(0).setOnes();
    actions.resize(static_cast<std::size_t>(map.agents));
    p.setZero(layout.size());
    gradients = p;
    agent.initialise(p, random);
    agent.prepare(cache, scratch, columns, episodes * map.agents);
    policy.set(p, 0, stream);
  }

  AgentInputs<float> inputs() const { return {obs, last_actions}; }
  void forward_backward() {
    agent.forward(p, ragged, inputs(), {}, q, cache, scratch);
    gradients.setZero();
    agent.backward(p, cache, ragged, inputs(), {}, dq, gradients, {}, {}, scratch);
  }
  /// One step on from the hidden state that the last call left.
  void act() {
    const Index n = agent.options().n_agents;
    const Observation observation{obs.leftCols(n), {}, {}, available, {}};
    policy(Decision{t++, observation, last_actions.leftCols(n), actions});
    benchmark::DoNotOptimize(actions.data());
  }

  void write(SafeTensors& file) {
    const AgentOptions& o = agent.options();
    store(file, "gru/obs", obs, {steps, episodes, o.n_agents, o.obs_shape});
    store(file, "gru/last_actions", last_actions, {steps, episodes, o.n_agents});
    store(file, "gru/dq", dq, {steps, episodes, o.n_agents, o.n_actions});
    store(file, "gru/q", q, {steps, episodes, o.n_agents, o.n_actions});
    store(file, "gru/available", available, {o.n_agents, o.n_actions});
    add_parameters(file, layout, p, "gru/p/");
    add_parameters(file, layout, gradients, "gru/gradient/");
    const Matrix<float>& first = policy.q();
    store(file, "gru/act_q", first, {o.n_agents, o.n_actions});
    file.add("gru/act_actions", Shape{o.n_agents}, std::span<const std::int32_t>(actions.data(), actions.size()));
  }

  ParameterLayout layout;
  RecurrentAgent<float> agent;
  Ragged ragged;
  Matrix<float> obs, dq, q;
  Matrix<std::int32_t> last_actions;
  Matrix<std::uint8_t> available;
  std::vector<int> actions;
  Vector<float> p, gradients;
  RecurrentAgent<float>::Cache cache;
  RecurrentAgent<float>::Scratch scratch;
  EpsilonGreedyPolicy<RecurrentAgent<float>> policy;
  Random stream{1, "exploration"};
  Index t = 0;
};

/// Whole updates on the same batch.
template <class Mixer>
struct LearnerPeer {
  LearnerPeer(const ParameterLayout& layout, const RecurrentAgent<float>& agent, const Mixer& mixer, const Map& map,
              const Threads* threads)
      : layout(layout),
        learner(layout, agent, mixer, Adam<float>({.lr = 5e-4}), {}, Random(1, "learner")),
        tiles(pack<TiledBatch<float>>(random_episodes(map))) {
    learner.set_threads(threads);
    first = learner.state().parameters;
  }

  void update() { stats = learner.update(tiles.tiles()); }

  void write(SafeTensors& file, const std::string& name) const {
    add_parameters(file, layout, first, name + "/p/");
    add_parameters(file, layout, learner.gradients(), name + "/gradient/");
    add_parameters(file, layout, learner.state().parameters, name + "/after/");
    const std::vector<float> found = {float(stats.loss), float(stats.grad_norm)};
    file.add(name + "/loss_and_norm", Shape{2}, std::span<const float>(found));
  }

  ParameterLayout layout;
  QLearner<RecurrentAgent<float>, Mixer, Adam<float>> learner;
  TiledBatch<float> tiles;
  Vector<float> first;
  QLearnerStats stats;
};

void write_episodes(SafeTensors& file, const Map& map) {
  Index b = 0;
  for (const Episode<float>& e : random_episodes(map)) {
    const std::string prefix = "episode" + std::to_string(b++) + "/";
    const Index length = e.length(), n = map.agents;
    store(file, prefix + "obs", e.obs, {length + 1, n, map.obs});
    store(file, prefix + "state", e.state, {length + 1, map.state});
    store(file, prefix + "units", e.units, {length + 1, n, map.unit});
    store(file, prefix + "available", e.available, {length + 1, n, map.actions});
    store(file, prefix + "actions", e.actions, {length, n});
    file.add(prefix + "rewards", Shape{length},
             std::span<const float>(e.rewards.data(), static_cast<std::size_t>(length)));
  }
}

template <class Mixer>
void add_mixer(Cases& cases, const std::string& name, const Map& map, const Threads* threads, const auto& make) {
  ParameterLayout alone, both;
  const auto peer = std::make_shared<MixerPeer<Mixer>>(alone, make(alone), map);
  cases[name + "/forward_backward"] = {[=] { peer->forward_backward(); },
                                       [=](SafeTensors& file) { peer->write(file, name); }};
  cases[name + "/one_row"] = {[=] { peer->one_row(); }, [](SafeTensors&) {}};
  const RecurrentAgent<float> agent(both, "agent", agent_options(map));
  const auto learner = std::make_shared<LearnerPeer<Mixer>>(both, agent, make(both), map, threads);
  cases[name + "/update"] = {[=] { learner->update(); },
                             [=](SafeTensors& file) { learner->write(file, name + "/update"); }};
}

Cases cases_of(const Map& map, const Threads* threads) {
  Cases cases;
  const auto qatten = [&](const QattenOptions& options) {
    return [&map, options](ParameterLayout& layout) {
      return Qatten<float>(layout, "mixer", map.agents, map.state, map.unit, options);
    };
  };
  add_mixer<Qatten<float>>(cases, "qatten", map, threads, qatten(QattenOptions::authors()));
  add_mixer<Qatten<float>>(cases, "qatten-pymarl2", map, threads, qatten(QattenOptions::pymarl2()));
  add_mixer<Qmix<float>>(cases, "qmix", map, threads,
                         [&](ParameterLayout& layout) { return Qmix<float>(layout, "mixer", map.agents, map.state); });
  add_mixer<Vdn<float>>(cases, "vdn", map, threads, [&](ParameterLayout&) { return Vdn<float>(map.agents); });
  const auto agent = std::make_shared<AgentPeer>(map);
  cases["gru/forward_backward"] = {[=] { agent->forward_backward(); }, [](SafeTensors&) {}};
  cases["gru/act"] = {[=] { agent->act(); }, [=](SafeTensors& file) { agent->write(file); }};
  return cases;
}

void write(const std::filesystem::path& folder) {
  for (const Map& map : maps()) {
    SafeTensors file;
    Cases cases = cases_of(map, nullptr);
    for (auto& [name, c] : cases) c.run();
    for (auto& [name, c] : cases) c.write(file);
    write_episodes(file, map);
    file.save(folder / (map.name + ".safetensors"));
  }
}

/// Seconds of one call: on one thread the processor's, which other programs do not add to; otherwise the wall's.
double time_of(const std::function<void()>& run, double duration, bool on_wall) {
  const auto wall = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  const double start = wall();
  const std::clock_t start_cpu = std::clock();
  Index calls = 0;
  double passed = 0;
  for (Index batch = 1; passed < duration; batch *= 2) {
    for (Index k = 0; k < batch; ++k) run();
    calls += batch;
    passed = wall() - start;
  }
  return (on_wall ? passed : double(std::clock() - start_cpu) / CLOCKS_PER_SEC) / double(calls);
}

void serve(int count) {
  const Threads threads(count);
  Cases cases;
  std::string now, map_name, name;
  for (double duration; std::cin >> map_name >> name >> duration;) {
    if (now != map_name) {
      cases.clear();  // of one map at a time
      for (const Map& map : maps())
        if (map.name == map_name) cases = cases_of(map, &threads);
      now = map_name;
    }
    const Case& c = cases.at(name);
    c.run();
    std::cout << time_of(c.run, duration, count > 1) << std::endl;
  }
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) try {
  const std::string command = argc == 3 ? argv[1] : "";
  if (command == "write") {
    qatten::benchmarks::write(argv[2]);
  } else if (command == "serve") {
    qatten::benchmarks::serve(std::stoi(argv[2]));
  } else {
    std::cerr << "usage: peers write DIR | peers serve THREADS\n";
    return 2;
  }
} catch (const std::exception& e) {
  std::cerr << e.what() << "\n";
  return 1;
}
