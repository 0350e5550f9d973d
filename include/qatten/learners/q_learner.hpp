#pragma once
// Q-learning of a team through a mixer (Rashid et al. 2018; van Hasselt et al. 2016 for double Q).
//
//   y_t = λ-return of Q⁻_tot(s', u*),   u*_i = argmax over available a of Q_i(o'_i, a)   (double; else of Q⁻_i)
//   L = loss_scale / (K m) Σ_k Σ_o (Q_tot − y)² + regulariser        over K real transitions, m outputs of the mixer
//
// Targets are data: no gradient. Only transitions that happened are computed.

#include <string>
#include <utility>

#include "qatten/learners/actions.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/learners/returns.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Agent_, class Mixer_>
requires Agent<Agent_> && Mixer<Mixer_>
class QObjective {
 public:
  using Scalar = typename Agent_::Scalar;

  struct Tile {
    typename Agent_::Cache agent;
    typename Mixer_::Cache mixer;
    Matrix<Scalar> q, target_q;             ///< (n_actions, n_agents · observations)
    Matrix<Scalar> agent_qs;                ///< (n_agents, transitions)
    Matrix<Scalar> q_tot, targets, dq_tot;  ///< (outputs, transitions)
    Index regularised = 0;                  ///< of the whole batch
    Matrix<Scalar> max_qs;                  ///< (n_agents, transitions), for mixers that read actions
  };
  struct Scratch {
    typename Agent_::Scratch agent;
    typename Mixer_::Scratch mixer;
    Matrix<std::int32_t> actions;  ///< greedy ones (n_agents, transitions), for mixers that read actions
  };

  /// Throws when agent and mixer disagree.
  QObjective(Agent_ agent, Mixer_ mixer, const QLearnerOptions& options)
      : agent_(std::move(agent)), mixer_(std::move(mixer)), options_(options) {
    detail::require(agent_.options().n_agents == mixer_.n_agents(), "QLearner",
                    "the team has " + std::to_string(agent_.options().n_agents) + " agents, the mixer expects " +
                        std::to_string(mixer_.n_agents()));
  }

  const Agent_& agent() const { return agent_; }
  const Mixer_& mixer() const { return mixer_; }
  const QLearnerOptions& options() const { return options_; }
  Index outputs() const { return mixer_.outputs(); }

  void initialise(Vector<Scalar>& p, Random& random) const {
    agent_.initialise(p, random);
    mixer_.initialise(p, random);
  }

  void prepare(Tile& tile, Index steps, Index sequences) const {
    const Index n = mixer_.n_agents();
    Scratch unused;
    agent_.prepare(tile.agent, unused.agent, n * steps, n * sequences);
    mixer_.prepare(tile.mixer, unused.mixer, steps);
    for (auto* m : {&tile.q, &tile.target_q}) m->resize(agent_.options().n_actions, n * steps);
    tile.agent_qs.resize(n, steps);
    if (ReadsActions<Mixer_>) tile.max_qs.resize(n, steps);
    for (auto* m : {&tile.q_tot, &tile.targets, &tile.dq_tot}) m->resize(outputs(), steps);
  }
  void prepare(Scratch& scratch, Index steps, Index sequences) const {
    const Index n = mixer_.n_agents();
    Tile unused;
    agent_.prepare(unused.agent, scratch.agent, n * steps, n * sequences);
    mixer_.prepare(unused.mixer, scratch.mixer, steps);
    if (ReadsActions<Mixer_>) scratch.actions.resize(n, steps);
  }

  /// Terms of the mean that the mixer's regulariser is; 0 when it has none.
  Index regularised(const EpisodeBatch<Scalar>& batch, const Tile& tile) const {
    if constexpr (requires { mixer_.regularised(inputs(batch, tile)); }) return mixer_.regularised(inputs(batch, tile));
    return 0;
  }

