#include "qatten/io/replay_file.hpp"

#include <string>
#include <vector>

#include "io/files.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

skirmish::Recording one_step() {
  Skirmish game("3m");
  skirmish::Recorder recorder;
  const std::vector<int> actions = {1, 1, 1};
  recorder.begin(game, "one step");
  recorder.step(game, actions);
  const float reward = game.step(actions).reward;
  return recorder.finish(game, {&reward, 1});
}

}  // namespace

TEST_CASE("the file is the page") {
  const TemporaryFolder folder;
  const skirmish::Recording recording = one_step();
  write_html(recording, folder / "battle.html");
  REQUIRE(read_text(folder / "battle.html") == skirmish::replay_html(recording));
  REQUIRE(folder.names() == std::set<std::string>{"battle.html"});
}

TEST_CASE("on a full disk the old file stays and nothing else is left") {
  const TemporaryFolder folder;
  write_text(folder / "battle.html", "old");
  const skirmish::Recording recording = one_step();
  std::string error;
  {
    const FullDisk disk(1000);
    error = error_of([&] { write_html(recording, folder / "battle.html"); });
  }
  REQUIRE(error.find("battle.html") != std::string::npos);
  REQUIRE(read_text(folder / "battle.html") == "old");
  REQUIRE(folder.names() == std::set<std::string>{"battle.html"});
  REQUIRE(!error_of([&] { write_html(recording, folder / "nowhere" / "battle.html"); }).empty());
}
