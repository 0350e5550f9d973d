#pragma once
// A joint table on paper.

#include <algorithm>
#include <string>
#include <vector>

#include "games.hpp"

inline std::string action_names(Index index, Index n_agents, Index n_actions) {
  std::string text;
  for (const int a : qatten::joint_action(index, n_agents, n_actions)) text += static_cast<char>('A' + a);
  return text;
}

/// A joint table as a matrix: the first half of the agents by row, the others by column.
struct TableShape {
  explicit TableShape(const EnvironmentInfo& info)
      : rows(qatten::n_joint_actions(std::max<Index>(info.n_agents / 2, 1), info.n_actions)),
        cols(qatten::n_joint_actions(info.n_agents, info.n_actions) / rows) {
    for (Index r = 0; r < rows; ++r) row_names.push_back(action_names(r, info.n_agents / 2, info.n_actions));
    const Index others = info.n_agents - info.n_agents / 2;
    for (Index c = 0; c < cols; ++c) col_names.push_back(action_names(c, others, info.n_actions));
  }
  Matrix<double> operator()(const Vector<double>& table) const { return table.reshaped(cols, rows).transpose(); }

  Index rows, cols;
  std::vector<std::string> row_names, col_names;
};
