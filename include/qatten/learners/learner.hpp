#pragma once
// One update of whatever is learned from episodes: gradients of a batch in tiles, clipping, optimiser, target networks.
// What the loss is says an objective: q_learner.hpp, qtran.hpp, weighted_qmix.hpp.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "qatten/agents/agent.hpp"
#include "qatten/core/threads.hpp"
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

/// What an update of a policy saw.
struct PolicyStats {
  double loss = 0;
  double grad_norm = 0;       ///< before clipping
  double advantage_mean = 0;  ///< mean of A_i
  double pi_max = 0;          ///< mean of the largest probability
};

/// What one update saw, under PyMARL's names.
struct QLearnerStats {
  double loss = 0;
  double grad_norm = 0;                 ///< before clipping
  double td_error_abs = 0;              ///< mean |Q_tot − y|
  double q_taken_mean = 0;              ///< mean of Q_tot, divided by n_agents as PyMARL does
  double target_mean = 0;               ///< likewise of y
  std::optional<PolicyStats> policy{};  ///< beside a critic's
};

/// What a critic with an optimiser of its own adds to a learner's state.
template <class OptimizerState>
struct CriticState {
  OptimizerState optimizer;
  std::int64_t updates = 0;             ///< steps of the critic
  std::int64_t last_target_update = 0;  ///< rule every_updates: of these, when the target was copied last
};

namespace detail {

/// Throws for options of a learner that are out of their range.
template <class Options>
void check_learning(std::string_view function, const Options& o) {
  require(o.gamma >= 0 && o.gamma <= 1, function, "gamma must lie in [0, 1]");
  if constexpr (requires { o.td_lambda; })
    require(o.td_lambda >= 0 && o.td_lambda <= 1, function, "td_lambda must lie in [0, 1]");
  require(o.grad_norm_clip > 0, function, "grad_norm_clip must be positive");
  require(o.target_update.interval >= 1, function, "the target's interval must be at least 1");
  require(o.target_update.tau > 0 && o.target_update.tau <= 1, function, "the target's tau must lie in (0, 1]");
}

/// Throws for a batch that is none of this team's.
template <class Scalar>
void check_batch(std::string_view function, std::span<const EpisodeBatch<Scalar>> tiles, const AgentOptions& team) {
  require(!tiles.empty(), function, "the batch has no tiles");
  for (const EpisodeBatch<Scalar>& batch : tiles)
    for (const auto& [what, got, expected] : {std::tuple{"n_agents", batch.n_agents, team.n_agents},
                                              {"n_actions", batch.available.rows(), team.n_actions},
                                              {"obs_shape", batch.obs.rows(), team.obs_shape}})
      if (got != expected) [[unlikely]]
        throw Error(std::string(function) + ": the batch has " + what + " " + std::to_string(got) + ", the team " +
                    std::to_string(expected));
}

/// Lets a learner's target follow its parameters by the rule. `updates_due`: whether `interval` updates have passed.
template <class State>
void follow(const TargetUpdate& rule, bool updates_due, std::int64_t episodes, State& state) {
  using Scalar = typename decltype(state.target)::Scalar;
  switch (rule.rule) {
    case TargetUpdate::Rule::every_updates:
      if (updates_due) state.target = state.parameters;
      return;
    case TargetUpdate::Rule::every_episodes:
      if (episodes - state.last_target_episode < rule.interval) return;
      state.last_target_episode = episodes;
      state.target = state.parameters;
      return;
    case TargetUpdate::Rule::soft:
      state.target += static_cast<Scalar>(rule.tau) * (state.parameters - state.target);
      return;
  }
}

}  // namespace detail

/// What a tile must know of the batch that it is a part of.
struct WholeBatch {
  Index transitions = 0;
  Index regularised = 0;  ///< terms of a regulariser's mean, where the objective has one
};

/// A loss over a tile of a batch of K transitions, whose sum over the tiles is the batch's. An objective is an
/// immutable description, as a module is.
///
///   Tile      what is kept from the forward to the backward pass; has targets y and q_tot (outputs(), K)
///   Scratch   what one thread works with
///   prepare   sizes either for `steps` observations of `sequences` episodes; alone allocates
///   targets   fills tile.targets: data, no gradient
///   loss      after targets; fills tile.q_tot
///   gradient  after loss, with the same arguments: adds to `gradients`
template <class O>
concept Objective = requires(const O o, const Vector<typename O::Scalar>& p, Vector<typename O::Scalar>& gradients,
                             const EpisodeBatch<typename O::Scalar>& batch, typename O::Tile& tile,
                             typename O::Scratch& scratch, Index size, Random& random, const WholeBatch& whole) {
  { o.options() } -> std::convertible_to<QLearnerOptions>;
  { o.outputs() } -> std::same_as<Index>;
  { o.agent().options() } -> std::convertible_to<AgentOptions>;
  o.initialise(gradients, random);
  o.prepare(tile, size, size);
  o.prepare(scratch, size, size);
  o.targets(p, p, batch, tile, scratch);
  { o.loss(p, batch, tile, scratch, whole) } -> std::same_as<typename O::Scalar>;
  o.gradient(p, batch, tile, scratch, gradients);
};

/// Agents and all other networks of an objective lie in one layout, so that they are one parameter vector, one gradient
/// and one clipping norm.
template <class Objective_, class Optimizer_>
requires Objective<Objective_> && Optimizer<Optimizer_>
class Learner {
 public:
  using Scalar = typename Objective_::Scalar;

