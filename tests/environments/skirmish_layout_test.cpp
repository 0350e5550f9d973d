// Sizes, order and content of observations, state and masks.

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "environments/play.hpp"
#include "qatten/environments/check_environment.hpp"
#include "qatten/environments/skirmish/policies.hpp"
#include "qatten/environments/skirmish/skirmish.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::skirmish;
using namespace qatten_test;
using Catch::Matchers::WithinAbs;

namespace {

struct Sizes {
  std::string map;
  Index agents, enemies, limit, actions, obs, unit, state;
  double max_reward;
};

// SMAC's formulas for its 23 maps, worked out by hand from its source and map registry.
const std::vector<Sizes> smac = {
    {"3m", 3, 3, 60, 9, 30, 4, 48, 365},
    {"8m", 8, 8, 120, 14, 80, 4, 168, 640},
    {"25m", 25, 25, 150, 31, 250, 4, 950, 1575},
    {"5m_vs_6m", 5, 6, 70, 12, 55, 4, 98, 530},
    {"8m_vs_9m", 8, 9, 120, 15, 85, 4, 179, 695},
    {"10m_vs_11m", 10, 11, 150, 17, 105, 4, 243, 805},
    {"27m_vs_30m", 27, 30, 180, 36, 285, 4, 1170, 1850},
    {"MMM", 10, 10, 150, 16, 160, 7, 290, 1015},
    {"MMM2", 10, 12, 180, 18, 176, 7, 322, 1205},
    {"2s3z", 5, 5, 120, 11, 80, 7, 120, 1020},
    {"3s5z", 8, 8, 150, 14, 128, 7, 216, 1510},
    {"3s5z_vs_3s6z", 8, 9, 170, 15, 136, 7, 230, 1670},
    {"3s_vs_3z", 3, 3, 150, 9, 36, 5, 54, 680},
    {"3s_vs_4z", 3, 4, 200, 10, 42, 5, 61, 840},
    {"3s_vs_5z", 3, 5, 250, 11, 48, 5, 68, 1000},
    {"1c3s5z", 9, 9, 180, 15, 162, 8, 270, 1870},
    {"2m_vs_1z", 2, 1, 150, 7, 16, 4, 26, 360},
    {"corridor", 6, 24, 400, 30, 156, 5, 282, 1280},
    {"6h_vs_8z", 6, 8, 150, 14, 78, 4, 140, 1480},
    {"2s_vs_1sc", 2, 1, 300, 7, 17, 5, 27, 510},
    {"so_many_baneling", 7, 32, 100, 38, 202, 5, 397, 1480},
    {"bane_vs_bane", 24, 24, 200, 30, 336, 6, 984, 1260},
    {"2c_vs_64zg", 2, 64, 400, 70, 332, 5, 342, 3080},
};

std::vector<int> random_actions(const Skirmish& game, Random& random) {
  std::vector<int> actions(static_cast<std::size_t>(game.layout().agents));
  ScriptedTeam(Script::random).act(game, random, actions);
  return actions;
}

/// The game with its units moved by hand.
template <class F>
void arrange(Skirmish& game, F&& f) {
  Skirmish::Snapshot snapshot = game.save();
  f(snapshot.battle);
  game.load(snapshot);
}

}  // namespace

TEST_CASE("all of SMAC's maps have SMAC's sizes") {
  REQUIRE(smac.size() == n_smac_maps);
  for (const Sizes& sizes : smac) {
    CAPTURE(sizes.map);
    const Skirmish game(sizes.map);
    REQUIRE(game.info() == EnvironmentInfo{.n_agents = sizes.agents,
                                           .n_actions = sizes.actions,
                                           .obs_shape = sizes.obs,
                                           .state_shape = sizes.state,
                                           .unit_dim = sizes.unit,
                                           .episode_limit = sizes.limit});
    REQUIRE(game.layout().enemies == sizes.enemies);
    REQUIRE(game.max_reward() == sizes.max_reward);
  }
}

TEST_CASE("all maps are well-behaved environments") {
  for (const Map& map : maps) {
    CAPTURE(map.name);
    Skirmish game(map.name);
    REQUIRE(check_environment(game, 1, 1) == std::vector<std::string>{});
  }
}

