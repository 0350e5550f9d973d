// Every item once, whatever the number of threads; errors come out.

#include "qatten/training/worker_pool.hpp"

#include <numeric>
#include <set>

#include "support/catch.hpp"

using namespace qatten;

TEST_CASE("every item is done once, in task after task") {
  for (const Index threads : {1, 2, 5}) {
    CAPTURE(threads);
    WorkerPool pool(threads);
    for (Index count = 0; count < 40; ++count) {
      std::vector<int> done(static_cast<std::size_t>(count), 0);
      pool.run(count, [&](Index k) { ++done[static_cast<std::size_t>(k)]; });
      CHECK(done == std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
}

TEST_CASE("several threads are at work at once") {
  WorkerPool pool(3);
  std::mutex mutex;
  std::condition_variable all_here;
  int here = 0;
  pool.run(3, [&](Index) {  // would wait for ever if one thread did them one after another
    std::unique_lock lock(mutex);
    ++here;
    all_here.notify_all();
    all_here.wait(lock, [&] { return here == 3; });
  });
  CHECK(here == 3);
}

TEST_CASE("the first item's error is thrown after all others are done, and the pool goes on") {
  for (const Index threads : {1, 4}) {
    WorkerPool pool(threads);
    std::atomic<int> done = 0;
    const auto item = [&](Index k) {
      if (k % 7 == 3) throw Error("item " + std::to_string(k));
      ++done;
    };
    CHECK_THROWS_WITH(pool.run(20, item), "item 3");
    CHECK(done == 17);
    pool.run(3, item);
    CHECK(done == 20);
  }
  CHECK_THROWS_AS(WorkerPool(0), Error);
}
