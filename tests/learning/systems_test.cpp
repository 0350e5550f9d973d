// QTRAN, WQMIX and QPLEX where a sum and QMIX fail: all joint actions equally often.

#include "learning/table_learner.hpp"
#include "qatten/analysis/qtran_conditions.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::test;

namespace {

using Agent = FeedForwardAgent<float>;

QtranSizes sizes(const EnvironmentInfo& i, const Agent& agent) {
  return {i.n_agents, i.n_actions, agent.options().hidden_dim, i.state_shape};
}

/// The joint net must know the payoff of every joint action, the agents play the best one, and their sum keep QTRAN's
/// conditions: within 0.1.
template <template <class> class Net>
void check_qtran(const QtranLossOptions& weights) {
  using Objective = QtranObjective<Agent, Net<float>>;
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    MatrixGame game = named_game("qtran");
    TableLearner<Objective> training(
        game, seed, [&](ParameterLayout& layout, const Agent& agent, const auto& i, const QLearnerOptions& o) {
          return Objective(agent, Net<float>(layout, "mixer", sizes(i, agent)), o, weights);
        });
    training.train(2500, 1e-3);
    const Matrix<float> q = training.learner->q_tot();  // each joint action is one transition; alt has two views of it
    Vector<float> joint(q.cols());
    for (Index k = 0; k < q.cols(); ++k)
      joint(joint_index(training.actions(k), game.info().n_actions)) = q.col(k).mean();
    const double worst = double((q.rowwise() - training.batch.rewards.row(0)).cwiseAbs().maxCoeff());
    const QtranConditions conditions =
        qtran_conditions<float>(training.values(), joint, training.learner->tile().v(0, 0));
    CAPTURE(seed, worst, conditions.greedy, conditions.lowest);
    CHECK(worst < 0.1);
    CHECK(std::abs(conditions.greedy) < 0.1);
    CHECK(conditions.lowest > -0.1);
    right += training.greedy() == 0;
  }
  CHECK(right >= 9);
}

/// Q_tot must be 8 where all play A and `elsewhere` in every other cell.
void check_wqmix(bool optimistic, double elsewhere) {
  using Objective = WeightedQmixObjective<Agent>;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    MatrixGame game = named_game("qtran");
    TableLearner<Objective> training(
        game, seed, [&](ParameterLayout& layout, const Agent& agent, const auto& i, const QLearnerOptions& o) {
          const Qmix<float> mixer(layout, "mixer", i.n_agents, i.state_shape);
          const Agent central_agent(layout, "central_agent", agent.options());
          const CentralMixer<float> central_mixer(layout, "central_mixer", i.n_agents, i.state_shape,
                                                  {.central_mixing_embed_dim = 64});
          return Objective(agent, mixer, central_agent, central_mixer, o, {.hysteretic_qmix = optimistic});
        });
    training.train(2000, 5e-3);
    const ConstView<float> q_tot = training.learner->q_tot();
    double worst = 0;
    for (Index k = 0; k < q_tot.cols(); ++k) {
      const bool best = joint_index(training.actions(k), 3) == 0;
      worst = std::max(worst, std::abs(double(q_tot(0, k)) - (best ? 8 : elsewhere)));
    }
    CAPTURE(seed, worst);
    CHECK(worst < 0.01);
    CHECK(training.greedy() == 0);
  }
}

}  // namespace

TEST_CASE("QTRAN-base knows QTRAN's matrix and plays its optimum") { check_qtran<QtranBase>({}); }
TEST_CASE("QTRAN-alt knows QTRAN's matrix and plays its optimum") { check_qtran<QtranAlt>({1, 1}); }

TEST_CASE("CW-QMIX reaches its fixed point on QTRAN's matrix") { check_wqmix(false, -6); }
TEST_CASE("OW-QMIX reaches its fixed point on QTRAN's matrix") { check_wqmix(true, -12 * 0.1 / 1.1); }
