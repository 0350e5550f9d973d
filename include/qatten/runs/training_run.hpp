#pragma once
// A training with its folder: everything worth keeping is written as it happens, and a killed process costs only the
// time since its last checkpoint.

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "qatten/runs/append_file.hpp"
#include "qatten/runs/config.hpp"
#include "qatten/runs/run_clock.hpp"
#include "qatten/runs/run_folder.hpp"
#include "qatten/runs/trainer_state.hpp"
#include "qatten/training/progress.hpp"

namespace qatten::inline QATTEN_ABI {

/// config.json, metrics.csv (a row a number: t_env, episode, key, value), times.csv, log.txt and checkpoints/ of one
/// training. The observers given are told what the training tells, and may stop it.
class TrainingRun final : public TrainingObserver {
 public:
  enum class Start { fresh, resume };

  /// Fresh: writes into a folder that holds no run yet. Resume: the trainer goes on from the newest whole checkpoint,
  /// and metrics.csv is cut to where it was then. Throws when the folder cannot be written, when another process is
  /// training this run, and when the checkpoint does not fit the trainer.
  TrainingRun(RunFolder folder, Trainer& trainer, Start start, std::vector<TrainingObserver*> observers = {})
      : folder_(std::move(folder)),
        trainer_(trainer),
        observers_(std::move(observers)),
        metrics_(prepare(folder_, start)),
        clock_(folder_.times()),
        log_(folder_.log()) {
    if (start == Start::fresh) {
      write_config();
      metrics_.append(header);
      clock_.start();
      log("started\n" + describe(trainer_));
    } else {
      remove_leftovers();
      warn_of_another_build();
      resume();
    }
    warn_of_little_memory();
  }

  const RunFolder& folder() const { return folder_; }

  /// Trains to the end, or until an observer asks to stop: whether it got to the end. What goes wrong is logged too.
  bool train() {
    try {
      const bool finished = trainer_.run(*this);
      log((finished ? "finished" : "stopped") + std::string(" at t_env ") + std::to_string(trainer_.state().t_env));
      return finished;
    } catch (const std::exception& error) {
      try {
        log(std::string("error: ") + error.what());
      } catch (const Error&) {  // the disk may be what failed: the first error is the one to report
      }
      throw;
    }
  }

  void metric(const MetricRow& row) override {
    clock_.mark(row.t_env);
    metrics_.append(std::to_string(row.t_env) + "," + std::to_string(row.episode) + "," + row.key + "," +
                    detail::shortest(row.value) + "\n");
    for (TrainingObserver* o : observers_) o->metric(row);
  }

  void progress(const TrainingProgress& p) override {
    const double rate = pace_(p.t_env);
    if (const auto now = Pace::Clock::now(); now >= next_line_) {
      if (next_line_ != Pace::Clock::time_point{}) log(progress_line(p, rate));
      next_line_ = now + std::chrono::seconds(60);
    }
    for (TrainingObserver* o : observers_) o->progress(p);
  }

  void warning(const std::string& text) override {
    log("warning: " + text);
    for (TrainingObserver* o : observers_) o->warning(text);
  }

  /// Stores the whole state, and keeps the checkpoint before it. After an error the older ones are still there.
  void checkpoint() override {
    if (trainer_.options().save_model) {
      metrics_.sync();
      Checkpoint checkpoint;
      put_trainer(checkpoint, trainer_);
      checkpoint.put("metrics.size", metrics_.size());
      checkpoint.save(folder_.checkpoint(trainer_.state().t_env));
      const std::vector<std::int64_t> saved = folder_.saved();
      for (std::size_t k = 0; k + 2 < saved.size(); ++k) remove(folder_.checkpoint(saved[k]));
    }
    for (TrainingObserver* o : observers_) o->checkpoint();
  }

  /// Stores the batch (as a replay memory) and the learner that could not learn from it.
  std::string update_failed(const std::vector<const PackedEpisode*>& batch) override {
    std::string told;
    try {
      const auto path =
          folder_.root / ("failed_update_" + std::to_string(trainer_.learner().updates()) + ".safetensors");
      EpisodeBuffer episodes(static_cast<Index>(batch.size()), std::numeric_limits<std::size_t>::max());
      for (const PackedEpisode* e : batch) episodes.add(PackedEpisode(e->header(), e->content()));
      Checkpoint dump;
      put_learner(dump, "learner", trainer_.learner().layout(), trainer_.learner().state());
      put_replay(dump, "batch", episodes);
      dump.save(path);
      told = "; its batch and parameters are in " + path.string();
    } catch (const Error& error) {
      told = std::string("; its batch could not be stored: ") + error.what();
    }
    for (TrainingObserver* o : observers_) told += o->update_failed(batch);
    return told;
  }

