#pragma once
// COMA (Foerster et al. 2018, arXiv 1705.08926) as PyMARL's coma_learner trains it: policies, and a central critic that
// tells what an agent's action was worth against its other ones, the team-mates' actions being what they were.
//
//   y_i,t     = λ-return of Q⁻_i(s_{t+1}, u_{t+1})                   the target critic, of the actions taken
//   L_critic  = 1/(n K_t) Σ (Q_i(s_t, u_t) − y_i,t)²                 over the K_t transitions of step t
//   A_i       = Q_i(s, u) − Σ_a π_i(a) Q_i(s, u_−i, a)               the counterfactual baseline
//   L_policy  = −1/(n K) Σ_k Σ_i sg[A_i] log π_i(u_i)                over all K transitions
//
// An update takes the critic through the batch backwards in time, a step of its optimiser for each t, then the agents
// one step of theirs. A_i has the critic's values of just before its step at t. An episode that was cut off goes on
// from its last observation with actions drawn from π there, as PyMARL's runner draws them; one that ended does not.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qatten/agents/policy.hpp"
#include "qatten/learners/actions.hpp"
#include "qatten/learners/coma_critic.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/learners/returns.hpp"

namespace qatten::inline QATTEN_ABI {

/// PyMARL's defaults.
struct ComaOptions {
  double gamma = 0.99;
  double td_lambda = 0.8;
  double grad_norm_clip = 10;                                          ///< of the agents' gradient, and of the critic's
  TargetUpdate target_update{TargetUpdate::Rule::every_updates, 200};  ///< updates are steps of the critic
};

/// Learns from the episodes that its present policy has played: a batch is used once. What the agents' last layer gives
/// are logits (agents/policy.hpp).
template <class Agent_, class Optimizer_>
requires Agent<Agent_> && Optimizer<Optimizer_>
class ComaLearner {
 public:
  using Scalar = typename Agent_::Scalar;

  /// All that learning changes: a checkpoint of these continues to the same bits. Of the target only the critic's part
  /// is read.
  struct State {
    Vector<Scalar> parameters;
    Vector<Scalar> target;
    typename Optimizer_::State optimizer;  ///< the agents'
    std::int64_t updates = 0;
    std::int64_t last_target_episode = 0;  ///< rule every_episodes: when the target was copied last
    CriticState<typename Optimizer_::State> critic;
  };

  /// Agents and critic lie in one layout, the agents first. Fresh parameters from the stream (seed, "parameters"); the
  /// target starts as their copy. Actions at the end of cut-off episodes come from the streams (seed, "last actions",
  /// …). Throws for options out of their range, and when agents and critic disagree.
  ComaLearner(const ParameterLayout& layout, Agent_ agent, ComaCritic<Scalar> critic, Optimizer_ optimizer,
              Optimizer_ critic_optimizer, const ComaOptions& options, std::uint64_t seed)
      : agent_(std::move(agent)),
        critic_(std::move(critic)),
        optimizer_(std::move(optimizer)),
        critic_optimizer_(std::move(critic_optimizer)),
        options_(options),
        seed_(seed) {
    detail::check_learning("ComaLearner", options_);
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

  const Agent_& agent() const { return agent_; }
  const ComaCritic<Scalar>& critic() const { return critic_; }
  const ComaOptions& options() const { return options_; }
  State& state() { return state_; }
  const State& state() const { return state_; }

  /// Lets the agents' part of `update` work on the tiles of a batch in parallel; results do not change, bit for bit.
  /// The learner keeps a pointer; null: by itself.
  void set_threads(const Threads* threads) { threads_ = threads; }

  /// One update from episodes that were played with exploration `epsilon`; `episodes` is how many there were so far.
  /// Loss, norm, errors and values in what it returns are the critic's. Throws, and leaves everything as it was, when a
  /// loss or gradient is not finite. Allocates only when a batch outgrows the former ones.
  QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes, double epsilon) {
    before_ = state_;
    try {
      unroll(state_.parameters, state_.target, tiles, epsilon);
      QLearnerStats stats = train_critic(tiles);
      stats.policy = train_agents(tiles, epsilon);
      ++state_.updates;
      update_target(episodes);
      return stats;
    } catch (...) {
      std::swap(state_, before_);
      throw;
    }
  }
  QLearnerStats update(const EpisodeBatch<Scalar>& batch, std::int64_t episodes, double epsilon) {
    return update(std::span(&batch, 1), episodes, epsilon);
  }

