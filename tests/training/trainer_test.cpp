// The loop: what happens when, exactly; and what it does when things go wrong.

#include "qatten/training/trainer.hpp"

#include <cmath>

#include "qatten/environments/games/mmdp.hpp"
#include "qatten/environments/games/two_step_game.hpp"
#include "qatten/training/progress.hpp"
#include "support/catch.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;

namespace {

TrainingOptions options_with(const Assignments& changes) {
  TrainingOptions options = small_options();
  for (const auto& [name, text] : changes) set_option(options, name, text);
  return options;
}

}  // namespace

TEST_CASE("updates follow the number of episodes exactly, not that of environments") {
  struct Watch : Listener {
    void progress(const TrainingProgress& p) override { seen.emplace_back(p.episode, p.updates); }
    std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  };
  for (const std::string environments : {"1", "3", "8"}) {
    for (const auto& [text, numerator, denominator] :
         {std::tuple{"1", 1, 1}, {"1/8", 1, 8}, {"3/2", 3, 2}, {"2", 2, 1}}) {
      CAPTURE(environments, text);
      const auto trainer = small_trainer(options_with(
          {{"batch_size_run", environments}, {"updates_per_episode", text}, {"t_max", "400"}, {"test_nepisode", "0"}}));
      Watch watch;
      trainer->run(watch);
      REQUIRE(watch.seen.size() > 5);
      for (const auto& [episode, updates] : watch.seen)
        CHECK(updates == (episode < 8 ? 0 : (episode - 8) * numerator / denominator + 1));
    }
  }
}

TEST_CASE("evaluations, metrics and checkpoints come as t_env passes multiples of their intervals") {
  const auto trainer = small_trainer(small_options());
  Listener listener;
  REQUIRE(trainer->run(listener));
  const TrainerState& state = trainer->state();
  CHECK(state.t_env >= 1200);
  CHECK(state.t_env < 1200 + 3 * Stumble::limit);
  CHECK(state.evaluations == 4);  // at the start, past 400 and 800, and at the end, which is past 1200
  const auto tests = listener.times("test_return_mean"), logs = listener.times("return_mean");
  REQUIRE(tests.size() == 4);
  CHECK(tests[0] == 0);
  for (std::size_t k = 1; k < 4; ++k) {
    CHECK(tests[k] >= std::int64_t(400 * k));
    CHECK(tests[k] < std::int64_t(400 * k) + 3 * Stumble::limit);
  }
  REQUIRE(logs.size() == 4);
  CHECK(logs.back() == state.t_env);
  CHECK(listener.checkpoints >= 12);
  CHECK(listener.times("test_battle_won_mean") == tests);
  CHECK(listener.times("battle_won_mean") == logs);
  for (const std::string key : {"return_std", "ep_length_mean", "loss", "grad_norm", "td_error_abs", "q_taken_mean",
                                "target_mean", "epsilon", "terminated_mean", "dead_allies_mean", "episodes_aborted"})
    CHECK(listener.times(key) == logs);
  double last = 0;
  for (const MetricRow& row : listener.rows)
    if (row.key == "test_return_mean") last = row.value;
  CHECK(listener.last.test_return_mean == last);
  CHECK(trainer->buffer().size() == 40);
}

TEST_CASE("metrics are means over the episodes since the last ones") {
  // One environment, no updates yet, a row after every episode: then the rows are the episodes.
  const auto trainer = small_trainer(options_with(
      {{"batch_size_run", "1"}, {"log_interval", "1"}, {"t_max", "60"}, {"batch_size", "40"}, {"test_nepisode", "0"}}));
  Listener listener;
  trainer->run(listener);
  std::vector<double> returns, lengths;
  for (const MetricRow& row : listener.rows) {
    if (row.key == "return_mean") returns.push_back(row.value);
    if (row.key == "ep_length_mean") lengths.push_back(row.value);
    if (row.key == "return_std") CHECK(row.value == 0);
  }
  const EpisodeBuffer& buffer = trainer->buffer();
  REQUIRE(returns.size() == static_cast<std::size_t>(buffer.size()));
  for (Index k = 0; k < buffer.size(); ++k) {
    Episode<float> episode;
    buffer[k].unpack(episode);
    CHECK(returns[static_cast<std::size_t>(k)] == episode.rewards.cast<double>().sum());
    CHECK(lengths[static_cast<std::size_t>(k)] == double(episode.length()));
  }
  RunningMean mean;
  for (const double x : {1.0, 2.0, 4.0, 9.0}) mean.add(x);
  CHECK(mean.mean == 4);
  CHECK(std::abs(mean.std() - std::sqrt(38.0 / 4)) < 1e-15);
}

