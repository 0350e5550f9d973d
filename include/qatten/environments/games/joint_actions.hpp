#pragma once
// Joint actions as one number, for tables over all of them.
//
// A joint action (a_1, ..., a_n) with n_actions choices each is the number a_1 a_2 ... a_n written in base n_actions:
// agent 1 is the slowest digit, so that the list of a two-player table reads row after row, rows agent 1, columns
// agent 2.

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// n_actions^n_agents. Throws unless both are positive and the power fits an Index.
inline Index n_joint_actions(Index n_agents, Index n_actions) {
  detail::require(n_agents >= 1 && n_actions >= 1, "n_joint_actions", "n_agents and n_actions must be positive");
  Index count = 1;
  for (Index i = 0; i < n_agents && n_actions > 1; ++i) {
    detail::require(count <= std::numeric_limits<Index>::max() / n_actions, "n_joint_actions",
                    std::to_string(n_actions) + "^" + std::to_string(n_agents) + " is too large");
    count *= n_actions;
  }
  return count;
}

/// The number of a joint action whose entries lie in 0 ... n_actions - 1.
inline Index joint_index(std::span<const int> actions, Index n_actions) {
  Index index = 0;
  for (const int action : actions) {
    eigen_assert(action >= 0 && action < n_actions);
    index = index * n_actions + action;
  }
  return index;
}

/// The joint action of a number in 0 ... n_joint_actions - 1: the inverse of `joint_index`. Allocates its result.
inline std::vector<int> joint_action(Index index, Index n_agents, Index n_actions) {
  std::vector<int> actions(static_cast<std::size_t>(n_agents));
  for (auto action = actions.rbegin(); action != actions.rend(); ++action) {
    *action = static_cast<int>(index % n_actions);
    index /= n_actions;
  }
  eigen_assert(index == 0);
  return actions;
}

namespace detail {

/// Throws unless `actions` are n_agents numbers in 0 ... n_actions - 1.
inline void check_actions(std::string_view function, std::span<const int> actions, Index n_agents, Index n_actions) {
  if (std::ssize(actions) != n_agents) [[unlikely]]
    throw Error(std::string(function) + ": got " + std::to_string(actions.size()) + " actions, expected " +
                std::to_string(n_agents));
  for (const int action : actions)
    if (action < 0 || action >= n_actions) [[unlikely]]
      throw Error(std::string(function) + ": got action " + std::to_string(action) + ", expected 0 to " +
                  std::to_string(n_actions - 1));
}

}  // namespace detail
}  // namespace qatten::inline QATTEN_ABI
