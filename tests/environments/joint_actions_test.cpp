#include "qatten/environments/games/joint_actions.hpp"

#include <vector>

#include "support/catch.hpp"

using namespace qatten;

TEST_CASE("agent 1 is the slowest digit of a joint action's number") {
  std::vector<std::vector<int>> in_order;
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b)
      for (int c = 0; c < 3; ++c) in_order.push_back({a, b, c});
  REQUIRE(n_joint_actions(3, 3) == 27);
  for (Index index = 0; index < 27; ++index) {
    CHECK(joint_action(index, 3, 3) == in_order[static_cast<std::size_t>(index)]);
    CHECK(joint_index(in_order[static_cast<std::size_t>(index)], 3) == index);
  }
}

TEST_CASE("the number of joint actions is counted, or refused when it fits no Index") {
  CHECK(n_joint_actions(1, 7) == 7);
  CHECK(n_joint_actions(4, 1) == 1);
  CHECK(n_joint_actions(1'000'000'000'000, 1) == 1);
  CHECK(n_joint_actions(62, 2) == Index{1} << 62);
  CHECK_THROWS_AS(n_joint_actions(63, 2), Error);
  CHECK_THROWS_AS(n_joint_actions(0, 2), Error);
  CHECK_THROWS_AS(n_joint_actions(2, 0), Error);
}

TEST_CASE("wrong actions are refused") {
  const auto check = [](std::vector<int> actions) { detail::check_actions("f", actions, 2, 3); };
  CHECK_NOTHROW(check({0, 2}));
  CHECK_THROWS_AS(check({0}), Error);
  CHECK_THROWS_AS(check({0, 1, 2}), Error);
  CHECK_THROWS_AS(check({0, 3}), Error);
  CHECK_THROWS_AS(check({-1, 0}), Error);
}
