// What a run has learned, taken up by a trainer that never trained.

#include "qatten/runs/evaluation.hpp"

#include "io/files.hpp"
#include "qatten/runs/training_run.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;
using qatten::testing::same;

namespace {

/// A run that has come to its end, and the trainer it left.
struct Trained {
  Trained() {
    std::filesystem::create_directory(folder.root);
    REQUIRE(TrainingRun(folder, *trainer, TrainingRun::Start::fresh).train());
  }

  const TemporaryFolder temporary;
  RunFolder folder{temporary / "run"};
  std::unique_ptr<Trainer> trainer = small_trainer(small_options());
};

TrainingOptions other_seed() {
  TrainingOptions options = small_options();
  options.seed = 77;
  options.test_nepisode = 60;
  return options;
}

double test_return(Trainer& trainer) {
  Listener listener;
  REQUIRE(trainer.evaluate(listener));
  REQUIRE(listener.times("test_return_mean").size() == 1);
  return listener.last.test_return_mean;
}

}  // namespace

TEST_CASE("another trainer takes up the parameters of a run, and nothing else of it") {
  const Trained run;
  const auto trainer = small_trainer(other_seed());
  const double untrained = test_return(*trainer);
  Listener listener;
  CHECK(load_parameters(run.folder, *trainer, listener) == run.trainer->state().t_env);
  CHECK(same(trainer->learner().state().parameters, run.trainer->learner().state().parameters));
  CHECK(listener.warnings.empty());
  CHECK(trainer->state().t_env == 0);
  CHECK(trainer->options().seed == 77);

  // The greedy policy is the run's: in the very same episodes as an untrained one it does better, and the same as the
  // run's own trainer does in them.
  const auto again = small_trainer(other_seed());
  load_parameters(run.folder, *again, listener);
  const double trained = test_return(*again);
  CAPTURE(untrained, trained);
  CHECK(trained > untrained + 1);
  const auto copy = small_trainer(other_seed());
  copy->learner().restore(run.trainer->learner().state());
  CHECK(test_return(*copy) == trained);
}

TEST_CASE("an evaluation asked to stop has not happened") {
  struct Stop : Listener {
    bool stop_requested() override { return true; }
  };
  const auto trainer = small_trainer(small_options());
  Stop stop;
  CHECK_FALSE(trainer->evaluate(stop));
  CHECK(stop.rows.empty());
  CHECK(trainer->state().evaluations == 0);
}

TEST_CASE("a run without a checkpoint, a damaged one and another network are told of") {
  const Trained run;
  Listener listener;
  const auto trainer = small_trainer(other_seed());
  const Vector<float> before = trainer->learner().state().parameters;

  const TemporaryFolder empty;
  std::filesystem::create_directory(empty / "checkpoints");
  CHECK_THROWS_WITH(load_parameters(RunFolder{empty.path()}, *trainer, listener),
                    contains("load_parameters") && contains("there is no checkpoint in " + empty.path().string()));

  TrainingOptions wider = other_seed();
  wider.rnn_hidden_dim = 9;
  const auto other = small_trainer(wider);
  CHECK_THROWS_WITH(load_parameters(run.folder, *other, listener),
                    contains("agent.fc1.weight 8x") && contains("agent.fc1.weight 9x"));
  CHECK(same(trainer->learner().state().parameters, before));

  const auto newest = run.folder.checkpoint(run.folder.saved().back());
  std::string bytes = read_text(newest);
  bytes[bytes.size() / 2] ^= 4;
  write_text(newest, bytes);
  REQUIRE(run.folder.saved().size() > 1);
  CHECK(load_parameters(run.folder, *trainer, listener) == run.folder.saved()[run.folder.saved().size() - 2]);
  REQUIRE(listener.warnings.size() == 1);
  CHECK_THAT(listener.warnings[0], contains("is damaged"));
}
