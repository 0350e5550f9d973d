#include <filesystem>
#include <fstream>
#include <iterator>

#include "environments/play.hpp"
#include "remote/servers.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

struct Step {
  StepResult result;
  Seen seen;
};

/// Three episodes of 7 steps, the idle action wherever it may be taken.
std::vector<Step> play_some(RemoteEnvironment& environment) {
  std::vector<Step> steps;
  for (std::uint64_t episode = 0; episode < 3; ++episode) {
    environment.reset(Random(4, "environment", episode));
    for (int t = 0; t < 7; ++t) {
      const Seen seen = look(environment);
      std::vector<int> actions;
      for (Index i = 0; i < seen.available.cols(); ++i) actions.push_back(seen.available(1, i) ? 1 : 0);
      steps.push_back({environment.step(actions), look(environment)});
      if (steps.back().result.aborted) break;
    }
  }
  return steps;
}

std::vector<std::string> replay_command(const std::string& file) {
  std::vector<std::string> command = mock_command();
  command.resize(command.size() - 2);  // without --env
  command.insert(command.end(), {"--replay", file});
  return command;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void check_same(const std::vector<Step>& a, const std::vector<Step>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t t = 0; t < a.size(); ++t) {
    CHECK(a[t].result.reward == b[t].result.reward);
    CHECK(a[t].result.aborted == b[t].result.aborted);
    CHECK(a[t].seen.obs == b[t].seen.obs);
    CHECK(a[t].seen.state == b[t].seen.state);
    CHECK(a[t].seen.available == b[t].seen.available);
  }
}

}  // namespace

TEST_CASE("recorded traffic plays again without its environment, faults included") {
  const TemporaryFolder folder;
  const std::string file = folder / "recording";
  for (const std::string fault : {"", "corrupt@10", "truncate@10", "crash@10"}) {
    CAPTURE(fault);
    std::vector<Step> recorded;
    RemoteCounters counters;
    {
      RemoteOptions options =
          quick({.command = mock_command({"faults=" + fault, "fault_log=" + (folder / "log").string()})});
      options.token = "secret token";
      options.record = file;
      RemoteEnvironment environment(options);
      recorded = play_some(environment);
      counters = environment.counters();
    }
    CHECK(counters.total_faults() == (fault.empty() ? 0 : 1));
    CHECK(content(file).starts_with("QENVREC1"));
    CHECK(content(file).find("secret token") == std::string::npos);

    // By hand, because one server plays all connections of the recording.
    remote::ServerProcess server(replay_command(file), "", remote::Clock::now() + std::chrono::seconds(20));
    RemoteEnvironment again(quick({.endpoint = server.endpoint().text()}));
    check_same(play_some(again), recorded);
    for (int k = 0; k < 5; ++k) CHECK(again.counters().faults[k] == counters.faults[k]);
    CHECK(again.counters().connections == counters.connections);
  }
}

TEST_CASE("a recording is not to be asked what was not asked then") {
  const TemporaryFolder folder;
  const std::string file = folder / "recording";
  {
    RemoteOptions options = quick({.command = mock_command()});
    options.record = file;
    RemoteEnvironment environment(options);
    play_some(environment);
  }
  RemoteEnvironment again(quick({.command = replay_command(file)}));
  again.reset(Random(4, "environment", 0));
  const Seen seen = look(again);
  int other = 2;
  while (!seen.available(other, 0)) ++other;
  CHECK(again.step(std::vector<int>{other, 1, 1}).aborted);
  CHECK(again.last_fault().find("not the recorded one") != std::string::npos);
}

const std::string in_tree = std::string(QATTEN_SOURCE_DIR) + "/tests/remote/recordings/mock_3m.qenvrec";

TEST_CASE("make the recording in the tree", "[.make]") {
  RemoteOptions options = quick({.command = mock_command()});
  options.record = in_tree;
  RemoteEnvironment environment(options);
  play_some(environment);
}

TEST_CASE("the recording in the tree: a battle of the mock, played by the client as it is today") {
  const std::string& file = in_tree;  // a change of the protocol shows here
  RemoteEnvironment again(quick({.command = replay_command(file)}));
  const std::vector<Step> steps = play_some(again);
  REQUIRE(steps.size() == 21);
  CHECK(again.counters().total_faults() == 0);
  RemoteEnvironment live(quick({.command = mock_command()}));
  check_same(play_some(live), steps);
}

TEST_CASE("what cannot be recorded or replayed says so") {
  const TemporaryFolder folder;
  RemoteOptions options = quick({.command = mock_command()});
  options.record = folder / "no/such/folder";
  CHECK_THROWS_AS(RemoteEnvironment(options), Error);
  options.record = "/dev/full";
  CHECK_THROWS_AS(RemoteEnvironment(options), Error);
  std::ofstream(folder / "text") << "no recording";
  CHECK_THROWS_AS(RemoteEnvironment(quick({.command = replay_command(folder / "text")})), Error);
}
