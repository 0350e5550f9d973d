#pragma once
// QTRAN (Son et al. 2019, arXiv 1905.05408): a joint value that may be anything, and agents' values whose sum agrees
// with it at the greedy joint action and lies nowhere below it. With Q' = Σ_i Q_i, ū the agents' greedy actions, V =
// V_jt(s), sg[·] a constant, and y the λ-return of Q⁻_jt(s', ū') over K transitions:
//
//   L = loss_scale / K Σ (L_td + opt_loss L_opt + nopt_min_loss L_nopt)
//
//   L_td   = (Q_jt(u) − y)²
//   L_opt  = (Q'(ū) − sg[Q_jt(ū)] + V)²                                             (condition 4a)
//   L_nopt = min(Q'(u) − sg[Q_jt(u)] + V, 0)²                                       base (condition 4b)
//   L_nopt = 1/n Σ_i (min_a Q_i(a) + Σ_{j≠i} Q_j(u_j) − sg[Q_jt(a, u_−i)] + V)²     alt
//
// QTRAN-alt has a joint value for each agent's view: L_td and L_opt are means over the views. Double Q takes ū' from
// the online agents (PyMARL), otherwise it is the target agents' (starry-sky6688/MARL-Algorithms). Hidden states are
// not constants: L_td trains the agents' GRU.

#include <algorithm>
#include <string>
#include <utility>

#include "qatten/learners/actions.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/learners/returns.hpp"
#include "qatten/mixers/qtran_alt.hpp"
#include "qatten/mixers/qtran_base.hpp"

namespace qatten::inline QATTEN_ABI {

/// PyMARL's weights of the penalties; starry-sky6688's are 1 and 1.
struct QtranLossOptions {
  double opt_loss = 1;
  double nopt_min_loss = 0.1;
};

/// `Net` is QtranBase or QtranAlt. q_tot of a tile is Q_jt of the actions taken, (Net::outputs(), K).
template <class Agent_, class Net>
requires Agent<Agent_>
class QtranObjective {
 public:
  using Scalar = typename Agent_::Scalar;

  struct Tile {
    typename Agent_::Cache agent;
    typename Net::Cache net;
    Matrix<Scalar> q, dq;            ///< (n_actions, n_agents · observations)
    Matrix<Scalar> hidden;           ///< h_i where transitions start, (hidden_dim, n_agents · transitions)
    Matrix<Scalar> values, dvalues;  ///< Q_jt (choices, outputs · transitions)
    Matrix<Scalar> v, dv;            ///< V_jt (1, transitions)
    Matrix<Scalar> q_tot, targets;   ///< (outputs, transitions)
  };
  struct Scratch {
    typename Agent_::Scratch agent;
    typename Net::Scratch net;
    Matrix<Scalar> target_q;         ///< (n_actions, n_agents · observations)
    Matrix<Scalar> hidden, dhidden;  ///< (hidden_dim, n_agents · observations)
    Matrix<Scalar> values;           ///< Q_jt of greedy actions
    Matrix<std::int32_t> greedy;     ///< (n_agents, transitions)
  };

  /// Throws when agents and net disagree.
  QtranObjective(Agent_ agent, Net net, const QLearnerOptions& options, const QtranLossOptions& loss_options = {})
      : agent_(std::move(agent)), net_(std::move(net)), options_(options), loss_options_(loss_options) {
    const AgentOptions& team = agent_.options();
    const QtranSizes& sizes = net_.sizes();
    detail::require(
        team.n_agents == sizes.n_agents && team.n_actions == sizes.n_actions && team.hidden_dim == sizes.hidden_dim,
        "QtranObjective", "agents and net disagree about n_agents, n_actions or hidden_dim");
  }

  const Agent_& agent() const { return agent_; }
  const Net& net() const { return net_; }
  const QLearnerOptions& options() const { return options_; }
  Index outputs() const { return net_.outputs(); }

  void initialise(Vector<Scalar>& p, Random& random) const {
    agent_.initialise(p, random);
    net_.initialise(p, random);
  }

