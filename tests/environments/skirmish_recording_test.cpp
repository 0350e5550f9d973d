// Recordings, the page they become, and the view for terminals.

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/replay_html.hpp"
#include "qatten/environments/skirmish/terminal_view.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::skirmish;

namespace {

struct Recorded {
  Recording recording;
  std::vector<BattleState> states;
};

Recorded record(const char* map, bool thinks, const std::string& title = "test") {
  Recorded recorded;
  Skirmish game(map);
  ScriptedTeam team(Script::nearest);
  Random random(1);
  Recorder recorder;
  std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
  std::vector<float> rewards;
  game.reset(Random(2));
  recorder.begin(game, title);
  Thoughts thoughts;
  thoughts.attention = Matrix<float>::Constant(game.layout().agents, 4, 0.25F);
  thoughts.q = Vector<float>::LinSpaced(game.layout().agents, 0, 1);
  thoughts.q_tot = thoughts.c = Vector<float>::Ones(1);
  thoughts.head_weights = Vector<float>::Ones(4);
  for (bool ended = false; !ended;) {
    team.act(game, random, actions);
    recorded.states.push_back(game.units());
    thinks ? recorder.step(game, actions, thoughts) : recorder.step(game, actions);
    const StepResult result = game.step(actions);
    rewards.push_back(result.reward);
    ended = result.terminated;
  }
  recorded.states.push_back(game.units());
  recorded.recording = recorder.finish(game, rewards);
  return recorded;
}

/// What stands in the page between the tags of the recording.
nlohmann::json content(const std::string& page) {
  const std::string open = "<script id=\"recording\" type=\"application/json\">";
  const std::size_t from = page.find(open) + open.size(), to = page.find("</script>", from);
  return nlohmann::json::parse(page.substr(from, to - from));
}

}  // namespace

TEST_CASE("a recording holds every step as it was") {
  const Recorded recorded = record("2s3z", false);
  const Recording& r = recorded.recording;
  REQUIRE(r.frames.size() == recorded.states.size());
  REQUIRE(r.actions.size() == r.frames.size() - 1);
  REQUIRE(r.rewards.size() == r.actions.size());
  int shots = 0;
  for (std::size_t t = 0; t < r.frames.size(); ++t) {
    const BattleState& s = recorded.states[t];
    for (int i = 0; i < s.n_units; ++i) {
      const auto k = static_cast<std::size_t>(i);
      REQUIRE(r.frames[t].health[k] == s.health[i]);
      REQUIRE(r.frames[t].shield[k] == s.shield[i]);
      REQUIRE(r.frames[t].alive[k] == (s.alive[i] == 1));
      REQUIRE(r.frames[t].places[k].x < 32);
      if (s.alive[i]) REQUIRE(r.frames[t].places[k].x == s.x[i]);
    }
    for (const Recording::Shot& shot : r.frames[t].shots) {
      REQUIRE(r.units[std::size_t(shot.from)].ally != r.units[std::size_t(shot.to)].ally);
      REQUIRE(s.shot_loop[shot.from] >= recorded.states[t - 1].loop);  // each in one frame alone
      ++shots;
    }
  }
  REQUIRE(shots > 50);
  REQUIRE(r.frames[0].shots.empty());
}

TEST_CASE("healing is recorded, from a healer to a friend") {
  const Recorded recorded = record("MMM", false);
  int heals = 0;
  for (const Recording::Frame& frame : recorded.recording.frames)
    for (const Recording::Shot& shot : frame.shots) {
      const auto& from = recorded.recording.units[std::size_t(shot.from)];
      REQUIRE(shot.heals == (from.name == "medivac"));
      if (shot.heals) REQUIRE(from.ally == recorded.recording.units[std::size_t(shot.to)].ally);
      heals += shot.heals;
    }
  REQUIRE(heals > 10);
}

