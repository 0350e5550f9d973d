// Steps over the wire: an environment that costs nothing, in a C++ server and in the Python server, so that what is
// measured is the way there and back. Every iteration steps all environments once, together.

#include <benchmark/benchmark.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "measure.hpp"
#include "qatten/environments/remote/environment_server.hpp"
#include "qatten/environments/remote/remote_environment.hpp"
#include "shapes.hpp"

using namespace qatten;

namespace {

const benchmarks::Map& map_named(const std::string& name) {
  for (const benchmarks::Map& map : benchmarks::maps())
    if (map.name == name) return map;
  throw Error("no map is named " + name);
}

/// Shows ordinary emptiness, for a very long time.
class Still {
 public:
  explicit Still(const benchmarks::Map& map) : map_(map) {}
  EnvironmentInfo info() const {
    return {.n_agents = map_.agents,
            .n_actions = map_.actions,
            .obs_shape = map_.obs,
            .state_shape = map_.state,
            .unit_dim = map_.unit,
            .episode_limit = 1 << 30};
  }
  void reset(const Random&) {}
  void observe(const Observation&) const {}
  StepResult step(std::span<const int>) { return {}; }

 private:
  benchmarks::Map map_;
};

/// The Python server with the frozen mock, ended with this object.
class PythonServer {
 public:
  PythonServer(const std::string& map, const std::string& endpoint) {
    const std::string python = std::string(QATTEN_SOURCE_DIR) + "/python";
    const std::string command = "echo $$; cd " + python +
                                "; exec env PYTHONDONTWRITEBYTECODE=1 " QATTEN_PYTHON
                                " qatten_env_server.py --env mock_smac:MockSmac --arg map_name=" +
                                map + " --arg frozen=True --listen " + endpoint;
    pipe_ = ::popen(command.c_str(), "r");
    char text[256] = {};
    if (!pipe_ || std::fscanf(pipe_, "%d LISTENING %255s", &pid_, text) != 2) throw Error("the server does not start");
    endpoint_ = text;
  }
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;
  ~PythonServer() {
    ::kill(pid_, SIGTERM);
    ::pclose(pipe_);
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  std::FILE* pipe_ = nullptr;
  int pid_ = 0;
  std::string endpoint_;
};

void play(benchmark::State& state, const benchmarks::Map& map, const std::string& endpoint, int count) {
  const auto context = std::make_shared<asio::io_context>();
  std::vector<std::unique_ptr<RemoteEnvironment>> environments;
  std::vector<bool> over(static_cast<std::size_t>(count), false);
  for (int k = 0; k < count; ++k)
    environments.push_back(std::make_unique<RemoteEnvironment>(RemoteOptions{.endpoint = endpoint}, context));
  const EnvironmentInfo info = environments[0]->info();
  Matrix<std::uint8_t> available = Matrix<std::uint8_t>::Ones(info.n_actions, info.n_agents), alive(info.n_agents, 1);
  Matrix<float> obs(info.obs_shape, info.n_agents), s(info.state_shape, 1), units(info.unit_dim, info.n_agents);
  const std::vector<int> actions(static_cast<std::size_t>(info.n_agents), 1);  // "stop", which is always available
  if (info.obs_shape != map.obs || info.state_shape != map.state) throw Error("the server has another layout");
  for (auto& environment : environments) environment->reset(Random(1));
  for (auto _ : state) {
    for (std::size_t k = 0; k < environments.size(); ++k) {
      if (over[k]) environments[k]->reset(Random(1));
      environments[k]->step_begin(actions);
    }
    for (std::size_t k = 0; k < environments.size(); ++k) {
      const StepResult result = environments[k]->step_end();
      if (result.aborted) throw Error(environments[k]->last_fault());
      over[k] = result.terminated || result.truncated;
      environments[k]->observe({obs, s, units, available, alive});
    }
  }
  state.counters["steps/s"] = benchmark::Counter(double(state.iterations()) * count, benchmark::Counter::kIsRate);
}

void cpp_server(benchmark::State& state, const std::string& name, const std::string& endpoint, int count) {
  const benchmarks::Map& map = map_named(name);
  EnvironmentServer server({.endpoint = endpoint}, [&](std::uint64_t) { return std::make_unique<Still>(map); });
  server.start();
  play(state, map, server.endpoint().text(), count);
}

void python_server(benchmark::State& state, const std::string& name, const std::string& endpoint, int count) {
  const PythonServer server(name, endpoint);
  play(state, map_named(name), server.endpoint(), count);
}

void register_all() {
  const std::string socket = "/tmp/qatten-benchmark-" + std::to_string(::getpid());
  for (const auto& [language, run] : {std::pair{"c++", &cpp_server}, std::pair{"python", &python_server}})
    for (const std::string map : {"3m", "27m_vs_30m"})
      for (const auto& [transport, endpoint] :
           {std::pair<std::string, std::string>{"unix", "unix:" + socket}, {"tcp", "tcp:127.0.0.1:0"}})
        for (const int count : {1, 16})
          benchmark::RegisterBenchmark(
              (std::string("step/") + language + "/" + map + "/" + transport + "/" + std::to_string(count)).c_str(),
              [run = run, map, endpoint = endpoint, count](benchmark::State& state) {
                run(state, map, endpoint, count);
              })
              ->UseRealTime()
              ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  return benchmarks::run_all(argc, argv);
}
