#pragma once
// What learners of policies have in common whatever their losses are: agents and a critic in one layout, each with an
// optimiser of its own, and updates that happen as a whole or not at all. The losses are in coma.hpp and maac.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/agents/policy.hpp"
#include "qatten/learners/actions.hpp"
#include "qatten/learners/learner.hpp"

namespace qatten::inline QATTEN_ABI {

/// `Tile_` is what a learner keeps of a tile of the batch beside what all do. What the agents' last layer gives are
/// logits (agents/policy.hpp).
template <class Agent_, class Critic_, class Optimizer_, class Tile_>
requires Agent<Agent_> && Optimizer<Optimizer_>
class ActorCritic {
 public:
  using Scalar = typename Agent_::Scalar;

  /// All that learning changes: a checkpoint of these continues to the same bits.
  struct State {
    Vector<Scalar> parameters;
    Vector<Scalar> target;
    typename Optimizer_::State optimizer;  ///< the agents'
    std::int64_t updates = 0;
    std::int64_t last_target_episode = 0;  ///< rule every_episodes: when the target was copied last
    CriticState<typename Optimizer_::State> critic;
  };

  const Agent_& agent() const { return agent_; }
  const Critic_& critic() const { return critic_; }
  State& state() { return state_; }
  const State& state() const { return state_; }

  /// Lets `update` work on the tiles of a batch in parallel; results do not change, bit for bit. The learner keeps a
  /// pointer; null: by itself.
  void set_threads(const Threads* threads) { threads_ = threads; }

  /// Of a tile of the last batch: y and Q_i of the actions taken (n_agents, transitions), and the Q_i of all actions
  /// that the last loss had (n_actions, n_agents · transitions).
  ConstView<Scalar> targets(std::size_t tile = 0) const { return tiles_[tile].targets.leftCols(tiles_[tile].moves); }
  ConstView<Scalar> q_tot(std::size_t tile = 0) const { return tiles_[tile].q_tot.leftCols(tiles_[tile].moves); }
  ConstView<Scalar> values(std::size_t tile = 0) const {
    return tiles_[tile].values.leftCols(agent_.options().n_agents * tiles_[tile].moves);
  }

 protected:
  struct Tile : Tile_ {
    typename Agent_::Cache agent;
    typename Agent_::Scratch agent_scratch;
    typename Critic_::Cache critic;
    typename Critic_::Scratch critic_scratch;
    Matrix<Scalar> policy, dlogits;  ///< (n_actions, n_agents · observations)
    Matrix<Scalar> values, dvalues;  ///< (n_actions, n_agents · transitions)
    Matrix<Scalar> targets, q_tot;   ///< (n_agents, transitions)
    Vector<Scalar> gradients;
    Scalar loss{0}, advantage{0}, largest{0};
    Index moves = 0;
    Index first_episode = 0;  ///< of the tile, in the batch
    Index steps = 0, sequences = 0;
  };

  /// Agents and critic lie in one layout, the agents first. Fresh parameters from the stream (seed, "parameters"); the
  /// target starts as their copy. `name` is the learner's, for errors. Throws when agents and critic disagree.
  ActorCritic(std::string_view name, const ParameterLayout& layout, Agent_ agent, Critic_ critic, Optimizer_ optimizer,
              Optimizer_ critic_optimizer, std::uint64_t seed)
      : agent_(std::move(agent)),
        critic_(std::move(critic)),
        name_(name),
        optimizer_(std::move(optimizer)),
        critic_optimizer_(std::move(critic_optimizer)),
        seed_(seed) {
    check_sizes();
    const Index first = critic_.first_parameter();
    agent_part_.resize(0, first);
    critic_part_.resize(first, layout.size() - first);
    state_.parameters.setZero(layout.size());
    Random random(seed, "parameters");
    agent_.initialise(state_.parameters, random);
    critic_.initialise(state_.parameters, random);
    state_.target = state_.parameters;
    optimizer_.prepare(state_.optimizer, agent_part_.gradients.size());
    critic_optimizer_.prepare(state_.critic.optimizer, critic_part_.gradients.size());
    gradients_.setZero(layout.size());
  }

