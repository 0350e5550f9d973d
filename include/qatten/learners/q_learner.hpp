#pragma once
// Q-learning of a team through a mixer (Rashid et al. 2018; van Hasselt et al. 2016 for double Q).
//
//   y_t = λ-return of Q⁻_tot(s', u*),   u*_i = argmax over available a of Q_i(o'_i, a)   (double; else of Q⁻_i)
//   L = loss_scale / (K m) Σ_k Σ_o (Q_tot − y)² + regulariser        over K real transitions, m outputs of the mixer
//
// Targets are data: no gradient. Only transitions that happened are computed.

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "qatten/agents/agent.hpp"
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

  /// Makes room for a batch; `update` does it by itself. Allocates only when it outgrows the former ones.
  void prepare(const EpisodeBatch<Scalar>& batch) {
    const Index moves = batch.transitions.total(), steps = batch.ragged.total(), n = batch.n_agents;
    if (steps > prepared_steps_ || batch.ragged.sequences() > prepared_sequences_) {
      prepared_steps_ = std::max(steps, prepared_steps_);
      prepared_sequences_ = std::max(batch.ragged.sequences(), prepared_sequences_);
      agent_.prepare(agent_cache_, agent_scratch_, n * prepared_steps_, n * prepared_sequences_);
      mixer_.prepare(mixer_cache_, mixer_scratch_, prepared_steps_);
      for (auto* m : {&q_, &target_q_}) m->resize(agent_.options().n_actions, n * prepared_steps_);
      agent_qs_.resize(n, prepared_steps_);
      for (auto* m : {&q_tot_, &targets_, &dq_tot_}) m->resize(mixer_.outputs(), prepared_steps_);
    }
    moves_ = moves;
  }

  /// One step of gradient descent. `episodes` is how many have been played so far: it drives `every_episodes`. Throws,
  /// and leaves the parameters as they were, when loss or gradient is not finite.
  QLearnerStats update(const EpisodeBatch<Scalar>& batch, std::int64_t episodes = 0) {
    using std::isfinite;
    prepare(batch);
    compute_targets(state_.parameters, state_.target, batch);
    const Scalar loss = compute_loss(state_.parameters, batch);
    compute_gradient(state_.parameters, batch);
    const Scalar norm = clip_global_norm(gradients_, options_.grad_norm_clip);
    if (!isfinite(loss) || !isfinite(norm))
      throw Error("QLearner::update: the " + std::string(isfinite(loss) ? "gradient" : "loss") +
                  " is not finite at update " + std::to_string(state_.updates) + "; parameters left as they were");
    optimizer_.update(state_.parameters, gradients_, state_.optimizer);
    ++state_.updates;
    update_target(episodes);
    return stats(loss, norm);
  }

  /// The loss of given parameters, with targets from `parameters` and `target`: for gradient checks.
  Scalar loss(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch) {
    prepare(batch);
    compute_targets(parameters, target, batch);
    return compute_loss(parameters, batch);
  }

  /// Its gradient, by hand.
  const Vector<Scalar>& gradient(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                                 const EpisodeBatch<Scalar>& batch) {
    loss(parameters, target, batch);
    compute_gradient(parameters, batch);
    return gradients_;
  }

  /// Of the last batch, over its transitions: y and Q_tot (outputs, K), and the gradient, clipped if by `update`.
  ConstView<Scalar> targets() const { return targets_.leftCols(moves_); }
  ConstView<Scalar> q_tot() const { return q_tot_.leftCols(moves_); }
  const Vector<Scalar>& gradients() const { return gradients_; }
  /// What the mixer left of the last batch: attention and the like, over K = q_tot().cols() rows.
  const typename Mixer_::Cache& mixer_cache() const { return mixer_cache_; }

 private:
  AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) const { return {batch.obs, batch.last_actions}; }

  /// What the mixer reads where transitions start, with agent_qs_ as the agents' values.
  MixerInputs<Scalar> mixer_inputs(const EpisodeBatch<Scalar>& batch) const {
    return {agent_qs_.leftCols(moves_), batch.transition_state, batch.transition_units, batch.transition_alive};
  }

  /// Leaves the online values in q_ and the agents' cache as well.
  void compute_targets(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                       const EpisodeBatch<Scalar>& batch) {
    const Index columns = batch.obs.cols(), first = batch.ragged.sequences();
    View<Scalar> q = q_.leftCols(columns), target_q = target_q_.leftCols(columns);
    agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, q, agent_cache_, agent_scratch_);
    agent_.evaluate(target, batch.ragged, agent_inputs(batch), {}, target_q, agent_scratch_);
    const ConstView<Scalar> judge = options_.double_q ? q : target_q;
    for (Index k = 0; k < moves_; ++k) {
      for (Index i = 0; i < batch.n_agents; ++i) {
        const Index column = (first + k) * batch.n_agents + i;
        agent_qs_(i, k) = target_q(greedy(judge, batch.available, column), column);
      }
    }
    View<Scalar> next_values = dq_tot_.leftCols(moves_);
    mixer_.evaluate(target,
                    {agent_qs_.leftCols(moves_), batch.state.rightCols(moves_), batch.units.rightCols(moves_),
                     batch.alive.rightCols(moves_)},
                    next_values, mixer_scratch_);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, next_values, options_.gamma,
                           options_.td_lambda, targets_.leftCols(moves_));
  }

  /// The available action of the largest value; the first of equals.
  static Index greedy(ConstView<Scalar> q, const Matrix<std::uint8_t>& available, Index column) {
    Index best = -1;
    for (Index a = 0; a < q.rows(); ++a)
      if (available(a, column) != 0 && (best < 0 || q(a, column) > q(best, column))) best = a;
    detail::require(best >= 0, "QLearner", "an agent has no available action");
    return best;
  }

  Scalar compute_loss(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch) {
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) { agent_qs_(i, k) = q_(action, column); });
    View<Scalar> q_tot = q_tot_.leftCols(moves_), error = dq_tot_.leftCols(moves_);
    mixer_.forward(parameters, mixer_inputs(batch), q_tot, mixer_cache_, mixer_scratch_);
    error = q_tot - targets();
    const auto scale = static_cast<Scalar>(options_.loss_scale / double(error.size()));
    const Scalar loss = scale * error.squaredNorm() + mixer_.regulariser(mixer_cache_);
    error *= Scalar(2) * scale;  // now ∂L/∂Q_tot
    return loss;
  }

  /// After compute_loss with the same parameters and batch.
  void compute_gradient(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch) {
    View<Scalar> dagent_qs = agent_qs_gradient(batch);
    gradients_.setZero();
    mixer_.backward(parameters, mixer_cache_, mixer_inputs(batch), dq_tot_.leftCols(moves_), gradients_, dagent_qs,
                    mixer_scratch_);
    View<Scalar> dq = q_.leftCols(batch.obs.cols());
    dq.setZero();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) { dq(action, column) = dagent_qs(i, k); });
    agent_.backward(parameters, agent_cache_, batch.ragged, agent_inputs(batch), {}, dq, gradients_, {}, {},
                    agent_scratch_);
  }

  /// ∂L/∂Q_i lies in the memory of the target values, which the targets have used up.
  View<Scalar> agent_qs_gradient(const EpisodeBatch<Scalar>& batch) {
    return {target_q_.data(), batch.n_agents, moves_, batch.n_agents};
  }

  /// f(agent, transition column, action taken, column of q_).
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
    const auto error = (q_tot() - targets()).array();
    const double n = double(mixer_.n_agents());
    return {.loss = double(loss),
            .grad_norm = double(norm),
            .td_error_abs = double(error.abs().mean()),
            .q_taken_mean = double(q_tot().mean()) / n,
            .target_mean = double(targets().mean()) / n};
  }

  Agent_ agent_;
  Mixer_ mixer_;
  Optimizer_ optimizer_;
  QLearnerOptions options_;
  State state_;

  typename Agent_::Cache agent_cache_;
  typename Agent_::Scratch agent_scratch_;
  typename Mixer_::Cache mixer_cache_;
  typename Mixer_::Scratch mixer_scratch_;
  Vector<Scalar> gradients_;
  Matrix<Scalar> q_, target_q_;              ///< (n_actions, n_agents · observations)
  Matrix<Scalar> agent_qs_;                  ///< (n_agents, transitions)
  Matrix<Scalar> q_tot_, targets_, dq_tot_;  ///< (outputs, transitions)
  Index prepared_steps_ = 0, prepared_sequences_ = 0, moves_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
