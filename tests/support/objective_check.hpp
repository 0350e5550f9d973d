#pragma once
// A whole loss, whatever the objective: its gradient against dual numbers, over ragged episodes with masked actions,
// and in tiles.

#include "qatten/learners/learner.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/replay/tiled_batch.hpp"
#include "support/episodes.hpp"
#include "support/numbers.hpp"

namespace qatten::testing {

inline const EpisodeSizes objective_sizes{
    .n_agents = 3, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .unit_dim = 1};

inline AgentOptions team(bool share_parameters = true) {
  return {.n_agents = 3, .n_actions = 3, .obs_shape = 3, .hidden_dim = 3, .share_parameters = share_parameters};
}

inline QLearnerOptions options(bool double_q, double td_lambda) {
  return {.gamma = 0.9, .td_lambda = td_lambda, .double_q = double_q, .loss_scale = double_q ? 0.5 : 1};
}

/// `make(layout, scalar)` lays an objective out.
template <class Scalar, class Make>
auto make_learner(ParameterLayout& layout, const Make& make) {
  auto objective = make(layout, Scalar());
  return Learner<decltype(objective), Adam<Scalar>>(layout, std::move(objective), Adam<Scalar>(), Random(0));
}

template <class Make>
void check_objective(const Make& make) {
  using D = Dual<double>;
  ParameterLayout layout, same_layout;
  auto learner = make_learner<double>(layout, make);
  auto dual = make_learner<D>(same_layout, make);
  for (const std::uint64_t seed : {1U, 2U}) {
    INFO("seed " << seed);
    Random random(seed);
    const auto episodes = random_episodes<double>({3, 5, 1, 3}, random, objective_sizes);
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

}  // namespace qatten::testing
