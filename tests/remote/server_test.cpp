// C++ on both sides of the socket.

#include <thread>

#include "environments/play.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/environments/check_environment.hpp"
#include "qatten/environments/games/n_step_game.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/environments/remote/environment_server.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/replay/episode_buffer.hpp"
#include "qatten/training/rollout.hpp"
#include "remote/servers.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

/// Counts to its limit, is slow or fails when told to, and says how it went.
class Scripted {
 public:
  explicit Scripted(double slow = 0, int fail_at = -1) : slow_(slow), fail_at_(fail_at) {}
  EnvironmentInfo info() const {
    return {.n_agents = 2, .n_actions = 3, .obs_shape = 1, .state_shape = 1, .unit_dim = 0, .episode_limit = 5};
  }
  void reset(const Random&) { step_ = 0; }
  void observe(Observation o) const {
    o.obs.setConstant(static_cast<float>(step_));
    o.state.setConstant(static_cast<float>(step_));
    o.available(2, 0) = 0;
  }
  StepResult step(std::span<const int>) {
    if (slow_ > 0) std::this_thread::sleep_for(remote::Seconds(slow_));
    if (++step_ == fail_at_) throw std::runtime_error("it broke");
    metric_.value = step_;
    return {.reward = 1};  // never ends by itself
  }
  std::span<const Metric> metrics() const { return {&metric_, 1}; }

 private:
  double slow_;
  int fail_at_;
  int step_ = 0;
  Metric metric_{"steps", 0};
};
static_assert(ReportsMetrics<Scripted>);

template <class Make>
struct Running {
  Running(Make make, ServerOptions options = {}) : server(std::move(options), std::move(make)) { server.start(); }
  RemoteOptions options() const { return quick({.endpoint = server.endpoint().text()}); }
  EnvironmentServer server;
};

auto scripted(double slow = 0, int fail_at = -1) {
  return [=](std::uint64_t) { return std::make_unique<Scripted>(slow, fail_at); };
}

template <class E>
auto copies(const E& environment) {
  return [=](std::uint64_t) { return std::make_unique<E>(environment); };
}

template <class E>
Vector<float> trained(E& environment) {
  Rollout<E> rollout(environment);
  const EnvironmentInfo& info = rollout.info();
  ParameterLayout layout;
  const RecurrentAgent<float> agent(
      layout, "agent",
      {.n_agents = info.n_agents, .n_actions = info.n_actions, .obs_shape = info.obs_shape, .hidden_dim = 16});
  const Qatten<float> mixer(layout, "mixer", info.n_agents, info.state_shape, info.unit_dim);
  QLearner learner(layout, agent, mixer, Adam<float>(), {}, Random(1, "parameters"));
  EpisodeBuffer buffer(100, std::size_t{1} << 22);
  EpisodeBatch<float> batch;
  EpsilonGreedyPolicy policy(agent);
  Random exploration(1, "exploration"), replay(1, "replay");
  for (int episode = 1; episode <= 150; ++episode) {
    policy.set(learner.state().parameters, 0.3, exploration);
    buffer.add(rollout.play(Random(1, "environment", std::uint64_t(episode)), policy));
    if (buffer.size() < 8) continue;
    batch.assign(buffer.sample(8, replay));
    learner.update(batch, episode);
  }
  return learner.state().parameters;
}