TEST_CASE("a training is a function of its seed, whatever the number of threads") {
  const auto result = [](const Assignments& changes) {
    const auto trainer = small_trainer(options_with(changes));
    Listener listener;
    trainer->run(listener);
    return trainer->learner().state().parameters;
  };
  const auto one = result({});
  CHECK(one == result({{"env_threads", "3"}}));
  CHECK(one == result({{"learner_threads", "2"}}));
  CHECK(one != result({{"seed", "2"}}));
}

TEST_CASE("voided episodes never reach replay or metrics, and are counted") {
  Faults faults{.one_in = 10};
  const auto undisturbed = small_trainer(small_options());
  const auto disturbed = small_trainer(options_with({{"env_threads", "2"}}), stumbles(&faults));
  Listener a, b;
  undisturbed->run(a);
  disturbed->run(b);
  CHECK(faults.voided > 20);
  CHECK(disturbed->state().aborted == faults.voided);
  CHECK(disturbed->state().t_env == undisturbed->state().t_env);
  CHECK(disturbed->state().episode == undisturbed->state().episode);
  CHECK(b.warnings.size() > 5);
  REQUIRE(a.rows.size() == b.rows.size());
  for (std::size_t k = 0; k < a.rows.size(); ++k) {
    CAPTURE(a.rows[k].key);
    CHECK(a.rows[k].t_env == b.rows[k].t_env);
    CHECK(a.rows[k].key == b.rows[k].key);
    if (a.rows[k].key == "return_mean" || a.rows[k].key == "test_return_mean")
      CHECK(a.rows[k].value == b.rows[k].value);
  }
}

TEST_CASE("an observer can stop a training, in evaluations too, and it goes on to the same bits") {
  struct Stop : Listener {
    bool stop_requested() override { return ++asked % 11 == 0; }
    int asked = 0;
  };
  const auto undisturbed = small_trainer(small_options()), stopped = small_trainer(small_options());
  Listener listener;
  undisturbed->run(listener);
  Stop stop;
  int stops = 0;
  while (!stopped->run(stop)) ++stops;
  CHECK(stops > 5);
  CHECK(stopped->learner().state().parameters == undisturbed->learner().state().parameters);
  REQUIRE(stop.rows.size() == listener.rows.size());
  for (std::size_t k = 0; k < stop.rows.size(); ++k) {
    CHECK(stop.rows[k].key == listener.rows[k].key);
    CHECK(stop.rows[k].value == listener.rows[k].value);
    CHECK(stop.rows[k].t_env == listener.rows[k].t_env);
  }
}

TEST_CASE("diverging values are told of once") {
  // Additive values diverge in QPLEX's MDP at gamma > 0.8; here only a step of the wrong size is needed.
  const auto game = [](Index) { return make_environment<Mmdp>(1.0, 10); };
  for (const bool diverges : {true, false}) {
    const auto trainer = small_trainer(options_with({{"lr", diverges ? "30" : "0.0005"}, {"t_max", "2000"}}), game);
    Listener listener;
    trainer->run(listener);
    REQUIRE(listener.warnings.size() == (diverges ? 1 : 0));
    if (diverges) CHECK_THAT(listener.warnings[0], contains("values diverge: |Q_tot| is "));
    if (diverges) CHECK_THAT(listener.warnings[0], contains("no return can exceed 99.9"));
  }
}

TEST_CASE("an update that fails ends the training with what the observer says") {
  struct Dumper : Listener {
    std::string update_failed(const std::vector<const PackedEpisode*>& batch) override {
      return "; saw " + std::to_string(batch.size()) + " episodes";
    }
  };
  const auto trainer = small_trainer(options_with({{"batch_size_run", "1"}}));
  auto state = trainer->learner().state();
  state.parameters[3] = std::numeric_limits<float>::infinity();
  trainer->learner().restore(state);
  Dumper dumper;
  CHECK_THROWS_WITH(trainer->run(dumper), contains("is not finite at update 0") && contains("; saw 8 episodes"));
  CHECK(trainer->learner().updates() == 0);
}

