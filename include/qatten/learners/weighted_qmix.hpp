#pragma once
// WQMIX (Rashid et al. 2020, arXiv 2006.10800): QMIX that fits some joint actions more than others, so that what it
// cannot represent does not hide the best one. What it fits comes from a second system without QMIX's restriction, of
// agents of its own and a CentralMixer: Q*. With ū the greedy actions of QMIX's agents, over K transitions:
//
//   y = λ-return of Q*⁻(s', ū')                                             for both
//   L = loss_scale / K Σ ( w (Q_tot − y)² + central_loss (Q* − y)² )
//
//   w = 1 if Q_tot < y, otherwise α                                         optimistic (OW)
//   w = 1 if u = ū or y > Q*⁻(s, ū), otherwise α                            central (CW)
//
// Weights are constants. Double Q takes ū and ū' from the online agents, as its authors do; otherwise they are the
// target agents'.

#include <utility>

#include "qatten/learners/actions.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/learners/returns.hpp"
#include "qatten/mixers/central.hpp"
#include "qatten/mixers/qmix.hpp"

namespace qatten::inline QATTEN_ABI {

/// The authors' options under their names.
struct WeightedQmixOptions {
  bool hysteretic_qmix = true;  ///< optimistic weights, or else central ones
  double w = 0.1;               ///< α
  double central_loss = 1;      ///< PyMARL2: 0.5
};

template <class Agent_>
requires Agent<Agent_>
class WeightedQmixObjective {
 public:
  using Scalar = typename Agent_::Scalar;

  /// Agents, a mixer of their values, and what they leave for the backward pass.
  template <class Mixer_>
  struct Chain {
    typename Agent_::Cache agent;
    typename Mixer_::Cache mixer;
    Matrix<Scalar> q;         ///< (n_actions, n_agents · observations)
    Matrix<Scalar> agent_qs;  ///< of actions taken, (n_agents, transitions)
    Matrix<Scalar> dq_tot;    ///< (1, transitions)
  };
  struct Tile {
    Chain<Qmix<Scalar>> qmix;
    Chain<CentralMixer<Scalar>> central;
    Matrix<Scalar> q_tot, central_q_tot;  ///< Q_tot and Q* (1, transitions)
    Matrix<Scalar> targets, weights;      ///< y and w, likewise
  };
  struct Scratch {
    typename Agent_::Scratch agent;  ///< of either team: they are alike
    typename Qmix<Scalar>::Scratch qmix;
    typename CentralMixer<Scalar>::Scratch central;
    Matrix<Scalar> target_q,
        judge;                 ///< of the central and of QMIX's target agents (n_actions, n_agents · observations)
    Matrix<Scalar> dagent_qs;  ///< (n_agents, transitions)
  };

  /// Throws when agents and mixers disagree.
  WeightedQmixObjective(Agent_ agent, Qmix<Scalar> mixer, Agent_ central_agent, CentralMixer<Scalar> central_mixer,
                        const QLearnerOptions& options, const WeightedQmixOptions& weighting = {})
      : agent_(std::move(agent)),
        mixer_(std::move(mixer)),
        central_agent_(std::move(central_agent)),
        central_mixer_(std::move(central_mixer)),
        options_(options),
        weighting_(weighting) {
    const Index n = agent_.options().n_agents;
    detail::require(mixer_.n_agents() == n && central_agent_.options().n_agents == n && central_mixer_.n_agents() == n,
                    "WeightedQmixObjective", "agents and mixers disagree about n_agents");
  }

  const Agent_& agent() const { return agent_; }
  const Qmix<Scalar>& mixer() const { return mixer_; }
  const QLearnerOptions& options() const { return options_; }
  Index outputs() const { return 1; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    agent_.initialise(p, random);
    mixer_.initialise(p, random);
    central_agent_.initialise(p, random);
    central_mixer_.initialise(p, random);
  }

  void prepare(Tile& tile, Index steps, Index sequences) const {
    prepare(tile.qmix, agent_, mixer_, steps, sequences);
    prepare(tile.central, central_agent_, central_mixer_, steps, sequences);
    for (auto* m : {&tile.q_tot, &tile.central_q_tot, &tile.targets, &tile.weights}) m->resize(1, steps);
  }
  void prepare(Scratch& scratch, Index steps, Index sequences) const {
    const Index n = mixer_.n_agents();
    Tile unused;
    agent_.prepare(unused.qmix.agent, scratch.agent, n * steps, n * sequences);
    mixer_.prepare(unused.qmix.mixer, scratch.qmix, steps);
    central_mixer_.prepare(unused.central.mixer, scratch.central, steps);
    for (auto* m : {&scratch.target_q, &scratch.judge}) m->resize(agent_.options().n_actions, n * steps);
    scratch.dagent_qs.resize(n, steps);
  }

  /// Leaves the online values in the tile as well and, for central weights, the weights.
  void targets(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch,
               Tile& tile, Scratch& scratch) const {
    const Index n = batch.n_agents, columns = batch.obs.cols(), moves = batch.transitions.total();
    const AgentInputs<Scalar> in{batch.obs, batch.last_actions};
    View<Scalar> q = tile.qmix.q.leftCols(columns), target_q = scratch.target_q.leftCols(columns);
    View<Scalar> judge = scratch.judge.leftCols(columns);
    agent_.forward(parameters, batch.ragged, in, {}, q, tile.qmix.agent, scratch.agent);
    central_agent_.forward(parameters, batch.ragged, in, {}, tile.central.q.leftCols(columns), tile.central.agent,
                           scratch.agent);
    central_agent_.evaluate(target, batch.ragged, in, {}, target_q, scratch.agent);
    if (options_.double_q) {
      judge = q;
    } else {
      agent_.evaluate(target, batch.ragged, in, {}, judge, scratch.agent);
    }

    View<Scalar> greedy_qs = scratch.dagent_qs.leftCols(moves), values = tile.q_tot.leftCols(moves);
    const Index first = columns - n * moves;  // of what follows the transitions
    for (Index k = 0; k < moves; ++k)
      for (Index i = 0; i < n; ++i) {
        const Index column = first + k * n + i;
        greedy_qs(i, k) = target_q(greedy_action<Scalar>(judge, batch.available, column), column);
      }
    central_mixer_.evaluate(target, {greedy_qs, batch.state.rightCols(moves)}, values, scratch.central);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, values, options_.gamma,
                           options_.td_lambda, tile.targets.leftCols(moves));
    if (weighting_.hysteretic_qmix) return;

