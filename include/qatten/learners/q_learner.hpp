#pragma once
// Q-learning of a team through a mixer (Rashid et al. 2018; van Hasselt et al. 2016 for double Q).
//
//   y_t = λ-return of Q⁻_tot(s', u*),   u*_i = argmax over available a of Q_i(o'_i, a)   (double; else of Q⁻_i)
//   L = loss_scale / (K m) Σ_k Σ_o (Q_tot − y)² + regulariser        over K real transitions, m outputs of the mixer
//
// Targets are data: no gradient. Only transitions that happened are computed.

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qatten/agents/agent.hpp"
#include "qatten/core/threads.hpp"
#include "qatten/learners/returns.hpp"
#include "qatten/mixers/mixer.hpp"
#include "qatten/optim/clip.hpp"
#include "qatten/optim/optimizer.hpp"
#include "qatten/replay/episode_batch.hpp"

namespace qatten::inline QATTEN_ABI {

/// When the target parameters follow the online ones.
struct TargetUpdate {
  enum class Rule {
    every_updates,   ///< copied every `interval` updates (EPyMARL)
    every_episodes,  ///< copied when `interval` episodes have passed since (PyMARL)
    soft,            ///< moved by `tau` of the way at every update
  };
  Rule rule = Rule::every_episodes;
  Index interval = 200;
  double tau = 0.005;
};

/// PyMARL's defaults.
struct QLearnerOptions {
  double gamma = 0.99;
  double td_lambda = 0;  ///< 0: one-step targets
  bool double_q = true;
  double loss_scale = 1;  ///< PyMARL2: 0.5
  double grad_norm_clip = 10;
  TargetUpdate target_update{};
};

/// What one update saw, under PyMARL's names.
struct QLearnerStats {
  double loss = 0;
  double grad_norm = 0;     ///< before clipping
  double td_error_abs = 0;  ///< mean |Q_tot − y|
  double q_taken_mean = 0;  ///< mean of Q_tot, divided by n_agents as PyMARL does
  double target_mean = 0;   ///< likewise of y
};

/// Agent and mixer lie in one layout, so that they are one parameter vector, one gradient and one clipping norm.
template <class Agent_, class Mixer_, class Optimizer_>
requires Agent<Agent_> && Mixer<Mixer_> && Optimizer<Optimizer_>
class QLearner {
 public:
  using Scalar = typename Agent_::Scalar;

  /// All that learning changes: a checkpoint of these continues to the same bits.
  struct State {
    Vector<Scalar> parameters;
    Vector<Scalar> target;
    typename Optimizer_::State optimizer;
    std::int64_t updates = 0;
    std::int64_t last_target_episode = 0;  ///< rule every_episodes: when the target was copied last
  };

  /// Fresh parameters from the stream; the target starts as their copy. Throws when agent and mixer disagree.
  QLearner(const ParameterLayout& layout, Agent_ agent, Mixer_ mixer, Optimizer_ optimizer,
           const QLearnerOptions& options, Random random)
      : agent_(std::move(agent)), mixer_(std::move(mixer)), optimizer_(std::move(optimizer)), options_(options) {
    detail::require(agent_.options().n_agents == mixer_.n_agents(), "QLearner",
                    "the team has " + std::to_string(agent_.options().n_agents) + " agents, the mixer expects " +
                        std::to_string(mixer_.n_agents()));
    detail::require(options.gamma >= 0 && options.gamma <= 1, "QLearner", "gamma must lie in [0, 1]");
    detail::require(options.td_lambda >= 0 && options.td_lambda <= 1, "QLearner", "td_lambda must lie in [0, 1]");
    detail::require(options.grad_norm_clip > 0, "QLearner", "grad_norm_clip must be positive");
    detail::require(options.target_update.interval >= 1, "QLearner", "the target's interval must be at least 1");
    detail::require(options.target_update.tau > 0 && options.target_update.tau <= 1, "QLearner",
                    "the target's tau must lie in (0, 1]");
    state_.parameters.setZero(layout.size());
    agent_.initialise(state_.parameters, random);
    mixer_.initialise(state_.parameters, random);
    state_.target = state_.parameters;
    optimizer_.prepare(state_.optimizer, layout.size());
    gradients_.setZero(layout.size());
  }

  const Agent_& agent() const { return agent_; }
  const Mixer_& mixer() const { return mixer_; }
  const Optimizer_& optimizer() const { return optimizer_; }
  const QLearnerOptions& options() const { return options_; }
  State& state() { return state_; }
  const State& state() const { return state_; }

  /// Replaces the optimiser's constants (a learning-rate schedule); its moments stay.
  void set_optimizer(Optimizer_ optimizer) { optimizer_ = std::move(optimizer); }