TEST_CASE("the page holds the recording, and nothing in it can break out") {
  const std::string title = "</script><b>\"\\\n";
  const Recorded recorded = record("3m", true, title);
  const std::string page = replay_html(recorded.recording);
  const nlohmann::json json = content(page);
  REQUIRE(json["title"] == title);
  REQUIRE(json["map"] == "3m");
  REQUIRE(json["outcome"] == recorded.recording.outcome);
  REQUIRE(json["frames"].size() == recorded.recording.frames.size());
  REQUIRE(json["units"].size() == 6);
  for (std::size_t t = 0; t < json["frames"].size(); ++t)
    for (int i = 0; i < 6; ++i) {
      const Point p = recorded.recording.frames[t].places[std::size_t(i)];
      REQUIRE(std::abs(json["frames"][t]["p"][2 * std::size_t(i)].get<float>() - p.x) < 1e-3F);
      REQUIRE(json["frames"][t]["a"].get<std::string>()[std::size_t(i)] ==
              (recorded.recording.frames[t].alive[std::size_t(i)] ? '1' : '0'));
    }
  REQUIRE(json["actions"].size() == json["rewards"].size());
  REQUIRE(json["thoughts"].size() == json["actions"].size());
  REQUIRE(json["thoughts"][0]["attention"].size() == 4);
  REQUIRE(json["thoughts"][0]["attention"][0].size() == 3);
  REQUIRE(json["thoughts"][0]["q"] == nlohmann::json{0, 0.5, 1});
  REQUIRE(content(replay_html(record("3m", false).recording))["thoughts"].empty());
  for (const char* remote : {"http://", "https://", "src=", "import "}) REQUIRE(page.find(remote) == std::string::npos);
}

TEST_CASE("numbers that are none become null") {
  Recording recording = record("3m", false).recording;
  recording.rewards[0] = std::numeric_limits<float>::quiet_NaN();
  recording.rewards[1] = std::numeric_limits<float>::infinity();
  const nlohmann::json json = content(replay_html(recording));
  REQUIRE(json["rewards"][0].is_null());
  REQUIRE(json["rewards"][1].is_null());
}

TEST_CASE("what does not fit together is refused") {
  Skirmish game("3m");
  Recorder recorder;
  const std::vector<int> actions = {1, 1, 1};
  recorder.begin(game, "");
  Thoughts thoughts;
  thoughts.q = Vector<float>::Ones(4);
  REQUIRE_THROWS_AS(recorder.step(game, actions, thoughts), Error);
  thoughts.q = Vector<float>::Ones(3);
  recorder.step(game, actions, thoughts);
  thoughts.q_tot = Vector<float>::Ones(1);
  REQUIRE_THROWS_AS(recorder.step(game, actions, thoughts), Error);
  REQUIRE_THROWS_AS(recorder.finish(game, {}), Error);
  recorder.step(game, actions);
  const std::vector<float> rewards = {0, 0};
  REQUIRE_THROWS_AS(recorder.finish(game, rewards), Error);
}

TEST_CASE("the terminal shows every living unit, allies in capitals, and a bar for everyone") {
  for (const char* map : {"3m", "27m_vs_30m", "2c_vs_64zg"}) {
    Skirmish game(map);
    const std::string text = draw(game, false);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    REQUIRE(lines >= std::max(game.layout().agents, game.layout().enemies));
    REQUIRE(std::count(text.begin(), text.end(), '#') == 8 * (game.layout().agents + game.layout().enemies));
    REQUIRE(text.find('\033') == std::string::npos);
    REQUIRE(draw(game, true).find("\033[1;36m") != std::string::npos);
  }
  Skirmish game("2s3z");
  const std::string text = draw(game, false);
  REQUIRE(std::count(text.begin(), text.end(), 'S') == 2 + 2);  // on the field, and beside their bars
  REQUIRE(std::count(text.begin(), text.end(), 'z') == 3 + 3);
  Skirmish::Snapshot snapshot = game.save();
  snapshot.battle.health[0] = 1;
  snapshot.battle.shield[0] = 0;
  game.load(snapshot);
  REQUIRE(draw(game, false).find("S #.......") != std::string::npos);
}