  /// For gradient checks: the losses of given parameters, the critic's at step t and with targets from `target`, the
  /// policy's with A_i from the critic among the parameters. Then their gradients, by hand.
  Scalar critic_loss(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                     std::span<const EpisodeBatch<Scalar>> tiles, Index t, double epsilon) {
    unroll(parameters, target, tiles, epsilon);
    return critic_loss(parameters, tiles, t);
  }
  const Vector<Scalar>& critic_gradient(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                                        std::span<const EpisodeBatch<Scalar>> tiles, Index t, double epsilon) {
    critic_loss(parameters, target, tiles, t, epsilon);
    return critic_gradient(parameters, tiles, t);
  }
  Scalar policy_loss(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles, double epsilon) {
    unroll(parameters, parameters, tiles, epsilon);
    for (Index t = 0; t < steps_; ++t) critic_loss(parameters, tiles, t);
    return policy_loss(tiles, epsilon);
  }
  const Vector<Scalar>& policy_gradient(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles,
                                        double epsilon) {
    policy_loss(parameters, tiles, epsilon);
    return policy_gradient(parameters, tiles);
  }

  /// Of a tile of the last batch: y and Q_i of the actions taken (n_agents, transitions), and Q_i of all actions
  /// (n_actions, n_agents · transitions).
  ConstView<Scalar> targets(std::size_t tile = 0) const { return tiles_[tile].targets.leftCols(tiles_[tile].moves); }
  ConstView<Scalar> q_tot(std::size_t tile = 0) const { return tiles_[tile].q_tot.leftCols(tiles_[tile].moves); }
  ConstView<Scalar> values(std::size_t tile = 0) const {
    return tiles_[tile].values.leftCols(agent_.options().n_agents * tiles_[tile].moves);
  }

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
  struct Tile {
    typename Agent_::Cache agent;
    typename Agent_::Scratch agent_scratch;
    typename ComaCritic<Scalar>::Cache critic;
    typename ComaCritic<Scalar>::Scratch critic_scratch;
    Matrix<Scalar> policy, dlogits, target_values;  ///< (n_actions, n_agents · observations)
    Matrix<std::int32_t> actions;                   ///< (n_agents, observations)
    Matrix<Scalar> values, dvalues;                 ///< (n_actions, n_agents · transitions)
    Matrix<Scalar> next_values, targets, q_tot;     ///< (n_agents, transitions)
    Vector<Scalar> gradients;
    Scalar loss{0}, advantage{0}, largest{0};
    Index moves = 0;
    Index first_episode = 0;  ///< of the tile, in the batch
    Index steps = 0, sequences = 0;
  };

  void check_sizes() const {
    const AgentOptions& team = agent_.options();
    const ComaCriticSizes& sizes = critic_.sizes();
    detail::require(
        team.n_agents == sizes.n_agents && team.n_actions == sizes.n_actions && team.obs_shape == sizes.obs_shape,
        "ComaLearner", "agents and critic disagree about n_agents, n_actions or obs_shape");
    detail::require(critic_.first_parameter() > 0, "ComaLearner", "the critic lies before the agents in the layout");
  }