  /// f(), an update; when it throws the state is what it was.
  template <class F>
  QLearnerStats all_or_nothing(const F& f) {
    before_ = state_;
    try {
      return f();
    } catch (...) {
      state_ = before_;
      throw;
    }
  }

  /// Makes room; `grow(tile)` sizes what Tile_ adds and the critic's memory for tile.steps and tile.sequences. A tile's
  /// memory is that of the largest batch it ever held.
  template <class F>
  void prepare(std::span<const EpisodeBatch<Scalar>> tiles, const F& grow) {
    detail::check_batch(name_, tiles, agent_.options());
    if (tiles_.size() < tiles.size()) tiles_.resize(tiles.size());
    used_ = tiles.size();
    steps_ = transitions_ = 0;
    Index episodes = 0;
    for (std::size_t k = 0; k < used_; ++k) {
      const EpisodeBatch<Scalar>& batch = tiles[k];
      Tile& tile = tiles_[k];
      if (batch.ragged.total() > tile.steps || batch.ragged.sequences() > tile.sequences) {
        grow_common(tile, batch.ragged);
        grow(tile);
      }
      tile.moves = batch.transitions.total();
      tile.first_episode = episodes;
      episodes += batch.ragged.sequences();
      transitions_ += tile.moves;
      steps_ = std::max(steps_, batch.transitions.steps());
    }
  }

  /// f(batch, tile) for each, on all threads.
  template <class F>
  void for_each_tile(std::span<const EpisodeBatch<Scalar>> batch, const F& f) {
    const auto one = [&](Index k, int) { f(batch[static_cast<std::size_t>(k)], tiles_[static_cast<std::size_t>(k)]); };
    if (threads_ != nullptr) return threads_->for_each(static_cast<Index>(used_), one);
    for (Index k = 0; k < static_cast<Index>(used_); ++k) one(k, 0);
  }

  /// The tiles' losses.
  Scalar sum_losses() const {
    Scalar loss(0);
    for (std::size_t k = 0; k < used_; ++k) loss += tiles_[k].loss;
    return loss;
  }
  /// Their gradients. Tiles are added in their order, whoever computed them.
  const Vector<Scalar>& sum_gradients() {
    gradients_.setZero();
    for (std::size_t k = 0; k < used_; ++k) gradients_ += tiles_[k].gradients;
    return gradients_;
  }

  static AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) { return {batch.obs, batch.last_actions}; }
  static Policy<Scalar> policy(const EpisodeBatch<Scalar>& batch, const Tile& tile, Index column, double epsilon) {
    return {tile.policy, batch.available, column, epsilon};
  }

  /// What is drawn in this update for the b-th episode of a tile.
  Random draws(std::string_view purpose, const Tile& tile, Index b) const {
    constexpr std::int64_t most_episodes = std::int64_t{1} << 20;
    return Random(seed_, purpose, static_cast<std::uint64_t>(state_.updates * most_episodes + tile.first_episode + b));
  }

