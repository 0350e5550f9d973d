// After prepare, the library allocates nothing. The shapes are small enough that Eigen, too, has its packing buffers on
// the stack (below EIGEN_STACK_ALLOCATION_LIMIT, 128 KB); with larger products Eigen may allocate, the library not.
//
// This program counts every malloc, calloc, realloc, aligned_alloc and posix_memalign, and with them operator new.
// Sanitizers bring an allocator of their own, so that under them there is nothing to count.

#if defined(__SANITIZE_ADDRESS__)
#define QATTEN_TEST_COUNTS 0
#elif defined(__has_feature)
#define QATTEN_TEST_COUNTS !(__has_feature(address_sanitizer) || __has_feature(memory_sanitizer))
#else
#define QATTEN_TEST_COUNTS 1
#endif
#if !defined(__GLIBC__) && !__has_include(<gnu/libc-version.h>)
#undef QATTEN_TEST_COUNTS
#define QATTEN_TEST_COUNTS 0
#endif

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/learners/coma.hpp"
#include "qatten/learners/maac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/qplex.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "support/agent_options.hpp"
#include "support/episodes.hpp"
#include "support/mixer_cases.hpp"

namespace {

std::atomic<long> allocations{0};

/// How many allocations f makes.
template <class F>
long allocations_of(const F& f) {
  const long before = allocations;
  f();
  return allocations - before;
}

}  // namespace

#if QATTEN_TEST_COUNTS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory != nullptr ? 0 : ENOMEM;
}
}

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("the counter counts") {
  std::unique_ptr<int> one;
  CHECK(allocations_of([&] { one = std::make_unique<int>(1); }) == 1);
  void* volatile memory = nullptr;
  const auto counts = [&](const auto& allocate) {
    const long count = allocations_of([&] { memory = allocate(); });
    std::free(memory);
    return count;
  };
  CHECK(counts([] { return std::malloc(10); }) == 1);
  CHECK(counts([] { return std::calloc(10, 1); }) == 1);
  CHECK(counts([] { return std::realloc(nullptr, 10); }) == 1);
  CHECK(counts([] { return std::aligned_alloc(64, 64); }) == 1);
  CHECK(counts([] {
          void* aligned = nullptr;
          return posix_memalign(&aligned, 64, 10) == 0 ? aligned : nullptr;
        }) == 1);
  CHECK(allocations_of([&] { memory = Matrix<double>(3, 3).data(); }) == 1);
  CHECK(allocations_of([] {}) == 0);
}

TEST_CASE("mixers allocate nothing after prepare") {
  constexpr Index n_agents = 3, state_dim = 5, unit_dim = 2, rows = 6;
  for (const MixerCase& c : mixer_cases()) {
    INFO(c.name);
    ParameterLayout layout;
    const auto mixer = mixer_under_test<float>(c, layout, n_agents, state_dim, unit_dim);
    Random random(1);
    const Vector<float> p = random_matrix<float>(layout.size(), 1, random);
    const MixerData<float> data(n_agents, state_dim, unit_dim, rows, random);
    mixer->prepare(rows);
    Matrix<float> q_tot(mixer->outputs(), rows), dqs(n_agents, rows);
    Vector<float> gradients = Vector<float>::Zero(layout.size());
    const MixerInputs<float> in = data.inputs();
    const MixerInputs<float> one{data.qs.col(0), data.state.col(0), data.units.col(0), data.alive.col(0)};
    CHECK(allocations_of([&] { mixer->forward(p, in, q_tot); }) == 0);
    CHECK(allocations_of([&] { mixer->evaluate(p, in, q_tot); }) == 0);
    CHECK(allocations_of([&] { mixer->backward(p, in, q_tot, gradients, dqs); }) == 0);
    CHECK(allocations_of([&] { mixer->evaluate(p, one, q_tot.col(0)); }) == 0);
  }
}