TEST_CASE("with every option on, too") {
  for (const char* map : {"2s3z", "MMM", "2c_vs_64zg", "10gen_zerg"}) {
    CAPTURE(map);
    Options options;
    options.obs_last_action = options.obs_pathing_grid = options.obs_terrain_height = true;
    options.obs_timestep_number = options.state_timestep_number = options.use_unit_ranges = true;
    options.reward_only_positive = options.obs_all_health = options.obs_own_health = false;
    options.start_jitter = 1;
    Skirmish game(map, options);
    REQUIRE(check_environment(game, 1, 2) == std::vector<std::string>{});
    options.obs_instead_of_state = options.obs_all_health = true;
    Skirmish other(map, options);
    REQUIRE(check_environment(other, 1, 2) == std::vector<std::string>{});
  }
}

TEST_CASE("options change sizes as SMAC's do") {
  const auto info = [](auto&& set) {
    Options options;
    set(options);
    return Skirmish("2s3z", options).info();
  };
  const auto obs = [&](auto&& set) { return info(set).obs_shape; };
  REQUIRE(obs([](Options& o) { o.obs_last_action = true; }) == 80 + 4 * 11);
  REQUIRE(obs([](Options& o) { o.obs_pathing_grid = true; }) == 80 + 8);
  REQUIRE(obs([](Options& o) { o.obs_terrain_height = true; }) == 80 + 9);
  REQUIRE(obs([](Options& o) { o.obs_all_health = false; }) == 80 - 2 * 9);
  REQUIRE(obs([](Options& o) { o.obs_all_health = o.obs_own_health = false; }) == 80 - 2 * 10);
  REQUIRE(obs([](Options& o) { o.obs_own_health = false; }) == 80);  // implied by obs_all_health
  REQUIRE(obs([](Options& o) { o.obs_timestep_number = true; }) == 80 + 2);
  REQUIRE(info([](Options& o) { o.state_last_action = false; }).state_shape == 65);
  REQUIRE(info([](Options& o) { o.state_timestep_number = true; }).state_shape == 121);
  REQUIRE(info([](Options& o) { o.obs_instead_of_state = true; }).state_shape == 400);
}

TEST_CASE("agents are sorted by type, then from west to east, then from south to north") {
  const auto types = [](const char* map, const Ruleset& rules = {}) {
    Options options;
    options.rules = rules;
    const Skirmish game(map, options);
    std::string symbols;
    for (int i = 0; i < game.layout().agents; ++i) symbols += sc2_units[index(game.units().type[i])].symbol;
    return symbols;
  };
  REQUIRE(types("2s3z") == "sszzz");
  REQUIRE(types("1c3s5z") ==
          "csssz"
          "zzzz");
  REQUIRE(types("MMM2") == "rrmmmmmmmv");
  REQUIRE(types("bane_vs_bane") == "bbbb" + std::string(20, 'l'));
  REQUIRE(types("MMM2", smaclite_rules()) == "vrrmmmmmmm");
  REQUIRE(types("bane_vs_bane", smaclite_rules()) == std::string(20, 'l') + "bbbb");
  const Skirmish game("8m");
  const BattleState& s = game.units();
  for (int i = 1; i < 8; ++i) REQUIRE(std::pair(s.x[i - 1], s.y[i - 1]) < std::pair(s.x[i], s.y[i]));
  const Skirmish mmm2("MMM2");
  std::string enemies;
  for (int j = 10; j < 22; ++j) enemies += sc2_units[index(mmm2.units().type[j])].symbol;
  REQUIRE(enemies == "mmmmmmmmrrrv");
}

TEST_CASE("the enemy's type code is reversed on maps of stalkers and zealots, and on no others") {
  const auto codes = [](const char* map, Unit a, Unit b, const Ruleset& rules = {}) {
    Options options;
    options.rules = rules;
    const Layout layout(map_named(map), options);
    return std::array{layout.ally_codes[index(a)], layout.ally_codes[index(b)], layout.enemy_codes[index(a)],
                      layout.enemy_codes[index(b)]};
  };
  for (const char* map : {"2s3z", "3s5z", "3s5z_vs_3s6z"}) {
    REQUIRE(codes(map, Unit::stalker, Unit::zealot) == std::array{0, 1, 1, 0});
    REQUIRE(codes(map, Unit::stalker, Unit::zealot, smaclite_rules()) == std::array{0, 1, 0, 1});
  }
  REQUIRE(codes("1c3s5z", Unit::stalker, Unit::zealot) == std::array{1, 2, 1, 2});
  REQUIRE(codes("MMM", Unit::marauder, Unit::marine) == std::array{0, 1, 0, 1});
  REQUIRE(codes("MMM", Unit::marine, Unit::medivac) == std::array{1, 2, 1, 2});
  REQUIRE(codes("bane_vs_bane", Unit::baneling, Unit::zergling) == std::array{0, 1, 0, 1});
}

