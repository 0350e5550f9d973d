// Episodes against servers that fail in every way the mock knows, every 50 steps on average. Every episode that is kept
// is played again against a server without faults, and must be the same to the last bit.
//
// QATTEN_SOAK_EPISODES says how many (scripts/soak: 10 000).

#include <dirent.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "environments/play.hpp"
#include "qatten/replay/episode_buffer.hpp"
#include "remote/servers.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

const std::string all_faults =
    "crash,restart,exit,hang,freeze,delay,bad_shape,bad_mask,not_finite,truncate,corrupt,reset,dribble,slow_reader";
const std::map<std::string, RemoteFault> harmful = {
    {"crash", RemoteFault::environment},
    {"restart", RemoteFault::environment},
    {"bad_shape", RemoteFault::environment},
    {"bad_mask", RemoteFault::environment},
    {"not_finite", RemoteFault::environment},
    {"exit", RemoteFault::lost},
    {"truncate", RemoteFault::lost},
    {"reset", RemoteFault::lost},
    {"hang", RemoteFault::slow},
    {"freeze", RemoteFault::silent},
    {"corrupt", RemoteFault::malformed},
};

RemoteOptions patient(RemoteOptions options) {
  options.heartbeat = 0.3;
  options.step_timeout = 2;
  options.max_attempts = 10;
  return options;
}

/// One attempt at an episode with random available actions; nothing when it was aborted.
std::optional<Episode<float>> play(RemoteEnvironment& environment, std::uint64_t number) {
  const EnvironmentInfo info = environment.info();
  const Index n = info.n_agents;
  Random chance(1, "actions", number);
  Episode<float> e;
  e.resize(n, info.n_actions, info.obs_shape, info.state_shape, info.unit_dim, info.episode_limit);
  environment.reset(Random(1, "environment", number));
  const auto see = [&](Index t) {
    const Seen seen = look(environment);
    e.obs.middleCols(t * n, n) = seen.obs;
    e.state.col(t) = seen.state;
    e.units.col(t) = seen.units.reshaped();
    e.available.middleCols(t * n, n) = seen.available;
    e.alive.col(t) = seen.alive;
  };
  for (Index t = 0;; ++t) {
    see(t);
    std::vector<int> actions;
    for (Index i = 0; i < n; ++i) {
      const auto available = e.available.col(t * n + i).array() != 0;
      Index skip = chance.integer(available.count()), action = 0;
      while (!available(action) || skip-- > 0) ++action;
      actions.push_back(static_cast<int>(action));
      e.actions(i, t) = static_cast<std::int32_t>(action);
    }
    const StepResult result = environment.step(actions);
    if (result.aborted) return {};
    e.rewards(t) = result.reward;
    if (!result.terminated && !result.truncated) continue;
    e.terminated = result.terminated;
    see(t + 1);
    return e.first(t + 1);
  }
}

bool same(const Episode<float>& a, const Episode<float>& b) {
  return a.obs == b.obs && a.state == b.state && a.units == b.units && a.available == b.available &&
         a.alive == b.alive && a.actions == b.actions && a.rewards == b.rewards && a.terminated == b.terminated;
}

std::map<std::string, int> read_log(const std::string& path) {
  std::map<std::string, int> count;
  std::ifstream file(path);
  for (std::string fault; file >> fault;) ++count[fault];
  return count;
}

int entries(const std::string& path) {
  int count = 0;
  if (DIR* folder = ::opendir(path.c_str())) {
    while (::readdir(folder)) ++count;
    ::closedir(folder);
  }
  return count;
}

int descriptors(pid_t process) { return entries("/proc/" + std::to_string(process) + "/fd"); }

/// Resident memory in KiB.
long memory(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string word; status >> word;)
    if (long value = 0; word == "VmRSS:" && status >> value) return value;
  return 0;
}

/// Processes that this test, directly or not, has started: they inherit a variable of its own.
int mocks() {
  int count = 0;
  DIR* folder = ::opendir("/proc");
  while (const dirent* entry = ::readdir(folder)) {
    std::ifstream file("/proc/" + std::string(entry->d_name) + "/environ");
    std::string text;
    while (std::getline(file, text, '\0'))
      if (text == "QATTEN_SOAK=" + std::to_string(::getpid())) ++count;
  }
  ::closedir(folder);
  return count;
}

struct Soak {
  std::mutex mutex;
  EpisodeBuffer replay{1000, std::size_t{1} << 28};
  RemoteCounters counters;
  std::int64_t kept = 0, differing = 0;
  std::string given_up;

  void add(const RemoteCounters& c) {
    counters.steps += c.steps;
    counters.aborted += c.aborted;
    counters.resets += c.resets;
    counters.connections += c.connections;
    for (int k = 0; k < 5; ++k) counters.faults[k] += c.faults[k];
  }

