// QTRAN, WQMIX and QPLEX where a sum and QMIX fail: all joint actions equally often.

#include "learning/table_learner.hpp"
#include "qatten/analysis/qtran_conditions.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/learners/qtran.hpp"
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

}  // namespace

TEST_CASE("QTRAN-base knows QTRAN's matrix and plays its optimum") { check_qtran<QtranBase>({}); }
TEST_CASE("QTRAN-alt knows QTRAN's matrix and plays its optimum") { check_qtran<QtranAlt>({1, 1}); }
