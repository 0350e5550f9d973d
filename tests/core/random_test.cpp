#include "qatten/core/random.hpp"

#include <vector>

#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {
  using Words = std::array<std::uint32_t, 4>;
  struct Case {
    Words counter;
    std::array<std::uint32_t, 2> key;
    Words want;
  };
  const Case cases[] = {
      // kat_vectors of Random123 (Salmon et al. 2011)
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) CHECK(detail::philox(c.counter, c.key) == c.want);
}

TEST_CASE("a stream is the Philox blocks 0, 1, 2, … under its name") {
  Random random(0x123456789abcdef0, "exploration", 7);
  const Random::State name = random.state();
  CHECK(name.key == std::array<std::uint32_t, 2>{0x9abcdef0, 0x12345678});
  for (std::uint32_t k = 0; k < 3; ++k) {
    const auto want = detail::philox({k, 0, name.stream[0], name.stream[1]}, name.key);
    for (const std::uint32_t word : want) CHECK(random.bits() == word);
  }
  CHECK(random.state().drawn == 12);

  Random far(Random::State{name.key, name.stream, std::uint64_t{4} << 32});  // the counter's second word
  CHECK(far.bits() == detail::philox({0, 1, name.stream[0], name.stream[1]}, name.key)[0]);
}

TEST_CASE("streams of different names differ, of one name agree") {
  const auto first = [](Random random) { return std::vector{random.bits(), random.bits(), random.bits()}; };
  const std::vector<std::vector<std::uint32_t>> streams = {
      first(Random(1, "a")),          first(Random(2, "a")),    first(Random(1, "b")),  first(Random(1)),
      first(Random(1, "a", 1)),       first(Random(1, "a", 2)), first(Random(1, "ab")), first(Random(1, "ba")),
      first(Random(1ull << 32, "a")), first(Random(1, "", 1)),
  };
  for (std::size_t i = 0; i < streams.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(streams[i] != streams[j]);
  CHECK(first(Random(1, "a", 2)) == first(Random(1, "a", 2)));
}

TEST_CASE("a saved stream continues where it was, within a block too") {
  for (int drawn = 0; drawn < 9; ++drawn) {
    Random random(3, "saved");
    for (int k = 0; k < drawn; ++k) random.bits();
    Random restored(random.state());
    CHECK(restored.state() == random.state());
    for (int k = 0; k < 6; ++k) CHECK(restored.bits() == random.bits());
    CHECK(restored.normal() == random.normal());
    CHECK(restored.integer(10) == random.integer(10));
  }
}

TEST_CASE("uniform numbers lie in [0, 1) and fill it evenly") {
  Random random(4, "uniform");
  constexpr int draws = 100000;
  double sum = 0, squares = 0, low = 1, high = 0;
  for (int k = 0; k < draws; ++k) {
    const double x = random.uniform();
    REQUIRE((x >= 0 && x < 1));
    REQUIRE(x * 0x1p53 == std::floor(x * 0x1p53));
    sum += x;
    squares += x * x;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  CHECK_THAT(sum / draws, WithinAbs(0.5, 4 * std::sqrt(1. / 12 / draws)));
  CHECK_THAT(squares / draws, WithinAbs(1. / 3, 4 * std::sqrt(4. / 45 / draws)));
  CHECK(low < 1e-4);
  CHECK(high > 1 - 1e-4);
  for (int k = 0; k < 1000; ++k) {
    const double x = random.uniform(-3, -1);
    REQUIRE((x >= -3 && x < -1));
  }
}

TEST_CASE("integers are uniform") {
  Random random(5, "integer");
  for (const Index n : {1, 2, 3, 7, 10}) {
    const int draws = 20000;
    std::vector<double> counts(static_cast<std::size_t>(n));
    for (int k = 0; k < draws; ++k) {
      const Index i = random.integer(n);
      REQUIRE((i >= 0 && i < n));
      ++counts[static_cast<std::size_t>(i)];
    }
    double chi_square = 0;
    const double expected = double(draws) / double(n);
    for (const double count : counts) chi_square += (count - expected) * (count - expected) / expected;
    const double freedom = double(n - 1);
    CHECK(chi_square <= freedom + 4 * std::sqrt(2 * freedom));
  }
}

TEST_CASE("integers of a range that does not divide 2^32 are not biased") {
  // Without rejection, multiplying 32 bits by 3·2^29 would make every third of these numbers, k mod 3 = 0, come twice
  // as often as each of the other two: half of all draws.
  Random random(6, "bias");
  const Index n = Index{3} << 29;
  int counts[3] = {};
  for (int k = 0; k < 30000; ++k) ++counts[random.integer(n) % 3];
  for (const int count : counts) CHECK_THAT(double(count), WithinAbs(10000, 4 * std::sqrt(30000 * 2. / 9)));
  CHECK(random.integer(Index{1} << 31) >= 0);
}

TEST_CASE("normal numbers have the moments of a normal") {
  Random random(7, "normal");
  constexpr int draws = 100000;
  double moments[4] = {};
  int beyond_two = 0;
  for (int k = 0; k < draws; ++k) {
    const double x = random.normal();
    for (int m = 0; m < 4; ++m) moments[m] += std::pow(x, m + 1) / draws;
    beyond_two += std::abs(x) > 2;
  }
  const double root = 1 / std::sqrt(double(draws));
  CHECK_THAT(moments[0], WithinAbs(0, 4 * root));
  CHECK_THAT(moments[1], WithinAbs(1, 4 * std::sqrt(2.) * root));
  CHECK_THAT(moments[2], WithinAbs(0, 4 * std::sqrt(15.) * root));
  CHECK_THAT(moments[3], WithinAbs(3, 4 * std::sqrt(96.) * root));
  CHECK_THAT(double(beyond_two) / draws, WithinAbs(std::erfc(std::sqrt(2.)), 4 * 0.21 * root));
}
