// The Python server, its mock of SMAC, and everything that can go wrong between them and us.

#include <dirent.h>

#include <fstream>
#include <thread>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "remote/servers.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

RemoteOptions mock(const std::vector<std::string>& arguments = {}) {
  return quick({.command = mock_command(arguments)});
}

/// The first available action of every agent but the idle one, where there is another.
std::vector<int> eager(const RemoteEnvironment& environment) {
  const Seen seen = look(environment);
  std::vector<int> actions;
  for (Index i = 0; i < seen.available.cols(); ++i) {
    Index chosen = -1;
    for (Index a = 0; a < seen.available.rows(); ++a)
      if (seen.available(a, i) && (chosen <= 1 || a >= 6)) chosen = a;
    actions.push_back(static_cast<int>(chosen));
  }
  return actions;
}

int descriptors() {
  int count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  return count;
}

/// Whether a process lives (a zombie does not).
bool lives(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string word, state;
  return (stat >> word >> word >> state) && state != "Z";
}

bool ends_soon(pid_t process) {
  for (int k = 0; k < 500 && lives(process); ++k) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return !lives(process);
}

pid_t pid_of(const RemoteEnvironment& environment) {
  const std::string& text = environment.welcome().description;
  return std::stoi(text.substr(text.find("\"pid\": ") + 7));
}

}  // namespace

TEST_CASE("the mock of SMAC behind the Python server: sizes, determinism, and what check_environment wants") {
  RemoteEnvironment environment(mock());
  CHECK(environment.info() ==
        EnvironmentInfo{
            .n_agents = 3, .n_actions = 9, .obs_shape = 30, .state_shape = 48, .unit_dim = 4, .episode_limit = 60});
  CHECK(environment.stats() ==
        remote::NamedNumbers{
            {"battles_won", 0}, {"battles_game", 0}, {"timeouts", 0}, {"force_restarts", 0}, {"win_rate", 0}});
  for (const std::string& problem : check_environment(environment, 1, 3)) FAIL_CHECK(problem);
  CHECK(environment.metrics()[0].name == "battle_won");
  CHECK(environment.metrics()[1].name == "dead_allies");
  CHECK(environment.save_replay() == "/replays/3m.SC2Replay");
  CHECK(environment.counters().total_faults() == 0);
}

TEST_CASE("units, life flags and dead agents' masks arrive") {
  RemoteEnvironment environment(mock({"map_name=2s3z"}));
  REQUIRE(environment.info().unit_dim == 7);
  environment.reset(Random(2));
  int died = 0;
  for (StepResult result; !result.terminated && !result.truncated;) {
    const Seen seen = look(environment);
    for (Index i = 0; i < 5; ++i) {
      CHECK(seen.units.col(i) == seen.state.reshaped().segment(7 * i, 7));
      CHECK(seen.alive(i, 0) == (seen.units(0, i) > 0));
      if (seen.alive(i, 0)) continue;
      ++died;
      CHECK(seen.obs.col(i).isZero());
      CHECK(seen.available(0, i) == 1);
      CHECK(seen.available.col(i).cast<int>().sum() == 1);
    }
    std::vector<int> actions;
    for (Index i = 0; i < 5; ++i) actions.push_back(seen.alive(i, 0) ? 1 : 0);
    result = environment.step(actions);
  }
  CHECK(died > 0);
  CHECK(environment.metrics()[1].value == 5);
}

TEST_CASE("every fault voids its episode, is counted under its name, and training can go on") {
  struct Case {
    const char* name;
    RemoteFault kind;
    bool reconnects;
  };
  for (const Case& c : {Case{"crash", RemoteFault::environment, false},
                        {"restart", RemoteFault::environment, false},
                        {"bad_shape", RemoteFault::environment, false},
                        {"bad_mask", RemoteFault::environment, false},
                        {"not_finite", RemoteFault::environment, false},
                        {"exit", RemoteFault::lost, true},
                        {"hang", RemoteFault::slow, true},
                        {"freeze", RemoteFault::silent, true},
                        {"truncate", RemoteFault::lost, true},
                        {"reset", RemoteFault::lost, true},
                        {"corrupt", RemoteFault::malformed, true}}) {
    CAPTURE(c.name);
    const TemporaryFolder folder;
    RemoteOptions options = mock({std::string("faults=") + c.name + "@3", "fault_log=" + (folder / "log").string()});
    options.step_timeout = 1;
    RemoteEnvironment environment(options);
    const pid_t first = pid_of(environment);
    environment.reset(Random(1));
    CHECK(!environment.step(eager(environment)).aborted);
    CHECK(!environment.step(eager(environment)).aborted);
    const Seen before = look(environment);
    const StepResult result = environment.step(eager(environment));
    CHECK(result.aborted);
    CHECK(!result.terminated);
    CHECK(result.reward == 0);
    CHECK(look(environment).obs == before.obs);
    INFO(environment.last_fault());
    CHECK(environment.counters().faults[static_cast<int>(c.kind)] == 1);
    CHECK(environment.counters().total_faults() == 1);
    CHECK(environment.counters().aborted == 1);
    if (c.reconnects) CHECK(!lives(first));
    environment.reset(Random(1));
    for (int t = 0; t < 10; ++t) CHECK(!environment.step(eager(environment)).aborted);
    CHECK(environment.counters().connections == (c.reconnects ? 2 : 1));
    CHECK(environment.counters().total_faults() == 1);
  }
}