    tile.weights.leftCols(moves).setOnes();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) {
      const Index greedy = greedy_action<Scalar>(judge, batch.available, column);
      greedy_qs(i, k) = target_q(greedy, column);
      if (action != greedy) tile.weights(0, k) = static_cast<Scalar>(weighting_.w);
    });
    central_mixer_.evaluate(target, {greedy_qs, batch.transition_state}, values, scratch.central);
    for (Index k = 0; k < moves; ++k)
      if (tile.targets(0, k) > values(0, k)) tile.weights(0, k) = Scalar(1);
  }

  Scalar loss(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
              const WholeBatch& whole) const {
    const Index moves = batch.transitions.total();
    forward(parameters, batch, mixer_, tile.qmix, tile.q_tot.leftCols(moves), scratch.qmix);
    forward(parameters, batch, central_mixer_, tile.central, tile.central_q_tot.leftCols(moves), scratch.central);
    const double scale = options_.loss_scale / double(whole.transitions);
    const auto qmix_scale = static_cast<Scalar>(scale);
    const auto central_scale = static_cast<Scalar>(scale * weighting_.central_loss);
    Scalar loss(0);
    for (Index k = 0; k < moves; ++k) {
      const Scalar error = tile.q_tot(0, k) - tile.targets(0, k);
      const Scalar central_error = tile.central_q_tot(0, k) - tile.targets(0, k);
      if (weighting_.hysteretic_qmix)
        tile.weights(0, k) = error < Scalar(0) ? Scalar(1) : static_cast<Scalar>(weighting_.w);
      const Scalar weight = qmix_scale * tile.weights(0, k);
      loss += weight * error * error + central_scale * central_error * central_error;
      tile.qmix.dq_tot(0, k) = Scalar(2) * weight * error;
      tile.central.dq_tot(0, k) = Scalar(2) * central_scale * central_error;
    }
    return loss;
  }

  void gradient(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
                Vector<Scalar>& gradients) const {
    backward(parameters, batch, agent_, mixer_, tile.qmix, scratch, scratch.qmix, gradients);
    backward(parameters, batch, central_agent_, central_mixer_, tile.central, scratch, scratch.central, gradients);
  }

 private:
  template <class Mixer_>
  static void prepare(Chain<Mixer_>& chain, const Agent_& agent, const Mixer_& mixer, Index steps, Index sequences) {
    const Index n = mixer.n_agents();
    typename Agent_::Scratch unused_agent;
    typename Mixer_::Scratch unused_mixer;
    agent.prepare(chain.agent, unused_agent, n * steps, n * sequences);
    mixer.prepare(chain.mixer, unused_mixer, steps);
    chain.q.resize(agent.options().n_actions, n * steps);
    chain.agent_qs.resize(n, steps);
    chain.dq_tot.resize(1, steps);
  }

  template <class Mixer_>
  static MixerInputs<Scalar> inputs(const EpisodeBatch<Scalar>& batch, const Chain<Mixer_>& chain) {
    return {chain.agent_qs.leftCols(batch.transitions.total()), batch.transition_state};
  }

  template <class Mixer_>
  static void forward(const Vector<Scalar>& p, const EpisodeBatch<Scalar>& batch, const Mixer_& mixer,
                      Chain<Mixer_>& chain, View<Scalar> q_tot, typename Mixer_::Scratch& scratch) {
    for_each_action(
        batch, [&](Index i, Index k, Index action, Index column) { chain.agent_qs(i, k) = chain.q(action, column); });
    mixer.forward(p, inputs(batch, chain), q_tot, chain.mixer, scratch);
  }

  template <class Mixer_>
  static void backward(const Vector<Scalar>& p, const EpisodeBatch<Scalar>& batch, const Agent_& agent,
                       const Mixer_& mixer, Chain<Mixer_>& chain, Scratch& scratch,
                       typename Mixer_::Scratch& mixer_scratch, Vector<Scalar>& gradients) {
    const Index moves = batch.transitions.total();
    View<Scalar> dagent_qs = scratch.dagent_qs.leftCols(moves), dq = chain.q.leftCols(batch.obs.cols());
    mixer.backward(p, chain.mixer, inputs(batch, chain), chain.dq_tot.leftCols(moves), gradients, dagent_qs,
                   mixer_scratch);
    dq.setZero();
    for_each_action(batch, [&](Index i, Index k, Index action, Index column) { dq(action, column) = dagent_qs(i, k); });
    agent.backward(p, chain.agent, batch.ragged, {batch.obs, batch.last_actions}, {}, dq, gradients, {}, {},
                   scratch.agent);
  }

  Agent_ agent_;
  Qmix<Scalar> mixer_;
  Agent_ central_agent_;
  CentralMixer<Scalar> central_mixer_;
  QLearnerOptions options_;
  WeightedQmixOptions weighting_;
};

}  // namespace qatten::inline QATTEN_ABI
