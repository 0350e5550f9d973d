// Hearsay: what only a team-mate saw. With TarMAC's messages every answer is right, and the agents listen to the one
// they are asked about; without messages the same training gets what chance gets, exactly.

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>

#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/environments/games/hearsay.hpp"
#include "qatten/learners/actions.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/training/rollout.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

constexpr Index n = 3, k = 4;

/// One stream for each of the (k (n − 1))ⁿ ways in which the game can start.
const std::vector<Random>& starts() {
  static const std::vector<Random> streams = [] {
    Hearsay game(n, k);
    std::set<std::vector<Index>> seen;
    std::vector<Random> found;
    for (std::uint64_t e = 0; double(found.size()) < std::pow(double(k * (n - 1)), double(n)); ++e) {
      const Random stream(0, "start", e);
      game.reset(stream);
      std::vector<Index> start;
      for (Index i = 0; i < n; ++i) start.insert(start.end(), {game.symbol(i), game.asked(i)});
      if (seen.insert(start).second) found.push_back(stream);
    }
    return found;
  }();
  return streams;
}

/// VDN on episodes whose answers are drawn: the reward is a sum of one part for each agent, and so are its values.
template <class Agent_>
class Training {
 public:
  explicit Training(std::uint64_t seed)
      : seed_(seed),
        agent_(layout_, "agent",
               {.n_agents = n, .n_actions = k, .obs_shape = game_.info().obs_shape, .hidden_dim = 32}),
        learner_(layout_, agent_, Vdn<float>(n), Adam<float>(),
                 {.target_update = {TargetUpdate::Rule::every_updates, 50}}, Random(seed, "parameters")) {}

  /// The rate falls in the last fifth.
  void train(int updates, Index batch_size, double lr) {
    Rollout<Hearsay> rollout(game_);
    Random answers(seed_, "answers");
    const auto at_random = [&](const Decision& d) {
      for (int& action : d.actions) action = d.t == 0 ? 0 : static_cast<int>(answers.integer(k));
    };
    std::vector<Episode<float>> episodes(static_cast<std::size_t>(batch_size));
    std::vector<const Episode<float>*> pointers;
    for (const auto& e : episodes) pointers.push_back(&e);
    EpisodeBatch<float> batch;
    std::uint64_t played = 0;
    for (int u = 0; u < updates; ++u) {
      for (auto& e : episodes) e = rollout.play(Random(seed_, "environment", played++), at_random);
      batch.assign(pointers);
      learner_.set_optimizer(Adam<float>({.lr = lr * std::pow(0.01, std::max(0.0, 5 * double(u) / updates - 4))}));
      learner_.update(batch);
    }
  }

  struct Outcome {
    double mean_return = 0;  ///< of the greedy policy, over all starts
    double on_asked = 0;     ///< mean attention on the agent asked about, when answering
  };
  Outcome outcome() {
    const auto columns = static_cast<Index>(starts().size()) * n;
    const EnvironmentInfo info = game_.info();
    Matrix<float> obs = Matrix<float>::Zero(info.obs_shape, columns), q(k, columns);
    Matrix<float> hidden = Matrix<float>::Zero(32, columns), state(info.state_shape, 1), units(info.unit_dim, n);
    Matrix<std::uint8_t> available(k, n), alive(n, 1);
    for (Index s = 0; s < columns / n; ++s) {
      game_.reset(starts()[static_cast<std::size_t>(s)]);
      game_.observe({obs.middleCols(s * n, n), state, units, available, alive});
    }
    typename Agent_::Scratch scratch;
    agent_.prepare(scratch, columns, columns);
    const Vector<float>& p = learner_.state().parameters;
    const Matrix<std::int32_t> none = Matrix<std::int32_t>::Constant(1, columns, -1);
    agent_.step(p, {obs, none}, hidden, q, scratch);
    const Matrix<std::int32_t> waited = Matrix<std::int32_t>::Zero(1, columns);
    obs.setZero();
    agent_.step(p, {obs, waited}, hidden, q, scratch);

    available.setOnes();
    Outcome found;
    for (Index s = 0; s < columns / n; ++s) {
      game_.reset(starts()[static_cast<std::size_t>(s)]);
      game_.step(std::vector<int>(n, 0));
      std::vector<int> answers;
      for (Index i = 0; i < n; ++i) {
        Index best;
        q.col(s * n + i).maxCoeff(&best);
        answers.push_back(static_cast<int>(best));
        if constexpr (std::is_same_v<Agent_, TarmacAgent<float>>)
          found.on_asked += double(agent_.attention(scratch, columns)(game_.asked(i), s * n + i)) / double(columns);
      }
      found.mean_return += double(game_.step(answers).reward) * double(n) / double(columns);
    }
    return found;
  }

 private:
  std::uint64_t seed_;
  Hearsay game_{n, k};
  ParameterLayout layout_;
  Agent_ agent_;
  QLearner<Agent_, Vdn<float>, Adam<float>> learner_;
};

}  // namespace

TEST_CASE("with targeted messages a team plays hearsay, listening to whom it is asked about") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Training<TarmacAgent<float>> training(seed);
    training.train(4000, 32, 3e-3);
    const auto [mean_return, on_asked] = training.outcome();
    CAPTURE(seed, mean_return, on_asked);
    CHECK(mean_return >= 0.95 * Hearsay(n, k).optimal_return());
    CHECK(on_asked >= 0.9);
  }
}

TEST_CASE("without messages the same training returns 1/k, over all starts exactly") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Training<RecurrentAgent<float>> training(seed);
    training.train(4000, 32, 3e-3);
    const double mean_return = training.outcome().mean_return;
    CAPTURE(seed, mean_return);
    CHECK(std::abs(mean_return - Hearsay(n, k).silent_return()) < 1e-6);
  }
}