  /// All that learning changes: a checkpoint of these continues to the same bits.
  struct State {
    Vector<Scalar> parameters;
    Vector<Scalar> target;
    typename Optimizer_::State optimizer;
    std::int64_t updates = 0;
    std::int64_t last_target_episode = 0;  ///< rule every_episodes: when the target was copied last
  };

  /// Fresh parameters from the stream; the target starts as their copy. Throws for options out of their range.
  Learner(const ParameterLayout& layout, Objective_ objective, Optimizer_ optimizer, Random random)
      : objective_(std::move(objective)), optimizer_(std::move(optimizer)) {
    detail::check_learning("Learner", options());
    state_.parameters.setZero(layout.size());
    objective_.initialise(state_.parameters, random);
    state_.target = state_.parameters;
    optimizer_.prepare(state_.optimizer, layout.size());
    gradients_.setZero(layout.size());
  }

  const Objective_& objective() const { return objective_; }
  const auto& agent() const { return objective_.agent(); }
  const Optimizer_& optimizer() const { return optimizer_; }
  const QLearnerOptions& options() const { return objective_.options(); }
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
    const Scalar norm = clip_global_norm(gradients_, options().grad_norm_clip);
    if (!isfinite(loss) || !isfinite(norm))
      throw Error("Learner::update: the " + std::string(isfinite(loss) ? "gradient" : "loss") +
                  " is not finite at update " + std::to_string(state_.updates) + "; parameters left as they were");
    optimizer_.update(state_.parameters, gradients_, state_.optimizer);
    ++state_.updates;
    detail::follow(options().target_update, state_.updates % options().target_update.interval == 0, episodes, state_);
    return stats(loss, norm);
  }
  QLearnerStats update(const EpisodeBatch<Scalar>& batch, std::int64_t episodes = 0) {
    return update(std::span(&batch, 1), episodes);
  }

  /// The loss of given parameters, with targets from `parameters` and `target`: for gradient checks.
  Scalar loss(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch) {
    prepare(std::span(&batch, 1));
    objective_.targets(parameters, target, batch, tiles_.front(), scratch_.front());
    return objective_.loss(parameters, batch, tiles_.front(), scratch_.front(), whole_);
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
  /// What the objective kept of it.
  const typename Objective_::Tile& tile(std::size_t k = 0) const { return tiles_[k]; }
  /// The gradient of the last batch, clipped if by `update`.
  const Vector<Scalar>& gradients() const { return gradients_; }

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
  struct Tile : Objective_::Tile {
    Vector<Scalar> gradients;
    Scalar loss{0};
    Index moves = 0;
    Room room;
  };
  struct Scratch : Objective_::Scratch {
    Room room;
  };

  /// Makes room. A tile's memory is that of the largest batch it ever held.
  void prepare(std::span<const EpisodeBatch<Scalar>> tiles) {
    detail::check_batch("Learner", tiles, agent().options());
    if (tiles_.size() < tiles.size()) tiles_.resize(tiles.size());
    const auto workers = static_cast<std::size_t>(threads_ == nullptr ? 1 : threads_->count());
    if (scratch_.size() < workers) scratch_.resize(workers);
    used_ = tiles.size();
    whole_ = {};
    for (std::size_t k = 0; k < tiles.size(); ++k) {
      const EpisodeBatch<Scalar>& batch = tiles[k];
      Tile& tile = tiles_[k];
      if (tile.room.grows(batch)) {
        objective_.prepare(tile, tile.room.steps, tile.room.sequences);
        tile.gradients.resize(gradients_.size());
      }
      for (Scratch& scratch : scratch_)
        if (scratch.room.grows(batch)) objective_.prepare(scratch, scratch.room.steps, scratch.room.sequences);
      tile.moves = batch.transitions.total();
      whole_.transitions += tile.moves;
      if constexpr (requires { objective_.regularised(batch, tile); })
        whole_.regularised += objective_.regularised(batch, tile);
    }
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
      objective_.targets(parameters, target, episodes, tile, scratch);
      tile.loss = objective_.loss(parameters, episodes, tile, scratch, whole_);
      tile.gradients.setZero();
      objective_.gradient(parameters, episodes, tile, scratch, tile.gradients);
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

  QLearnerStats stats(Scalar loss, Scalar norm) const {
    QLearnerStats stats{.loss = double(loss), .grad_norm = double(norm)};
    for (std::size_t t = 0; t < used_; ++t) {
      stats.td_error_abs += double((q_tot(t) - targets(t)).cwiseAbs().sum());
      stats.q_taken_mean += double(q_tot(t).sum());
      stats.target_mean += double(targets(t).sum());
    }
    const double count = double(objective_.outputs() * whole_.transitions), n = double(agent().options().n_agents);
    stats.td_error_abs /= count;
    stats.q_taken_mean /= count * n;
    stats.target_mean /= count * n;
    return stats;
  }

  Objective_ objective_;
  Optimizer_ optimizer_;
  State state_;
  const Threads* threads_ = nullptr;

  std::vector<Tile> tiles_;
  std::size_t used_ = 0;  ///< tiles of the last batch
  std::vector<Scratch> scratch_;
  Vector<Scalar> gradients_;
  WholeBatch whole_;
};

}  // namespace qatten::inline QATTEN_ABI