TEST_CASE("a learner that is ahead of its trainer is told of, and one of another optimiser refused") {
  const auto learned = small_trainer(options_with({{"t_max", "600"}})),
             next = small_trainer(options_with({{"t_max", "60"}}));
  Listener quiet, listener;
  learned->run(quiet);
  CHECK(quiet.warnings.empty());
  next->learner().restore(learned->learner().state());
  next->run(listener);
  REQUIRE(listener.warnings.size() == 1);
  CHECK_THAT(listener.warnings[0], contains("comes with " + std::to_string(learned->learner().updates()) + " updates"));

  const auto other = small_trainer(options_with({{"optimizer", "rmsprop"}}));
  CHECK_THROWS_WITH(other->learner().restore(learned->learner().state()), contains("another optimiser"));
}

TEST_CASE("a replay that cannot hold a batch is an error") {
  const std::size_t batch = 8 * small_trainer(options_with({}))->episode_bytes();
  CHECK_NOTHROW(small_trainer(options_with({{"buffer_bytes_max", std::to_string(batch)}})));
  CHECK_THROWS_WITH(
      small_trainer(options_with({{"buffer_bytes_max", std::to_string(batch - 1)}})),
      contains("fewer than batch_size 8 episodes of 9 steps") && contains("at least " + std::to_string(batch)));
}

TEST_CASE("the bytes that replay may take are known beforehand") {
  const auto trainer = small_trainer(options_with({{"t_max", "1500"}}));
  // No episode of the game, whose limit is 9 steps, can take more; and some take as much, or it would say little.
  const std::size_t bytes = trainer->episode_bytes();
  CHECK(trainer->replay_bytes() == 40 * bytes);
  Listener listener;
  trainer->run(listener);
  CHECK(trainer->buffer().bytes() <= trainer->replay_bytes());
  std::size_t largest = 0;
  for (Index k = 0; k < trainer->buffer().size(); ++k) largest = std::max(largest, trainer->buffer()[k].bytes());
  CHECK(largest == bytes);
  CHECK_THAT(describe(*trainer), contains("3 agents, 4 actions, obs 5") && contains("40 episodes of at most "));
  CHECK(small_trainer(options_with({{"buffer_bytes_max", "10000"}}))->replay_bytes() == 10000);
  const auto episode_bytes = [](const char* precision) {
    return small_trainer(options_with({{"buffer_precision", precision}}))->episode_bytes();
  };
  CHECK(episode_bytes("half") < episode_bytes("single"));
}

TEST_CASE("progress lines show what is known") {
  TrainingProgress p;
  p.t_env = 600925;
  p.t_max = 5050000;
  p.epsilon = 0.05;
  CHECK(progress_line(p, 0) == "t_env: 600925 / 5050000  0 steps/s  epsilon 0.050");
  p.return_mean = 12.25;
  p.test_return_mean = 15;
  p.test_battle_won_mean = 0.5;
  p.loss = 0.0123;
  p.aborted = 2;
  CHECK(progress_line(p, 1000) ==
        "t_env: 600925 / 5050000  1000 steps/s  left 1:14:09  return 12.25  test 15  won 0.500  loss 0.0123  "
        "epsilon 0.050  voided 2");
  std::ostringstream plain, terminal;
  {
    ProgressReporter reporter(plain, false, 3600), line(terminal, true);
    for (ProgressReporter* r : {&reporter, &line}) {
      r->progress(p);
      r->progress(p);
      r->warning("look here");
    }
  }
  const std::string shown = plain.str();
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 3);
  CHECK_THAT(shown, contains("\nwarning: look here\n"));
  CHECK(terminal.str().starts_with("\r\033[K\033[?7lt_env"));
  CHECK(terminal.str().ends_with("\nwarning: look here\n"));
}

TEST_CASE("a team learns: two steps of coordination") {
  TrainingOptions options = options_with({{"t_max", "6000"},
                                          {"rnn_hidden_dim", "32"},
                                          {"batch_size", "32"},
                                          {"buffer_size", "5000"},
                                          {"batch_size_run", "8"},
                                          {"updates_per_episode", "1/4"},
                                          {"td_lambda", "0"},
                                          {"epsilon_anneal_time", "4000"},
                                          {"test_interval", "6000"}});
  options.mixer = "qatten";
  const auto trainer = small_trainer(options, [](Index) { return make_environment<TwoStepGame>(); });
  Listener listener;
  trainer->run(listener);
  CHECK(listener.last.test_return_mean >= 7);
}
