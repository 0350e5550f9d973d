// Same seed, same bits; and a training restored from its checkpoint goes on as if it had never stopped.

#include <algorithm>
#include <filesystem>

#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/environments/games/n_step_game.hpp"
#include "qatten/io/training_state.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

/// All of a training: what is in a checkpoint is what `put` and `get` touch.
template <class Agent_, class Optimizer_>
class Training {
 public:
  explicit Training(std::uint64_t seed)
      : seed_(seed),
        game_(4),
        rollout_(game_),
        agent_(layout_, "agent",
               {.n_agents = rollout_.info().n_agents,
                .n_actions = rollout_.info().n_actions,
                .obs_shape = rollout_.info().obs_shape,
                .hidden_dim = 16}),
        learner_(layout_, agent_,
                 Qatten<float>(layout_, "mixer", rollout_.info().n_agents, rollout_.info().state_shape,
                               rollout_.info().unit_dim, QattenOptions::pymarl2()),
                 Optimizer_(), {.td_lambda = 0.6, .target_update = {TargetUpdate::Rule::every_episodes, 10}},
                 Random(seed, "parameters")),
        buffer_(24, std::size_t{1} << 20),
        policy_(agent_),
        exploration_(seed, "exploration"),
        replay_(seed, "replay") {}

  void run(std::int64_t until) {
    for (; episodes_ < until; ++episodes_) {
      policy_.set(learner_.state().parameters, EpsilonSchedule{.anneal_time = 100}(episodes_), exploration_);
      buffer_.add(rollout_.play(Random(seed_, "environment", static_cast<std::uint64_t>(episodes_)), policy_));
      if (buffer_.size() < 8) continue;
      batch_.assign(buffer_.sample(8, replay_));
      learner_.update(batch_, episodes_);
    }
  }

  void save(const std::filesystem::path& path) const {
    Checkpoint checkpoint;
    put_learner(checkpoint, "learner", layout_, learner_.state());
    put_replay(checkpoint, "replay", buffer_);
    checkpoint.put("exploration", exploration_.state());
    checkpoint.put("sampling", replay_.state());
    checkpoint.put("episodes", episodes_);
    checkpoint.save(path);
  }

  void load(const std::filesystem::path& path) {
    const Checkpoint checkpoint = Checkpoint::load(path);
    get_learner(checkpoint, "learner", layout_, learner_.state());
    get_replay(checkpoint, "replay", buffer_);
    exploration_ = Random(checkpoint.get<Random::State>("exploration"));
    replay_ = Random(checkpoint.get<Random::State>("sampling"));
    episodes_ = checkpoint.get<std::int64_t>("episodes");
  }

  const Vector<float>& parameters() const { return learner_.state().parameters; }
  const auto& state() const { return learner_.state(); }
  const EpisodeBuffer& buffer() const { return buffer_; }

 private:
  std::uint64_t seed_;
  NStepGame game_;
  Rollout<NStepGame> rollout_;
  ParameterLayout layout_;
  Agent_ agent_;
  QLearner<Agent_, Qatten<float>, Optimizer_> learner_;
  EpisodeBuffer buffer_;
  EpisodeBatch<float> batch_;
  EpsilonGreedyPolicy<Agent_> policy_;
  Random exploration_, replay_;
  std::int64_t episodes_ = 0;
};

template <class Agent_, class Optimizer_>
void check_resume() {
  const auto path = std::filesystem::temp_directory_path() / "qatten_resume_test.safetensors";
  Training<Agent_, Optimizer_> undisturbed(7), again(7), other(8);
  undisturbed.run(120);
  again.run(120);
  other.run(120);
  CHECK(undisturbed.parameters() == again.parameters());
  CHECK(undisturbed.parameters() != other.parameters());

  for (const std::int64_t stop : {3, 50, 119}) {
    CAPTURE(stop);
    {
      Training<Agent_, Optimizer_> first(7);
      first.run(stop);
      first.save(path);
    }
    Training<Agent_, Optimizer_> continued(7);
    continued.load(path);
    CHECK(continued.buffer().bytes() <= continued.buffer().max_bytes());
    continued.run(120);
    CHECK(continued.parameters() == undisturbed.parameters());
    CHECK(continued.state().target == undisturbed.state().target);
    CHECK(continued.state().updates == undisturbed.state().updates);
    CHECK(continued.state().optimizer.v == undisturbed.state().optimizer.v);
    REQUIRE(continued.buffer().size() == undisturbed.buffer().size());
    for (Index k = 0; k < continued.buffer().size(); ++k) {
      CHECK(continued.buffer()[k].header() == undisturbed.buffer()[k].header());
      CHECK(std::ranges::equal(continued.buffer()[k].content(), undisturbed.buffer()[k].content()));
    }
  }
  std::filesystem::remove(path);
}

}  // namespace

TEST_CASE("training is a function of its seed, and a checkpoint continues it to the same bits") {
  check_resume<RecurrentAgent<float>, Adam<float>>();
  check_resume<RecurrentAgent<float>, RmsProp<float>>();
  check_resume<TarmacAgent<float>, Adam<float>>();
}
