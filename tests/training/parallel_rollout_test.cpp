// Many episodes at once: the same ones as one after another, whatever the number of threads, and whatever fails.

#include "qatten/training/parallel_rollout.hpp"

#include "qatten/agents/recurrent.hpp"
#include "qatten/environments/check_environment.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;

namespace {

const EpisodePlan plan{.seed = 3, .purpose = "environment", .first = 10, .count = 23, .epsilon = 0.3};

/// With weights so large that what an agent remembers decides what it does: a hidden state that goes astray shows.
std::unique_ptr<AnyLearner<float>> decided_learner(const EnvironmentInfo& info) {
  auto learner = small_learner(small_options(), info);
  LearnerState<float> state = learner->state();
  state.parameters *= 8;
  learner->restore(state);
  return learner;
}

std::vector<PlayedEpisode> play(Index environments, Index threads, Faults* faults = nullptr, Index* aborted = nullptr) {
  ParallelRollout rollout(stumbles(faults), environments, threads);
  const auto learner = decided_learner(rollout.info());
  auto played = rollout.play(*learner, plan);
  CHECK(rollout.metric_names() == std::vector<std::string>{"battle_won", "dead_allies"});
  if (aborted != nullptr) *aborted = rollout.aborted();
  return played;
}

void check_equal(const std::vector<PlayedEpisode>& a, const std::vector<PlayedEpisode>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    CAPTURE(k);
    CHECK(a[k].episode.actions == b[k].episode.actions);
    CHECK(a[k].episode.obs == b[k].episode.obs);
    CHECK(a[k].episode.state == b[k].episode.state);
    CHECK(a[k].episode.units == b[k].episode.units);
    CHECK(a[k].episode.available == b[k].episode.available);
    CHECK(a[k].episode.rewards == b[k].episode.rewards);
    CHECK(a[k].episode.terminated == b[k].episode.terminated);
    CHECK(a[k].metrics == b[k].metrics);
  }
}

}  // namespace

TEST_CASE("the game of these tests is a sound environment") {
  Stumble game;
  CHECK(check_environment(game) == std::vector<std::string>{});
}

TEST_CASE("episodes played side by side are those of one environment and one policy") {
  const auto together = play(5, 1);
  REQUIRE(together.size() == 23);
  Stumble game;
  Rollout<Stumble> rollout(game);
  const auto learner = decided_learner(rollout.info());
  const Vector<float> parameters = learner->state().parameters;
  ParameterLayout layout;  // the agents lie first in the learner's
  EpsilonGreedyPolicy policy(RecurrentAgent<float>(layout, "agent", learner->team()));
  std::set<Index> lengths;
  int terminated = 0;
  for (std::size_t k = 0; k < together.size(); ++k) {
    CAPTURE(k);
    const std::uint64_t index = 10 + k;
    Random exploration(3, "environment exploration", index);
    policy.set(parameters, 0.3, exploration);
    const Episode<float> alone = rollout.play(Random(3, "environment", index), policy);
    CHECK(together[k].episode.actions == alone.actions);
    CHECK(together[k].episode.obs == alone.obs);
    CHECK(together[k].episode.rewards == alone.rewards);
    CHECK(together[k].episode.terminated == alone.terminated);
    CHECK(together[k].metrics == std::vector<double>{game.metrics()[0].value, game.metrics()[1].value});
    lengths.insert(alone.length());
    terminated += alone.terminated ? 1 : 0;
  }
  CHECK(lengths.size() > 4);  // or else the test would not see episodes end at different times
  CHECK(terminated > 0);
  CHECK(terminated < 23);
}

TEST_CASE("policies are drawn from in training and play their most probable action in evaluations") {
  const auto play_policy = [](const EpisodePlan& how, Index environments) {
    ParallelRollout rollout(stumbles(), environments, 1);
    const auto learner = small_coma_learner(small_options(), rollout.info());
    return rollout.play(*learner, how);
  };
  const EpisodePlan drawn{.seed = 3, .count = 40, .epsilon = 0.3};
  check_equal(play_policy(drawn, 5), play_policy(drawn, 2));

  // The policy by hand: what was drawn in training, and what is most probable.
  const auto learner = small_coma_learner(small_options(), Stumble().info());
  std::map<bool, int> most_probable;
  for (const bool test : {true, false}) {
    EpisodePlan how = drawn;
    how.epsilon = test ? 0 : 0.3;
    how.test_mode = test;
    const auto played = play_policy(how, 4);
    for (std::size_t k = 0; k < played.size(); ++k) {
      const Episode<float>& e = played[k].episode;
      Random stream(3, "environment exploration", k);
      Matrix<float> hidden = Matrix<float>::Zero(8, 3), logits(4, 3), best(4, 3);
      Matrix<std::int32_t> last = Matrix<std::int32_t>::Constant(1, 3, -1);
      learner->prepare(1);
      for (Index t = 0; t < e.length(); ++t) {
        const Matrix<std::uint8_t> available = e.available.middleCols(3 * t, 3);
        learner->step({e.obs.middleCols(3 * t, 3), last}, hidden, logits);
        best = logits;
        std::vector<int> expected(3);
        if (test) {
          for (Index i = 0; i < 3; ++i)
            expected[static_cast<std::size_t>(i)] = static_cast<int>(greedy_action<float>(logits, available, i));
        } else {
          masked_softmax<float>(logits, available);
          for (Index i = 0; i < 3; ++i)
            expected[static_cast<std::size_t>(i)] =
                static_cast<int>(Policy<float>(logits, available, i, how.epsilon).sample(stream));
        }
        for (Index i = 0; i < 3; ++i) {
          REQUIRE(e.actions(i, t) == expected[static_cast<std::size_t>(i)]);
          most_probable[e.actions(i, t) == greedy_action<float>(best, available, i)] += !test;
          last(0, i) = e.actions(i, t);
        }
      }
    }
  }
  CHECK(most_probable[true] > 50);
  CHECK(most_probable[false] > 50);
}

