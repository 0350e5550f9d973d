// QTRAN's losses with their stop-gradients.

#include "qatten/learners/qtran.hpp"

#include "qatten/agents/recurrent.hpp"
#include "support/objective_check.hpp"

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("QTRAN-base and QTRAN-alt: gradients of the whole loss") {
  const QtranSizes net{.n_agents = 3, .n_actions = 3, .hidden_dim = 3, .state_dim = 4};
  const auto make = [&]<template <class> class Net>(bool share, bool hidden_value, const QLearnerOptions& o,
                                                    const QtranLossOptions& weights) {
    INFO("hidden_value " << hidden_value << ", double_q " << o.double_q);
    check_objective([&]<class S>(ParameterLayout& layout, S) {
      const RecurrentAgent<S> agent(layout, "agent", team(share));
      const Net<S> joint(layout, "mixer", net, {.mixing_embed_dim = 4, .hidden_value = hidden_value});
      return QtranObjective<RecurrentAgent<S>, Net<S>>(agent, joint, o, weights);
    });
  };
  make.template operator()<QtranBase>(true, false, options(true, 0.6), {1, 0.1});
  make.template operator()<QtranBase>(false, true, options(false, 0), {0.7, 0.9});
  make.template operator()<QtranAlt>(true, true, options(true, 0), {1, 1});
  make.template operator()<QtranAlt>(true, false, options(false, 0.6), {0.7, 0.9});
}
