// A team of recurrent agents (hidden 64, shared parameters, PyMARL's inputs), and one that sends messages: 60 steps of
// 32 episodes; one step of one team; and the whole decision of one step, from the environment's observation to the
// greedy available actions.

#include "agent_floor.hpp"
#include "measure.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/training/rollout.hpp"

namespace qatten::benchmarks {
namespace {

template <class A>
AgentFloor floor_of(Floor& floor, const A& agent, Index columns) {
  if constexpr (std::is_same_v<A, TarmacAgent<float>>) {
    using M = Messages<float>;
    return {floor, agent.options(), columns, 2 * M::signature + M::value, M::value};
  } else {
    return {floor, agent.options(), columns};
  }
}

template <class A>
class Case {
 public:
  Case(const Map& map, Index teams, Index length)
      : agent_(layout_, "agent",
               {.n_agents = map.agents, .n_actions = map.actions, .obs_shape = map.obs, .hidden_dim = hidden_dim}),
        ragged_(std::vector<Index>(static_cast<std::size_t>(teams), length)),
        obs_(random_matrix(map.obs, columns(), random_)),
        dq_(random_matrix(map.actions, columns(), random_)),
        q_(map.actions, columns()),
        hidden_(random_matrix(hidden_dim, map.agents, random_)),
        last_actions_(1, columns()),
        p_(Vector<float>::Zero(layout_.size())),
        gradients_(Vector<float>::Zero(layout_.size())) {
    for (auto& a : last_actions_.reshaped()) a = static_cast<std::int32_t>(random_.integer(map.actions));
    agent_.initialise(p_, random_);
    agent_.prepare(cache_, scratch_, columns(), teams * map.agents);
  }

  void forward(benchmark::State& state) {
    floor_of(floor_, agent_, ragged_.total()).forward(ragged_);
    compare(state, [this] { agent_.forward(p_, ragged_, inputs(), {}, q_, cache_, scratch_); });
  }

  void forward_backward(benchmark::State& state) {
    AgentFloor products = floor_of(floor_, agent_, ragged_.total());
    products.forward(ragged_);
    products.backward(ragged_);
    compare(state, [this] {
      agent_.forward(p_, ragged_, inputs(), {}, q_, cache_, scratch_);
      gradients_.setZero();
      agent_.backward(p_, cache_, ragged_, inputs(), {}, dq_, gradients_, {}, {}, scratch_);
    });
  }

  void act(benchmark::State& state) {
    floor_of(floor_, agent_, 1).act();
    compare(state, [this] { agent_.step(p_, inputs(), hidden_, q_, scratch_); });
  }

  void greedy(benchmark::State& state) {
    floor_of(floor_, agent_, 1).act();
    EpsilonGreedyPolicy<A> policy(agent_);
    policy.set(p_, 0, random_);
    Matrix<std::uint8_t> available(agent_.options().n_actions, agent_.options().n_agents);
    for (auto& a : available.reshaped()) a = random_.uniform() < 0.5;
    available.row(0).setOnes();
    const Observation observation{obs_, {}, {}, available, {}};
    std::vector<int> actions(static_cast<std::size_t>(agent_.options().n_agents));
    compare(state, [&] {
      policy(Decision{1, observation, last_actions_, actions});
      benchmark::DoNotOptimize(actions.data());
    });
  }

 private:
  Index columns() const { return ragged_.total() * agent_.options().n_agents; }
  AgentInputs<float> inputs() const { return {obs_, last_actions_}; }

  template <class Work>
  void compare(benchmark::State& state, Work&& work) {
    measure(state, "steps", ragged_.total(), work, [this] { floor_.run(); }, floor_.flops(), {q_, hidden_, gradients_});
  }

  ParameterLayout layout_;
  A agent_;
  Ragged ragged_;
  Random random_{1, "agent"};
  Matrix<float> obs_, dq_, q_, hidden_;
  Matrix<std::int32_t> last_actions_;
  Vector<float> p_, gradients_;
  typename A::Cache cache_;
  typename A::Scratch scratch_;
  Floor floor_;
};

template <class A>
void add(const std::string& agent, const Map& map) {
  using C = Case<A>;
  const auto add_one = [&](const std::string& what, Index teams, Index length, void (C::*run)(benchmark::State&)) {
    const auto body = [=](benchmark::State& state) {
      C c(map, teams, length);
      (c.*run)(state);
    };
    const std::string name = "BM_Agent/" + agent + "/" + map.name + "/" + what;
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
  };
  add_one("forward", episodes, steps, &C::forward);
  add_one("forward_backward", episodes, steps, &C::forward_backward);
  add_one("act", 1, 1, &C::act);
  add_one("greedy", 1, 1, &C::greedy);
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const Map& map : maps()) add<qatten::RecurrentAgent<float>>("gru", map);
  for (const Map& map : maps()) add<qatten::TarmacAgent<float>>("tarmac", map);
  return run_all(argc, argv);
}
