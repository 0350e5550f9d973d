#include "qatten/core/ragged.hpp"

#include "support/catch.hpp"

using namespace qatten;

namespace {
Ragged ragged(const std::vector<Index>& lengths) { return Ragged(lengths); }
}  // namespace

TEST_CASE("columns of ragged sequences: the example of the header") {
  const Ragged r = ragged({4, 3, 2});
  CHECK(r.sequences() == 3);
  CHECK(r.steps() == 4);
  CHECK(r.total() == 9);
  const Index living[] = {3, 3, 2, 1, 0, 0}, offsets[] = {0, 3, 6, 8, 9};
  for (Index t = 0; t < 6; ++t) CHECK(r.living(t) == living[t]);
  for (Index t = 0; t < 5; ++t) CHECK(r.offset(t) == offsets[t]);
  CHECK(r.column(0, 3) == 8);
  CHECK(r.column(1, 2) == 7);
  CHECK(r.length(2) == 2);
}

TEST_CASE("what lives at a step is a prefix of what lived before, and columns number all steps once") {
  for (const auto& lengths : {std::vector<Index>{5, 3, 3, 1}, {1}, {7}, {1, 1, 1}, {6, 6, 2, 2, 2, 1}}) {
    const Ragged r = ragged(lengths);
    std::vector<int> seen(static_cast<std::size_t>(r.total()));
    Index total = 0;
    for (Index b = 0; b < r.sequences(); ++b) {
      CHECK(r.length(b) == lengths[static_cast<std::size_t>(b)]);
      total += r.length(b);
      for (Index t = 0; t < r.steps(); ++t) {
        CHECK((b < r.living(t)) == (t < r.length(b)));
        if (t < r.length(b)) ++seen[static_cast<std::size_t>(r.column(b, t))];
      }
    }
    CHECK(r.total() == total);
    CHECK(seen == std::vector<int>(seen.size(), 1));
    for (Index t = 0; t < r.steps(); ++t) CHECK(r.living(t) >= r.living(t + 1));
  }
}

TEST_CASE("no sequences, and sequences assigned anew") {
  Ragged r;
  CHECK(r.sequences() == 0);
  CHECK(r.steps() == 0);
  CHECK(r.total() == 0);
  CHECK(r.living(0) == 0);
  r.assign(std::vector<Index>{2, 1});
  CHECK(r.total() == 3);
  r.assign(std::vector<Index>{3});
  CHECK(r.total() == 3);
  CHECK(r.sequences() == 1);
  r.assign({});
  CHECK(r.total() == 0);
}

TEST_CASE("lengths must be positive and in descending order") {
  CHECK_THROWS_AS(ragged({1, 2}), Error);
  CHECK_THROWS_AS(ragged({2, 0}), Error);
  CHECK_THROWS_AS(ragged({0}), Error);
  CHECK_THROWS_AS(ragged({3, -1}), Error);
}
