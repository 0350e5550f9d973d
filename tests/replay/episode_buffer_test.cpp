#include "qatten/replay/episode_buffer.hpp"

#include <set>

#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// An episode that knows its number.
Episode<float> numbered(int number, Index length = 2) {
  static Random random(1);
  Episode<float> e = random_episode<float>(length, true, random);
  e.rewards(0) = float(number);
  return e;
}

int number(const PackedEpisode& packed) {
  Episode<float> e;
  packed.unpack(e);
  return int(e.rewards(0));
}

std::size_t packed_bytes(const Episode<float>& e) { return PackedEpisode(e, Precision::single).bytes(); }

constexpr std::size_t plenty = 1u << 30;

}  // namespace

TEST_CASE("the buffer keeps the newest episodes, first in first out") {
  EpisodeBuffer buffer(3, plenty);
  for (int k = 0; k < 5; ++k) buffer.add(numbered(k));
  REQUIRE(buffer.size() == 3);
  for (Index k = 0; k < 3; ++k) CHECK(number(buffer[k]) == int(k) + 2);
}

TEST_CASE("the buffer never exceeds its bytes, and drops no more than it must") {
  Random random(2);
  const std::size_t budget = 10 * packed_bytes(numbered(0, 4));
  EpisodeBuffer buffer(1000, budget);
  std::deque<std::pair<int, std::size_t>> want;
  std::size_t bytes = 0;
  bool dropped = false;
  for (int k = 0; k < 300; ++k) {
    Episode<float> e = numbered(k, 1 + random.integer(8));
    bytes += packed_bytes(e);
    want.emplace_back(k, packed_bytes(e));
    while (bytes > budget) {
      bytes -= want.front().second;
      want.pop_front();
      dropped = true;
    }
    buffer.add(std::move(e));
    REQUIRE(buffer.bytes() <= budget);
    REQUIRE(buffer.bytes() == bytes);
    REQUIRE(buffer.size() == static_cast<Index>(want.size()));
    CHECK(number(buffer[0]) == want.front().first);
    CHECK(number(buffer[buffer.size() - 1]) == k);
  }
  CHECK(dropped);
}

TEST_CASE("an episode that cannot be kept is an error that changes nothing") {
  const std::size_t budget = packed_bytes(numbered(0, 4));
  EpisodeBuffer buffer(10, budget);
  buffer.add(numbered(1, 4));  // fits exactly
  CHECK(buffer.bytes() == budget);
  CHECK_THROWS_AS(buffer.add(numbered(2, 5)), Error);
  Episode<float> bad = numbered(3, 2);
  bad.state.conservativeResize(4, 2);
  CHECK_THROWS_AS(buffer.add(bad), Error);
  bad = numbered(4, 2);
  bad.available.setZero();
  CHECK_THROWS_AS(buffer.add(bad), Error);
  bad = numbered(5, 2);
  bad.actions(1, 1) = 3;
  CHECK_THROWS_AS(buffer.add(bad), Error);
  bad.actions(1, 1) = -1;
  CHECK_THROWS_AS(buffer.add(bad), Error);
  CHECK_THROWS_AS(buffer.add(Episode<float>()), Error);
  REQUIRE(buffer.size() == 1);
  CHECK(number(buffer[0]) == 1);
  CHECK(buffer.bytes() == budget);
  CHECK_THROWS_AS(EpisodeBuffer(0, plenty), Error);
}

TEST_CASE("an episode says which action was not available") {
  Episode<float> e = numbered(0, 3);
  e.available.col(2 * 2 + 1).setZero();
  try {
    e.check();
    FAIL("no error");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find("agent 1") != std::string::npos);
    CHECK(text.find("step 2") != std::string::npos);
  }
}

TEST_CASE("an episode has agents, and units of equal sizes") {
  Random random(4);
  Episode<float> e = random_episode<float>(3, true, random);
  e.units.resize(e.units.rows() + 1, e.units.cols());
  CHECK_THROWS_AS(e.check(), Error);
  CHECK_THROWS_AS(PackedEpisode(e, Precision::single), Error);
  e.resize({0, 3, 3, 4, 2, 3});
  CHECK_THROWS_AS(e.check(), Error);
}

TEST_CASE("the first steps of an episode are an episode") {
  Random random(3);
  const Episode<float> e = random_episode<float>(5, true, random), first = e.first(2);
  CHECK_NOTHROW(first.check());
  CHECK(first.length() == 2);
  CHECK(same(first.obs, e.obs.leftCols(6)));
  CHECK(same(first.rewards, e.rewards.head(2)));
  CHECK(same(first.available, e.available.leftCols(6)));
}

TEST_CASE("a sample has no episode twice, and every set is equally likely") {
  EpisodeBuffer buffer(5, plenty);
  for (int k = 0; k < 5; ++k) buffer.add(numbered(k));
  Random random(4);
  constexpr int draws = 10000;
  std::vector<int> pairs(25), firsts(5);
  for (int draw = 0; draw < draws; ++draw) {
    const auto sample = buffer.sample(2, random);
    REQUIRE(sample.size() == 2);
    const int a = number(*sample[0]), b = number(*sample[1]);
    REQUIRE(a != b);
    ++firsts[static_cast<std::size_t>(a)];
    ++pairs[static_cast<std::size_t>(std::min(a, b) * 5 + std::max(a, b))];
  }
  double chi_square = 0;  // of ten pairs
  for (int a = 0; a < 5; ++a)
    for (int b = a + 1; b < 5; ++b)
      chi_square += std::pow(pairs[static_cast<std::size_t>(a * 5 + b)] - draws / 10., 2) / (draws / 10.);
  CHECK(chi_square <= 9 + 4 * std::sqrt(18.));
  for (const int count : firsts) CHECK(std::abs(count - draws / 5.) <= 4 * std::sqrt(draws * 0.16));

  std::set<int> all;
  for (const auto* e : buffer.sample(5, random)) all.insert(number(*e));
  CHECK(all.size() == 5);
}

TEST_CASE("samples follow from the seed; more than there are is an error") {
  EpisodeBuffer buffer(5, plenty);
  for (int k = 0; k < 4; ++k) buffer.add(numbered(k));
  Random a(5), b(5);
  CHECK(buffer.sample(3, a) == buffer.sample(3, b));
  CHECK_THROWS_AS(buffer.sample(5, a), Error);
  CHECK_THROWS_AS(buffer.sample(0, a), Error);
}
