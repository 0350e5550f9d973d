#pragma once
// Ctrl-C as a wish, not as an end.

#include <csignal>

#include "qatten/core/error.hpp"
#include "qatten/training/observer.hpp"

namespace qatten::inline QATTEN_ABI {

/// While it lives, the first SIGINT or SIGTERM asks the training to stop, which stores a checkpoint; a second one ends
/// the process as usual. One at a time.
class Interrupt final : public TrainingObserver {
 public:
  Interrupt() {
    requested() = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { requested() = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(SIGINT, &action, &old_int_);
    ::sigaction(SIGTERM, &action, &old_term_);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() override {
    ::sigaction(SIGINT, &old_int_, nullptr);
    ::sigaction(SIGTERM, &old_term_, nullptr);
  }

  bool stop_requested() override { return requested() != 0; }

 private:
  static volatile std::sig_atomic_t& requested() {
    static volatile std::sig_atomic_t flag = 0;
    return flag;
  }

  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace qatten::inline QATTEN_ABI
