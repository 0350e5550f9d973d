// Losses other than Q-learning's through a mixer, and QPLEX, whose mixer reads actions: gradients of the whole against
// dual numbers, over ragged episodes with masked actions, and in tiles.

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/qplex.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/replay/tiled_batch.hpp"
#include "support/episodes.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 3, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .unit_dim = 1};

AgentOptions team(bool share_parameters = true) {
  return {.n_agents = 3, .n_actions = 3, .obs_shape = 3, .hidden_dim = 3, .share_parameters = share_parameters};
}

QLearnerOptions options(bool double_q, double td_lambda) {
  return {.gamma = 0.9, .td_lambda = td_lambda, .double_q = double_q, .loss_scale = double_q ? 0.5 : 1};
}

/// `make(layout, scalar)` lays an objective out.
template <class Scalar, class Make>
auto make_learner(ParameterLayout& layout, const Make& make) {
  auto objective = make(layout, Scalar());
  return Learner<decltype(objective), Adam<Scalar>>(layout, std::move(objective), Adam<Scalar>(), Random(0));
}

template <class Make>
void check(const Make& make) {
  using D = Dual<double>;
  ParameterLayout layout, same_layout;
  auto learner = make_learner<double>(layout, make);
  auto dual = make_learner<D>(same_layout, make);
  for (const std::uint64_t seed : {1U, 2U}) {
    INFO("seed " << seed);
    Random random(seed);
    const auto episodes = random_episodes<double>({3, 5, 1, 3}, random, sizes);
    const Vector<double> p = 0.8 * random_matrix<double>(layout.size(), 1, random);
    const Vector<double> target = 0.8 * random_matrix<double>(layout.size(), 1, random);
    const auto batch = batch_of<double>(episodes);
    const auto dual_batch = batch_of<D>(episodes);
    const Vector<D> dual_target = target.cast<D>();
    const Vector<double> gradient = learner.gradient(p, target, batch);
    check_by_duals(layout, p, gradient, [&](const Vector<D>& q) { return dual.loss(q, dual_target, dual_batch); });
    for (const NamedBlock& b : layout.blocks()) {
      INFO(b.name);
      CHECK(block(gradient, b).cwiseAbs().maxCoeff() > 0);
    }
    CHECK(same(learner.gradient(p, target, batch), gradient));  // nothing is left over from the first time

    TiledBatch<double> tiled;
    std::vector<const Episode<double>*> many;
    for (int copy = 0; copy < 24; ++copy)
      for (const auto& e : episodes) many.push_back(&e);
    tiled.assign(many);
    REQUIRE(tiled.tiles().size() > 1);
    CHECK(distance(learner.gradient(p, target, tiled.tiles()), gradient) <= 1e-12);  // copies change no mean
  }
}

}  // namespace

TEST_CASE("QTRAN-base and QTRAN-alt: gradients of the whole loss") {
  const QtranSizes net{.n_agents = 3, .n_actions = 3, .hidden_dim = 3, .state_dim = 4};
  const auto make = [&]<template <class> class Agent, template <class> class Net>(
                        bool share, bool hidden_value, const QLearnerOptions& o, const QtranLossOptions& weights) {
    INFO("hidden_value " << hidden_value << ", double_q " << o.double_q);
    check([&]<class S>(ParameterLayout& layout, S) {
      const Agent<S> agent(layout, "agent", team(share));
      const Net<S> joint(layout, "mixer", net, {.mixing_embed_dim = 4, .hidden_value = hidden_value});
      return QtranObjective<Agent<S>, Net<S>>(agent, joint, o, weights);
    });
  };
  make.template operator()<RecurrentAgent, QtranBase>(true, false, options(true, 0.6), {1, 0.1});
  make.template operator()<RecurrentAgent, QtranBase>(false, true, options(false, 0), {0.7, 0.9});
  make.template operator()<RecurrentAgent, QtranAlt>(true, true, options(true, 0), {1, 1});
  make.template operator()<FeedForwardAgent, QtranAlt>(true, false, options(false, 0.6), {0.7, 0.9});
}

TEST_CASE("WQMIX: gradients of the whole loss, with optimistic and central weights") {
  for (const bool optimistic : {true, false}) {
    for (const bool double_q : {true, false}) {
      INFO((optimistic ? "optimistic" : "central") << ", double_q " << double_q);
      const WeightedQmixOptions weighting{.hysteretic_qmix = optimistic, .w = 0.3, .central_loss = 0.7};
      check([&]<class S>(ParameterLayout& layout, S) {
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

TEST_CASE("QPLEX: gradients of the whole loss") {
  for (const bool double_q : {true, false}) {
    INFO("double_q " << double_q);
    check([&]<class S>(ParameterLayout& layout, S) {
      const RecurrentAgent<S> agent(layout, "agent", team());
      const Qplex<S> mixer(layout, "mixer", 3, 3, 4,
                           {.num_kernel = 2, .hypernet_embed = 3, .adv_hypernet_embed = double_q ? 4 : 0});
      return QObjective<RecurrentAgent<S>, Qplex<S>>(agent, mixer, options(double_q, double_q ? 0.6 : 0));
    });
  }
}