  /// Plays episodes first, first + stride, … below last.
  void run(const RemoteOptions& faulty, std::uint64_t first, std::uint64_t last, std::uint64_t stride) try {
    RemoteEnvironment environment(patient(faulty)), sound(patient({.command = mock_command()}));
    for (std::uint64_t number = first; number < last; number += stride) {
      std::optional<Episode<float>> episode;
      while (!episode) episode = play(environment, number);
      const std::optional<Episode<float>> again = play(sound, number);
      const std::lock_guard lock(mutex);
      differing += !again || !same(*episode, *again);
      replay.add(std::move(*episode));
      ++kept;
    }
    const std::lock_guard lock(mutex);
    add(environment.counters());
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex);
    given_up = error.what();
  }
};

#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer);  // it keeps what was freed for a while
#else
constexpr bool sanitized = false;
#endif

}  // namespace

TEST_CASE("soak: faults every 50 steps on average, and nothing of them stays") {
  const char* wanted = std::getenv("QATTEN_SOAK_EPISODES");
  const auto episodes = static_cast<std::uint64_t>(wanted ? std::stoi(wanted) : 60);
  ::setenv("QATTEN_SOAK", std::to_string(::getpid()).c_str(), 1);
  const TemporaryFolder folder;
  const std::string log = folder / "log", endpoint = "unix:" + (folder / "socket").string();
  const std::vector<std::string> faults = {"faults=" + all_faults, "fault_log=" + log, "delay=0.02", "fault_every=50"};

  const int own_descriptors = descriptors(::getpid());
  Soak soak;
  {
    // A server by hand, which forks for every connection; ours to end.
    std::vector<std::string> command = mock_command(faults);
    command.insert(command.end(), {"--kill-after", "0.5", "--listen", endpoint});
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    pid_t server = 0;
    REQUIRE(::posix_spawnp(&server, arguments[0], &quiet, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&quiet);
    for (int k = 0; k < 500 && !std::filesystem::exists(folder / "socket"); ++k)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));

    // Nine tenths of the episodes on that server, by three threads; the rest with servers started for one environment.
    const std::uint64_t cut = episodes * 9 / 10, warm = cut / 3;
    const auto by_hand = [&](std::uint64_t from, std::uint64_t to) {
      std::vector<std::thread> threads;
      for (std::uint64_t k = 0; k < 3; ++k)
        threads.emplace_back([&, k] { soak.run({.endpoint = endpoint}, from + k, to, 3); });
      for (std::thread& thread : threads) thread.join();
    };
    const auto settled = [] {  // the connections' processes have ended: only the server is left
      for (int k = 0; k < 250 && mocks() > 1; ++k) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return mocks() == 1;
    };
    // The server closes what it held of a connection a moment after that connection's process has ended.
    const auto open_files = [&] {
      int now = descriptors(server);
      for (int same = 0; same < 25;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const int before = std::exchange(now, descriptors(server));
        same = now == before ? same + 1 : 0;
      }
      return now;
    };
    by_hand(0, warm);
    CHECK(settled());
    const int server_descriptors = open_files();
    const long server_memory = memory(server), own_memory = memory(::getpid());
    by_hand(warm, cut);
    soak.run({.command = mock_command(faults)}, cut, episodes, 1);
    CHECK(soak.given_up == "");

    CHECK(settled());
    CHECK(open_files() == server_descriptors);
    CHECK(memory(server) < server_memory + 4096);
    if (!sanitized) CHECK(memory(::getpid()) < own_memory + 4096 + static_cast<long>(soak.replay.bytes() / 1024));
    ::kill(server, SIGTERM);
    ::waitpid(server, nullptr, 0);
  }
  CHECK(mocks() == 0);
  CHECK(descriptors(::getpid()) == own_descriptors);

  CHECK(soak.kept == static_cast<std::int64_t>(episodes));
  CHECK(soak.differing == 0);
  std::int64_t expected[5] = {}, injected = 0;
  int harmless = 0;
  for (const auto& [name, count] : read_log(log)) {
    if (const auto found = harmful.find(name); found != harmful.end()) {
      expected[static_cast<int>(found->second)] += count;
      injected += count;
    } else {
      harmless += count;
    }
  }
  const auto& faults_seen = soak.counters.faults;
  const int silent = static_cast<int>(RemoteFault::silent), malformed = static_cast<int>(RemoteFault::malformed);
  CHECK(soak.counters.aborted == injected);
  CHECK(soak.counters.total_faults() == injected);
  for (const RemoteFault kind : {RemoteFault::environment, RemoteFault::lost, RemoteFault::slow})
    CHECK(faults_seen[static_cast<int>(kind)] == expected[static_cast<int>(kind)]);
  // A flipped bit in the length makes a frame that never ends: silence.
  CHECK(faults_seen[silent] >= expected[silent]);
  CHECK(faults_seen[silent] + faults_seen[malformed] == expected[silent] + expected[malformed]);
  if (wanted)
    std::cout << episodes << " episodes kept, " << soak.counters.steps << " steps, " << injected
              << " episodes voided by faults (" << harmless << " harmless ones), " << soak.counters.connections
              << " connections\n";
}