  void prepare(Tile& tile, Index steps, Index sequences) const {
    const Index n = agent_.options().n_agents;
    Scratch unused;
    agent_.prepare(tile.agent, unused.agent, n * steps, n * sequences);
    net_.prepare(tile.net, unused.net, steps);
    for (auto* m : {&tile.q, &tile.dq}) m->resize(agent_.options().n_actions, n * steps);
    tile.hidden.resize(agent_.options().hidden_dim, n * steps);
    for (auto* m : {&tile.values, &tile.dvalues}) m->resize(net_.choices(), outputs() * steps);
    for (auto* m : {&tile.v, &tile.dv}) m->resize(1, steps);
    for (auto* m : {&tile.q_tot, &tile.targets}) m->resize(outputs(), steps);
  }
  void prepare(Scratch& scratch, Index steps, Index sequences) const {
    const Index n = agent_.options().n_agents;
    Tile unused;
    agent_.prepare(unused.agent, scratch.agent, n * steps, n * sequences);
    net_.prepare(unused.net, scratch.net, steps);
    scratch.target_q.resize(agent_.options().n_actions, n * steps);
    for (auto* m : {&scratch.hidden, &scratch.dhidden}) m->resize(agent_.options().hidden_dim, n * steps);
    scratch.values.resize(net_.choices(), outputs() * steps);
    scratch.greedy.resize(n, steps);
  }

  /// Leaves the online values in tile.q and the agents' cache as well.
  void targets(const Vector<Scalar>& parameters, const Vector<Scalar>& target, const EpisodeBatch<Scalar>& batch,
               Tile& tile, Scratch& scratch) const {
    const Index n = batch.n_agents, columns = batch.obs.cols(), moves = batch.transitions.total();
    View<Scalar> q = tile.q.leftCols(columns), target_q = scratch.target_q.leftCols(columns);
    View<Scalar> hidden = scratch.hidden.leftCols(columns), values = scratch.values.leftCols(outputs() * moves);
    agent_.forward(parameters, batch.ragged, agent_inputs(batch), {}, q, tile.agent, scratch.agent);
    agent_.evaluate(target, batch.ragged, agent_inputs(batch), {}, target_q, scratch.agent);
    agent_.hidden(scratch.agent, hidden);
    const ConstView<Scalar> judge = options_.double_q ? q : target_q;
    const Index first = columns - n * moves;  // of what follows the transitions
    for (Index k = 0; k < moves; ++k)
      for (Index i = 0; i < n; ++i)
        scratch.greedy(i, k) =
            static_cast<std::int32_t>(greedy_action<Scalar>(judge, batch.available, first + k * n + i));
    const ConstView<std::int32_t> greedy = scratch.greedy.leftCols(moves);
    net_.evaluate(target, {hidden.rightCols(n * moves), greedy, batch.state.rightCols(moves)}, values, scratch.net);
    View<Scalar> next_values = tile.q_tot.leftCols(moves);
    choose(values, greedy, next_values);
    lambda_returns<Scalar>(batch.transitions, batch.rewards, batch.continues, next_values, options_.gamma,
                           options_.td_lambda, tile.targets.leftCols(moves));
  }

  /// Leaves the gradients of the agents' values, of Q_jt and of V_jt in the tile.
  Scalar loss(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
              const WholeBatch& whole) const {
    const Index n = batch.n_agents, m = outputs(), moves = batch.transitions.total();
    View<Scalar> all_hidden = scratch.hidden.leftCols(batch.obs.cols());
    agent_.hidden(tile.agent, all_hidden);
    for_each_action(batch, [&](Index i, Index k, Index, Index column) {
      tile.hidden.col(k * n + i) = all_hidden.col(column);
      scratch.greedy(i, k) = static_cast<std::int32_t>(greedy_action<Scalar>(tile.q, batch.available, column));
    });
    const ConstView<std::int32_t> greedy = scratch.greedy.leftCols(moves);
    View<Scalar> values = tile.values.leftCols(m * moves), best = scratch.values.leftCols(m * moves);
    net_.forward(parameters, inputs(batch, tile, batch.actions), values, tile.v.leftCols(moves), tile.net, scratch.net);
    net_.evaluate(parameters, inputs(batch, tile, greedy), best, scratch.net);
    choose(values, batch.actions, tile.q_tot.leftCols(moves));

    tile.dq.leftCols(batch.obs.cols()).setZero();
    tile.dvalues.leftCols(m * moves).setZero();
    tile.dv.leftCols(moves).setZero();
    const double scale = options_.loss_scale / double(m * whole.transitions);
    const auto td_scale = static_cast<Scalar>(scale), opt_scale = static_cast<Scalar>(scale * loss_options_.opt_loss);
    const auto nopt_scale = static_cast<Scalar>(scale * loss_options_.nopt_min_loss);
    Scalar loss(0);
    for (Index t = 0; t < batch.transitions.steps(); ++t)
      for (Index b = 0; b < batch.transitions.living(t); ++b) {
        const Index k = batch.transitions.column(b, t), column = batch.ragged.column(b, t) * n;
        const Scalar taken_sum = sum_of(tile.q, batch.actions, k, column), best_sum = sum_of(tile.q, greedy, k, column);
        Scalar dbest(0);
        for (Index o = 0; o < m; ++o) {
          const Scalar td = tile.q_tot(o, k) - tile.targets(o, k);
          loss += td_scale * td * td;
          tile.dvalues(choice(batch.actions, o, k), k * m + o) = Scalar(2) * td_scale * td;
          const Scalar opt = best_sum - stop_gradient(best(choice(greedy, o, k), k * m + o)) + tile.v(0, k);
          loss += opt_scale * opt * opt;
          dbest += Scalar(2) * opt_scale * opt;
          loss += not_optimal(batch, tile, nopt_scale, taken_sum, o, k, column);
        }
        tile.dv(0, k) += dbest;
        for (Index i = 0; i < n; ++i) tile.dq(greedy(i, k), column + i) += dbest;
      }
    return loss;
  }

