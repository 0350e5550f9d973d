#pragma once
// Every combination of what a team may be.

#include <string>
#include <vector>

#include "qatten/agents/agent.hpp"
#include "support/numbers.hpp"

namespace qatten::testing {

/// Layer norm is for recurrent teams.
inline std::vector<AgentOptions> agent_options(bool recurrent) {
  std::vector<AgentOptions> all;
  for (int bits = 0; bits < (recurrent ? 16 : 8); ++bits)
    all.push_back({.n_agents = 2,
                   .n_actions = 3,
                   .obs_shape = 3,
                   .obs_last_action = (bits & 1) != 0,
                   .obs_agent_id = (bits & 2) != 0,
                   .hidden_dim = 4,
                   .use_layer_norm = (bits & 8) != 0,
                   .share_parameters = (bits & 4) == 0});
  return all;
}

/// Teams that send messages share their parameters, and may do so in several rounds.
inline std::vector<AgentOptions> tarmac_options() {
  std::vector<AgentOptions> all;
  for (AgentOptions options : agent_options(true)) {
    if (!options.share_parameters) continue;
    options.n_agents = 3;
    options.hidden_dim = 3;
    options.comm_rounds = 1 + static_cast<Index>(all.size()) % 3;
    all.push_back(options);
  }
  return all;
}

inline std::string description(const AgentOptions& options) {
  return std::string(options.obs_last_action ? "last action, " : "") + (options.obs_agent_id ? "id, " : "") +
         (options.use_layer_norm ? "layer norm, " : "") + (options.share_parameters ? "shared" : "one network each") +
         (options.comm_rounds > 1 ? ", " + std::to_string(options.comm_rounds) + " rounds" : "");
}

/// Actions taken before, none at the start.
inline Matrix<std::int32_t> random_last_actions(const AgentOptions& options, const Ragged& ragged, Random& random) {
  Matrix<std::int32_t> actions(1, ragged.total() * options.n_agents);
  for (Index j = 0; j < actions.cols(); ++j)
    actions(0, j) =
        j < ragged.living(0) * options.n_agents ? -1 : static_cast<std::int32_t>(random.integer(options.n_actions));
  return actions;
}

}  // namespace qatten::testing