TEST_CASE("a placed situation, number by number") {
  Options options;
  options.obs_last_action = true;
  Skirmish game("2s3z", options);
  game.reset(Random(1));
  arrange(game, [](BattleState& s) {
    for (int i = 0; i < s.n_units; ++i) s.x[i] = 1, s.y[i] = 9 + float(i);  // out of sight
    s.x[0] = 20, s.y[0] = 16;
    s.health[0] = 40, s.shield[0] = 20, s.cooldown[0] = 14;
    s.x[2] = 23, s.y[2] = 20;  // a zealot, 5 away
    s.health[2] = 25, s.shield[2] = 50;
    s.x[5] = 20, s.y[5] = 8.5F;  // a stalker, 7.5 away: seen, out of reach
    s.shield[5] = 0;
    s.x[9] = 14, s.y[9] = 16;  // a zealot, 6 away: in reach
  });
  const Seen seen = look(game);
  const auto rest_is_zero = [](Eigen::VectorXf v, std::initializer_list<std::pair<Index, float>> entries) {
    for (const auto& [k, value] : entries) {
      CAPTURE(k);
      REQUIRE(v(k) == value);
      v(k) = 0;
    }
    REQUIRE(v.isZero(0));
  };
  // moves 4 | enemies 5 x (attackable, distance, dx, dy, health, shield, 2 types) | allies 4 x (the same, 11 actions) |
  // own: health, shield, 2 types. Enemy codes are reversed: zealot 0, stalker 1.
  rest_is_zero(seen.obs.col(0), {{0, 1.0F},
                                 {1, 1.0F},
                                 {2, 1.0F},
                                 {3, 1.0F},
                                 {4 + 1, 7.5F / 9},
                                 {4 + 3, -7.5F / 9},
                                 {4 + 4, 1.0F},
                                 {4 + 7, 1.0F},
                                 {36 + 0, 1.0F},
                                 {36 + 1, 6.0F / 9},
                                 {36 + 2, -6.0F / 9},
                                 {36 + 4, 1.0F},
                                 {36 + 5, 1.0F},
                                 {36 + 6, 1.0F},
                                 {44 + 19 + 0, 1.0F},
                                 {44 + 19 + 1, 5.0F / 9},
                                 {44 + 19 + 2, 3.0F / 9},
                                 {44 + 19 + 3, 4.0F / 9},
                                 {44 + 19 + 4, 0.25F},
                                 {44 + 19 + 5, 1.0F},
                                 {44 + 19 + 7, 1.0F},
                                 {44 + 76 + 0, 0.5F},
                                 {44 + 76 + 1, 0.25F},
                                 {44 + 76 + 2, 1.0F}});
  rest_is_zero(seen.state.col(0).segment(0, 7), {{0, 0.5F}, {1, 14.0F / 35}, {2, 4.0F / 32}, {4, 0.25F}, {5, 1.0F}});
  rest_is_zero(seen.state.col(0).segment(35 + 4 * 6, 6), {{0, 1.0F}, {1, -2.0F / 32}, {3, 1.0F}, {4, 1.0F}});
  rest_is_zero(seen.state.col(0).segment(65, 55), {});
  const Eigen::Matrix<std::uint8_t, 11, 1> mask{0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1};
  REQUIRE(seen.available.col(0) == mask);
}

TEST_CASE("sight is less than 9, reach at most 6, or each unit's own") {
  const auto look_at = [](float distance, bool own) {
    Options options;
    options.use_unit_ranges = own;
    Skirmish game("3s_vs_3z", options);
    arrange(game, [&](BattleState& s) {
      for (int i = 0; i < 6; ++i) s.x[i] = 2, s.y[i] = 5 * float(i);
      s.x[0] = 10, s.y[0] = 16;
      s.x[3] = 10 + distance, s.y[3] = 16;
    });
    const Seen seen = look(game);
    REQUIRE(game.available(0, 6) == (seen.available(6, 0) == 1));
    return std::array{seen.obs(5, 0) > 0, seen.available(6, 0) == 1};
  };
  const float e = 1e-4F;
  REQUIRE(look_at(6, false) == std::array{true, true});
  REQUIRE(look_at(6 + e, false) == std::array{true, false});
  REQUIRE(look_at(9 - e, false) == std::array{true, false});
  REQUIRE(look_at(9, false) == std::array{false, false});
  REQUIRE(look_at(10 - e, true) == std::array{true, false});  // a stalker sees 10
  REQUIRE(look_at(10, true) == std::array{false, false});
}

