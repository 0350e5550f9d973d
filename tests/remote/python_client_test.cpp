// The other direction: a Python trainer on C++ environments.

#include <cstdio>

#include "qatten/environments/games/spotlight.hpp"
#include "qatten/environments/games/two_step_game.hpp"
#include "qatten/environments/remote/environment_server.hpp"
#include "remote/servers.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

std::string play_in_python(const std::string& endpoint) {
  const std::string source = QATTEN_SOURCE_DIR;
  const std::string command = "env PYTHONPATH=" + source + "/python PYTHONDONTWRITEBYTECODE=1 " QATTEN_PYTHON " " +
                              source + "/tests/remote/play_game.py " + endpoint + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  for (char text[256]; std::fgets(text, sizeof text, pipe);) output += text;
  CHECK(::pclose(pipe) == 0);
  return output;
}

}  // namespace

TEST_CASE("a Python trainer plays a C++ game") {
  const TemporaryFolder folder;
  EnvironmentServer server({.endpoint = "unix:" + (folder / "socket").string()},
                           [](std::uint64_t) { return std::make_unique<TwoStepGame>(); });
  server.start();
  const std::string got = play_in_python(server.endpoint().text());
  CAPTURE(got);
  const EnvironmentInfo info = TwoStepGame().info();
  CHECK(got.find("('n_agents', 2), ('obs_shape', " + std::to_string(info.obs_shape)) != std::string::npos);
  // Both agents' last actions: the second table, then its best entry, 8.
  for (int episode = 0; episode < 3; ++episode) {
    const std::string e = std::to_string(episode) + " [1, 1] ";
    CHECK(got.find(e + "0 ") != std::string::npos);
    CHECK(got.find(e + "8 ") != std::string::npos);
  }
  CHECK(got.find("ended terminated") != std::string::npos);
  CHECK(got.find("agent 0 cannot take action 99") != std::string::npos);
}

TEST_CASE("the streams that Python names are the streams that C++ plays") {
  const TemporaryFolder folder;
  EnvironmentServer server({.endpoint = "unix:" + (folder / "socket").string()},
                           [](std::uint64_t) { return std::make_unique<Spotlight>(4); });
  server.start();
  const std::string first = play_in_python(server.endpoint().text());
  CHECK(first.find("0 [3, 3, 3, 3] 5 ") != std::string::npos);
  CHECK(play_in_python(server.endpoint().text()) == first);
}
