#pragma once
// What training changes, into a checkpoint and back: a learner's state and a replay memory. Restored, training goes on
// to the same bits.

#include <string>
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

/// A `QLearner::State` or a `LearnerState`: parameters, targets, optimiser and counters.
template <class State>
void put_learner(Checkpoint& to, const std::string& name, const ParameterLayout& layout, const State& state) {
  to.put(name + ".parameters", layout, state.parameters);
  to.put(name + ".target", layout, state.target);
  put_optimizer(to, name + ".optimizer", state.optimizer);
  to.put(name + ".updates", state.updates);
  to.put(name + ".last_target_episode", state.last_target_episode);
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
  state = std::move(restored);
}

namespace detail {

/// The parts of an episode that are arrays, with their names.
template <class E, class F>
void for_each_array(E& e, F&& f) {
  f("obs", e.obs);
  f("state", e.state);
  f("units", e.units);
  f("available", e.available);
  f("alive", e.alive);
  f("actions", e.actions);
  f("rewards", e.rewards);
}

}  // namespace detail

/// All episodes of a replay memory, oldest first: every kind of array end to end, and the shapes to cut them by.
template <class Scalar>
void put_replay(Checkpoint& to, const std::string& name, const EpisodeBuffer<Scalar>& buffer) {
  std::vector<std::int64_t> shapes;
  std::vector<std::uint8_t> terminated;
  for (Index k = 0; k < buffer.size(); ++k) {
    const Episode<Scalar>& e = buffer[k];
    const Index steps = e.length() + 1;
    for (const Index size :
         {e.n_agents(), e.available.rows(), e.obs.rows(), e.state.rows(), e.units.rows() / e.n_agents(), e.length()})
      shapes.push_back(size);
    detail::require(e.state.cols() == steps, "put_replay", "an episode is inconsistent");
    terminated.push_back(e.terminated ? 1 : 0);
  }
  to.put(name + ".shapes", shapes);
  to.put(name + ".terminated", terminated);
  Episode<Scalar> kinds;
  detail::for_each_array(kinds, [&]<class Array>(const std::string& array, Array&) {
    std::vector<typename Array::Scalar> all;
    for (Index k = 0; k < buffer.size(); ++k)
      detail::for_each_array(buffer[k], [&]<class Other>(const std::string& other, const Other& x) {
        if constexpr (std::same_as<Other, Array>)
          if (other == array) all.insert(all.end(), x.data(), x.data() + x.size());
      });
    to.put(name + "." + array, all);
  });
}

/// Adds the episodes of a checkpoint to `buffer` in their order. Throws when the parts do not fit together.
template <class Scalar>
void get_replay(const Checkpoint& from, const std::string& name, EpisodeBuffer<Scalar>& buffer) {
  const auto shapes = from.get<std::vector<std::int64_t>>(name + ".shapes");
  const auto terminated = from.get<std::vector<std::uint8_t>>(name + ".terminated");
  detail::require(shapes.size() == 6 * terminated.size(), "get_replay", "the shapes do not match the episodes");
  std::vector<Episode<Scalar>> episodes(terminated.size());
  for (std::size_t k = 0; k < episodes.size(); ++k) {
    const std::int64_t* s = shapes.data() + 6 * k;
    for (int d = 0; d < 6; ++d)
      detail::require(s[d] >= 0 && s[d] < (std::int64_t{1} << 24), "get_replay", "a shape is out of range");
    episodes[k].resize(s[0], s[1], s[2], s[3], s[4], s[5]);
    episodes[k].terminated = terminated[k] != 0;
  }
  Episode<Scalar> kinds;
  detail::for_each_array(kinds, [&]<class Array>(const std::string& array, Array&) {
    const auto all = from.get<std::vector<typename Array::Scalar>>(name + "." + array);
    std::size_t used = 0;
    for (Episode<Scalar>& e : episodes)
      detail::for_each_array(e, [&]<class Other>(const std::string& other, Other& x) {
        if constexpr (std::same_as<Other, Array>) {
          if (other != array) return;
          detail::require(all.size() - used >= static_cast<std::size_t>(x.size()), "get_replay",
                          array + " holds too few numbers");
          std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(used), x.size(), x.data());
          used += static_cast<std::size_t>(x.size());
        }
      });
    detail::require(used == all.size(), "get_replay", array + " holds too many numbers");
  });
  for (Episode<Scalar>& e : episodes) buffer.add(std::move(e));
}

}  // namespace qatten::inline QATTEN_ABI
