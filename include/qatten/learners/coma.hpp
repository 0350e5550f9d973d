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

#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "qatten/learners/actor_critic.hpp"
#include "qatten/learners/coma_critic.hpp"
#include "qatten/learners/returns.hpp"

namespace qatten::inline QATTEN_ABI {

/// PyMARL's defaults.
struct ComaOptions {
  double gamma = 0.99;
  double td_lambda = 0.8;
  double grad_norm_clip = 10;                                          ///< of the agents' gradient, and of the critic's
  TargetUpdate target_update{TargetUpdate::Rule::every_updates, 200};  ///< updates are steps of the critic
};

namespace detail {

template <class Scalar>
struct ComaTile {
  Matrix<Scalar> target_values;  ///< (n_actions, n_agents · observations)
  Matrix<std::int32_t> actions;  ///< (n_agents, observations)
  Matrix<Scalar> next_values;    ///< (n_agents, transitions)
};

}  // namespace detail

/// Learns from the episodes that its present policy has played: a batch is used once. Of the target only the critic's
/// part is read.
template <class Agent_, class Optimizer_>
class ComaLearner : public ActorCritic<Agent_, ComaCritic<typename Agent_::Scalar>, Optimizer_,
                                       detail::ComaTile<typename Agent_::Scalar>> {
  using Base =
      ActorCritic<Agent_, ComaCritic<typename Agent_::Scalar>, Optimizer_, detail::ComaTile<typename Agent_::Scalar>>;
  using Tile = typename Base::Tile;
  using Base::agent_, Base::critic_, Base::state_, Base::tiles_, Base::used_, Base::steps_, Base::transitions_,
      Base::gradients_, Base::for_each_tile, Base::agent_inputs, Base::policy;

 public:
  using Scalar = typename Base::Scalar;

  /// As ActorCritic says. Actions at the end of cut-off episodes come from the streams (seed, "last actions", …).
  /// Throws for options out of their range, and when agents and critic disagree.
  ComaLearner(const ParameterLayout& layout, Agent_ agent, ComaCritic<Scalar> critic, Optimizer_ optimizer,
              Optimizer_ critic_optimizer, const ComaOptions& options, std::uint64_t seed)
      : Base("ComaLearner", layout, std::move(agent), std::move(critic), std::move(optimizer),
             std::move(critic_optimizer), seed),
        options_(options) {
    detail::check_learning("ComaLearner", options_);
  }

  const ComaOptions& options() const { return options_; }

  /// One update from episodes that were played with exploration `epsilon`; `episodes` is how many there were so far.
  /// Loss, norm, errors and values in what it returns are the critic's. Throws, and leaves everything as it was, when a
  /// loss or gradient is not finite. Allocates only when a batch outgrows the former ones.
  QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes, double epsilon) {
    return Base::all_or_nothing([&] {
      unroll(state_.parameters, state_.target, tiles, epsilon);
      QLearnerStats stats = train_critic(tiles);
      stats.policy = train_agents(tiles, epsilon);
      ++state_.updates;
      Base::update_target(options_.target_update, episodes);
      return stats;
    });
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
    return Base::agents_backward(parameters, tiles);
  }

 private:
  void prepare(std::span<const EpisodeBatch<Scalar>> tiles) {
    Base::prepare(tiles, [&](Tile& tile) {
      const Index n = agent_.options().n_agents, n_actions = agent_.options().n_actions;
      critic_.prepare(tile.critic, tile.sequences);
      critic_.prepare(tile.critic_scratch, tile.steps);
      tile.target_values.resize(n_actions, n * tile.steps);
      tile.actions.resize(n, tile.steps);
      tile.next_values.resize(n, tile.steps);
    });
  }

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
      Random random = Base::draws("last actions", tile, b);
      for (Index i = 0; i < batch.n_agents; ++i)
        tile.actions(i, end) =
            goes_on ? static_cast<std::int32_t>(policy(batch, tile, end * batch.n_agents + i, epsilon).sample(random))
                    : 0;
    }
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
    return Base::sum_losses();
  }

  /// Backwards in time, a step of the optimiser for each t.
  QLearnerStats train_critic(std::span<const EpisodeBatch<Scalar>> tiles) {
    QLearnerStats stats;
    for (Index t = steps_; t-- > 0;) {
      const Scalar loss = critic_loss(state_.parameters, tiles, t);
      critic_gradient(state_.parameters, tiles, t);
      stats.grad_norm += Base::step_critic(loss, options_.grad_norm_clip);
      stats.loss += double(loss);
    }
    for (double* mean : {&stats.loss, &stats.grad_norm}) *mean /= double(steps_);
    Base::describe_critic(stats);
    return stats;
  }

  PolicyStats train_agents(std::span<const EpisodeBatch<Scalar>> tiles, double epsilon) {
    const Scalar loss = policy_loss(tiles, epsilon);
    Base::agents_backward(state_.parameters, tiles);
    PolicyStats stats{.loss = double(loss)};
    stats.grad_norm = Base::step_agents(loss, options_.grad_norm_clip);
    Base::describe_policy(stats);
    return stats;
  }

  ComaOptions options_;
};

}  // namespace qatten::inline QATTEN_ABI