  /// Makes room. A tile's memory is that of the largest batch it ever held.
  void prepare(std::span<const EpisodeBatch<Scalar>> tiles) {
    detail::require(!tiles.empty(), "ComaLearner", "the batch has no tiles");
    if (tiles_.size() < tiles.size()) tiles_.resize(tiles.size());
    used_ = tiles.size();
    steps_ = transitions_ = 0;
    Index episodes = 0;
    for (std::size_t k = 0; k < used_; ++k) {
      const EpisodeBatch<Scalar>& batch = tiles[k];
      Tile& tile = tiles_[k];
      if (batch.ragged.total() > tile.steps || batch.ragged.sequences() > tile.sequences) grow(tile, batch.ragged);
      tile.moves = batch.transitions.total();
      tile.first_episode = episodes;
      episodes += batch.ragged.sequences();
      transitions_ += tile.moves;
      steps_ = std::max(steps_, batch.transitions.steps());
    }
  }
  void grow(Tile& tile, const Ragged& ragged) {
    const Index n = agent_.options().n_agents, n_actions = agent_.options().n_actions;
    const Index steps = tile.steps = std::max(tile.steps, ragged.total());
    tile.sequences = std::max(tile.sequences, ragged.sequences());
    agent_.prepare(tile.agent, tile.agent_scratch, n * steps, n * tile.sequences);
    critic_.prepare(tile.critic, tile.sequences);
    critic_.prepare(tile.critic_scratch, steps);
    for (auto* m : {&tile.policy, &tile.dlogits, &tile.target_values, &tile.values}) m->resize(n_actions, n * steps);
    tile.dvalues.resize(n_actions, n * tile.sequences);
    tile.actions.resize(n, steps);
    for (auto* m : {&tile.next_values, &tile.targets, &tile.q_tot}) m->resize(n, steps);
    tile.gradients.resize(gradients_.size());
  }

  /// f(batch, tile) for each, on all threads.
  template <class F>
  void for_each_tile(std::span<const EpisodeBatch<Scalar>> batch, const F& f) {
    const auto one = [&](Index k, int) { f(batch[static_cast<std::size_t>(k)], tiles_[static_cast<std::size_t>(k)]); };
    if (threads_ != nullptr) return threads_->for_each(static_cast<Index>(used_), one);
    for (Index k = 0; k < static_cast<Index>(used_); ++k) one(k, 0);
  }

  static AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) { return {batch.obs, batch.last_actions}; }

  /// What the critic reads at `count` observations from column `first` on.
  static ComaCriticInputs<Scalar> critic_inputs(const EpisodeBatch<Scalar>& batch, const Tile& tile, Index first,
                                                Index count) {
    const Index n = batch.n_agents;
    return {batch.state.middleCols(first, count), batch.obs.middleCols(n * first, n * count),
            tile.actions.middleCols(first, count), batch.last_actions.middleCols(n * first, n * count)};
  }

