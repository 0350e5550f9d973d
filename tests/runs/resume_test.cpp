// A run can be killed at any moment, told to stop, or hit a full disk: resumed, it ends in the same bits.

#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "io/files.hpp"
#include "qatten/runs/interrupt.hpp"
#include "qatten/runs/training_run.hpp"
#include "qatten/training/make_trainer.hpp"
#include "support/catch.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;

namespace {

/// One run of the small training in `folder`: fresh, or resumed where there is one. Whether it got to the end.
bool train(const std::filesystem::path& root, std::vector<TrainingObserver*> observers = {},
           const Assignments& changes = {}, Faults* faults = nullptr) {
  const RunFolder folder{root};
  const bool resume = std::filesystem::exists(folder.config());
  TrainingOptions options = resume ? resumed_options(folder, {}) : small_options();
  for (const auto& [name, text] : changes) set_option(options, name, text);
  const auto trainer = small_trainer(options, stumbles(faults));
  return TrainingRun(folder, *trainer, resume ? TrainingRun::Start::resume : TrainingRun::Start::fresh,
                     std::move(observers))
      .train();
}

/// Everything that must be equal: the last checkpoint, which is the whole state, and the metrics.
std::string outcome(const std::filesystem::path& root) {
  const RunFolder folder{root};
  REQUIRE_FALSE(folder.saved().empty());
  return std::to_string(folder.saved().back()) + "\n" + read_text(folder.metrics()) +
         read_text(folder.checkpoint(folder.saved().back()));
}

std::filesystem::path new_folder(const TemporaryFolder& temporary, const std::string& name) {
  std::filesystem::create_directory(temporary / name);
  return temporary / name;
}

/// What makes the small options those of a mixer or a policy.
const Assignments& changes_for(const std::string& mixer) {
  static const Assignments none;
  return mixer == "coma" ? small_coma : mixer == "maac" ? small_maac : none;
}

/// The run as a process of its own: this program, with the hidden test below.
pid_t start(const std::filesystem::path& root, const std::string& mixer) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("QATTEN_TEST_RUN", root.c_str(), 1);
    ::setenv("QATTEN_TEST_MIXER", mixer.c_str(), 1);
    ::execl("/proc/self/exe", "run", "[.run]", "-o", "/dev/null", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("the process that is killed", "[.run]") {
  const char *root = std::getenv("QATTEN_TEST_RUN"), *mixer = std::getenv("QATTEN_TEST_MIXER");
  REQUIRE(root != nullptr);
  REQUIRE(mixer != nullptr);
  Interrupt interrupt;
  CHECK(train(root, {&interrupt}, changes_for(mixer)));
}

TEST_CASE("killed at twenty random moments, a run ends in the same bits") {
  const std::string mixer = GENERATE("qatten", "coma", "maac");
  const TemporaryFolder temporary;
  const auto undisturbed = new_folder(temporary, "undisturbed");
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(wait_for(start(undisturbed, mixer)) == 0);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string expected = outcome(undisturbed);

  const auto seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  CAPTURE(mixer, seed, seconds);
  Random random(seed);
  int kills = 0, resumed = 0, rounds = 0;
  while (kills < 20) {
    const auto root = new_folder(temporary, "killed_" + std::to_string(rounds++));
    for (bool finished = false; !finished;) {
      if (std::filesystem::exists(root / "checkpoints") && !RunFolder{root}.saved().empty()) ++resumed;
      const pid_t child = start(root, mixer);
      std::this_thread::sleep_for(std::chrono::duration<double>(random.uniform(0.1, 0.9) * seconds));
      ::kill(child, SIGKILL);
      const int status = wait_for(child);
      finished = WIFEXITED(status);
      if (finished) {
        REQUIRE(WEXITSTATUS(status) == 0);
      } else {
        REQUIRE(WTERMSIG(status) == SIGKILL);
        ++kills;
      }
    }
    CHECK(outcome(root) == expected);
    CHECK(RunFolder{root}.saved().size() == 2);
    CHECK(std::distance(std::filesystem::directory_iterator(root / "checkpoints"), {}) == 2);  // nothing left over
  }
  CHECK(resumed > 10);
}

TEST_CASE("Ctrl-C stores a checkpoint from which the run goes on to the same bits") {
  struct PressesCtrlC : TrainingObserver {
    explicit PressesCtrlC(std::int64_t when) : at(when) {}
    void progress(const TrainingProgress& p) override {
      if (p.t_env > at && !done) {
        done = true;
        std::raise(SIGINT);
      }
    }
    std::int64_t at;
    bool done = false;
  };
  const std::string mixer = GENERATE("qatten", "coma", "maac");
  CAPTURE(mixer);
  const Assignments& changes = changes_for(mixer);
  const TemporaryFolder temporary;
  REQUIRE(train(new_folder(temporary, "undisturbed"), {}, changes));
  const auto root = new_folder(temporary, "stopped");
  for (const std::int64_t t_env : {30, 333, 801}) {
    Interrupt interrupt;
    PressesCtrlC person(t_env);
    CHECK_FALSE(train(root, {&person, &interrupt}, changes));
    CHECK(RunFolder{root}.saved().back() > t_env);
    CHECK(RunFolder{root}.saved().back() < t_env + 4 * Stumble::limit);
  }
  CHECK(train(root, {}, changes));
  CHECK(outcome(root) == outcome(temporary / "undisturbed"));
  CHECK(train(root, {}, changes));  // finished already: nothing changes
  CHECK(outcome(root) == outcome(temporary / "undisturbed"));
  const Series minutes = read_minutes(root / "times.csv");
  std::set<double> measured;
  for (const auto& [key, series] : read_metrics(root / "metrics.csv"))
    measured.insert(series.x.begin(), series.x.end());
  REQUIRE(minutes.x == std::vector<double>(measured.begin(), measured.end()));
  CHECK(std::is_sorted(minutes.y.begin(), minutes.y.end()));
  CHECK(minutes.y.back() > 0);
  const std::string log = read_text(root / "log.txt");
  for (const std::string part : {"started", "stopped at t_env", "resumed at t_env", "finished"})
    CHECK_THAT(log, contains(part));
}

TEST_CASE("whatever system it is, another trainer goes on from its checkpoint to the same bits") {
  struct Stop : Listener {
    void progress(const TrainingProgress& p) override { t_env = p.t_env; }
    bool stop_requested() override { return t_env > 150; }
    std::int64_t t_env = 0;
  };
  for (const auto* list : {&mixer_names(), &system_names()}) {
    for (const auto& [mixer, description] : *list) {
      CAPTURE(mixer);
      TrainingOptions options = small_options();
      options.mixer = mixer;
      options.t_max = 300;
      for (const auto& [name, text] : changes_for(mixer)) set_option(options, name, text);
      const auto undisturbed = make_trainer(options, stumbles()), stopped = make_trainer(options, stumbles()),
                 other = make_trainer(options, stumbles());
      Listener listener;
      REQUIRE(undisturbed->run(listener));
      Stop stop;
      REQUIRE_FALSE(stopped->run(stop));
      REQUIRE(stopped->learner().updates() > 0);
      REQUIRE(stopped->learner().updates() < undisturbed->learner().updates());
      Checkpoint checkpoint;
      put_trainer(checkpoint, *stopped);
      get_trainer(checkpoint, *other);
      CHECK(other->run(listener));
      const LearnerState<float> expected = undisturbed->learner().state(), got = other->learner().state();
      CHECK(got.updates == expected.updates);
      CHECK(got.parameters == expected.parameters);
      CHECK(got.target == expected.target);
    }
  }
}

TEST_CASE("a run's folder says what was asked for, what came out, and where from") {
  const TemporaryFolder temporary;
  const auto root = new_folder(temporary, "run");
  Listener listener;
  REQUIRE(train(root, {&listener}));
  const auto config = detail::read_json(root / "config.json");
  CHECK(resolve_options(read_options(root / "config.json"), {}) == small_options());
  CHECK(config["environment"]["n_agents"] == 3);
  CHECK(config["environment"]["description"] == "stumble, for tests");
  CHECK(config["build"] == describe_build());

  std::string expected = "t_env,episode,key,value\n";
  for (const MetricRow& row : listener.rows)
    expected += std::to_string(row.t_env) + "," + std::to_string(row.episode) + "," + row.key + "," +
                detail::shortest(row.value) + "\n";
  CHECK(read_text(root / "metrics.csv") == expected);

  const auto other = small_trainer(small_options());
  CHECK_THROWS_WITH(TrainingRun(RunFolder{root}, *other, TrainingRun::Start::fresh), contains("holds a run already"));
  const TrainingRun first(RunFolder{root}, *other, TrainingRun::Start::resume);
  const auto second = small_trainer(small_options());
  CHECK_THROWS_WITH(TrainingRun(RunFolder{root}, *second, TrainingRun::Start::resume),
                    contains("another process is writing"));
}

TEST_CASE("a full disk ends the run with an error, and what was stored before is still good") {
  const TemporaryFolder temporary;
  REQUIRE(train(new_folder(temporary, "undisturbed")));
  const auto root = new_folder(temporary, "full");
  std::string error;
  {
    // Between the size of the first checkpoints and that of a full replay.
    const FullDisk disk(static_cast<rlim_t>(std::filesystem::file_size(RunFolder{temporary / "undisturbed"}.checkpoint(
                                                RunFolder{temporary / "undisturbed"}.saved().back())) *
                                            3 / 4));
    error = error_of([&] { train(root); });
  }
  CAPTURE(error);
  CHECK(holds(error, "cannot write"));
  CHECK(holds(error, ".safetensors: File too large"));
  CHECK(holds(read_text(root / "log.txt"), "error: " + error));
  CHECK(RunFolder{root}.saved().size() == 2);
  CHECK(train(root));
  CHECK(outcome(root) == outcome(temporary / "undisturbed"));
}

TEST_CASE("a damaged checkpoint is told of, and the one before it leads to the same bits") {
  struct Stop : Listener {
    void progress(const TrainingProgress& p) override { t_env = p.t_env; }
    bool stop_requested() override { return t_env > 600; }
    std::int64_t t_env = 0;
  };
  const TemporaryFolder temporary;
  REQUIRE(train(new_folder(temporary, "undisturbed")));
  const auto root = new_folder(temporary, "damaged");
  Stop stop;
  CHECK_FALSE(train(root, {&stop}));
  const RunFolder folder{root};
  const auto newest = folder.checkpoint(folder.saved().back());
  std::string bytes = read_text(newest);
  bytes[bytes.size() / 2] ^= 4;
  write_text(newest, bytes);
  Listener listener;
  CHECK(train(root, {&listener}));
  REQUIRE(listener.warnings.size() == 1);
  CHECK_THAT(listener.warnings[0], contains("is damaged") && contains("going back to the checkpoint before it"));
  CHECK(outcome(root) == outcome(temporary / "undisturbed"));
  CHECK(holds(read_text(root / "log.txt"), "warning: "));
}

TEST_CASE("a checkpoint of other options, another network or too short metrics is refused") {
  const TemporaryFolder temporary;
  const auto root = new_folder(temporary, "run");
  REQUIRE(train(root));
  CHECK_THROWS_WITH(train(root, {}, {{"gamma", "0.5"}}),
                    contains("options differ") && contains("gamma = 0.99") && contains("gamma = 0.5"));
  const std::string metrics = read_text(root / "metrics.csv");
  write_text(root / "metrics.csv", metrics.substr(0, metrics.size() - 1));
  CHECK_THROWS_WITH(train(root), contains("metrics.csv has") && contains("expected at least"));

  const Checkpoint checkpoint = Checkpoint::load(RunFolder{root}.checkpoint(RunFolder{root}.saved().back()));
  TrainingOptions wider = small_options();
  wider.rnn_hidden_dim = 9;
  const auto trainer = small_trainer(wider);
  CHECK_THROWS_WITH(get_trainer(checkpoint, *trainer), contains("rnn_hidden_dim = 8"));
  CHECK(trainer->state().t_env == 0);
}

TEST_CASE("without checkpoints there is nothing to go on from, and the metrics stay") {
  const TemporaryFolder temporary;
  const auto root = new_folder(temporary, "run");
  REQUIRE(train(root, {}, {{"save_model", "false"}}));
  CHECK(RunFolder{root}.saved().empty());
  const std::string metrics = read_text(root / "metrics.csv");
  CHECK_THROWS_WITH(train(root), contains("has metrics but no checkpoint to go on from; was save_model off?"));
  CHECK(read_text(root / "metrics.csv") == metrics);
}

TEST_CASE("a folder that cannot be written is an error before training starts") {
  const TemporaryFolder temporary;
  const auto root = new_folder(temporary, "run");
  const auto trainer = small_trainer(small_options());
  const UnwritableFolder unwritable(root);
  CHECK_THROWS_WITH(TrainingRun(RunFolder{root}, *trainer, TrainingRun::Start::fresh),
                    contains("cannot create") && contains("Permission denied"));
}

TEST_CASE("an update that fails leaves its batch and its parameters in the folder") {
  const TemporaryFolder temporary;
  const auto root = new_folder(temporary, "run");
  const auto trainer = small_trainer(small_options());
  LearnerState<float> state = trainer->learner().state();
  state.parameters[3] = std::numeric_limits<float>::quiet_NaN();
  trainer->learner().restore(state);
  TrainingRun run(RunFolder{root}, *trainer, TrainingRun::Start::fresh);
  const std::string error = error_of([&] { run.train(); });
  CHECK(holds(error, "is not finite at update 0"));
  const auto path = root / "failed_update_0.safetensors";
  CHECK(holds(error, path.string()));
  const Checkpoint dump = Checkpoint::load(path);
  LearnerState<float> learner;
  get_learner(dump, "learner", trainer->learner().layout(), learner);
  CHECK(std::isnan(learner.parameters[3]));
  EpisodeBuffer batch(100, 1 << 20);
  get_replay(dump, "batch", batch);
  CHECK(batch.size() == 8);
  CHECK(holds(read_text(root / "log.txt"), "error: Learner::update"));
}

TEST_CASE("voided episodes do not change what a resumed run ends in") {
  struct Stop : Listener {
    bool stop_requested() override { return ++asked % 23 == 0; }
    int asked = 0;
  };
  const TemporaryFolder temporary;
  Faults a{.one_in = 9}, b{.one_in = 9};
  REQUIRE(train(new_folder(temporary, "undisturbed"), {}, {}, &a));
  const auto root = new_folder(temporary, "stopped");
  Stop stop;
  while (!train(root, {&stop}, {}, &b)) {
  }
  CHECK(a.voided > 10);
  // A stopped evaluation is done again: its voided episodes do not count twice, so the counts may differ.
  const auto metrics = [&](const std::string& name) {
    std::istringstream lines(read_text(temporary / (name + "/metrics.csv")));
    std::string kept;
    for (std::string line; std::getline(lines, line);)
      if (!holds(line, "episodes_aborted")) kept += line + "\n";
    return kept;
  };
  CHECK(metrics("stopped") == metrics("undisturbed"));
}
