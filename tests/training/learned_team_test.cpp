// What a team does and thinks after training: the same actions as an evaluation's, and its mixer's own numbers.

#include "qatten/training/learned_team.hpp"

#include <algorithm>

#include "qatten/environments/skirmish/skirmish.hpp"
#include "qatten/training/make_trainer.hpp"
#include "support/catch.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;
using skirmish::Thoughts;

namespace {

/// Of mixers and other systems.
const std::vector<std::string_view>& names = find_option("mixer").limits.choices;

TrainingOptions options_with(const std::string& agent, const std::string& mixer) {
  TrainingOptions options = small_options();
  options.agent = agent;
  options.mixer = mixer;
  return options;
}

EnvironmentInfo sizes() { return Stumble().info(); }

/// One episode of the team, `each(decision, thoughts)` after every decision.
template <class E, class Each>
Episode<float> play(E&& game, LearnedTeam<float>& team, Each&& each) {
  return Rollout(game).play(Random(3, "environment", 5), [&](const Decision& d) {
    team(d);
    each(d, team.thoughts());
  });
}

}  // namespace

TEST_CASE("every system that can be named acts as in an evaluation") {
  for (const std::string agent : {"rnn", "ff", "tarmac"})
    for (const std::string_view name : names) {
      const std::string mixer(name);
      CAPTURE(agent, mixer);
      const TrainingOptions options = options_with(agent, mixer);
      const auto learner = make_learner<float>(options, sizes());
      ParallelRollout rollout(stumbles(), 1, 1);
      const auto expected = rollout.play(*learner, {.seed = 3, .first = 5, .test_mode = true});
      LearnedTeam team(options, sizes(), learner->state().parameters);
      Index decisions = 0;
      const Episode<float> played = play(Stumble(), team, [&](const Decision&, const Thoughts&) { ++decisions; });
      CHECK(decisions == played.length());
      CHECK(played.actions == expected[0].episode.actions);
      CHECK(played.rewards == expected[0].episode.rewards);
    }
}

TEST_CASE("thoughts are there where the system has them") {
  for (const std::string_view name : names) {
    const std::string mixer(name);
    CAPTURE(mixer);
    const TrainingOptions options = options_with("rnn", mixer);
    LearnedTeam team(options, sizes(), make_learner<float>(options, sizes())->state().parameters);
    const bool policy = mixer == "coma" || mixer == "maac", attends = mixer.starts_with("qatten");
    const bool mixes = attends || mixer == "vdn" || mixer == "qmix" || mixer == "qlinear";
    const Index n = sizes().n_agents;
    play(Stumble(), team, [&](const Decision&, const Thoughts& thoughts) {
      REQUIRE(thoughts.q.size() == (policy ? 0 : n));
      REQUIRE(thoughts.q_tot.size() == (mixes ? 1 : 0));
      REQUIRE(thoughts.attention.size() == (attends ? n * options.n_head : 0));
      REQUIRE(thoughts.head_weights.size() == (attends ? options.n_head : 0));
      REQUIRE(thoughts.c.size() == (attends ? 1 : 0));
    });
  }
}

TEST_CASE("thoughts are the agents' greedy values and what Qatten makes of them") {
  const EnvironmentInfo info = Skirmish("3m").info();  // in which agents die
  for (const std::string mixer : {"vdn", "qatten", "qatten-pymarl2"}) {
    CAPTURE(mixer);
    TrainingOptions options = options_with("ff", mixer);
    options.mask_dead = true;
    const Vector<float> p = make_learner<float>(options, info)->state().parameters;
    ParameterLayout layout;
    const FeedForwardAgent<float> agent(layout, "agent", agent_options(options, info));
    FeedForwardAgent<float>::Scratch scratch;
    agent.prepare(scratch, info.n_agents, info.n_agents);
    Matrix<float> hidden = Matrix<float>::Zero(options.rnn_hidden_dim, info.n_agents), q(info.n_actions, info.n_agents);

    LearnedTeam team(options, info, p);
    int dead = 0, changed = 0;
    Vector<float> before;
    play(Skirmish("3m"), team, [&](const Decision& d, const Thoughts& thoughts) {
      agent.step(p, {d.observation.obs, d.last_actions}, hidden, q, scratch);
      for (Index i = 0; i < q.cols(); ++i) {
        const Index chosen = d.actions[std::size_t(i)];
        REQUIRE(thoughts.q(i) == q(chosen, i));
        for (Index a = 0; a < q.rows(); ++a) REQUIRE((d.observation.available(a, i) == 0 || q(a, i) <= q(chosen, i)));
      }
      if (mixer == "vdn") {
        REQUIRE(std::abs(thoughts.q_tot(0) - thoughts.q.sum()) < 1e-6F);
        return;
      }
      for (Index h = 0; h < options.n_head; ++h) REQUIRE(std::abs(thoughts.attention.col(h).sum() - 1) < 1e-6F);
      for (Index i = 0; i < q.cols(); ++i) {
        if (d.observation.alive(i, 0) != 0) continue;
        REQUIRE(thoughts.attention.row(i).isZero(0));
        ++dead;
      }
      const float mixed = (thoughts.attention.transpose() * thoughts.q).dot(thoughts.head_weights) + thoughts.c(0);
      REQUIRE(std::abs(thoughts.q_tot(0) - mixed) < 1e-6F);
      changed += d.t > 0 && thoughts.attention.col(0) != before;
      before = thoughts.attention.col(0);
    });
    if (mixer == "vdn") continue;
    CHECK(dead > 0);
    CHECK(changed > 0);
  }
}

TEST_CASE("parameters of another network are refused") {
  const auto message = [](const std::string& mixer, Index more) {
    const TrainingOptions options = options_with("rnn", mixer);
    const Vector<float> p = make_learner<float>(options, sizes())->state().parameters;
    try {
      LearnedTeam(options, sizes(), Vector<float>(Vector<float>::Zero(std::max<Index>(p.size() + more, 0))));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("qatten", 0).empty());
  CHECK_THAT(message("qatten", 1), contains("LearnedTeam: got "));
  CHECK_THAT(message("qatten", -1), contains("but rnn agents and qatten have "));
  CHECK(message("qplex", 1).empty());  // what follows the agents is not read
  CHECK_THAT(message("qplex", -1000), contains(" and more"));
}
