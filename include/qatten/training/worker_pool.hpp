#pragma once
// A few threads that share the items of one task after another.

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// The caller is one of the `threads`, so that 1 starts none. Which thread does an item is left to chance: items must
/// not depend on each other.
class WorkerPool {
 public:
  explicit WorkerPool(Index threads) {
    detail::require(threads >= 1, "WorkerPool", "got " + std::to_string(threads) + " threads, expected at least 1");
    for (Index k = 1; k < threads; ++k) workers_.emplace_back([this] { work(); });
  }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  /// item(k) for k = 0 … count − 1; returns when all are done. Should some throw, all others are still done, and the
  /// exception of the first of them is thrown.
  void run(Index count, const std::function<void(Index)>& item) {
    errors_.assign(static_cast<std::size_t>(count), nullptr);
    item_ = &item;
    count_ = count;
    next_ = 0;
    if (!workers_.empty() && count > 1) {
      {
        const std::lock_guard lock(mutex_);
        busy_ = workers_.size();
        ++task_;
      }
      wake_.notify_all();
      take_items();
      std::unique_lock lock(mutex_);
      done_.wait(lock, [this] { return busy_ == 0; });
    } else {
      take_items();
    }
    for (const std::exception_ptr& error : errors_)
      if (error) std::rethrow_exception(error);
  }

 private:
  void take_items() {
    for (Index k = next_++; k < count_; k = next_++) {
      try {
        (*item_)(k);
      } catch (...) {
        errors_[static_cast<std::size_t>(k)] = std::current_exception();
      }
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (std::uint64_t seen = 0;;) {
      wake_.wait(lock, [&] { return stop_ || task_ != seen; });
      if (stop_) return;
      seen = task_;
      lock.unlock();
      take_items();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::uint64_t task_ = 0;  ///< which one is being worked on, under the mutex as are busy_ and stop_
  std::size_t busy_ = 0;
  bool stop_ = false;
  const std::function<void(Index)>* item_ = nullptr;
  Index count_ = 0;
  std::atomic<Index> next_{0};
  std::vector<std::exception_ptr> errors_;
  std::vector<std::thread> workers_;
};

}  // namespace qatten::inline QATTEN_ABI
