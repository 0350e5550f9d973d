// A batch in tiles is the batch: the same gradient, and the same bits from any number of threads.

#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/replay/tiled_batch.hpp"
#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 20, .n_actions = 3, .obs_shape = 3, .state_shape = 40, .unit_dim = 2};

/// Masked and regularised: N, over which the regulariser averages, is the whole batch's, and differs from tile to tile.
const auto make_qatten = []<class S>(ParameterLayout& layout, S) {
  QattenOptions options = QattenOptions::authors();
  options.mask_dead = true;
  return Qatten<S>(layout, "mixer", sizes.n_agents, sizes.state_shape, sizes.unit_dim, options);
};
const auto make_qmix = []<class S>(ParameterLayout& layout, S) {
  return Qmix<S>(layout, "mixer", sizes.n_agents, sizes.state_shape);
};
const auto make_iql = []<class S>(ParameterLayout&, S) { return Independent<S>(sizes.n_agents); };

template <template <class> class Agent, class S, class Make>
auto make_learner(const Make& make) {
  ParameterLayout layout;
  const Agent<S> agent(layout, "agent",
                       {.n_agents = sizes.n_agents, .n_actions = sizes.n_actions, .obs_shape = sizes.obs_shape});
  const auto mixer = make(layout, S());
  using M = std::remove_cvref_t<decltype(mixer)>;
  return QLearner<Agent<S>, M, Adam<S>>(layout, agent, mixer, Adam<S>(), {.td_lambda = 0.6}, Random(3));
}

template <class S>
struct Batches {
  std::vector<Episode<S>> episodes;
  EpisodeBatch<S> whole;
  TiledBatch<S> tiled;

  explicit Batches(std::uint64_t seed) {
    Random random(seed);
    std::vector<Index> lengths;
    for (int k = 0; k < 13; ++k) lengths.push_back(1 + random.integer(9));
    episodes = random_episodes<S>(lengths, random, sizes);
    std::vector<const Episode<S>*> pointers;
    for (const auto& e : episodes) pointers.push_back(&e);
    whole.assign(pointers);
    tiled.assign(pointers);
  }
};

template <template <class> class Agent = RecurrentAgent, class Make>
void check_gradient(const Make& make) {
  const Batches<double> batches(1);
  REQUIRE(batches.tiled.tiles().size() == 4);
  auto learner = make_learner<Agent, double>(make);
  const Vector<double> p = learner.state().parameters, target = 0.9 * p;
  const double loss = learner.loss(p, target, batches.whole);
  const Vector<double> whole = learner.gradient(p, target, batches.whole);
  CHECK(distance(learner.gradient(p, target, batches.tiled.tiles()), whole) <= 1e-12);
  const QLearnerStats stats = learner.update(batches.tiled.tiles());

  auto twin = make_learner<Agent, double>(make);
  const QLearnerStats same_stats = twin.update(batches.whole);
  CHECK(std::abs(stats.loss - same_stats.loss) <= 1e-12 * std::abs(loss));
  CHECK(std::abs(stats.td_error_abs - same_stats.td_error_abs) <= 1e-12 * stats.td_error_abs);
  CHECK(std::abs(stats.q_taken_mean - same_stats.q_taken_mean) <= 1e-12);
  CHECK(std::abs(stats.target_mean - same_stats.target_mean) <= 1e-12);
}

template <template <class> class Agent = RecurrentAgent, class Make>
void check_threads(const Make& make) {
  const Batches<float> first(1), second(2);
  const auto train = [&](const Threads* threads) {
    auto learner = make_learner<Agent, float>(make);
    learner.set_threads(threads);
    for (int k = 0; k < 5; ++k) {
      learner.update(first.tiled.tiles());
      learner.update(second.tiled.tiles());
    }
    return learner.state().parameters;
  };
  const Vector<float> alone = train(nullptr);
  for (const int count : {1, 2, 3}) {
    CAPTURE(count);
    const Threads threads(count);
    CHECK(same(train(&threads), alone));
  }
}

}  // namespace

TEST_CASE("the gradient of a batch in tiles is the batch's") {
  check_gradient(make_qatten);
  check_gradient(make_qmix);
  check_gradient(make_iql);
  check_gradient<TarmacAgent>(make_qmix);
}

TEST_CASE("one, two or three threads train to the same bits") {
  check_threads(make_qatten);
  check_threads(make_qmix);
  check_threads(make_iql);
  check_threads<TarmacAgent>(make_qmix);
}
