#include "qatten/replay/packed_episode.hpp"

#include <limits>

#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// An episode whose state is SMAC's: units first, last actions behind `rest` more entries, `behind` entries after them.
Episode<float> smac_like(const EpisodeShape& s, Index behind, Random& random) {
  const EpisodeSizes sizes{s.n_agents, s.n_actions, s.obs_shape, s.state_shape, s.unit_dim};
  Episode<float> e = random_episode<float>(s.length, true, random, sizes);
  auto one_hot = e.state.middleRows(s.state_shape - behind - s.n_agents * s.n_actions, s.n_agents * s.n_actions);
  one_hot.setZero();
  for (Index t = 1; t <= s.length; ++t)
    for (Index i = 0; i < s.n_agents; ++i) one_hot(i * s.n_actions + e.actions(i, t - 1), t) = 1;
  e.units = e.state.topRows(e.units.rows());
  return e;
}

void check_same(const Episode<float>& a, const Episode<float>& b) {
  CHECK(a.shape() == b.shape());
  CHECK(a.terminated == b.terminated);
  CHECK(same(a.obs, b.obs));
  CHECK(same(a.state, b.state));
  CHECK(same(a.units, b.units));
  CHECK(same(a.available, b.available));
  CHECK(same(a.alive, b.alive));
  CHECK(same(a.actions, b.actions));
  CHECK(same(a.rewards, b.rewards));
}

}  // namespace

TEST_CASE("an episode comes back as it was") {
  Random random(1);
  Episode<float> back;
  for (const Index length : {1, 2, 9}) {
    for (const bool terminated : {false, true}) {
      Episode<float> e = random_episode<float>(length, terminated, random);
      const PackedEpisode packed(e, Precision::single);
      CHECK(!packed.header().units_in_state);
      CHECK(packed.header().last_actions_at == -1);
      packed.unpack(back);
      check_same(back, e);
    }
  }
  for (const Index behind : {0, 1}) {
    for (const Index n_actions : {3, 300}) {
      const EpisodeShape s{3, n_actions, 5, 3 * n_actions + 9 + behind, 2, 6};
      const Episode<float> e = smac_like(s, behind, random);
      const PackedEpisode packed(e, Precision::single);
      CHECK(packed.header().units_in_state);
      CHECK(packed.header().last_actions_at == 9);
      packed.unpack(back);
      check_same(back, e);
    }
  }
}

TEST_CASE("units that are last actions, in a state of nothing else, come back as well") {
  Random random(6);
  const EpisodeShape s{3, 4, 5, 12, 4, 6};
  Episode<float> e = smac_like(s, 0, random), back;
  e.units = e.state;
  const PackedEpisode packed(e, Precision::single);
  CHECK(packed.header().units_in_state);
  CHECK(packed.header().last_actions_at == 0);
  back.resize(s);
  back.state.setConstant(7);  // what a batch before it left there
  back.units.setConstant(7);
  packed.unpack(back);
  check_same(back, e);
}

TEST_CASE("what almost repeats is kept") {
  Random random(2);
  const EpisodeShape s{3, 4, 5, 21, 2, 6};
  Episode<float> back;
  Episode<float> e = smac_like(s, 0, random);
  e.state(20, 3) += 0.5f;
  e.units(1, 6) = -e.units(1, 6);
  const PackedEpisode packed(e, Precision::single);
  CHECK(!packed.header().units_in_state);
  CHECK(packed.header().last_actions_at == -1);
  packed.unpack(back);
  check_same(back, e);
}

TEST_CASE("half precision rounds to 11 bits and changes nothing else") {
  Random random(3);
  const Episode<float> e = smac_like({3, 4, 5, 21, 2, 6}, 0, random);
  Episode<float> back;
  PackedEpisode(e, Precision::half).unpack(back);
  for (Index k = 0; k < e.obs.size(); ++k)
    CHECK(std::abs(back.obs.data()[k] - e.obs.data()[k]) <= std::abs(e.obs.data()[k]) / 2048 + 1e-7f);
  CHECK(distance(back.state, e.state) <= 1e-3);
  CHECK(same(back.units, back.state.topRows(6)));
  CHECK(same(back.state.bottomRows(12), e.state.bottomRows(12)));
  CHECK(same(back.rewards, e.rewards));
  CHECK(same(back.actions, e.actions));
}

TEST_CASE("a step takes what its numbers need, and hardly more") {
  Random random(4);
  // agents, actions, obs, state, units of SMAC's 3m, 2s3z, MMM2 and 27m_vs_30m, with episodes of 60 steps
  for (const EpisodeShape& s : {EpisodeShape{3, 9, 30, 48, 4, 60}, EpisodeShape{5, 11, 80, 120, 7, 60},
                                EpisodeShape{10, 18, 176, 322, 7, 60}, EpisodeShape{27, 36, 285, 1170, 4, 60}}) {
    const Episode<float> e = smac_like(s, 0, random);
    const Index state = s.state_shape - s.n_agents * s.n_actions;
    for (const Precision precision : {Precision::single, Precision::half}) {
      const double real = precision == Precision::half ? 2 : 4;
      const double lean = real * double(s.n_agents * s.obs_shape + state) + double(s.n_agents) +
                          double(s.n_agents * s.n_actions) / 8 + 4;
      const double step = double(PackedEpisode(e, precision).bytes()) / double(s.length);
      CAPTURE(s.n_agents, int(precision), lean, step);
      CHECK(step <= 1.1 * lean);
      CHECK(step >= lean);
    }
  }
}

TEST_CASE("headers and bytes that do not fit together are errors") {
  Random random(5);
  const Episode<float> e = smac_like({3, 4, 5, 21, 2, 6}, 0, random);
  const PackedEpisode packed(e, Precision::single);
  Episode<float> back;
  PackedEpisode(packed.header(), packed.content()).unpack(back);
  check_same(back, e);

  const auto refuses = [&](auto&& change) {
    PackedEpisode::Header header = packed.header();
    std::vector<std::byte> bytes(packed.content().begin(), packed.content().end());
    change(header, bytes);
    CHECK_THROWS_AS(PackedEpisode(header, bytes), Error);
  };
  refuses([](auto&, auto& bytes) { bytes.pop_back(); });
  refuses([](auto&, auto& bytes) { bytes.push_back({}); });
  refuses([](auto& header, auto&) { ++header.shape.length; });
  refuses([](auto& header, auto&) { header.shape.n_agents = 0; });
  refuses([](auto& header, auto&) { header.shape.n_actions = -4; });
  refuses([](auto& header, auto&) { header.shape.length = std::numeric_limits<Index>::max(); });
  refuses([](auto& header, auto&) { header.last_actions_at = 10; });
  refuses([](auto& header, auto&) { header.last_actions_at = -2; });
  refuses([](auto& header, auto&) { header.last_actions_at = std::numeric_limits<Index>::max(); });
  refuses([](auto& header, auto&) {
    header.shape.length = header.shape.obs_shape = header.shape.n_agents = (1 << 24) - 1;
  });
  refuses([](auto& header, auto&) { header.shape.length = header.shape.obs_shape = (1 << 24) - 1; });
  refuses([](auto& header, auto&) { header.shape.unit_dim = 100; });
  refuses([](auto&, auto& bytes) { std::fill(bytes.begin(), bytes.end(), std::byte{255}); });  // no such action

  Episode<float> bad = e;
  bad.actions(0, 0) = 4;
  CHECK_THROWS_AS(PackedEpisode(bad, Precision::single), Error);
}
