#include "qatten/core/threads.hpp"

#include <atomic>
#include <vector>

#include "support/catch.hpp"

using namespace qatten;

TEST_CASE("every piece is done once, and workers at work at the same time differ") {
  for (const int count : {1, 2, 5}) {
    const Threads threads(count);
    CHECK(threads.count() == count);
    for (const Index pieces : {0, 1, 2, 7, 100}) {
      CAPTURE(count, pieces);
      std::vector<int> done(static_cast<std::size_t>(pieces), 0);
      std::vector<std::atomic<bool>> busy(static_cast<std::size_t>(count));
      std::atomic<int> clashes{0};
      threads.for_each(pieces, [&](Index piece, int worker) {
        if (worker < 0 || worker >= count || busy[static_cast<std::size_t>(worker)].exchange(true)) ++clashes;
        ++done[static_cast<std::size_t>(piece)];
        busy[static_cast<std::size_t>(worker)] = false;
      });
      CHECK(clashes == 0);
      CHECK(done == std::vector<int>(static_cast<std::size_t>(pieces), 1));
    }
  }
}

TEST_CASE("what a piece throws arrives after the others have ended") {
  for (const int count : {1, 2}) {
    const Threads threads(count);
    std::atomic<int> ended{0};
    const auto work = [&](Index piece, int) {
      if (piece == 3) throw Error("piece 3");
      ++ended;
    };
    CHECK_THROWS_AS(threads.for_each(10, work), Error);
    CHECK(ended == (count == 1 ? 3 : 9));
    threads.for_each(2, [&](Index, int) { ++ended; });  // and the pool still works
    CHECK(ended == (count == 1 ? 5 : 11));
  }
  CHECK_THROWS_AS(Threads(0), Error);
}