  /// After a loss has left the gradient of the logits in the tiles.
  const Vector<Scalar>& agents_backward(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles) {
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      tile.gradients.setZero();
      agent_.backward(parameters, tile.agent, batch.ragged, agent_inputs(batch), {},
                      tile.dlogits.leftCols(batch.obs.cols()), tile.gradients, {}, {}, tile.agent_scratch);
    });
    return sum_gradients();
  }

  /// Step the critic's, or the agents', parameters down gradients_; the norm before clipping.
  double step_critic(const Scalar& loss, double max_norm) {
    ++state_.critic.updates;
    return step(critic_part_, critic_optimizer_, state_.critic.optimizer, loss, max_norm, "critic");
  }
  double step_agents(const Scalar& loss, double max_norm) {
    return step(agent_part_, optimizer_, state_.optimizer, loss, max_norm, "policy");
  }

  /// Means over the batch of what is in the tiles, into `stats`.
  void describe_critic(QLearnerStats& stats) const {
    for (std::size_t k = 0; k < used_; ++k) {
      stats.td_error_abs += double((q_tot(k) - targets(k)).cwiseAbs().sum());
      stats.q_taken_mean += double(q_tot(k).sum());
      stats.target_mean += double(targets(k).sum());
    }
    for (double* mean : {&stats.td_error_abs, &stats.q_taken_mean, &stats.target_mean}) *mean /= decisions();
  }
  void describe_policy(PolicyStats& stats) const {
    for (std::size_t k = 0; k < used_; ++k) {
      stats.advantage_mean += double(tiles_[k].advantage);
      stats.pi_max += double(tiles_[k].largest);
    }
    for (double* mean : {&stats.advantage_mean, &stats.pi_max}) *mean /= decisions();
  }

  void update_target(const TargetUpdate& rule, std::int64_t episodes) {
    CriticState<typename Optimizer_::State>& critic = state_.critic;
    const bool due = critic.updates - critic.last_target_update >= rule.interval;
    if (due) critic.last_target_update = critic.updates;
    detail::follow(rule, due, episodes, state_);
  }

  Agent_ agent_;
  Critic_ critic_;
  State state_;
  std::vector<Tile> tiles_;
  std::size_t used_ = 0;  ///< tiles of the last batch
  Index steps_ = 0, transitions_ = 0;
  Vector<Scalar> gradients_;

 private:
  /// The agents' parameters, or the critic's: what an optimiser steps.
  struct Part {
    Index first = 0;
    Vector<Scalar> parameters, gradients;

    void resize(Index begin, Index size) {
      first = begin;
      parameters.setZero(size);
      gradients.setZero(size);
    }
  };

  void check_sizes() const {
    const AgentOptions& team = agent_.options();
    const auto& sizes = critic_.sizes();
    detail::require(
        team.n_agents == sizes.n_agents && team.n_actions == sizes.n_actions && team.obs_shape == sizes.obs_shape,
        name_, "agents and critic disagree about n_agents, n_actions or obs_shape");
    detail::require(critic_.first_parameter() > 0, name_, "the critic lies before the agents in the layout");
  }

  void grow_common(Tile& tile, const Ragged& ragged) {
    const Index n = agent_.options().n_agents, n_actions = agent_.options().n_actions;
    const Index steps = tile.steps = std::max(tile.steps, ragged.total());
    tile.sequences = std::max(tile.sequences, ragged.sequences());
    agent_.prepare(tile.agent, tile.agent_scratch, n * steps, n * tile.sequences);
    for (auto* m : {&tile.policy, &tile.dlogits, &tile.values, &tile.dvalues}) m->resize(n_actions, n * steps);
    for (auto* m : {&tile.targets, &tile.q_tot}) m->resize(n, steps);
    tile.gradients.resize(gradients_.size());
  }

  double step(Part& part, const Optimizer_& optimizer, typename Optimizer_::State& optimizer_state, const Scalar& loss,
              double max_norm, const char* part_name) {
    using std::isfinite;
    const Index size = part.gradients.size();
    part.gradients = gradients_.segment(part.first, size);
    part.parameters = state_.parameters.segment(part.first, size);
    const Scalar norm = clip_global_norm(part.gradients, max_norm);
    if (!isfinite(loss) || !isfinite(norm))
      throw Error(name_ + "::update: the " + part_name + "'s " + (isfinite(loss) ? "gradient" : "loss") +
                  " is not finite at update " + std::to_string(state_.updates) + "; parameters left as they were");
    optimizer.update(part.parameters, part.gradients, optimizer_state);
    state_.parameters.segment(part.first, size) = part.parameters;
    return double(norm);
  }

  /// How many actions the batch's agents took.
  double decisions() const { return double(agent_.options().n_agents * transitions_); }

  std::string name_;
  Optimizer_ optimizer_, critic_optimizer_;
  std::uint64_t seed_;
  State before_;
  const Threads* threads_ = nullptr;
  Part agent_part_, critic_part_;
};

}  // namespace qatten::inline QATTEN_ABI