TEST_CASE("a move is available where the cell half a move away is walkable, coordinates truncated towards 0") {
  Skirmish game("3m");  // rows 8 ... 23
  const auto moves = [&](float x, float y) {
    arrange(game, [&](BattleState& s) { s.x[0] = x, s.y[0] = y; });
    std::string available;
    for (const int a : {north, south, east, west})
      if (game.available(0, a)) available += "NSEW"[a - north];
    return available;
  };
  REQUIRE(moves(16, 16) == "NSEW");
  REQUIRE(moves(16, 22.9F) == "NSEW");
  REQUIRE(moves(16, 23) == "SEW");
  REQUIRE(moves(16, 9) == "NSEW");
  REQUIRE(moves(16, 8.9F) == "NEW");
  REQUIRE(moves(0.5F, 16) == "NSEW");  // -0.5 is truncated to 0
  REQUIRE(moves(31, 16) == "NSW");
}

TEST_CASE("surroundings are twice the move away, diagonals one move, and 1 off the map") {
  Options options;
  options.obs_pathing_grid = options.obs_terrain_height = true;
  Skirmish game("2c_vs_64zg", options);
  arrange(game, [](BattleState& s) { s.x[0] = 3.5F, s.y[0] = 16.5F; });
  const Seen seen = look(game);
  // N (3, 20) is not walkable, S (3, 12) is, E (7, 16) is and is high, W (-1, 16) is off the map;
  // NE (5, 18), SW (1, 14), SE (5, 14), NW (1, 18).
  const Eigen::VectorXf expected{{0, 1, 1, 1, 1, 1, 1, 1, low_ground, low_ground, high_ground, 1, low_ground,
                                  low_ground, low_ground, low_ground, low_ground}};
  REQUIRE(seen.obs.col(0).segment(4, 17) == expected);
}

TEST_CASE("time stands at the end, in the observation after a place that SMAC leaves empty") {
  Options options;
  options.obs_timestep_number = options.state_timestep_number = true;
  Skirmish game("3m", options);
  game.reset(Random(1));
  for (int k = 0; k < 3; ++k) game.step(std::vector{1, 1, 1});
  const Seen seen = look(game);
  REQUIRE(seen.obs(30, 0) == 0);
  REQUIRE(seen.obs(31, 0) == 3.0F / 60);
  REQUIRE(seen.state(48, 0) == 3.0F / 60);
}

TEST_CASE("a medivac heals allies; its 'attackable' bits are its heal actions") {
  Skirmish game("MMM");
  arrange(game, [](BattleState& s) {
    for (int i = 0; i < s.n_units; ++i) s.x[i] = 2 + 7 * float(i / 10), s.y[i] = 16;
    s.x[0] = 20;
  });
  const Seen seen = look(game);
  const Eigen::VectorXf enemies = seen.obs.col(9).segment(4, 80);
  for (int k = 0; k < 10; ++k) {
    const bool heals = k != 9 && k != 0;  // not itself, not the one far away
    REQUIRE(seen.available(6 + k, 9) == heals);
    REQUIRE(enemies(8 * k) == float(heals));
  }
}