  /// Leaves the online values in tile.q and the agents' cache as well.
  void targets(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch,
               Tile& tile, Scratch& scratch) const {
    const Index columns = batch.obs.cols(), first = batch.ragged.sequences(), moves = batch.transitions.total();
    View<Scalar> q = tile.q.leftCols(columns), target_q = tile.target_q.leftCols(columns);
    agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, q, tile.agent, scratch.agent);
    agent_.evaluate(target, batch.ragged, agent_inputs(batch), {}, target_q, scratch.agent);
    const ConstView<Scalar> judge = options_.double_q ? q : target_q;
    for (Index k = 0; k < moves; ++k) {
      for (Index i = 0; i < batch.n_agents; ++i) {
        const Index column = (first + k) * batch.n_agents + i;
        const Index greedy = greedy_action<Scalar>(judge, batch.available, column);
        tile.agent_qs(i, k) = target_q(greedy, column);
        if constexpr (ReadsActions<Mixer_>) {
          tile.max_qs(i, k) = target_q(greedy_action<Scalar>(target_q, batch.available, column), column);
          scratch.actions(i, k) = static_cast<std::int32_t>(greedy);
        }
      }
    }
    View<Scalar> next_values = tile.dq_tot.leftCols(moves);
    mixer_.evaluate(target,
                    inputs(tile, batch.state.rightCols(moves), batch.units.rightCols(moves),
                           batch.alive.rightCols(moves), scratch.actions),
                    next_values, scratch.mixer);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, next_values, options_.gamma,
                           options_.td_lambda, tile.targets.leftCols(moves));
  }

  Scalar loss(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
              const WholeBatch& whole) const {
    const Index moves = batch.transitions.total();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) {
      tile.agent_qs(i, k) = tile.q(action, column);
      if constexpr (ReadsActions<Mixer_>)
        tile.max_qs(i, k) = tile.q(greedy_action<Scalar>(tile.q, batch.available, column), column);
    });
    View<Scalar> q_tot = tile.q_tot.leftCols(moves), error = tile.dq_tot.leftCols(moves);
    tile.regularised = whole.regularised;
    mixer_.forward(parameters, inputs(batch, tile), q_tot, tile.mixer, scratch.mixer);
    error = q_tot - tile.targets.leftCols(moves);
    const auto scale = static_cast<Scalar>(options_.loss_scale / double(outputs() * whole.transitions));
    const Scalar loss = scale * error.squaredNorm() + mixer_.regulariser(tile.mixer);
    error *= Scalar(2) * scale;  // now ∂L/∂Q_tot
    return loss;
  }

  void gradient(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
                Vector<Scalar>& gradients) const {
    const Index moves = batch.transitions.total();
    // ∂L/∂Q_i lies in the memory of the target values, which the targets have used up.
    View<Scalar> dagent_qs(tile.target_q.data(), batch.n_agents, moves, batch.n_agents);
    mixer_.backward(parameters, tile.mixer, inputs(batch, tile), tile.dq_tot.leftCols(moves), gradients, dagent_qs,
                    scratch.mixer);
    View<Scalar> dq = tile.q.leftCols(batch.obs.cols());
    dq.setZero();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) { dq(action, column) = dagent_qs(i, k); });
    agent_.backward(parameters, tile.agent, batch.ragged, agent_inputs(batch), {}, dq, gradients, {}, {},
                    scratch.agent);
  }

 private:
  AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) const { return {batch.obs, batch.last_actions}; }

  /// What the mixer reads where transitions start, with tile.agent_qs as the agents' values.
  MixerInputs<Scalar> inputs(const EpisodeBatch<Scalar>& batch, const Tile& tile) const {
    return inputs(tile, batch.transition_state, batch.transition_units, batch.transition_alive, batch.actions);
  }
  MixerInputs<Scalar> inputs(const Tile& tile, ConstView<Scalar> state, ConstView<Scalar> units,
                             ConstView<std::uint8_t> alive, const Matrix<std::int32_t>& actions) const {
    const Index moves = state.cols();
    const ConstView<Scalar> agent_qs = tile.agent_qs.leftCols(moves);
    if constexpr (ReadsActions<Mixer_>) {
      return {agent_qs, state, units, alive, tile.regularised, tile.max_qs.leftCols(moves), actions.leftCols(moves)};
    } else {
      return {agent_qs, state, units, alive, tile.regularised};
    }
  }

  Agent_ agent_;
  Mixer_ mixer_;
  QLearnerOptions options_;
};

/// Agent and mixer lie in one layout.
template <class Agent_, class Mixer_, class Optimizer_>
class QLearner : public Learner<QObjective<Agent_, Mixer_>, Optimizer_> {
 public:
  using Scalar = typename Agent_::Scalar;

  /// Fresh parameters from the stream; the target starts as their copy. Throws when agent and mixer disagree.
  QLearner(const ParameterLayout& layout, Agent_ agent, Mixer_ mixer, Optimizer_ optimizer,
           const QLearnerOptions& options, const Random& random)
      : Learner<QObjective<Agent_, Mixer_>, Optimizer_>(layout, {std::move(agent), std::move(mixer), options},
                                                        std::move(optimizer), random) {}

  const Mixer_& mixer() const { return this->objective().mixer(); }
  /// What the mixer left of a tile: attention and the like, over K = q_tot(tile).cols() rows.
  const typename Mixer_::Cache& mixer_cache(std::size_t tile = 0) const { return this->tile(tile).mixer; }
};

}  // namespace qatten::inline QATTEN_ABI