TEST_CASE("delays, dribbling bytes and slow readers are no faults") {
  for (const char* fault : {"delay", "dribble", "slow_reader"}) {
    CAPTURE(fault);
    RemoteEnvironment environment(mock({std::string("faults=") + fault + "@2", "delay=0.8"}));
    environment.reset(Random(1));
    for (int t = 0; t < 4; ++t) CHECK(!environment.step(eager(environment)).aborted);
    CHECK(environment.counters().total_faults() == 0);
  }
}

TEST_CASE("a fault of the environment arrives in words") {
  RemoteEnvironment environment(mock({"faults=bad_mask@1"}));
  environment.reset(Random(1));
  CHECK(environment.step(std::vector<int>{1, 1, 1}).aborted);
  CHECK(environment.last_fault().find("agent 0 has no available action") != std::string::npos);
}

TEST_CASE("servers that cannot start say why") {
  const auto message = [](std::vector<std::string> command) -> std::string {
    try {
      RemoteEnvironment environment(quick({.command = std::move(command)}));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({"/nonexistent/program"}).find("/nonexistent/program") != std::string::npos);
  CHECK(message({"sh", "-c", "echo broken >&2; exit 1"}).find("broken") != std::string::npos);
  CHECK(message({"echo", "hello"}).find("expected LISTENING") != std::string::npos);
  CHECK(message(mock_command({"map_name=nowhere"})).find("KeyError") != std::string::npos);
  std::vector<std::string> command = mock_command();
  command.back() = "no_such_module:Class";
  CHECK(message(command).find("no_such_module") != std::string::npos);
}

TEST_CASE("nothing is left behind: processes, descriptors, files") {
  const int before = descriptors();
  pid_t started = 0;
  std::string socket;
  {
    RemoteEnvironment environment(mock());
    started = pid_of(environment);
    CHECK(lives(started));
    environment.reset(Random(1));
  }
  CHECK(!lives(started));
  CHECK(descriptors() == before);
}

TEST_CASE("a server whose parent dies, however suddenly, ends with it") {
  const TemporaryFolder folder;
  for (const bool busy : {false, true}) {
    CAPTURE(busy);
    const std::string told = folder / (busy ? "busy" : "idle");
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      RemoteEnvironment environment(mock({"faults=hang@1"}));
      environment.reset(Random(1));
      if (busy) environment.step_begin(std::vector<int>{1, 1, 1});
      std::ofstream(told + ".part") << pid_of(environment) << "\n";
      std::filesystem::rename(told + ".part", told);
      for (;;) ::pause();
    }
    for (int k = 0; k < 500 && !std::filesystem::exists(told); ++k)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pid_t server = 0;
    std::ifstream(told) >> server;
    REQUIRE(server > 0);
    CHECK(lives(server));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(ends_soon(server));
  }
}

TEST_CASE("a server started by hand serves many at a time, each in a process of its own") {
  const TemporaryFolder folder;
  std::vector<std::string> command = mock_command({"faults=freeze@2", "fault_log=" + (folder / "log").string()});
  const std::string endpoint = "unix:" + (folder / "socket").string();
  command.insert(command.end(), {"--kill-after", "0.3", "--listen", endpoint});
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t server = 0;
  REQUIRE(::posix_spawnp(&server, arguments[0], nullptr, nullptr, arguments.data(), environ) == 0);
  for (int k = 0; k < 500 && !std::filesystem::exists(folder / "socket"); ++k)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  {
    RemoteEnvironment a(quick({.endpoint = endpoint})), b(quick({.endpoint = endpoint}));
    CHECK(pid_of(a) != pid_of(b));
    a.reset(Random(1));
    b.reset(Random(1));
    CHECK(look(a).obs == look(b).obs);
    a.step(eager(a));
    b.step(eager(b));
    const pid_t stuck = pid_of(a);
    CHECK(a.step(eager(a)).aborted);  // its process is stopped, which only the server can end
    CHECK(ends_soon(stuck));
    a.reset(Random(1));
    CHECK(!a.step(eager(a)).aborted);
  }
  ::kill(server, SIGTERM);
  CHECK(ends_soon(server));
  ::waitpid(server, nullptr, 0);
  CHECK(!std::filesystem::exists(folder / "socket"));
}
