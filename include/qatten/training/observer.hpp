#pragma once
// What a training tells while it runs. The loop itself neither prints nor writes: those who watch do.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "qatten/replay/packed_episode.hpp"
#include "qatten/training/metrics.hpp"

namespace qatten::inline QATTEN_ABI {

/// How far a training is. Means are those since the last rows of metrics, or of them when nothing has come since; NaN
/// when there are none yet.
struct TrainingProgress {
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();

  std::int64_t t_env = 0, t_max = 0, episode = 0, updates = 0, aborted = 0;
  double epsilon = 0;
  double return_mean = none, loss = none;
  double test_return_mean = none, test_battle_won_mean = none;  ///< of the last evaluation
};

class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;

  /// A number for the record. All rows of one moment come in a row.
  virtual void metric(const MetricRow&) {}
  /// After every round of episodes and every evaluation: often.
  virtual void progress(const TrainingProgress&) {}
  /// Something that a person should look at, though training goes on.
  virtual void warning(const std::string&) {}
  /// The state of the training may be stored now, and should be.
  virtual void checkpoint() {}
  /// An update of these episodes failed. What is returned is appended to the error that ends the training.
  virtual std::string update_failed(const std::vector<const PackedEpisode*>&) { return ""; }
  /// Asked between rounds of episodes. When true, `Trainer::run` stores a checkpoint and returns.
  virtual bool stop_requested() { return false; }
};

}  // namespace qatten::inline QATTEN_ABI