namespace {

template <class A>
void check_team(const AgentOptions& options) {
  INFO(description(options));
  ParameterLayout layout;
  const A agent(layout, "agent", options);
  Random random(1);
  const Vector<float> p = random_matrix<float>(layout.size(), 1, random);
  const Ragged ragged(std::vector<Index>{4, 3, 1});
  const Index columns = ragged.total() * options.n_agents, batch = ragged.sequences() * options.n_agents;
  const Matrix<float> obs = random_matrix<float>(options.obs_shape, columns, random);
  const Matrix<std::int32_t> last_actions = random_last_actions(options, ragged, random);
  typename A::Cache cache;
  typename A::Scratch scratch;
  agent.prepare(cache, scratch, columns, batch);
  Matrix<float> q(options.n_actions, columns), hidden = Matrix<float>::Zero(options.hidden_dim, batch);
  Vector<float> gradients = Vector<float>::Zero(layout.size());
  const AgentInputs<float> in{obs, last_actions}, one_step{obs.leftCols(batch), last_actions.leftCols(batch)};
  CHECK(allocations_of([&] { agent.step(p, one_step, hidden, q.leftCols(batch), scratch); }) == 0);
  CHECK(allocations_of([&] { agent.forward(p, ragged, in, {}, q, cache, scratch); }) == 0);
  CHECK(allocations_of([&] { agent.evaluate(p, ragged, in, {}, q, scratch); }) == 0);
  CHECK(allocations_of([&] { agent.backward(p, cache, ragged, in, {}, q, gradients, {}, {}, scratch); }) == 0);
}

}  // namespace

TEST_CASE("agents allocate nothing after prepare, acting or learning") {
  for (const AgentOptions& options : agent_options(true)) check_team<RecurrentAgent<float>>(options);
  for (const AgentOptions& options : agent_options(false)) check_team<FeedForwardAgent<float>>(options);
  for (const AgentOptions& options : tarmac_options()) check_team<TarmacAgent<float>>(options);
}

TEST_CASE("optimisers allocate nothing after prepare") {
  const auto check = []<class O>(const O& optimizer) {
    Vector<float> p = Vector<float>::Ones(100);
    const Vector<float> g = Vector<float>::Ones(100);
    typename O::State state;
    optimizer.prepare(state, 100);
    CHECK(allocations_of([&] { optimizer.update(p, g, state); }) == 0);
  };
  check(Adam<float>());
  check(RmsProp<float>());
}

namespace {

template <class Agents>
void check_updates(Index comm_rounds) {
  Random random(2);
  const auto episodes = random_episodes<float>({3, 5, 2}, random), shorter = random_episodes<float>({2, 1}, random);
  auto batch = batch_of<float>(episodes);
  const auto smaller = batch_of<float>(shorter);
  ParameterLayout layout;
  const Agents agent(layout, "agent",
                     {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden_dim = 8, .comm_rounds = comm_rounds});
  const Qatten<float> mixer(layout, "mixer", 2, 4, 2, QattenOptions::authors());
  QLearner<Agents, Qatten<float>, Adam<float>> learner(layout, agent, mixer, Adam<float>(), {}, Random(3));
  learner.update(batch);
  CHECK(allocations_of([&] { learner.update(batch); }) == 0);
  CHECK(allocations_of([&] { learner.update(smaller); }) == 0);
  CHECK(allocations_of([&] { learner.update(batch, 1000); }) == 0);  // copies the target

  const Threads threads(2);
  learner.set_threads(&threads);
  learner.update(batch);
  learner.set_threads(nullptr);
  learner.update(batch);
  learner.set_threads(&threads);  // their memory is still there
  CHECK(allocations_of([&] { learner.update(batch); }) == 0);
}

}  // namespace

TEST_CASE("updates on batches that fit allocate nothing, repacking the batch little") {
  check_updates<RecurrentAgent<float>>(1);
  check_updates<TarmacAgent<float>>(2);
}

