// QTRAN, WQMIX and QPLEX where a sum and QMIX fail: all joint actions equally often.

#include "learning/table_learner.hpp"
#include "qatten/analysis/qtran_conditions.hpp"
#include "qatten/environments/games/mmdp.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/qplex.hpp"
#include "qatten/mixers/vdn.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::test;

namespace {

using Agents = FeedForwardAgent<float>;

QtranSizes sizes(const EnvironmentInfo& i, const Agents& agent) {
  return {i.n_agents, i.n_actions, agent.options().hidden_dim, i.state_shape};
}

/// The joint net must know the payoff of every joint action, the agents play the best one (IGM), and their sum keep
/// QTRAN's conditions: within 0.1.
template <template <class> class Net>
void check_qtran(const QtranLossOptions& weights) {
  using Objective = QtranObjective<Agents, Net<float>>;
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    MatrixGame game = named_game("qtran");
    TableLearner<Objective> training(
        game, seed, [&](ParameterLayout& layout, const Agents& agent, const auto& i, const QLearnerOptions& o) {
          return Objective(agent, Net<float>(layout, "mixer", sizes(i, agent)), o, weights);
        });
    training.train(2500, 1e-3);
    const Matrix<float> q = training.learner->q_tot();  // each joint action is one transition; alt has two views of it
    Vector<float> joint(q.cols());
    for (Index k = 0; k < q.cols(); ++k) joint(training.taken(k)) = q.col(k).mean();
    const double worst = double((q.rowwise() - training.batch.rewards.row(0)).cwiseAbs().maxCoeff());
    const IgmReport igm = check_igm(training.values(), {}, joint, training.learner->tile().v(0, 0));
    CAPTURE(seed, worst, to_string(igm));
    CHECK(worst < 0.1);
    CHECK(std::abs(igm.qtran->greedy) < 0.1);
    CHECK(igm.qtran->lowest > -0.1);
    right += igm.holds && igm.greedy.actions == std::vector<int>{0, 0};
  }
  CHECK(right >= 9);
}

/// Q_tot must be 8 where all play A and `elsewhere` in every other cell.
void check_wqmix(bool optimistic, double elsewhere) {
  using Objective = WeightedQmixObjective<Agents>;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    MatrixGame game = named_game("qtran");
    TableLearner<Objective> training(
        game, seed, [&](ParameterLayout& layout, const Agents& agent, const auto& i, const QLearnerOptions& o) {
          const Qmix<float> mixer(layout, "mixer", i.n_agents, i.state_shape);
          const Agents central_agent(layout, "central_agent", agent.options());
          const CentralMixer<float> central_mixer(layout, "central_mixer", i.n_agents, i.state_shape,
                                                  {.central_mixing_embed_dim = 64});
          return Objective(agent, mixer, central_agent, central_mixer, o, {.hysteretic_qmix = optimistic});
        });
    training.train(2000, 5e-3);
    const ConstView<float> q_tot = training.learner->q_tot();
    double worst = 0;
    for (Index k = 0; k < q_tot.cols(); ++k) {
      const bool best = training.taken(k) == 0;
      worst = std::max(worst, std::abs(double(q_tot(0, k)) - (best ? 8 : elsewhere)));
    }
    CAPTURE(seed, worst);
    CHECK(worst < 0.01);
    CHECK(greedy(training.values()) == 0);
  }
}

using QplexObjective = QObjective<Agents, Qplex<float>>;

QplexObjective make_qplex(ParameterLayout& layout, const Agents& agent, const EnvironmentInfo& i,
                          const QLearnerOptions& o) {
  const Qplex<float> mixer(layout, "mixer", i.n_agents, i.n_actions, i.state_shape,
                           {.num_kernel = 4, .hypernet_embed = 16, .adv_hypernet_embed = 256});
  return {agent, mixer, o};
}

/// QPLEX must play the best joint action. Small agents and a wide λ: see docs/math/qplex.md.
void check_qplex(const std::string& name, int updates) {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    MatrixGame game = named_game(name);
    TableLearner<QplexObjective> training(game, seed, make_qplex, {.hidden_dim = 16, .rmsprop = true});
    training.train_on_draws(updates, 2e-3, 16, Random(seed, "replay"));
    right += greedy(training.values()) == 0;
  }
  CHECK(right >= 9);
}

/// The largest value after 2000, 4000 and 6000 updates on uniform data of two steps of MMDP.
template <class Make>
std::vector<double> mmdp_values(const Make& make) {
  using Objective = decltype(make(std::declval<ParameterLayout&>(), std::declval<const Agents&>(), EnvironmentInfo{},
                                  QLearnerOptions{}));
  Mmdp game(1, 2);
  TableLearner<Objective> training(game, 1, make, {.steps = 2, .gamma = 0.9});
  std::vector<double> values;
  for (int part = 0; part < 3; ++part) {
    training.train(2000, 2e-3);
    values.push_back(double(training.learner->q_tot().maxCoeff()));
  }
  return values;
}

}  // namespace

TEST_CASE("QTRAN-base knows QTRAN's matrix and plays its optimum") { check_qtran<QtranBase>({}); }
TEST_CASE("QTRAN-alt knows QTRAN's matrix and plays its optimum") { check_qtran<QtranAlt>({1, 1}); }

TEST_CASE("CW-QMIX reaches its fixed point on QTRAN's matrix") { check_wqmix(false, -6); }
TEST_CASE("OW-QMIX reaches its fixed point on QTRAN's matrix") { check_wqmix(true, -12 * 0.1 / 1.1); }

TEST_CASE("QPLEX finds the optimum of QTRAN's matrix") { check_qplex("qtran", 6000); }
TEST_CASE("QPLEX finds the optimum of matrix_game_3") { check_qplex("matrix_game_3", 10000); }

// γ = 0.9, V* = 10. From uniform data a sum obeys V <- 3/4 + 9/8 V, without end; QMIX's best fit is the same table.
TEST_CASE("on MMDP the values of VDN and QMIX diverge, QPLEX's do not") {
  const auto vdn = mmdp_values([](ParameterLayout&, const Agents& agent, const auto& i, const QLearnerOptions& o) {
    return QObjective<Agents, Vdn<float>>(agent, Vdn<float>(i.n_agents), o);
  });
  const auto qmix =
      mmdp_values([](ParameterLayout& layout, const Agents& agent, const auto& i, const QLearnerOptions& o) {
        return QObjective<Agents, Qmix<float>>(agent, Qmix<float>(layout, "mixer", i.n_agents, i.state_shape), o);
      });
  const auto qplex = mmdp_values(make_qplex);
  for (const auto& diverging : {vdn, qmix}) {
    CAPTURE(diverging[0], diverging[1], diverging[2]);
    CHECK(diverging[0] > 2 * 10);
    CHECK(diverging[1] > 2 * diverging[0]);
    CHECK(diverging[2] > 2 * diverging[1]);
  }
  CAPTURE(qplex[0], qplex[1], qplex[2]);
  for (const double value : qplex) CHECK(std::abs(value - 10) < 1);
}
