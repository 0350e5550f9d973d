#pragma once
// MAAC (Iqbal and Sha 2019, arXiv 1810.02912): soft actor-critic with a critic in which agents attend to one another.
// Off-policy; 1/β is reward_scale, K are the transitions of a batch.
//
//   y_i   = r + γ (1 − terminated) (Q⁻_i(o', a') − β log π⁻_i(a'_i))       a' ~ π⁻, the target policies, at o'
//   L_Q   = Σ_i mean_K (Q_i(o, u) − y_i)² + c Σ_{h,i} mean ℓ²              the critic's regulariser
//   A_i   = Q_i(o, a) − Σ_b π_i(b) Q_i(o, (b, a_−i))                       a ~ π, drawn anew, at o
//   L_π   = Σ_i mean_K (log π_i(a_i) sg[β log π_i(a_i) − A_i] + 1e-3 mean z_i²)
//
// with the logits z of all actions, 0 where one is not available. An update takes the critic a step, then the policies
// with the critic that this gave, then the targets of both a part of the way.

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "qatten/learners/actor_critic.hpp"
#include "qatten/learners/maac_critic.hpp"

namespace qatten::inline QATTEN_ABI {

/// The authors' defaults.
struct MaacOptions {
  double gamma = 0.99;
  double reward_scale = 100;           ///< 1/β: the larger, the less entropy is worth
  double grad_norm_clip = 10;          ///< of the critic's gradient, for each agent: n times as much for all
  double policy_grad_norm_clip = 0.5;  ///< of the policies'
  TargetUpdate target_update{.rule = TargetUpdate::Rule::soft, .tau = 0.001};
};

namespace detail {

template <class Scalar>
struct MaacTile {
  Matrix<Scalar> logits;       ///< z (n_actions, n_agents · observations)
  Matrix<Scalar> obs;          ///< where transitions start (obs_shape, n_agents · transitions)
  Matrix<std::int32_t> drawn;  ///< a, or a' (1, n_agents · transitions)
};

}  // namespace detail

/// Learns from any episodes, its own old ones as well.
template <class Agent_, class Optimizer_>
class MaacLearner : public ActorCritic<Agent_, MaacCritic<typename Agent_::Scalar>, Optimizer_,
                                       detail::MaacTile<typename Agent_::Scalar>> {
  using Base =
      ActorCritic<Agent_, MaacCritic<typename Agent_::Scalar>, Optimizer_, detail::MaacTile<typename Agent_::Scalar>>;
  using Tile = typename Base::Tile;
  using Base::agent_, Base::critic_, Base::state_, Base::transitions_, Base::for_each_tile, Base::agent_inputs;

 public:
  using Scalar = typename Base::Scalar;

  /// As ActorCritic says. Actions are drawn from the streams (seed, "next actions", …) and (seed, "policy actions", …).
  /// Throws for options out of their range, and when agents and critic disagree.
  MaacLearner(const ParameterLayout& layout, Agent_ agent, MaacCritic<Scalar> critic, Optimizer_ optimizer,
              Optimizer_ critic_optimizer, const MaacOptions& options, std::uint64_t seed)
      : Base("MaacLearner", layout, std::move(agent), std::move(critic), std::move(optimizer),
             std::move(critic_optimizer), seed),
        options_(options) {
    detail::check_learning("MaacLearner", options_);
    detail::require(options_.reward_scale > 0, "MaacLearner", "reward_scale must be positive");
    detail::require(options_.policy_grad_norm_clip > 0, "MaacLearner", "policy_grad_norm_clip must be positive");
  }

  const MaacOptions& options() const { return options_; }

  /// One update; `episodes` is how many were played so far. How much they explored does not matter. Loss, norm, errors
  /// and values in what it returns are the critic's. Throws, and leaves everything as it was, when a loss or gradient
  /// is not finite. Allocates only when a batch outgrows the former ones.
  QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes, double = 0) {
    return Base::all_or_nothing([&] {
      QLearnerStats stats = train_critic(tiles);
      stats.policy = train_agents(tiles);
      ++state_.updates;
      Base::update_target(options_.target_update, episodes);
      return stats;
    });
  }
  QLearnerStats update(const EpisodeBatch<Scalar>& batch, std::int64_t episodes, double = 0) {
    return update(std::span(&batch, 1), episodes);
  }

  /// Of a tile of the last loss or update, the actions that it drew: a' of the critic's, a of the policies' (1,
  /// n_agents · transitions).
  ConstView<std::int32_t> drawn(std::size_t tile = 0) const { return drawn(Base::tiles_[tile]); }

