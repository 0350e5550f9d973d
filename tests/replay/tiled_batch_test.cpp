#include "qatten/replay/tiled_batch.hpp"

#include <set>

#include "support/catch.hpp"
#include "support/episodes.hpp"

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("tiles share the episodes out evenly") {
  Random random(1);
  std::vector<Index> lengths;
  for (int k = 0; k < 33; ++k) lengths.push_back(1 + random.integer(60));
  const EpisodeSizes sizes{.n_agents = 10};
  const auto episodes = random_episodes<float>(lengths, random, sizes);
  std::vector<const Episode<float>*> pointers;
  Index steps = 0;
  for (const auto& e : episodes) {
    pointers.push_back(&e);
    steps += e.length();
  }
  TiledBatch<float> batch;
  batch.assign(pointers);
  REQUIRE(batch.tiles().size() == 4);
  CHECK(batch.transitions() == steps);

  std::multiset<float> given, packed;  // first rewards tell the episodes apart
  for (const auto& e : episodes) given.insert(e.rewards(0));
  for (const auto& tile : batch.tiles()) {
    CHECK(std::abs(double(tile.transitions.total()) - double(steps) / 4) < 0.1 * double(steps));
    for (Index b = 0; b < tile.ragged.sequences(); ++b) packed.insert(tile.rewards(0, tile.transitions.column(b, 0)));
  }
  CHECK(given == packed);

  pointers.resize(3);
  batch.assign(pointers);
  CHECK(batch.tiles().size() == 1);
  pointers.clear();
  CHECK_THROWS_AS(batch.assign(pointers), Error);
}

TEST_CASE("the number of tiles follows from the batch") {
  using B = TiledBatch<float>;
  CHECK(B::tile_count(32, 3) == 1);    // 96 columns
  CHECK(B::tile_count(32, 5) == 2);    // 160
  CHECK(B::tile_count(32, 10) == 4);   // 320
  CHECK(B::tile_count(32, 27) == 12);  // 864
  CHECK(B::tile_count(1, 1000) == 1);  // an episode is not divided
  CHECK(B::tile_count(2, 1000) == 2);
}