  bool stop_requested() override {
    return std::any_of(observers_.begin(), observers_.end(), [](TrainingObserver* o) { return o->stop_requested(); });
  }

 private:
  static constexpr std::string_view header = "t_env,episode,key,value\n";

  static std::filesystem::path prepare(const RunFolder& folder, Start start) {
    std::error_code error;
    if (start == Start::fresh)
      detail::require(!std::filesystem::exists(folder.config(), error), "TrainingRun",
                      folder.root.string() + " holds a run already; resume it, or choose another folder");
    detail::filesystem("create", folder.checkpoints(),
                       [&](std::error_code& e) { std::filesystem::create_directories(folder.checkpoints(), e); });
    return folder.metrics();
  }

  void log(const std::string& text) {
    log_.append(detail::time_text("%Y-%m-%d %H:%M:%S ") + text + (text.ends_with('\n') ? "" : "\n"));
  }

  void write_config() const {
    const EnvironmentInfo& i = trainer_.rollout().info();
    const nlohmann::ordered_json config = {{"options", to_json(trainer_.options())},
                                           {"environment",
                                            {{"n_agents", i.n_agents},
                                             {"n_actions", i.n_actions},
                                             {"obs_shape", i.obs_shape},
                                             {"state_shape", i.state_shape},
                                             {"unit_dim", i.unit_dim},
                                             {"episode_limit", i.episode_limit},
                                             {"description", trainer_.rollout().description()}}},
                                           {"build", describe_build()},
                                           {"started", detail::time_text("%Y-%m-%d %H:%M:%S %z")}};
    const std::string text = config.dump(2) + "\n";
    const auto bytes = std::as_bytes(std::span(text));
    replace_file(folder_.config(), std::span(&bytes, 1));
  }

  void resume() {
    bool found = false;
    const Checkpoint checkpoint = load_newest(folder_, found, [&](const Error& error) {
      warning(std::string(error.what()) + "; going back to the checkpoint before it");
    });
    if (!found) {
      detail::require(metrics_.size() <= std::int64_t(header.size()), "resume",
                      folder_.root.string() + " has metrics but no checkpoint to go on from; was save_model off?");
      metrics_.cut(0);
      metrics_.append(header);
      clock_.start();
      warning("there is no checkpoint yet: starting at the beginning");
      return;
    }
    get_trainer(checkpoint, trainer_);
    metrics_.cut(checkpoint.get<std::int64_t>("metrics.size"));
    clock_.start(trainer_.state().t_env);
    log("resumed at t_env " + std::to_string(trainer_.state().t_env));
  }

  /// What a killed process was writing.
  void remove_leftovers() const {
    for (const std::filesystem::path& path : detail::files_in(folder_.checkpoints()))
      if (path.extension() == ".tmp") remove(path);
  }

  static void remove(const std::filesystem::path& path) {
    detail::filesystem("remove", path, [&](std::error_code& error) { std::filesystem::remove(path, error); });
  }

  void warn_of_another_build() {
    const nlohmann::ordered_json config = detail::read_json(folder_.config());
    const nlohmann::ordered_json then = config.value("build", nlohmann::ordered_json::object()), now = describe_build();
    for (const auto& [key, value] : now.items())
      if (!then.contains(key) || then[key] != value)
        warning("the run began with " + key + " " + (then.contains(key) ? then[key].dump() : "unknown") + ", this is " +
                value.dump() + ": it may not go on to the same bits");
  }

  void warn_of_little_memory() {
    std::ifstream meminfo("/proc/meminfo");
    for (std::string word; meminfo >> word;) {
      if (word != "MemAvailable:") continue;
      double kib = 0;
      meminfo >> kib;
      const bool saves = trainer_.options().save_model;  // a checkpoint holds replay once more until it is written
      if (const double most = double(trainer_.replay_bytes()) * (saves ? 2 : 1); most > 1024 * kib)
        warning("replay" + std::string(saves ? ", with its copy in a checkpoint," : "") + " may come to take " +
                detail::bytes_text(most) + ", though " + detail::bytes_text(1024 * kib) +
                " are available; lower buffer_size or buffer_bytes_max");
      return;
    }
  }

  RunFolder folder_;
  Trainer& trainer_;
  std::vector<TrainingObserver*> observers_;
  AppendFile metrics_;
  RunClock clock_;
  AppendFile log_;
  Pace pace_;
  Pace::Clock::time_point next_line_{};
};

}  // namespace qatten::inline QATTEN_ABI