  void gradient(const Vector<Scalar>& parameters, const EpisodeBatch<Scalar>& batch, Tile& tile, Scratch& scratch,
                Vector<Scalar>& gradients) const {
    const Index n = batch.n_agents, moves = batch.transitions.total(), columns = batch.obs.cols();
    View<Scalar> moved = scratch.hidden.leftCols(n * moves), dhidden = scratch.dhidden.leftCols(columns);
    net_.backward(parameters, tile.net, inputs(batch, tile, batch.actions), tile.dvalues.leftCols(outputs() * moves),
                  tile.dv.leftCols(moves), gradients, moved, scratch.net);
    dhidden.setZero();
    for_each_action(batch, [&](Index i, Index k, Index, Index column) { dhidden.col(column) = moved.col(k * n + i); });
    agent_.backward(parameters, tile.agent, batch.ragged, agent_inputs(batch), {}, tile.dq.leftCols(columns), gradients,
                    {}, {}, scratch.agent, dhidden);
  }

 private:
  AgentInputs<Scalar> agent_inputs(const EpisodeBatch<Scalar>& batch) const { return {batch.obs, batch.last_actions}; }
  QtranInputs<Scalar> inputs(const EpisodeBatch<Scalar>& batch, const Tile& tile,
                             ConstView<std::int32_t> actions) const {
    return {tile.hidden.leftCols(batch.n_agents * batch.transitions.total()), actions, batch.transition_state};
  }

  /// In which row of Q_jt's values a joint action is, as output o sees it.
  Index choice(const ConstView<std::int32_t>& actions, Index o, Index k) const {
    return Net::counterfactual ? Index(actions(o, k)) : 0;
  }
  void choose(ConstView<Scalar> values, ConstView<std::int32_t> actions, View<Scalar> chosen) const {
    for (Index k = 0; k < chosen.cols(); ++k)
      for (Index o = 0; o < outputs(); ++o) chosen(o, k) = values(choice(actions, o, k), k * outputs() + o);
  }

  /// Q' of a joint action.
  static Scalar sum_of(const Matrix<Scalar>& q, const ConstView<std::int32_t>& actions, Index k, Index column) {
    Scalar sum(0);
    for (Index i = 0; i < actions.rows(); ++i) sum += q(actions(i, k), column + i);
    return sum;
  }

  /// L_nopt of output o at transition k, whose agents' values start at `column`; adds its gradient to dq and dv.
  Scalar not_optimal(const EpisodeBatch<Scalar>& batch, Tile& tile, const Scalar& scale, const Scalar& taken_sum,
                     Index o, Index k, Index column) const {
    // What lies lowest: in base there is one action of agent 0 to look at, the one taken; in alt all of agent o's.
    constexpr bool alt = Net::counterfactual;
    const Index taken = batch.actions(o, k);
    Index lowest = -1;
    Scalar error(0);
    for (Index a = 0; a < agent_.options().n_actions; ++a) {
      if (alt ? batch.available(a, column + o) == 0 : a != taken) continue;
      const Scalar d = taken_sum - tile.q(taken, column + o) + tile.q(a, column + o) -
                       stop_gradient(tile.values(alt ? a : 0, k * outputs() + o)) + tile.v(0, k);
      if (lowest < 0 || d < error) lowest = a, error = d;
    }
    if (!alt && error > Scalar(0)) return Scalar(0);
    const Scalar derror = Scalar(2) * scale * error;
    for (Index j = 0; j < batch.n_agents; ++j)
      tile.dq(j == o ? lowest : Index(batch.actions(j, k)), column + j) += derror;
    tile.dv(0, k) += derror;
    return scale * error * error;
  }

  Agent_ agent_;
  Net net_;
  QLearnerOptions options_;
  QtranLossOptions loss_options_;
};

/// Agents and net lie in one layout.
template <class Agent_, class Net, class Optimizer_>
using QtranLearner = Learner<QtranObjective<Agent_, Net>, Optimizer_>;

}  // namespace qatten::inline QATTEN_ABI