  /// For gradient checks: the losses of given parameters, the critic's with targets from `target`, the policies' with
  /// A_i from the critic among the parameters. Then their gradients, by hand, before anything is scaled or clipped.
  Scalar critic_loss(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                     std::span<const EpisodeBatch<Scalar>> tiles) {
    prepare(tiles);
    const auto scale = static_cast<Scalar>(1 / double(transitions_));
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      find_targets(target, batch, tile);
      View<Scalar> q = tile.values.leftCols(batch.n_agents * tile.moves), dq = tile.dvalues.leftCols(q.cols());
      critic_.forward(parameters, taken(batch, tile), q, tile.critic);
      tile.loss = tile.critic.regulariser;
      dq.setZero();
      for (Index column = 0; column < q.cols(); ++column) {
        const Index i = column % batch.n_agents, k = column / batch.n_agents, action = batch.actions(i, k);
        tile.q_tot(i, k) = q(action, column);
        const Scalar error = q(action, column) - tile.targets(i, k);
        tile.loss += scale * error * error;
        dq(action, column) = Scalar(2) * scale * error;
      }
    });
    return Base::sum_losses();
  }
  const Vector<Scalar>& critic_gradient(const Vector<Scalar>& parameters, const Vector<Scalar>& target,
                                        std::span<const EpisodeBatch<Scalar>> tiles) {
    critic_loss(parameters, target, tiles);
    return critic_backward(parameters, tiles);
  }
  Scalar policy_loss(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles) {
    prepare(tiles);
    const auto scale = static_cast<Scalar>(1 / double(transitions_));
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      View<Scalar> logits = tile.logits.leftCols(batch.obs.cols());
      agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, logits, tile.agent, tile.agent_scratch);
      draw(logits, batch, tile, 0, "policy actions");
      critic_.evaluate(parameters, {tile.obs.leftCols(batch.n_agents * tile.moves), drawn(tile)},
                       tile.values.leftCols(batch.n_agents * tile.moves), tile.critic_scratch);
      tile.loss = tile.advantage = tile.largest = Scalar(0);
      tile.dlogits.leftCols(batch.obs.cols()).setZero();
      for_each_action(batch, [&](Index i, Index k, Index, Index column) {
        add_policy_loss(batch, tile, k * batch.n_agents + i, column, scale);
      });
    });
    return Base::sum_losses();
  }
  const Vector<Scalar>& policy_gradient(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles) {
    policy_loss(parameters, tiles);
    return Base::agents_backward(parameters, tiles);
  }

 private:
  static constexpr double logit_coef = 1e-3;  // of the regulariser of the policies

  void prepare(std::span<const EpisodeBatch<Scalar>> tiles) {
    Base::prepare(tiles, [&](Tile& tile) {
      const AgentOptions& team = agent_.options();
      critic_.prepare(tile.critic, tile.steps);
      critic_.prepare(tile.critic_scratch, tile.steps);
      tile.logits.resize(team.n_actions, team.n_agents * tile.steps);
      tile.obs.resize(team.obs_shape, team.n_agents * tile.steps);
      tile.drawn.resize(1, team.n_agents * tile.steps);
    });
    for_each_tile(tiles, [](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      for (Index t = 0; t < batch.transitions.steps(); ++t) {
        const Index n = batch.n_agents, count = n * batch.transitions.living(t);
        tile.obs.middleCols(n * batch.transitions.offset(t), count) =
            batch.obs.middleCols(n * batch.ragged.offset(t), count);
      }
    });
  }

  ConstView<std::int32_t> drawn(const Tile& tile) const {
    return tile.drawn.leftCols(agent_.options().n_agents * tile.moves);
  }
  MaacCriticInputs<Scalar> taken(const EpisodeBatch<Scalar>& batch, const Tile& tile) const {
    const Index columns = batch.n_agents * tile.moves;
    return {tile.obs.leftCols(columns), {batch.actions.data(), 1, columns, 1}, transitions_};
  }

  /// tile.policy from the logits, and for each transition an action of each agent where it starts (`later` 0) or where
  /// it leads (1).
  void draw(ConstView<Scalar> logits, const EpisodeBatch<Scalar>& batch, Tile& tile, Index later,
            std::string_view purpose) const {
    View<Scalar> policy = tile.policy.leftCols(logits.cols());
    policy = logits;
    masked_softmax<Scalar>(policy, batch.available);
    const Index n = batch.n_agents;
    for (Index b = 0; b < batch.transitions.sequences(); ++b) {
      Random random = Base::draws(purpose, tile, b);
      for (Index t = 0; t < batch.transitions.length(b); ++t)
        for (Index i = 0; i < n; ++i)
          tile.drawn(0, batch.transitions.column(b, t) * n + i) = static_cast<std::int32_t>(
              Base::policy(batch, tile, batch.ragged.column(b, t + later) * n + i, 0).sample(random));
    }
  }

  /// y of all transitions: transition k leads to observation `sequences` + k.
  void find_targets(const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch, Tile& tile) const {
    using std::log;
    const Index n = batch.n_agents, columns = n * tile.moves, first = n * batch.ragged.sequences();
    View<Scalar> logits = tile.logits.leftCols(batch.obs.cols()), values = tile.values.leftCols(columns);
    agent_.evaluate(target, batch.ragged, agent_inputs(batch), {}, logits, tile.agent_scratch);
    draw(logits, batch, tile, 1, "next actions");
    critic_.evaluate(target, {batch.obs.rightCols(columns), drawn(tile)}, values, tile.critic_scratch);
    for (Index column = 0; column < columns; ++column) {
      const Index action = tile.drawn(0, column), k = column / n;
      const Scalar entropy = log(tile.policy(action, first + column)) / static_cast<Scalar>(options_.reward_scale);
      tile.targets(column % n, k) = batch.rewards(0, k) + static_cast<Scalar>(options_.gamma) * batch.continues(0, k) *
                                                              (values(action, column) - entropy);
    }
  }

  /// Of one agent at one moment: its column among the transitions' and among the observations'. Leaves the gradient of
  /// its logits.
  void add_policy_loss(const EpisodeBatch<Scalar>& batch, Tile& tile, Index move, Index column,
                       const Scalar& scale) const {
    using std::log;
    const Policy<Scalar> pi = Base::policy(batch, tile, column, 0);
    const auto q = tile.values.col(move), z = tile.logits.col(column);
    const Index action = tile.drawn(0, move);
    const Scalar log_pi = log(pi(action)), logit_scale = scale * static_cast<Scalar>(logit_coef / double(z.size()));
    Scalar baseline(0), largest(0);
    for (Index a = 0; a < q.size(); ++a) {
      baseline += pi(a) * q(a);
      if (pi(a) > largest) largest = pi(a);
    }
    const Scalar advantage = q(action) - baseline;
    const Scalar weight =
        scale * stop_gradient(Scalar(log_pi / static_cast<Scalar>(options_.reward_scale) - advantage));
    tile.loss += log_pi * weight;
    tile.advantage += advantage;
    tile.largest += largest;
    pi.backward(action, weight, tile.dlogits.col(column).data());
    for (Index a = 0; a < z.size(); ++a) {
      if (batch.available(a, column) == 0) continue;
      tile.loss += logit_scale * z(a) * z(a);
      tile.dlogits(a, column) += Scalar(2) * logit_scale * z(a);
    }
  }

  /// After critic_loss, with the same arguments.
  const Vector<Scalar>& critic_backward(const Vector<Scalar>& parameters, std::span<const EpisodeBatch<Scalar>> tiles) {
    for_each_tile(tiles, [&](const EpisodeBatch<Scalar>& batch, Tile& tile) {
      tile.gradients.setZero();
      critic_.backward(parameters, tile.critic, taken(batch, tile), tile.dvalues.leftCols(batch.n_agents * tile.moves),
                       tile.gradients, tile.critic_scratch);
    });
    return Base::sum_gradients();
  }

  /// What all agents' losses reach has the mean of their gradients, as the authors scale it.
  QLearnerStats train_critic(std::span<const EpisodeBatch<Scalar>> tiles) {
    const double n = double(agent_.options().n_agents);
    const Scalar loss = critic_loss(state_.parameters, state_.target, tiles);
    critic_backward(state_.parameters, tiles);
    Base::gradients_.segment(critic_.first_parameter(), critic_.common_parameters()) /= static_cast<Scalar>(n);
    QLearnerStats stats{.loss = double(loss)};
    stats.grad_norm = Base::step_critic(loss, options_.grad_norm_clip * n);
    Base::describe_critic(stats);
    return stats;
  }

  PolicyStats train_agents(std::span<const EpisodeBatch<Scalar>> tiles) {
    const Scalar loss = policy_loss(state_.parameters, tiles);
    Base::agents_backward(state_.parameters, tiles);
    PolicyStats stats{.loss = double(loss)};
    stats.grad_norm = Base::step_agents(loss, options_.policy_grad_norm_clip);
    Base::describe_policy(stats);
    return stats;
  }

  MaacOptions options_;
};

}  // namespace qatten::inline QATTEN_ABI