TEST_CASE("updates of QTRAN, WQMIX and QPLEX that fit allocate nothing") {
  Random random(2);
  const auto episodes = random_episodes<float>({3, 5, 2}, random), shorter = random_episodes<float>({2, 1}, random);
  const auto batch = batch_of<float>(episodes), smaller = batch_of<float>(shorter);
  using Agents = RecurrentAgent<float>;
  const auto check = [&](const auto& make) {
    ParameterLayout layout;
    const Agents agent(layout, "agent", {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden_dim = 8});
    auto objective = make(layout, agent);
    Learner<decltype(objective), Adam<float>> learner(layout, objective, Adam<float>(), Random(3));
    learner.update(batch);
    CHECK(allocations_of([&] { learner.update(batch); }) == 0);
    CHECK(allocations_of([&] { learner.update(smaller); }) == 0);
  };
  const QtranSizes sizes{.n_agents = 2, .n_actions = 3, .hidden_dim = 8, .state_dim = 4};
  check([&](ParameterLayout& layout, const Agents& agent) {
    return QtranObjective(agent, QtranBase<float>(layout, "mixer", sizes), {});
  });
  check([&](ParameterLayout& layout, const Agents& agent) {
    return QtranObjective(agent, QtranAlt<float>(layout, "mixer", sizes), {});
  });
  for (const bool optimistic : {true, false})
    check([&](ParameterLayout& layout, const Agents& agent) {
      const Qmix<float> mixer(layout, "mixer", 2, 4);
      const Agents central_agent(layout, "central_agent", agent.options());
      const CentralMixer<float> central_mixer(layout, "central_mixer", 2, 4, {.central_mixing_embed_dim = 16});
      return WeightedQmixObjective(agent, mixer, central_agent, central_mixer, {}, {.hysteretic_qmix = optimistic});
    });
  check([&](ParameterLayout& layout, const Agents& agent) {
    return QObjective(agent, Qplex<float>(layout, "mixer", 2, 3, 4, {.adv_hypernet_embed = 8}), {});
  });
}

TEST_CASE("updates of COMA that fit allocate nothing") {
  Random random(2);
  const auto episodes = random_episodes<float>({3, 5, 2}, random), shorter = random_episodes<float>({2, 1}, random);
  const auto batch = batch_of<float>(episodes), smaller = batch_of<float>(shorter);
  ParameterLayout layout;
  const RecurrentAgent<float> agent(layout, "agent", {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden_dim = 8});
  const ComaCritic<float> critic(layout, "critic",
                                 {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .hidden = 16});
  ComaLearner<RecurrentAgent<float>, Adam<float>> learner(layout, agent, critic, Adam<float>(), Adam<float>(), {}, 3);
  learner.update(batch, 0, 0.1);
  CHECK(allocations_of([&] { learner.update(batch, 0, 0.1); }) == 0);
  CHECK(allocations_of([&] { learner.update(smaller, 0, 0.1); }) == 0);
  while (learner.state().critic.last_target_update == 0)
    CHECK(allocations_of([&] { learner.update(batch, 0, 0.1); }) == 0);
}

TEST_CASE("updates of MAAC that fit allocate nothing") {
  Random random(2);
  const auto episodes = random_episodes<float>({3, 5, 2}, random), shorter = random_episodes<float>({2, 1}, random);
  const auto batch = batch_of<float>(episodes), smaller = batch_of<float>(shorter);
  for (const bool share : {true, false}) {
    ParameterLayout layout;
    const RecurrentAgent<float> agent(layout, "agent",
                                      {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden_dim = 8});
    const MaacCritic<float> critic(
        layout, "critic", {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .hidden = 16, .share_parameters = share});
    MaacLearner<RecurrentAgent<float>, Adam<float>> learner(layout, agent, critic, Adam<float>(), Adam<float>(), {}, 3);
    learner.update(batch, 0);
    CHECK(allocations_of([&] { learner.update(batch, 0); }) == 0);
    CHECK(allocations_of([&] { learner.update(smaller, 0); }) == 0);
    CHECK(allocations_of([&] { learner.update(batch, 0); }) == 0);
  }
}
#else
TEST_CASE("allocations are not counted here") {
  CHECK(allocations_of([] {}) == 0);
}
#endif
