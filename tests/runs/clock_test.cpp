// How long a training took, told over several processes.

#include <thread>

#include "io/files.hpp"
#include "qatten/runs/run_clock.hpp"
#include "support/catch.hpp"

using namespace qatten;
using qatten::testing::contains;

namespace {

void wait(int milliseconds = 20) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

}  // namespace

TEST_CASE("time goes on where it was, and what was written of later steps is dropped") {
  const TemporaryFolder folder;
  const auto path = folder / "times.csv";
  {
    RunClock clock(path);
    clock.start();
    clock.mark(0);
    wait();
    clock.mark(10);
    clock.mark(10);
    clock.mark(5);
    wait();
    clock.mark(20);
  }
  const Series first = read_minutes(path);
  CHECK(first.x == std::vector<double>{0, 10, 20});
  CHECK(first.y[1] >= 0.02 / 60);
  CHECK(first.y[2] >= 0.04 / 60);

  wait(1000);
  {
    RunClock clock(path);
    clock.start(10);
    clock.mark(10);  // there already
    clock.mark(15);
  }
  const Series second = read_minutes(path);
  CHECK(second.x == std::vector<double>{0, 10, 15});
  CHECK(second.y[1] == first.y[1]);
  CHECK(second.y[2] >= first.y[1]);
  CHECK(second.y[2] < first.y[1] + 0.9 / 60);  // the time between the processes does not count

  RunClock clock(path);
  clock.start();
  clock.mark(3);
  CHECK(read_minutes(path).x == std::vector<double>{3});
}

TEST_CASE("what is no row of times, or half of one, ends what is kept") {
  const TemporaryFolder folder;
  const auto path = folder / "times.csv";
  const auto kept = [&](const std::string& text) {
    write_text(path, text);
    RunClock(path).start(100);
    return read_text(path);
  };
  const std::string head = "t_env,seconds\n";
  CHECK(kept("") == head);
  CHECK(kept("another file\n1,2\n") == head);
  CHECK(kept(head + "1,2.5\n2,3.5\n") == head + "1,2.5\n2,3.5\n");
  CHECK(kept(head + "1,2.5\n2,3.5") == head + "1,2.5\n");
  CHECK(kept(head + "1,2.5\n2;3.5\n3,4\n") == head + "1,2.5\n");
  CHECK(kept(head + "1,2.5\n101,3.5\n") == head + "1,2.5\n");

  write_text(path, head + "1,2\n2,x\n");
  CHECK_THROWS_WITH(read_minutes(path), contains("line 3 is no row: 2,x"));
  write_text(path, "a,b\n");
  CHECK_THROWS_WITH(read_minutes(path), contains("is not a times.csv"));
  CHECK_THROWS_WITH(read_minutes(folder / "none"), contains("is not a times.csv"));
}

TEST_CASE("a series over minutes") {
  const Series minutes{{0, 10, 20}, {0.5, 1, 3}};
  const Series moved = over_minutes({{0, 5, 20}, {7, 8, 9}}, minutes);
  CHECK(moved.x == std::vector<double>{0.5, 0.75, 3});
  CHECK(moved.y == std::vector<double>{7, 8, 9});
  CHECK_THROWS_AS(over_minutes({{21}, {1}}, minutes), Error);
}