/// What the constructor throws, in words.
std::string refusal(const RemoteOptions& options) {
  try {
    RemoteEnvironment environment(options);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

const std::vector<int> idle = {0, 0};

}  // namespace

TEST_CASE("games trained over the socket end at the same bits as in process") {
  const auto check = [](const auto& game, const std::string& endpoint) {
    auto in_process = game;
    const Running running(copies(game), {.endpoint = endpoint});
    RemoteEnvironment behind_socket(running.options());
    CHECK(behind_socket.info() == in_process.info());
    CHECK(trained(behind_socket) == trained(in_process));
    CHECK(behind_socket.counters().total_faults() == 0);
  };
  const TemporaryFolder folder;
  check(named_game("climbing"), "unix:" + (folder / "climbing").string());
  check(named_game("climbing"), "tcp:127.0.0.1:0");
  check(Spotlight(), "tcp:[::1]:0");
  check(NStepGame(4), "unix:" + (folder / "n_step").string());
}

TEST_CASE("an environment behind the socket is as good an environment") {
  const Running running(copies(Spotlight(3)));
  RemoteEnvironment environment(running.options());
  CHECK(check_environment(environment).empty());
}

TEST_CASE("the limit is enforced, metrics and rewards travel, and the counters count") {
  const Running running(scripted());
  RemoteEnvironment environment(running.options());
  CHECK(environment.metrics()[0].name == "steps");
  for (int episode = 0; episode < 3; ++episode) {
    environment.reset(Random(1));
    for (int t = 1; t <= 5; ++t) {
      const StepResult result = environment.step(idle);
      CHECK(result.reward == 1);
      CHECK(!result.terminated);
      CHECK(result.truncated == (t == 5));
      CHECK(environment.metrics()[0].value == t);
      CHECK(look(environment).state(0, 0) == static_cast<float>(t));
    }
    CHECK_THROWS_AS(environment.step(idle), Error);
  }
  CHECK(environment.counters().steps == 15);
  CHECK(environment.counters().resets == 3);
  CHECK(environment.counters().aborted == 0);
  CHECK(environment.counters().connections == 1);
  CHECK(environment.stats().empty());
  CHECK(environment.ping() < 1);
}

TEST_CASE("actions that are not available are an error, and the episode goes on") {
  const Running running(scripted());
  RemoteEnvironment environment(running.options());
  environment.reset(Random(1));
  for (const std::vector<int>& actions : {std::vector<int>{2, 0}, {0, 3}, {-1, 0}, {0}, {0, 0, 0}})
    CHECK_THROWS_AS(environment.step(actions), Error);
  CHECK(environment.step(std::vector<int>{0, 2}).reward == 1);
  CHECK(environment.counters().total_faults() == 0);
}

TEST_CASE("slow is not dead: signs of life keep a long step alive, up to its deadline") {
  const Running running(scripted(0.8));
  RemoteOptions options = running.options();
  options.step_timeout = 5;
  RemoteEnvironment patient(options);  // three and a half heartbeats are 0.525 s
  patient.reset(Random(1));
  CHECK(!patient.step(idle).aborted);
  CHECK(patient.counters().total_faults() == 0);

  options.step_timeout = 0.3;
  RemoteEnvironment hasty(options);
  hasty.reset(Random(1));
  CHECK(hasty.step(idle).aborted);
  CHECK(hasty.counters().faults[static_cast<int>(RemoteFault::slow)] == 1);
  CHECK(hasty.counters().total_faults() == 1);
}

TEST_CASE("what an environment throws voids its episode, and the next one is played by a new environment") {
  const Running running(scripted(0, 3));
  RemoteEnvironment environment(running.options());
  for (int episode = 1; episode <= 3; ++episode) {
    environment.reset(Random(1));
    CHECK(!environment.step(idle).aborted);
    CHECK(!environment.step(idle).aborted);
    const StepResult result = environment.step(idle);
    CHECK(result.aborted);
    CHECK(!result.terminated);
    CHECK(look(environment).state(0, 0) == 2);  // the last sound observation
    CHECK(environment.last_fault().find("it broke") != std::string::npos);
    CHECK(environment.counters().aborted == episode);
  }
  CHECK(environment.counters().connections == 1);
  CHECK(environment.counters().faults[static_cast<int>(RemoteFault::environment)] == 3);
}

TEST_CASE("many environments overlap: what takes one of them a step takes all of them a step") {
  const double slow = 0.2;
  const int count = 8;
  const Running running(scripted(slow));
  const auto context = std::make_shared<asio::io_context>();
  std::vector<std::unique_ptr<RemoteEnvironment>> environments;
  for (int k = 0; k < count; ++k)
    environments.push_back(std::make_unique<RemoteEnvironment>(running.options(), context));
  for (auto& e : environments) e->reset_begin(Random(1));
  for (auto& e : environments) e->reset_end();
  const auto start = remote::Clock::now();
  for (int t = 0; t < 3; ++t) {
    for (auto& e : environments) e->step_begin(idle);
    for (auto& e : environments) CHECK(e->step_end().reward == 1);
  }
  const double seconds = remote::Seconds(remote::Clock::now() - start).count();
  CHECK(seconds >= 3 * slow);
  CHECK(seconds < 3 * slow * count / 2);
}

TEST_CASE("calls out of order are named") {
  const Running running(scripted());
  RemoteEnvironment environment(running.options());
  CHECK_THROWS_AS(environment.step(idle), Error);
  CHECK_THROWS_AS(environment.step_end(), Error);
  CHECK_THROWS_AS(environment.reset_end(), Error);
  environment.reset(Random(1));
  environment.step_begin(idle);
  CHECK_THROWS_AS(environment.step_begin(idle), Error);
  CHECK_THROWS_AS(environment.reset_begin(Random(1)), Error);
  CHECK_THROWS_AS(environment.stats(), Error);
  CHECK(environment.step_end().reward == 1);
}

TEST_CASE("tokens and reach") {
  const Running running(scripted(), {.token = "correct horse"});
  RemoteOptions options = running.options();
  CHECK(refusal(options).find("demands a token") != std::string::npos);
  options.token = "correct horsf";
  CHECK(refusal(options).find("token is wrong") != std::string::npos);
  options.token = "correct hors";
  CHECK(refusal(options).find("token is wrong") != std::string::npos);
  options.token = "correct horse";
  CHECK(refusal(options).empty());

  const auto make = scripted();
  CHECK_THROWS_AS(EnvironmentServer({.endpoint = "tcp:0.0.0.0:0"}, make), Error);
  CHECK_THROWS_AS(EnvironmentServer({.endpoint = "tcp:0.0.0.0:0", .allow_remote = true}, make), Error);
  CHECK_NOTHROW(EnvironmentServer({.endpoint = "tcp:0.0.0.0:0", .token = "x", .allow_remote = true}, make));
  CHECK(refusal({.endpoint = "tcp:10.1.2.3:4"}).find("allow_remote") != std::string::npos);
  CHECK(refusal({.endpoint = "tcp:10.1.2.3:4", .allow_remote = true}).find("token") != std::string::npos);
}

TEST_CASE("endpoints") {
  using remote::parse_endpoint;
  for (const char* good : {"unix:/tmp/x", "tcp:127.0.0.1:80", "tcp:[::1]:65535"})
    CHECK(parse_endpoint(good).text() == good);
  CHECK(parse_endpoint("tcp:localhost:1").host == "127.0.0.1");
  for (const std::string& bad :
       std::vector<std::string>{"", "unix:", "tcp:", "tcp:80", "tcp:host:80", "tcp:127.0.0.1:65536",
                                "tcp:127.0.0.1:", "tcp:127.0.0.1:8x", "http://x", "unix:" + std::string(108, 'a')})
    CHECK_THROWS_AS(parse_endpoint(bad), Error);
  CHECK(refusal({}).find("either an endpoint or a command") != std::string::npos);
  CHECK(refusal(quick({.endpoint = "unix:/nonexistent/socket"})).find("/nonexistent/socket") != std::string::npos);
}

TEST_CASE("a socket left behind is replaced, another file is not; the socket is its owner's alone") {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  {
    asio::io_context context;
    asio::local::stream_protocol::acceptor left_behind(context, path);
  }
  {
    const Running running(scripted(), {.endpoint = "unix:" + path});
    CHECK(refusal(running.options()).empty());
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  CHECK(!std::filesystem::exists(path));
  std::ofstream(path) << "mine";
  const auto make = scripted();
  CHECK_THROWS_AS(EnvironmentServer({.endpoint = "unix:" + path}, make), Error);
  CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("a server that goes away is waited for, and found again at the next reset") {
  const TemporaryFolder folder;
  const ServerOptions server_options{.endpoint = "unix:" + (folder / "socket").string()};
  auto running = std::make_unique<Running<decltype(scripted())>>(scripted(), server_options);
  RemoteOptions options = running->options();
  options.max_attempts = 3;
  RemoteEnvironment environment(options);
  environment.reset(Random(1));
  running.reset();
  CHECK(environment.step(idle).aborted);
  CHECK_THROWS_AS(environment.reset(Random(1)), Error);
  running = std::make_unique<Running<decltype(scripted())>>(scripted(), server_options);
  environment.reset(Random(1));
  CHECK(environment.step(idle).reward == 1);
  CHECK(environment.counters().connections == 2);
  CHECK(environment.counters().aborted == 1);
}

TEST_CASE("a server that offers another environment after reconnecting is refused") {
  const TemporaryFolder folder;
  const ServerOptions server_options{.endpoint = "unix:" + (folder / "socket").string()};
  auto first = std::make_unique<Running<decltype(scripted())>>(scripted(), server_options);
  RemoteEnvironment environment(first->options());
  environment.reset(Random(1));
  first.reset();
  const Running second(copies(Spotlight(3)), server_options);
  CHECK(environment.step(idle).aborted);
  CHECK_THROWS_AS(environment.reset(Random(1)), Error);
}

TEST_CASE("an environment that cannot be made says why") {
  const Running running([](std::uint64_t) -> std::unique_ptr<Scripted> { throw std::runtime_error("no game here"); });
  CHECK(refusal(running.options()).find("no game here") != std::string::npos);
}
