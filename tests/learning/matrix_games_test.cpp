// One-shot games, every joint action once in the batch: what each mixer learns is an exact projection of the payoffs.

#include "learning/table_training.hpp"
#include "qatten/analysis/projection.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/mixers/by_name.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten::test;

namespace {

constexpr int updates = 2000;
constexpr double lr = 0.01;

const auto make_vdn = [](ParameterLayout&, const EnvironmentInfo& i) { return Vdn<float>(i.n_agents); };
const auto make_qatten = [](ParameterLayout& layout, const EnvironmentInfo& i) {
  return Qatten<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, QattenOptions::authors());
};
const auto make_qatten_pymarl2 = [](ParameterLayout& layout, const EnvironmentInfo& i) {
  return Qatten<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim, QattenOptions::pymarl2());
};
const auto make_qlinear = [](ParameterLayout& layout, const EnvironmentInfo& i) {
  return Qlinear<float>(layout, "mixer", i.n_agents, i.state_shape, i.unit_dim);
};
const auto make_qmix = [](ParameterLayout& layout, const EnvironmentInfo& i) {
  return Qmix<float>(layout, "mixer", i.n_agents, i.state_shape);
};

double mse(const Vector<double>& table, const MatrixGame& game) {
  return (table - game.payoffs()).squaredNorm() / double(table.size());
}

/// Trains on the game with five seeds; f(table, seed's training, game).
template <class Make, class F>
void for_seeds(const std::string& name, Make&& make, F&& f) {
  using M = decltype(make(std::declval<ParameterLayout&>(), EnvironmentInfo{}));
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(name, seed);
    MatrixGame game = named_game(name);
    TableTraining<M> training(game, seed, make);
    training.train(updates, lr);
    f(training.table(), training, game);
  }
}

template <class Make>
void check_additive(Make&& make) {
  for (const std::string name : {"qtran", "matrix_game_3", "climbing", "penalty-100"}) {
    for_seeds(name, make, [&](const Vector<double>& table, auto& training, const MatrixGame& game) {
      const Projection projection = additive_projection(game.payoffs(), 2, game.info().n_actions);
      CHECK((table - projection.table).array().abs().maxCoeff() < (name == "penalty-100" ? 0.5 : 0.05));
      const Index chosen = greedy(training.values());
      CHECK(std::count(projection.greedy.begin(), projection.greedy.end(), chosen) == 1);
    });
  }
}

}  // namespace

TEST_CASE("VDN learns the additive projection") { check_additive(make_vdn); }
TEST_CASE("Qatten as its authors have it learns the additive projection") { check_additive(make_qatten); }
TEST_CASE("Qatten as PyMARL2 has it learns the additive projection") { check_additive(make_qatten_pymarl2); }
TEST_CASE("Qlinear learns the additive projection") { check_additive(make_qlinear); }

TEST_CASE("QMIX ends at QTRAN's matrix in its projection or in the local optimum below which half the field reports") {
  const double best = qmix_projection(named_game("qtran").payoffs(), 3).mse;  // 32
  const double local = 320.0 / 9;  // -8 in row and column A, 0 elsewhere (algorithms: 35.556)
  for_seeds("qtran", make_qmix, [&](const Vector<double>& table, auto&, const MatrixGame& game) {
    const double fit = mse(table, game);
    CAPTURE(fit);
    CHECK(fit >= best * (1 - 1e-6));
    CHECK((std::abs(fit - best) <= 0.01 * best || std::abs(fit - local) <= 0.01 * local));
  });
}

TEST_CASE("QMIX fits OR no better than a sum does: it is convex, OR is not") {
  const double best = qmix_projection(named_game("or").payoffs(), 2).mse;
  CHECK_THAT(best, Catch::Matchers::WithinAbs(0.0625, 1e-9));
  for_seeds("or", make_qmix, [&](const Vector<double>& table, auto&, const MatrixGame& game) {
    const double fit = mse(table, game);
    CAPTURE(fit);
    CHECK(fit >= best * (1 - 1e-6));
    CHECK(fit <= best * 1.01);
  });
}