TEST_CASE("the number of threads changes nothing") {
  const auto one = play(6, 1);
  for (const Index threads : {2, 3, 6, 17}) check_equal(one, play(6, threads));
}

TEST_CASE("a voided episode is played again, on the same streams") {
  for (const Index threads : {1, 4}) {
    Faults faults;
    Index aborted = 0;
    const auto disturbed = play(4, threads, &faults, &aborted);
    CHECK(faults.voided > 2);
    CHECK(aborted == faults.voided);
    check_equal(play(4, 1), disturbed);
  }
}

TEST_CASE("an episode that fails on its stream gets another one; an environment that always fails is an error") {
  Faults thrice{.one_in = 5, .times = 3};
  const auto played = play(4, 1, &thrice), undisturbed = play(4, 1);
  int other = 0, struck = 0;
  for (std::size_t k = 0; k < played.size(); ++k) {
    const auto &a = played[k].episode, &b = undisturbed[k].episode;
    other += a.length() != b.length() || a.obs != b.obs ? 1 : 0;
    struck += Random(plan.seed, plan.purpose, 10 + k).bits() % thrice.one_in == 0 ? 1 : 0;
  }
  CHECK(other == struck);
  CHECK(other > 0);

  Faults always{.one_in = 1, .times = 1000};
  CHECK_THROWS_WITH(play(4, 1, &always), contains("voided environment episode ") && contains(" 10 times; "));
  CHECK_THROWS_WITH(play(4, 3, &always), contains("is it still there?"));
}

TEST_CASE("errors of environments and of their sizes come out") {
  struct Broken : Stumble {
    using Stumble::Stumble;
    StepResult step(std::span<const int>) { throw Error("broken at its first step"); }
  };
  ParallelRollout broken([](Index) { return make_environment<Broken>(); }, 3, 2);
  const auto learner = small_learner(small_options(), broken.info());
  CHECK_THROWS_WITH(broken.play(*learner, plan), "broken at its first step");

  struct NoNumber : Stumble {
    using Stumble::Stumble;
    StepResult step(std::span<const int>) { return {.reward = std::numeric_limits<float>::quiet_NaN()}; }
  };
  ParallelRollout no_number([](Index) { return make_environment<NoNumber>(); }, 3, 2);
  CHECK_THROWS_WITH(no_number.play(*learner, plan), contains("reward is nan at step 0"));

  struct NotFinite : Stumble {
    using Stumble::Stumble;
    void observe(Observation o) const {
      Stumble::observe(o);
      if (o.obs(4, 0) > 0) o.state(2, 0) = -std::numeric_limits<float>::infinity();
    }
  };
  ParallelRollout not_finite([](Index) { return make_environment<NotFinite>(); }, 3, 2);
  CHECK_THROWS_WITH(not_finite.play(*learner, plan), contains("state at step 1 holds a number that is not finite"));

  struct NoChoice : Stumble {
    using Stumble::Stumble;
    void observe(Observation o) const {
      Stumble::observe(o);
      if (o.obs(4, 0) > 0) o.available.col(1).setZero();
    }
  };
  ParallelRollout no_choice([](Index) { return make_environment<NoChoice>(); }, 3, 2);
  CHECK_THROWS_WITH(no_choice.play(*learner, plan), contains("agent 1 has no available action at step 1"));

  struct Other : Stumble {
    using Stumble::Stumble;
    EnvironmentInfo info() const {
      EnvironmentInfo i = Stumble::info();
      i.obs_shape = 6;
      return i;
    }
  };
  CHECK_THROWS_WITH(
      ParallelRollout([](Index k) { return k == 2 ? make_environment<Other>() : make_environment<Stumble>(); }, 3, 1),
      contains("environment 2 has other sizes"));
  ParallelRollout other([](Index) { return make_environment<Other>(); }, 1, 1);
  CHECK_THROWS_WITH(other.play(*learner, plan), contains("other sizes than the environment's"));
  CHECK_THROWS_AS(ParallelRollout(stumbles(), 0, 1), Error);

  struct Comma : Stumble {
    using Stumble::Stumble;
    std::span<const Metric> metrics() const {
      static const std::array<Metric, 1> named = {Metric{"won,lost", 1}};
      return named;
    }
  };
  ParallelRollout comma([](Index) { return make_environment<Comma>(); }, 1, 1);
  CHECK_THROWS_WITH(comma.play(*learner, plan), contains("calls a metric 'won,lost'"));
}

TEST_CASE("one environment voids, and says so, when it is played alone") {
  Faults always{.one_in = 1, .times = 1000};
  Stumble game(&always);
  Rollout<Stumble> rollout(game);
  CHECK_THROWS_WITH(rollout.play(Random(1), scripted_policy({{0, 0, 0}})), contains("voided the episode at step"));
}
