#include "qatten/replay/episode_batch.hpp"

#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// Every entry of the batch against the episodes it was made of.
template <class Scalar, class Stored>
void check(const EpisodeBatch<Scalar>& batch, const std::vector<Episode<Stored>>& episodes) {
  const Index n = episodes.front().n_agents(), count = static_cast<Index>(episodes.size());
  REQUIRE(batch.n_agents == n);
  REQUIRE(batch.ragged.sequences() == count);
  REQUIRE(batch.transitions.sequences() == count);
  REQUIRE(static_cast<Index>(batch.order.size()) == count);
  std::vector<int> seen(episodes.size());
  Index observations = 0, transitions = 0;
  for (Index b = 0; b < count; ++b) {
    const Index given = batch.order[static_cast<std::size_t>(b)];
    ++seen[static_cast<std::size_t>(given)];
    const Episode<Stored>& e = episodes[static_cast<std::size_t>(given)];
    const Index length = e.length();
    REQUIRE(batch.ragged.length(b) == length + 1);
    REQUIRE(batch.transitions.length(b) == length);
    observations += length + 1;
    transitions += length;
    const auto cast = [](const auto& x) { return x.template cast<Scalar>().eval(); };
    for (Index t = 0; t <= length; ++t) {
      const Index o = batch.observation(b, t);
      CHECK(same(batch.state.col(o), cast(e.state.col(t))));
      CHECK(same(batch.units.col(o), cast(e.units.col(t))));
      CHECK(same(batch.alive.col(o), e.alive.col(t)));
      CHECK(same(batch.obs.middleCols(o * n, n), cast(e.obs.middleCols(t * n, n))));
      CHECK(same(batch.available.middleCols(o * n, n), e.available.middleCols(t * n, n)));
      for (Index i = 0; i < n; ++i) CHECK(batch.last_actions(0, o * n + i) == (t == 0 ? -1 : e.actions(i, t - 1)));
    }
    for (Index t = 0; t < length; ++t) {
      const Index k = batch.transitions.column(b, t);
      CHECK(same(batch.actions.col(k), e.actions.col(t)));
      CHECK(batch.rewards(0, k) == Scalar(e.rewards(t)));
      CHECK(batch.continues(0, k) == (e.terminated && t + 1 == length ? 0 : 1));
      CHECK(same(batch.transition_state.col(k), cast(e.state.col(t))));
      CHECK(same(batch.transition_units.col(k), cast(e.units.col(t))));
      CHECK(same(batch.transition_alive.col(k), e.alive.col(t)));
      CHECK(batch.observation(b, t + 1) == count + k);  // where the transition leads
    }
  }
  CHECK(seen == std::vector<int>(episodes.size(), 1));
  CHECK(batch.ragged.total() == observations);
  CHECK(batch.transitions.total() == transitions);
  for (const Index cols : {batch.state.cols(), batch.units.cols(), batch.alive.cols()}) CHECK(cols == observations);
  for (const Index cols : {batch.obs.cols(), batch.last_actions.cols(), batch.available.cols()})
    CHECK(cols == n * observations);
  for (const Index cols : {batch.actions.cols(), batch.rewards.cols(), batch.continues.cols(),
                           batch.transition_state.cols(), batch.transition_units.cols(), batch.transition_alive.cols()})
    CHECK(cols == transitions);
}

}  // namespace

TEST_CASE("a batch holds every entry of its episodes, and nothing else") {
  Random random(1);
  for (int draw = 0; draw < 20; ++draw) {
    std::vector<Index> lengths(static_cast<std::size_t>(1 + random.integer(6)));
    for (Index& length : lengths) length = 1 + random.integer(7);
    const auto episodes = random_episodes<double>(lengths, random);
    check(batch_of<double>(episodes), episodes);
  }
}

TEST_CASE("a batch of floats may be made of doubles, and of the other way round") {
  Random random(2);
  const auto doubles = random_episodes<double>({2, 5, 3}, random);
  check(batch_of<float>(doubles), doubles);
  const auto floats = random_episodes<float>({2, 5, 3}, random);
  check(batch_of<double>(floats), floats);
}

TEST_CASE("a batch assigned again forgets the former one") {
  Random random(3);
  const auto large = random_episodes<double>({6, 2, 4, 4}, random), small = random_episodes<double>({1, 3}, random);
  EpisodeBatch<double> batch;
  for (const auto* episodes : {&large, &small, &large}) {
    std::vector<const Episode<double>*> pointers;
    for (const auto& e : *episodes) pointers.push_back(&e);
    batch.assign(pointers);
    check(batch, *episodes);
  }
}

TEST_CASE("episodes of equal length keep their order") {
  Random random(4);
  CHECK(batch_of<double>(random_episodes<double>({2, 3, 2, 3, 2}, random)).order == std::vector<Index>{1, 3, 0, 2, 4});
}

TEST_CASE("a batch rejects an episode that is inconsistent") {
  Random random(6);
  std::vector<Episode<double>> episodes = random_episodes<double>({2, 3}, random);
  episodes[1].actions(0, 2) = 77;
  CHECK_THROWS_AS(batch_of<double>(episodes), Error);
}

TEST_CASE("a batch rejects no episodes, and episodes of different sizes") {
  CHECK_THROWS_AS(batch_of<double>(std::vector<Episode<double>>()), Error);
  Random random(5);
  const EpisodeSizes good;
  std::vector<EpisodeSizes> bad(5, good);
  ++bad[0].n_agents;
  ++bad[1].n_actions;
  ++bad[2].obs_shape;
  ++bad[3].state_shape;
  ++bad[4].unit_dim;
  for (const EpisodeSizes& sizes : bad) {
    const std::vector<Episode<double>> episodes = {random_episode<double>(2, true, random, good),
                                                   random_episode<double>(2, true, random, sizes)};
    CHECK_THROWS_AS(batch_of<double>(episodes), Error);
  }
}
