#pragma once
// Every way that a small environment can go: the data of uniform exploration without its noise.

#include <span>
#include <vector>

#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/training/rollout.hpp"

namespace qatten::inline QATTEN_ABI {

/// One episode for each stream and each sequence of `steps` joint actions (the last one repeated should an episode go
/// on), all actions being available: streams.size() · n_actions^(n_agents · steps) episodes.
template <Environment E>
std::vector<Episode<float>> enumerate_episodes(E& environment, std::span<const Random> streams, Index steps) {
  Rollout<E> rollout(environment);
  const EnvironmentInfo& info = rollout.info();
  const Index joint = n_joint_actions(info.n_agents, info.n_actions), sequences = n_joint_actions(steps, joint);
  std::vector<Episode<float>> episodes;
  for (const Random& stream : streams) {
    for (Index s = 0; s < sequences; ++s) {
      std::vector<std::vector<int>> script;
      for (const int index : joint_action(s, steps, joint))
        script.push_back(joint_action(index, info.n_agents, info.n_actions));
      episodes.push_back(rollout.play(stream, scripted_policy(std::move(script))));
    }
  }
  return episodes;
}

}  // namespace qatten::inline QATTEN_ABI