  /// Lets `update` work on the tiles of a batch in parallel; results do not change, bit for bit. The learner keeps a
  /// pointer; null: by itself.
  void set_threads(const Threads* threads) { threads_ = threads; }

  /// One step of gradient descent. `episodes` is how many have been played so far: it drives `every_episodes`. Throws,
  /// and leaves the parameters as they were, when loss or gradient is not finite. Allocates only when a batch outgrows
  /// the former ones.
  QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes = 0) {
    using std::isfinite;
    const Scalar loss = differentiate(state_.parameters, state_.target, tiles);
    const Scalar norm = clip_global_norm(gradients_, options_.grad_norm_clip);
    if (!isfinite(loss) || !isfinite(norm))
      throw Error("QLearner::update: the " + std::string(isfinite(loss) ? "gradient" : "loss") +
                  " is not finite at update " + std::to_string(state_.updates) + "; parameters left as they were");
    optimizer_.update(state_.parameters, gradients_, state_.optimizer);
    ++state_.updates;
    update_target(episodes);
    return stats(loss, norm);
  }
  QLearnerStats update(const EpisodeBatch<Scalar>& batch, std::int64_t episodes = 0) {
    return update(std::span(&batch, 1), episodes);
  }

  /// The loss of given parameters, with targets from `parameters` and `target`: for gradient checks.
  Scalar loss(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch) {
    prepare(std::span(&batch, 1));
    compute_targets(parameters, target, batch, tiles_.front(), scratch_.front());
    return compute_loss(parameters, batch, tiles_.front(), scratch_.front());
  }

  /// Its gradient, by hand.
  const Vector<Scalar>& gradient(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                                 std::span<const EpisodeBatch<Scalar>> tiles) {
    differentiate(parameters, target, tiles);
    return gradients_;
  }
  const Vector<Scalar>& gradient(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                                 const EpisodeBatch<Scalar>& batch) {
    return gradient(parameters, target, std::span(&batch, 1));
  }

  /// Of a tile of the last batch, over its transitions: y and Q_tot (outputs, K).
  ConstView<Scalar> targets(std::size_t tile = 0) const { return tiles_[tile].targets.leftCols(tiles_[tile].moves); }
  ConstView<Scalar> q_tot(std::size_t tile = 0) const { return tiles_[tile].q_tot.leftCols(tiles_[tile].moves); }
  /// The gradient of the last batch, clipped if by `update`.
  const Vector<Scalar>& gradients() const { return gradients_; }
  /// What the mixer left of a tile: attention and the like, over K = q_tot(tile).cols() rows.
  const typename Mixer_::Cache& mixer_cache(std::size_t tile = 0) const { return tiles_[tile].mixer; }

 private:
  /// For how large a batch memory is there.
  struct Room {
    Index steps = 0, sequences = 0;

    /// Whether it must grow for `batch`; then it has.
    bool grows(const EpisodeBatch<Scalar>& batch) {
      const bool fits = batch.ragged.total() <= steps && batch.ragged.sequences() <= sequences;
      steps = std::max(steps, batch.ragged.total());
      sequences = std::max(sequences, batch.ragged.sequences());
      return !fits;
    }
  };
  /// What one tile keeps from its forward to its backward pass, and its part of the gradient.
  struct Tile {
    typename Agent_::Cache agent;
    typename Mixer_::Cache mixer;
    Matrix<Scalar> q, target_q;             ///< (n_actions, n_agents · observations)
    Matrix<Scalar> agent_qs;                ///< (n_agents, transitions)
    Matrix<Scalar> q_tot, targets, dq_tot;  ///< (outputs, transitions)
    Vector<Scalar> gradients;
    Scalar loss{0};
    Index moves = 0;
    Room room;
  };
  /// What one thread works with.
  struct Scratch {
    typename Agent_::Scratch agent;
    typename Mixer_::Scratch mixer;
    Room room;
  };

  /// Makes room. A tile's memory is that of the largest batch it ever held.
  void prepare(std::span<const EpisodeBatch<Scalar>> tiles) {
    detail::require(!tiles.empty(), "QLearner", "the batch has no tiles");
    if (tiles_.size() < tiles.size()) tiles_.resize(tiles.size());
    scratch_.resize(static_cast<std::size_t>(threads_ == nullptr ? 1 : threads_->count()));
    used_ = tiles.size();
    total_moves_ = regularised_ = 0;
    for (std::size_t k = 0; k < tiles.size(); ++k) {
      const EpisodeBatch<Scalar>& batch = tiles[k];
      Tile& tile = tiles_[k];
      prepare(batch, tile);
      for (Scratch& scratch : scratch_) prepare(batch, scratch);
      total_moves_ += tile.moves;
      if constexpr (requires { mixer_.regularised(mixer_inputs(batch, tile)); })
        regularised_ += mixer_.regularised(mixer_inputs(batch, tile));
    }
  }

