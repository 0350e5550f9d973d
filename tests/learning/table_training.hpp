#pragma once
// Q-learning through a mixer on all the data there is, each once.

#include "learning/table_learner.hpp"
#include "qatten/analysis/joint_table.hpp"
#include "qatten/learners/q_learner.hpp"

namespace qatten::test {

/// `MakeMixer(layout, info)` lays the mixer out.
template <class M>
class TableTraining : public TableLearner<QObjective<FeedForwardAgent<float>, M>> {
  using Agent = FeedForwardAgent<float>;
  using Objective = QObjective<Agent, M>;

 public:
  template <Environment E, class MakeMixer>
  TableTraining(E& environment, std::uint64_t seed, const MakeMixer& make, const TableOptions& options = {})
      : TableLearner<Objective>(
            environment, seed,
            [&](ParameterLayout& layout, const Agent& agent, const EnvironmentInfo& info, const QLearnerOptions& o) {
              return Objective(agent, make(layout, info), o);
            },
            options) {}

  /// Q_tot of every joint action at observation column `column` of the batch.
  Vector<double> table(Index column = 0) {
    return joint_table(this->learner->objective().mixer(), this->learner->state().parameters, this->values(column),
                       this->batch.state.col(column), this->batch.units.col(column))
        .template cast<double>();
  }
};

}  // namespace qatten::test