TEST_CASE("what is shown agrees with itself in random episodes on every map") {
  Random random(3, "layout");
  for (const Map& map : maps) {
    CAPTURE(map.name);
    Options options;
    options.continuing_episode = true;
    Skirmish game(map.name, options);
    const Layout& layout = game.layout();
    game.reset(Random(7));
    std::vector<int> actions;
    for (bool ended = false; !ended;) {
      actions = random_actions(game, random);
      const StepResult result = game.step(actions);
      ended = result.terminated || result.truncated;
      const Seen seen = look(game);
      const BattleState& s = game.units();
      const int na = layout.agents, ne = layout.enemies, b = layout.type_bits;
      for (int i = 0; i < na; ++i) {
        REQUIRE(seen.alive(i, 0) == s.alive[i]);
        for (int a = 0; a < layout.actions; ++a) REQUIRE((seen.available(a, i) == 1) == game.available(i, a));
        REQUIRE(seen.units.col(i) == seen.state.block(i * layout.unit_size, 0, layout.unit_size, 1));
        const Eigen::VectorXf last = seen.state.block(
            na * layout.unit_size + ne * layout.state_enemy_size + i * layout.actions, 0, layout.actions, 1);
        REQUIRE(last.sum() == 1);
        REQUIRE(last(actions[std::size_t(i)]) == 1);
        if (!s.alive[i]) {
          REQUIRE(seen.obs.col(i).isZero(0));
          REQUIRE(seen.units.col(i).isZero(0));
          continue;
        }
        const float* o = &seen.obs(0, i);
        for (int k = 0; k < 4; ++k) REQUIRE(o[k] == float(seen.available(2 + k, i)));
        o += layout.move_size;
        for (int k = 0; k < na + ne - 1; ++k) {
          const bool enemy = k < ne;
          const int j = enemy ? na + k : k - ne + (k - ne >= i);
          const int size = enemy ? layout.enemy_size : layout.ally_size;
          if (s.alive[j] && std::sqrt(double(s.distance2(i, j))) < 9 - 1e-5) {
            REQUIRE_THAT(double(o[2]) * o[2] + double(o[3]) * o[3], WithinAbs(double(o[1]) * o[1], 1e-6));
            REQUIRE(o[4] > 0);
            REQUIRE(o[4] <= 1);
            float sum = 0;
            for (int t = 0; t < b; ++t) sum += o[size - 1 - t];
            REQUIRE(sum == float(b > 0));
            REQUIRE(o[0] == (enemy ? float(seen.available(6 + k, i)) : 1.0F));
          } else if (!s.alive[j]) {
            for (int t = 0; t < size; ++t) REQUIRE(o[t] == 0);
          }
          o += size;
        }
        REQUIRE(o[0] == seen.units(0, i));
        if (layout.ally_shield) REQUIRE(o[1] == seen.units(4, i));
        for (int t = 0; t < b; ++t) REQUIRE(o[1 + layout.ally_shield + t] == seen.units(4 + layout.ally_shield + t, i));
      }
      for (int j = 0; j < ne; ++j)
        if (!s.alive[na + j])
          REQUIRE(seen.state.block(na * layout.unit_size + j * layout.state_enemy_size, 0, layout.state_enemy_size, 1)
                      .isZero(0));
    }
  }
}

TEST_CASE("cooldowns are divided by SMAC's constants and not clipped, energy by 200") {
  const auto shown = [](const char* map, int agent, float cooldown, const Ruleset& rules = {}) {
    Options options;
    options.rules = rules;
    Skirmish game(map, options);
    arrange(game, [&](BattleState& s) { s.cooldown[agent] = cooldown; });
    return look(game).units(1, agent);
  };
  REQUIRE(shown("3m", 0, 12) == 12.0F / 15);
  REQUIRE(shown("6h_vs_8z", 0, 13) == 1.3F);
  Ruleset rules;
  rules.clip_cooldown = true;
  REQUIRE(shown("6h_vs_8z", 0, 13, rules) == 1);
  rules.true_cooldown = true;
  REQUIRE_THAT(double(shown("6h_vs_8z", 0, 6.64F, rules)), WithinAbs(0.5, 1e-6));
  REQUIRE(shown("MMM", 9, 0) == 50.0F / 200);
}

TEST_CASE("bad input is named") {
  REQUIRE_THROWS_AS(Skirmish("4m"), Error);
  Options options;
  options.step_mul = 0;
  REQUIRE_THROWS_AS(Skirmish("3m", options), Error);
  options = {};
  options.n_units = 5;
  REQUIRE_THROWS_AS(Skirmish("3m", options), Error);
  REQUIRE_NOTHROW(Skirmish("10gen_terran", options));
  options.n_units = 90;
  REQUIRE_NOTHROW(Skirmish("10gen_terran", options));
  options.n_units = 92;
  REQUIRE_THROWS_AS(Skirmish("10gen_terran", options), Error);
  REQUIRE_THROWS_AS(ruleset("sc3"), Error);
  REQUIRE_THROWS_AS(script_named("brave"), Error);
  Map small = map_named("25m");
  small.ground = box(8, 15, 12, 17);
  REQUIRE_THROWS_WITH(Skirmish(small, Options{}), "Placement: the ground of the map 25m has no room for all its units");
  options = {};
  options.start = Start::reflected;
  REQUIRE_THROWS_AS(Skirmish(small, options), Error);
  Skirmish game("3m");
  REQUIRE_THROWS_WITH(game.step(std::vector{1, 1}), "Skirmish::step: got 2 actions, expected one for each of 3 agents");
  REQUIRE_THROWS_WITH(game.step(std::vector{1, 0, 1}), "Skirmish::step: action 0 of agent 1 is not available");
  REQUIRE_THROWS_AS(game.step(std::vector{1, 1, 9}), Error);
  REQUIRE_THROWS_AS(game.step(std::vector{1, 1, -1}), Error);
  REQUIRE_THROWS_AS(game.load(Skirmish("8m").save()), Error);
}