  /// The agents over all observations, and the targets of all transitions.
  void unroll(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
              std::span<const EpisodeBatch<Scalar>> tiles, double epsilon) {
    detail::require(epsilon >= 0 && epsilon <= 1, "ComaLearner", "epsilon must lie in [0, 1]");
    prepare(tiles);
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      View<Scalar> policy = tile.policy.leftCols(batch.obs.cols());
      agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, policy, tile.agent, tile.agent_scratch);
      masked_softmax<Scalar>(policy, batch.available);
      gather_actions(batch, tile, epsilon);
      find_targets(target, batch, tile);
    });
  }

  /// The actions taken, and those that would follow where an episode was cut off. Where one ended, any: nothing
  /// follows.
  void gather_actions(const EpisodeBatch<Scalar>& batch, Tile& tile, double epsilon) const {
    for (Index b = 0; b < batch.ragged.sequences(); ++b) {
      const Index length = batch.transitions.length(b), end = batch.ragged.column(b, length);
      for (Index t = 0; t < length; ++t)
        tile.actions.col(batch.ragged.column(b, t)) = batch.actions.col(batch.transitions.column(b, t));
      const bool goes_on = batch.continues(0, batch.transitions.column(b, length - 1)) != Scalar(0);
      constexpr std::int64_t most_episodes = std::int64_t{1} << 20;
      Random random(seed_, "last actions",
                    static_cast<std::uint64_t>(state_.updates * most_episodes + tile.first_episode + b));
      for (Index i = 0; i < batch.n_agents; ++i)
        tile.actions(i, end) =
            goes_on ? static_cast<std::int32_t>(policy(batch, tile, end * batch.n_agents + i, epsilon).sample(random))
                    : 0;
    }
  }

  static Policy<Scalar> policy(const EpisodeBatch<Scalar>& batch, const Tile& tile, Index column, double epsilon) {
    return {tile.policy, batch.available, column, epsilon};
  }

  void find_targets(const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch, Tile& tile) const {
    const Index n = batch.n_agents, first = batch.ragged.sequences();
    View<Scalar> values = tile.target_values.leftCols(batch.obs.cols()), next = tile.next_values.leftCols(tile.moves);
    critic_.evaluate(target, critic_inputs(batch, tile, 0, batch.ragged.total()), values, tile.critic_scratch);
    for (Index k = 0; k < tile.moves; ++k)  // transition k leads to observation first + k
      for (Index i = 0; i < n; ++i) next(i, k) = values(tile.actions(i, first + k), (first + k) * n + i);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, next, options_.gamma, options_.td_lambda,
                           tile.targets.leftCols(tile.moves));
  }

  /// The critic's loss at step t; leaves its values and their gradient in the tiles.
  Scalar critic_loss(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles, Index t) {
    Index count = 0;
    for (const EpisodeBatch<Scalar>& batch : tiles) count += batch.transitions.living(t);
    const Index n = agent_.options().n_agents;
    const auto scale = static_cast<Scalar>(1 / double(n * count));
    Scalar loss(0);
    for (std::size_t k = 0; k < used_; ++k) {
      const EpisodeBatch<Scalar>& batch = tiles[k];
      Tile& tile = tiles_[k];
      const Index living = batch.transitions.living(t);
      if (living == 0) continue;
      const Index first = batch.transitions.offset(t);
      View<Scalar> q = tile.values.middleCols(n * first, n * living), dq = tile.dvalues.leftCols(n * living);
      critic_.forward(parameters, critic_inputs(batch, tile, batch.ragged.offset(t), living), q, tile.critic,
                      tile.critic_scratch);
      dq.setZero();
      for (Index r = 0; r < living; ++r)
        for (Index i = 0; i < n; ++i) {
          const Index action = batch.actions(i, first + r), column = r * n + i;
          tile.q_tot(i, first + r) = q(action, column);
          const Scalar error = q(action, column) - tile.targets(i, first + r);
          loss += scale * error * error;
          dq(action, column) = Scalar(2) * scale * error;
        }
    }
    return loss;
  }

  /// After critic_loss, with the same arguments.
  const Vector<Scalar>& critic_gradient(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles,
                                        Index t) {
    gradients_.setZero();
    for (std::size_t k = 0; k < used_; ++k)
      if (const Index living = tiles[k].transitions.living(t); living > 0)
        critic_.backward(
            parameters, tiles_[k].critic, critic_inputs(tiles[k], tiles_[k], tiles[k].ragged.offset(t), living),
            tiles_[k].dvalues.leftCols(agent_.options().n_agents * living), gradients_, tiles_[k].critic_scratch);
    return gradients_;
  }

  /// The policy's loss, from the critic's values in the tiles; leaves the gradient of the logits there.
  Scalar policy_loss(std::span<const EpisodeBatch<Scalar>> tiles, double epsilon) {
    const auto scale = static_cast<Scalar>(1 / double(agent_.options().n_agents * transitions_));
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      tile.loss = tile.advantage = tile.largest = Scalar(0);
      tile.dlogits.leftCols(batch.obs.cols()).setZero();
      for_each_action(batch, [&](Index i, Index k, Index action, Index column) {
        using std::log;
        const Policy<Scalar> pi = policy(batch, tile, column, epsilon);
        const auto q = tile.values.col(k * batch.n_agents + i);
        Scalar baseline(0), largest(0);
        for (Index a = 0; a < q.size(); ++a) {
          baseline += pi(a) * q(a);
          if (pi(a) > largest) largest = pi(a);
        }
        const Scalar advantage = stop_gradient(Scalar(q(action) - baseline));
        tile.loss -= scale * advantage * log(pi(action));
        tile.advantage += advantage;
        tile.largest += largest;
        pi.backward(action, -scale * advantage, tile.dlogits.col(column).data());
      });
    });
    Scalar loss(0);
    for (std::size_t k = 0; k < used_; ++k) loss += tiles_[k].loss;
    return loss;
  }

  /// After policy_loss. Tiles are added in their order, whoever computed them.
  const Vector<Scalar>& policy_gradient(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles) {
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      tile.gradients.setZero();
      agent_.backward(parameters, tile.agent, batch.ragged, agent_inputs(batch), {},
                      tile.dlogits.leftCols(batch.obs.cols()), tile.gradients, {}, {}, tile.agent_scratch);
    });
    gradients_.setZero();
    for (std::size_t k = 0; k < used_; ++k) gradients_ += tiles_[k].gradients;
    return gradients_;
  }

  /// Backwards in time, a step of the optimiser for each t.
  QLearnerStats train_critic(std::span<const EpisodeBatch<Scalar>> tiles) {
    QLearnerStats stats;
    for (Index t = steps_; t-- > 0;) {
      const Scalar loss = critic_loss(state_.parameters, tiles, t);
      critic_gradient(state_.parameters, tiles, t);
      stats.grad_norm += double(step(critic_part_, critic_optimizer_, state_.critic.optimizer, loss, "critic"));
      stats.loss += double(loss);
      ++state_.critic.updates;
    }
    for (std::size_t k = 0; k < used_; ++k) {
      stats.td_error_abs += double((q_tot(k) - targets(k)).cwiseAbs().sum());
      stats.q_taken_mean += double(q_tot(k).sum());
      stats.target_mean += double(targets(k).sum());
    }
    for (double* mean : {&stats.loss, &stats.grad_norm}) *mean /= double(steps_);
    for (double* mean : {&stats.td_error_abs, &stats.q_taken_mean, &stats.target_mean})
      *mean /= double(agent_.options().n_agents * transitions_);
    return stats;
  }

  PolicyStats train_agents(std::span<const EpisodeBatch<Scalar>> tiles, double epsilon) {
    const Scalar loss = policy_loss(tiles, epsilon);
    policy_gradient(state_.parameters, tiles);
    PolicyStats stats{.loss = double(loss)};
    stats.grad_norm = double(step(agent_part_, optimizer_, state_.optimizer, loss, "policy"));
    for (std::size_t k = 0; k < used_; ++k) {
      stats.advantage_mean += double(tiles_[k].advantage);
      stats.pi_max += double(tiles_[k].largest);
    }
    for (double* mean : {&stats.advantage_mean, &stats.pi_max})
      *mean /= double(agent_.options().n_agents * transitions_);
    return stats;
  }

  /// Steps a part of the parameters down gradients_; the norm before clipping.
  Scalar step(Part& part, const Optimizer_& optimizer, typename Optimizer_::State& optimizer_state, const Scalar& loss,
              const char* name) {
    using std::isfinite;
    const Index size = part.gradients.size();
    part.gradients = gradients_.segment(part.first, size);
    part.parameters = state_.parameters.segment(part.first, size);
    const Scalar norm = clip_global_norm(part.gradients, options_.grad_norm_clip);
    if (!isfinite(loss) || !isfinite(norm))
      throw Error("ComaLearner::update: the " + std::string(name) + "'s " + (isfinite(loss) ? "gradient" : "loss") +
                  " is not finite at update " + std::to_string(state_.updates) + "; parameters left as they were");
    optimizer.update(part.parameters, part.gradients, optimizer_state);
    state_.parameters.segment(part.first, size) = part.parameters;
    return norm;
  }

  void update_target(std::int64_t episodes) {
    CriticState<typename Optimizer_::State>& critic = state_.critic;
    const bool due = critic.updates - critic.last_target_update >= options_.target_update.interval;
    if (due) critic.last_target_update = critic.updates;
    detail::follow(options_.target_update, due, episodes, state_);
  }

  Agent_ agent_;
  ComaCritic<Scalar> critic_;
  Optimizer_ optimizer_, critic_optimizer_;
  ComaOptions options_;
  std::uint64_t seed_;
  State state_, before_;
  const Threads* threads_ = nullptr;

  std::vector<Tile> tiles_;
  std::size_t used_ = 0;  ///< tiles of the last batch
  Index steps_ = 0, transitions_ = 0;
  Part agent_part_, critic_part_;
  Vector<Scalar> gradients_;
};

}  // namespace qatten::inline QATTEN_ABI
