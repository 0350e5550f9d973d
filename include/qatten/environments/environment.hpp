#pragma once
// What a cooperative multi-agent environment must offer.

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

#include "qatten/core/random.hpp"
#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

/// The sizes of an environment, under PyMARL's names.
struct EnvironmentInfo {
  Index n_agents = 0;
  Index n_actions = 0;
  Index obs_shape = 0;      ///< entries of one agent's observation
  Index state_shape = 0;    ///< entries of the global state
  Index unit_dim = 0;       ///< entries of one agent's unit features u^i
  Index episode_limit = 0;  ///< no episode takes more steps

  bool operator==(const EnvironmentInfo&) const = default;
};

/// What an environment shows before each decision, in memory that the caller owns. Everything arrives filled with the
/// ordinary case, so that an environment writes only what it has: zeros in obs, state and units, ones in available and
/// alive.
struct Observation {
  View<float> obs;               ///< (obs_shape, n_agents)
  View<float> state;             ///< (state_shape, 1)
  View<float> units;             ///< (unit_dim, n_agents)
  View<std::uint8_t> available;  ///< (n_actions, n_agents): 1 where the agent may take the action
  View<std::uint8_t> alive;      ///< (n_agents, 1): 0 where the agent has left the game
};

/// What one joint step gave.
struct StepResult {
  float reward = 0;
  bool terminated = false;  ///< the episode ended by itself: nothing follows
  bool truncated = false;   ///< the episode was cut off: its last observation still has a value
  bool aborted = false;     ///< the environment failed: the episode is void, nothing of it counts
};

/// A number about the episode so far, under SMAC's names where it has one (battle_won, dead_allies, dead_enemies).
struct Metric {
  std::string_view name;  ///< of static storage, or owned by the environment
  double value = 0;
};

/// A cooperative environment. An episode is reset(stream), then observe and step in turn until step says that it ended,
/// then one last observe. All its chance comes from the stream (keep a copy to draw from during the episode), so that
/// an episode is a function of its stream and its actions.
template <class E>
concept Environment = requires(E& environment, const E& constant, const Random& stream, const Observation& observation,
                               std::span<const int> actions) {
  { constant.info() } -> std::convertible_to<EnvironmentInfo>;
  environment.reset(stream);
  constant.observe(observation);
  { environment.step(actions) } -> std::same_as<StepResult>;
};

/// An environment that also counts: after the last step of an episode, `metrics()` says how it went, always with the
/// same names in the same order.
template <class E>
concept ReportsMetrics = Environment<E> && requires(const E& constant) {
  { constant.metrics() } -> std::convertible_to<std::span<const Metric>>;
};

}  // namespace qatten::inline QATTEN_ABI
