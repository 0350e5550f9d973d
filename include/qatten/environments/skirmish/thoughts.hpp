#pragma once
// What a team thinks of one step: what recordings show beside the battle.

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// What a mixer thought at one step. Everything is optional; what one step has, all must have, in the same sizes.
struct Thoughts {
  Matrix<float> attention;  ///< (n_agents, n_head): each head's attention on each agent
  Vector<float> head_weights;
  Vector<float> q;         ///< of the chosen actions, one an agent
  Vector<float> q_tot, c;  ///< one number each, c being the part that depends on the state alone
};

}  // namespace qatten::inline QATTEN_ABI::skirmish