  void prepare(const EpisodeBatch<Scalar>& batch, Tile& tile) const {
    tile.moves = batch.transitions.total();
    if (!tile.room.grows(batch)) return;
    const Index steps = tile.room.steps, n = batch.n_agents;
    Scratch unused;
    agent_.prepare(tile.agent, unused.agent, n * steps, n * tile.room.sequences);
    mixer_.prepare(tile.mixer, unused.mixer, steps);
    for (auto* m : {&tile.q, &tile.target_q}) m->resize(agent_.options().n_actions, n * steps);
    tile.agent_qs.resize(n, steps);
    for (auto* m : {&tile.q_tot, &tile.targets, &tile.dq_tot}) m->resize(mixer_.outputs(), steps);
    tile.gradients.resize(gradients_.size());
  }

  void prepare(const EpisodeBatch<Scalar>& batch, Scratch& scratch) const {
    if (!scratch.room.grows(batch)) return;
    const Index n = batch.n_agents;
    Tile unused;
    agent_.prepare(unused.agent, scratch.agent, n * scratch.room.steps, n * scratch.room.sequences);
    mixer_.prepare(unused.mixer, scratch.mixer, scratch.room.steps);
  }

  /// f(tile, worker) for each.
  template <class F>
  void for_each(Index pieces, const F& f) const {
    if (threads_ != nullptr) return threads_->for_each(pieces, f);
    for (Index piece = 0; piece < pieces; ++piece) f(piece, 0);
  }

  /// Leaves the gradient in gradients_, returns the loss. Tiles are added in their order, whoever computed them.
  Scalar differentiate(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                       std::span<const EpisodeBatch<Scalar>> batch) {
    prepare(batch);
    for_each(static_cast<Index>(batch.size()), [&](Index k, int worker) {
      const EpisodeBatch<Scalar>& episodes = batch[static_cast<std::size_t>(k)];
      Tile& tile = tiles_[static_cast<std::size_t>(k)];
      Scratch& scratch = scratch_[static_cast<std::size_t>(worker)];
      compute_targets(parameters, target, episodes, tile, scratch);
      tile.loss = compute_loss(parameters, episodes, tile, scratch);
      compute_gradient(parameters, episodes, tile, scratch);
    });
    constexpr Index piece = 8192;
    for_each((gradients_.size() + piece - 1) / piece, [&](Index k, int) {
      const Index first = k * piece, count = std::min(piece, gradients_.size() - first);
      auto sum = gradients_.segment(first, count);
      sum = tiles_.front().gradients.segment(first, count);
      for (std::size_t t = 1; t < used_; ++t) sum += tiles_[t].gradients.segment(first, count);
    });
    Scalar loss(0);
    for (std::size_t t = 0; t < used_; ++t) loss += tiles_[t].loss;
    return loss;
  }

  AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) const { return {batch.obs, batch.last_actions}; }

  /// What the mixer reads where transitions start, with tile.agent_qs as the agents' values.
  MixerInputs<Scalar> mixer_inputs(const EpisodeBatch<Scalar>& batch, const Tile& tile) const {
    return {tile.agent_qs.leftCols(tile.moves), batch.transition_state, batch.transition_units, batch.transition_alive,
            regularised_};
  }

  /// Leaves the online values in tile.q and the agents' cache as well.
  void compute_targets(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                       const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch) const {
    const Index columns = batch.obs.cols(), first = batch.ragged.sequences(), moves = tile.moves;
    View<Scalar> q = tile.q.leftCols(columns), target_q = tile.target_q.leftCols(columns);
    agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, q, tile.agent, scratch.agent);
    agent_.evaluate(target, batch.ragged, agent_inputs(batch), {}, target_q, scratch.agent);
    const ConstView<Scalar> judge = options_.double_q ? q : target_q;
    for (Index k = 0; k < moves; ++k) {
      for (Index i = 0; i < batch.n_agents; ++i) {
        const Index column = (first + k) * batch.n_agents + i;
        tile.agent_qs(i, k) = target_q(greedy(judge, batch.available, column), column);
      }
    }
    View<Scalar> next_values = tile.dq_tot.leftCols(moves);
    mixer_.evaluate(target,
                    {tile.agent_qs.leftCols(moves), batch.state.rightCols(moves), batch.units.rightCols(moves),
                     batch.alive.rightCols(moves)},
                    next_values, scratch.mixer);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, next_values, options_.gamma,
                           options_.td_lambda, tile.targets.leftCols(moves));
  }

  /// The available action of the largest value; the first of equals.
  static Index greedy(ConstView<Scalar> q, const Matrix<std::uint8_t>& available, Index column) {
    Index best = -1;
    for (Index a = 0; a < q.rows(); ++a)
      if (available(a, column) != 0 && (best < 0 || q(a, column) > q(best, column))) best = a;
    detail::require(best >= 0, "QLearner", "an agent has no available action");
    return best;
  }

  /// The tile's part of the batch's loss.
  Scalar compute_loss(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile,
                      Scratch& scratch) const {
    for_each_action(
        batch, [&](Index i, Index k, Index action, Index column) { tile.agent_qs(i, k) = tile.q(action, column); });
    View<Scalar> q_tot = tile.q_tot.leftCols(tile.moves), error = tile.dq_tot.leftCols(tile.moves);
    mixer_.forward(parameters, mixer_inputs(batch, tile), q_tot, tile.mixer, scratch.mixer);
    error = q_tot - tile.targets.leftCols(tile.moves);
    const auto scale = static_cast<Scalar>(options_.loss_scale / double(mixer_.outputs() * total_moves_));
    const Scalar loss = scale * error.squaredNorm() + mixer_.regulariser(tile.mixer);
    error *= Scalar(2) * scale;  // now ∂L/∂Q_tot
    return loss;
  }

  /// After compute_loss with the same parameters and batch.
  void compute_gradient(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile,
                        Scratch& scratch) const {
    View<Scalar> dagent_qs = agent_qs_gradient(batch, tile);
    tile.gradients.setZero();
    mixer_.backward(parameters, tile.mixer, mixer_inputs(batch, tile), tile.dq_tot.leftCols(tile.moves), tile.gradients,
                    dagent_qs, scratch.mixer);
    View<Scalar> dq = tile.q.leftCols(batch.obs.cols());
    dq.setZero();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) { dq(action, column) = dagent_qs(i, k); });
    agent_.backward(parameters, tile.agent, batch.ragged, agent_inputs(batch), {}, dq, tile.gradients, {}, {},
                    scratch.agent);
  }

  /// ∂L/∂Q_i lies in the memory of the target values, which the targets have used up.
  static View<Scalar> agent_qs_gradient(const EpisodeBatch<Scalar>& batch, Tile& tile) {
    return {tile.target_q.data(), batch.n_agents, tile.moves, batch.n_agents};
  }

  /// f(agent, transition column, action taken, column of q).
  template <class F>
  static void for_each_action(const EpisodeBatch<Scalar>& batch, F&& f) {
    for (Index t = 0; t < batch.transitions.steps(); ++t)
      for (Index b = 0; b < batch.transitions.living(t); ++b)
        for (Index i = 0; i < batch.n_agents; ++i) {
          const Index k = batch.transitions.column(b, t);
          f(i, k, Index(batch.actions(i, k)), batch.ragged.column(b, t) * batch.n_agents + i);
        }
  }

  void update_target(std::int64_t episodes) {
    const TargetUpdate& rule = options_.target_update;
    switch (rule.rule) {
      case TargetUpdate::Rule::every_updates:
        if (state_.updates % rule.interval == 0) state_.target = state_.parameters;
        return;
      case TargetUpdate::Rule::every_episodes:
        if (episodes - state_.last_target_episode < rule.interval) return;
        state_.last_target_episode = episodes;
        state_.target = state_.parameters;
        return;
      case TargetUpdate::Rule::soft:
        state_.target += static_cast<Scalar>(rule.tau) * (state_.parameters - state_.target);
        return;
    }
  }

  QLearnerStats stats(Scalar loss, Scalar norm) const {
    QLearnerStats stats{.loss = double(loss), .grad_norm = double(norm)};
    for (std::size_t t = 0; t < used_; ++t) {
      stats.td_error_abs += double((q_tot(t) - targets(t)).cwiseAbs().sum());
      stats.q_taken_mean += double(q_tot(t).sum());
      stats.target_mean += double(targets(t).sum());
    }
    const double count = double(mixer_.outputs() * total_moves_), n = double(mixer_.n_agents());
    stats.td_error_abs /= count;
    stats.q_taken_mean /= count * n;
    stats.target_mean /= count * n;
    return stats;
  }

  Agent_ agent_;
  Mixer_ mixer_;
  Optimizer_ optimizer_;
  QLearnerOptions options_;
  State state_;
  const Threads* threads_ = nullptr;

  std::vector<Tile> tiles_;
  std::size_t used_ = 0;  ///< tiles of the last batch
  std::vector<Scratch> scratch_;
  Vector<Scalar> gradients_;
  Index total_moves_ = 0, regularised_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
