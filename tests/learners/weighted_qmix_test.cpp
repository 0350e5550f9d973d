// WQMIX's loss: two systems, weights that are constants.

#include "qatten/learners/weighted_qmix.hpp"

#include "qatten/agents/recurrent.hpp"
#include "support/objective_check.hpp"

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("WQMIX: gradients of the whole loss, with optimistic and central weights") {
  for (const bool optimistic : {true, false}) {
    for (const bool double_q : {true, false}) {
      INFO((optimistic ? "optimistic" : "central") << ", double_q " << double_q);
      const WeightedQmixOptions weighting{.hysteretic_qmix = optimistic, .w = 0.3, .central_loss = 0.7};
      check_objective([&]<class S>(ParameterLayout& layout, S) {
        const RecurrentAgent<S> agent(layout, "agent", team());
        const Qmix<S> mixer(layout, "mixer", 3, 4, {.mixing_embed_dim = 3, .hypernet_embed = 4});
        const RecurrentAgent<S> central_agent(layout, "central_agent", team());
        const CentralMixer<S> central_mixer(layout, "central_mixer", 3, 4, {.central_mixing_embed_dim = 5});
        return WeightedQmixObjective<RecurrentAgent<S>>(agent, mixer, central_agent, central_mixer,
                                                        options(double_q, double_q ? 0.6 : 0), weighting);
      });
    }
  }
}
