#pragma once
// What training changes, into a checkpoint and back: a learner's state and a replay memory. Restored, training goes on
// to the same bits.

#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "qatten/io/checkpoint.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "qatten/replay/episode_buffer.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar>
void put_optimizer(Checkpoint& to, const std::string& name, const AdamState<Scalar>& state) {
  to.put(name + ".m", state.m);
  to.put(name + ".v", state.v);
  to.put(name + ".step", state.step);
}

template <class Scalar>
void get_optimizer(const Checkpoint& from, const std::string& name, AdamState<Scalar>& state) {
  state = {from.get<Vector<Scalar>>(name + ".m"), from.get<Vector<Scalar>>(name + ".v"),
           from.get<std::int64_t>(name + ".step")};
}

template <class Scalar>
void put_optimizer(Checkpoint& to, const std::string& name, const RmsPropState<Scalar>& state) {
  to.put(name + ".v", state.v);
}

template <class Scalar>
void get_optimizer(const Checkpoint& from, const std::string& name, RmsPropState<Scalar>& state) {
  state = {from.get<Vector<Scalar>>(name + ".v")};
}

/// Whichever of them it is.
template <class Scalar>
void put_optimizer(Checkpoint& to, const std::string& name,
                   const std::variant<AdamState<Scalar>, RmsPropState<Scalar>>& state) {
  std::visit([&](const auto& own) { put_optimizer(to, name, own); }, state);
}

template <class Scalar>
void get_optimizer(const Checkpoint& from, const std::string& name,
                   std::variant<AdamState<Scalar>, RmsPropState<Scalar>>& state) {
  if (from.contains(name + ".m")) {
    get_optimizer(from, name, state.template emplace<AdamState<Scalar>>());
  } else {
    get_optimizer(from, name, state.template emplace<RmsPropState<Scalar>>());
  }
}

template <class OptimizerState>
void put_critic(Checkpoint& to, const std::string& name, const CriticState<OptimizerState>& state) {
  put_optimizer(to, name + ".optimizer", state.optimizer);
  to.put(name + ".updates", state.updates);
  to.put(name + ".last_target_update", state.last_target_update);
}

template <class OptimizerState>
void get_critic(const Checkpoint& from, const std::string& name, CriticState<OptimizerState>& state) {
  get_optimizer(from, name + ".optimizer", state.optimizer);
  state.updates = from.get<std::int64_t>(name + ".updates");
  state.last_target_update = from.get<std::int64_t>(name + ".last_target_update");
}

/// A `QLearner::State` or a `LearnerState`: parameters, targets, optimiser and counters.
template <class State>
void put_learner(Checkpoint& to, const std::string& name, const ParameterLayout& layout, const State& state) {
  to.put(name + ".parameters", layout, state.parameters);
  to.put(name + ".target", layout, state.target);
  put_optimizer(to, name + ".optimizer", state.optimizer);
  to.put(name + ".updates", state.updates);
  to.put(name + ".last_target_episode", state.last_target_episode);
  if constexpr (requires { state.critic.has_value(); })
    if (state.critic) put_critic(to, name + ".critic", *state.critic);
}

/// Throws, and leaves `state` as it was, when the checkpoint lacks a part or its networks have other shapes.
template <class State>
void get_learner(const Checkpoint& from, const std::string& name, const ParameterLayout& layout, State& state) {
  using Scalar = typename decltype(state.parameters)::Scalar;
  State restored;
  restored.parameters = from.get<Scalar>(name + ".parameters", layout);
  restored.target = from.get<Scalar>(name + ".target", layout);
  get_optimizer(from, name + ".optimizer", restored.optimizer);
  restored.updates = from.get<std::int64_t>(name + ".updates");
  restored.last_target_episode = from.get<std::int64_t>(name + ".last_target_episode");
  if constexpr (requires { restored.critic.has_value(); })
    if (from.contains(name + ".critic.updates")) get_critic(from, name + ".critic", restored.critic.emplace());
  state = std::move(restored);
}

/// All episodes of a replay memory, oldest first: what they hold end to end, and the headers to cut it by. Takes as
/// much memory again.
inline void put_replay(Checkpoint& to, const std::string& name, const EpisodeBuffer& buffer) {
  std::vector<std::int64_t> headers;
  std::vector<std::byte> content;
  content.reserve(buffer.bytes());
  for (Index k = 0; k < buffer.size(); ++k) {
    const PackedEpisode::Header& h = buffer[k].header();
    for (const Index number : {h.shape.n_agents, h.shape.n_actions, h.shape.obs_shape, h.shape.state_shape,
                               h.shape.unit_dim, h.shape.length, h.last_actions_at, Index(h.precision),
                               Index(h.terminated), Index(h.units_in_state), Index(buffer[k].content().size())})
      headers.push_back(number);
    const std::span<const std::byte> bytes = buffer[k].content();
    content.insert(content.end(), bytes.begin(), bytes.end());
  }
  to.put(name + ".headers", headers);
  to.put(name + ".content", std::move(content));
}

/// Adds the episodes of a checkpoint to `buffer` in their order. Throws when the parts do not fit together.
inline void get_replay(const Checkpoint& from, const std::string& name, EpisodeBuffer& buffer) {
  const auto headers = from.get<std::vector<std::int64_t>>(name + ".headers");
  const std::span<const std::byte> content = from.bytes(name + ".content");
  constexpr std::size_t width = 11;
  detail::require(headers.size() % width == 0, "get_replay", "the headers are incomplete");
  std::size_t used = 0;
  for (std::size_t k = 0; k < headers.size(); k += width) {
    const std::int64_t* h = headers.data() + k;
    detail::require(h[7] == 0 || h[7] == 1, "get_replay", "the precision is not known");
    detail::require(h[10] >= 0 && std::size_t(h[10]) <= content.size() - used, "get_replay", "there are too few bytes");
    const PackedEpisode::Header header{
        {h[0], h[1], h[2], h[3], h[4], h[5]}, static_cast<Precision>(h[7]), h[8] != 0, h[9] != 0, h[6]};
    buffer.add(PackedEpisode(header, content.subspan(used, std::size_t(h[10]))));
    used += std::size_t(h[10]);
  }
  detail::require(used == content.size(), "get_replay", "there are too many bytes");
}

}  // namespace qatten::inline QATTEN_ABI
