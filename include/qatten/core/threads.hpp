#pragma once
// Work on independent pieces, by several threads.
//
// Which thread takes which piece is left to chance. So that results are not, a piece writes where no other does, and
// what pieces add up is added afterwards, in their order.

#include <atomic>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>

#if __has_include(<Eigen/ThreadPool>)
#include <Eigen/ThreadPool>
#else
#include <unsupported/Eigen/CXX11/ThreadPool>
#endif

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// A pool of threads, Eigen's. The thread that asks for work takes part in it, so `Threads(1)` starts none.
class Threads {
 public:
  /// Throws unless count >= 1.
  explicit Threads(int count) : count_(count) {
    detail::require(count >= 1, "Threads", "count must be at least 1");
    if (count > 1) pool_ = std::make_unique<Eigen::ThreadPool>(count - 1);
  }

  int count() const { return count_; }

  /// f(piece, worker) for each piece 0 … pieces; worker < count() tells apart what runs at the same time: who owns
  /// scratch memory. Returns when all are done, and throws what the first piece to fail threw. Allocates nothing. Not
  /// to be called from within a piece.
  template <class F>
  void for_each(Index pieces, const F& f) const {
    const int helpers = static_cast<int>(std::min<Index>(pieces, count_)) - 1;
    if (helpers <= 0) {
      for (Index piece = 0; piece < pieces; ++piece) f(piece, 0);
      return;
    }
    Job<F> job(f, pieces, helpers);
    for (int helper = 1; helper <= helpers; ++helper)
      pool_->Schedule([&job] {
        job.work();
        job.done.count_down();
      });
    job.work();
    job.done.wait();
    if (job.error) std::rethrow_exception(job.error);
  }

 private:
  template <class F>
  struct Job {
    Job(const F& f, Index pieces, int helpers) : f(f), pieces(pieces), done(helpers) {}

    void work() {
      const int worker = workers++;
      for (Index piece; (piece = next++) < pieces;) {
        try {
          f(piece, worker);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!error) error = std::current_exception();
        }
      }
    }

    const F& f;
    Index pieces;
    std::atomic<Index> next{0};
    std::atomic<int> workers{0};
    std::latch done;
    std::mutex mutex;
    std::exception_ptr error;
  };

  int count_;
  std::unique_ptr<Eigen::ThreadPool> pool_;
};

}  // namespace qatten::inline QATTEN_ABI
