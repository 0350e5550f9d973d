#include "qatten/analysis/projection.hpp"

#include <Eigen/QR>
#include <cmath>

#include "qatten/core/random.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

/// Whether x, printed with as many digits, is the number `printed`: half a unit in the last of `digits` decimals.
bool prints_as(double x, double printed, int digits) {
  return std::abs(x - printed) <= 0.5000001 * std::pow(10, -digits);
}

bool contains(const std::vector<Index>& set, Index x) { return std::find(set.begin(), set.end(), x) != set.end(); }

Vector<double> random_table(Index size, Random& random) {
  Vector<double> table(size);
  for (double& x : table) x = random.uniform(-10, 10);
  return table;
}

Vector<double> payoffs(const std::string& name) { return named_game(name).payoffs(); }

/// All upper sets of {0..k-1}², as masks over cells.
std::vector<std::vector<bool>> upper_sets(Index k) {
  std::vector<std::vector<bool>> sets;
  for (unsigned mask = 0; mask < 1u << (k * k); ++mask) {
    const auto has = [&](Index i, Index j) { return (mask >> (i * k + j) & 1) != 0; };
    bool upper = true;
    for (Index i = 0; i < k; ++i)
      for (Index j = 0; j < k; ++j)
        upper = upper && (!has(i, j) || ((i + 1 == k || has(i + 1, j)) && (j + 1 == k || has(i, j + 1))));
    if (!upper) continue;
    sets.emplace_back();
    for (Index cell = 0; cell < k * k; ++cell) sets.back().push_back((mask >> cell & 1) != 0);
  }
  return sets;
}

/// Isotonic regression on a k x k grid by the max-min formula: the greatest, over upper sets U that hold the cell, of
/// the least, over lower sets L that hold it, of the mean over their intersection (Barlow et al. 1972).
Vector<double> isotonic(const Vector<double>& y, Index k) {
  const auto sets = upper_sets(k);
  Vector<double> fit(k * k);
  for (Index cell = 0; cell < k * k; ++cell) {
    double greatest = -INFINITY;
    for (const auto& upper : sets) {
      if (!upper[static_cast<std::size_t>(cell)]) continue;
      double least = INFINITY;
      for (const auto& not_lower : sets) {
        if (not_lower[static_cast<std::size_t>(cell)]) continue;
        double sum = 0, count = 0;
        for (Index other = 0; other < k * k; ++other)
          if (upper[static_cast<std::size_t>(other)] && !not_lower[static_cast<std::size_t>(other)]) {
            sum += y[other];
            ++count;
          }
        least = std::min(least, sum / count);
      }
      greatest = std::max(greatest, least);
    }
    fit[cell] = greatest;
  }
  return fit;
}

std::vector<std::vector<Index>> all_orders(Index k) {
  std::vector<std::vector<Index>> orders;
  auto order = detail::first_order(k);
  do orders.push_back(order);
  while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

/// What one hidden layer of ELU makes of these utilities, with random non-negative weights: QMIX's mixer at one state.
Vector<double> random_qmix_table(const Vector<double>& q1, const Vector<double>& q2, Random& random) {
  Vector<double> table = Vector<double>::Constant(q1.size() * q2.size(), random.normal() * 3);
  for (int unit = 0; unit < 8; ++unit) {
    const double a = std::abs(random.normal()), b = std::abs(random.normal()), out = std::abs(random.normal());
    const double bias = random.normal() * 3;
    for (Index i = 0; i < q1.size(); ++i)
      for (Index j = 0; j < q2.size(); ++j) {
        const double x = a * q1[i] + b * q2[j] + bias;
        table[i * q2.size() + j] += out * (x > 0 ? x : std::expm1(x));
      }
  }
  return table;
}

}  // namespace

TEST_CASE("the additive projection is the least squares fit of a sum of utilities") {
  Random random(1);
  const Index k = 3;
  for (const Index n : {1, 2, 3}) {
    const Index joints = n_joint_actions(n, k);
    Matrix<double> A = Matrix<double>::Zero(joints, n * k);
    for (Index joint = 0; joint < joints; ++joint) {
      const std::vector<int> actions = joint_action(joint, n, k);
      for (Index i = 0; i < n; ++i) A(joint, i * k + actions[static_cast<std::size_t>(i)]) = 1;
    }
    for (int trial = 0; trial < 10; ++trial) {
      const Vector<double> payoff = random_table(joints, random);
      const Vector<double> fit = A * A.completeOrthogonalDecomposition().solve(payoff);
      const Projection projection = additive_projection(payoff, n, k);
      CHECK((projection.table - fit).norm() < 1e-12);
      CHECK(std::abs(projection.mse - (fit - payoff).squaredNorm() / static_cast<double>(joints)) < 1e-12);
    }
  }
}

TEST_CASE("the monotone projection is the best isotonic regression over all orders") {
  Random random(2);
  const Index k = 3;
  for (int trial = 0; trial < 5; ++trial) {
    Vector<double> payoff = random_table(k * k, random);
    if (trial >= 3) payoff = payoff.array().round();  // with ties
    double best = INFINITY;
    for (const auto& rows : all_orders(k))
      for (const auto& cols : all_orders(k)) {
        Vector<double> sorted(k * k);
        for (Index i = 0; i < k; ++i)
          for (Index j = 0; j < k; ++j)
            sorted[i * k + j] = payoff[rows[static_cast<std::size_t>(i)] * k + cols[static_cast<std::size_t>(j)]];
        best = std::min(best, (isotonic(sorted, k) - sorted).squaredNorm() / 9);
      }
    CHECK(std::abs(monotone_projection(payoff, k).mse - best) < 1e-12);
  }
}

TEST_CASE("the generators of the monotone cone are its upper sets") {
  CHECK(detail::monotone_generators(1).cols() == 0);
  for (const Index k : {2, 3, 4}) {
    const Matrix<double> generators = detail::monotone_generators(k);
    const auto sets = upper_sets(k);
    REQUIRE(generators.cols() == std::ssize(sets) - 2);  // without the empty set and the full one
    for (const auto& set : sets) {
      Vector<double> indicator(k * k);
      for (Index cell = 0; cell < k * k; ++cell) indicator[cell] = set[static_cast<std::size_t>(cell)] ? 1 : 0;
      if (indicator.minCoeff() == indicator.maxCoeff()) continue;
      CHECK((generators.colwise() - indicator).colwise().squaredNorm().minCoeff() == 0);
    }
  }
}

TEST_CASE("in a given order the QMIX projection is monotone, supermodular, and as near as any QMIX table") {
  Random random(3);
  const Index k = GENERATE(2, 3, 4);
  for (int trial = 0; trial < 20; ++trial) {
    const Vector<double> payoff = random_table(k * k, random);
    const auto ascending = detail::first_order(k);
    const Projection projection = qmix_projection(payoff, k, ascending, ascending);
    const Matrix<double> table = projection.table.reshaped(k, k).transpose();
    const Matrix<double> down = table.bottomRows(k - 1) - table.topRows(k - 1);
    const Matrix<double> right = table.rightCols(k - 1) - table.leftCols(k - 1);
    CHECK((down.array() > -1e-12).all());
    CHECK((right.array() > -1e-12).all());
    CHECK((down.rightCols(k - 1).array() - down.leftCols(k - 1).array() > -1e-12).all());
    // The nearest point x of a convex set to p is the one with <p - x, y - x> <= 0 for all y in the set.
    for (int mixer = 0; mixer < 20; ++mixer) {
      Vector<double> q1 = random_table(k, random), q2 = random_table(k, random);
      std::sort(q1.begin(), q1.end());
      std::sort(q2.begin(), q2.end());
      const Vector<double> y = random_qmix_table(q1, q2, random);
      CHECK((payoff - projection.table).dot(y - projection.table) < 1e-9);
    }
  }
}

TEST_CASE("no table of QMIX's mixer beats the QMIX projection, which is the best order's") {
  Random random(4);
  const Index k = 3;
  for (int trial = 0; trial < 5; ++trial) {
    const Vector<double> payoff = random_table(k * k, random);
    const Projection projection = qmix_projection(payoff, k);
    double best = INFINITY;
    for (const auto& rows : all_orders(k))
      for (const auto& cols : all_orders(k)) best = std::min(best, qmix_projection(payoff, k, rows, cols).mse);
    CHECK(std::abs(projection.mse - best) < 1e-12);
    CHECK(monotone_projection(payoff, k).mse <= projection.mse + 1e-12);
    CHECK(projection.mse <= additive_projection(payoff, 2, k).mse + 1e-12);
    for (int mixer = 0; mixer < 50; ++mixer) {
      // With the scale and offset that suit it best, provided that the scale is not negative.
      Vector<double> y = random_qmix_table(random_table(k, random), random_table(k, random), random);
      y.array() -= y.mean();
      const Vector<double> p = payoff.array() - payoff.mean();
      const double scale = std::max(0.0, y.dot(p) / y.squaredNorm());
      CHECK((scale * y - p).squaredNorm() / 9 >= projection.mse - 1e-12);
    }
  }
}

TEST_CASE("renaming actions renames the projection and changes nothing else") {
  Random random(5);
  const Vector<double> payoff = random_table(16, random);
  const Matrix<double> table = payoff.reshaped(4, 4).transpose();
  const std::vector<Index> rows = {2, 0, 3, 1}, cols = {3, 2, 0, 1};
  const Vector<double> renamed = table(rows, cols).transpose().reshaped();
  for (const auto project :
       {monotone_projection, static_cast<Projection (*)(const Vector<double>&, Index)>(qmix_projection)}) {
    const Projection before = project(payoff, 4), after = project(renamed, 4);
    CHECK(std::abs(before.mse - after.mse) < 1e-12);
    const Matrix<double> expected = before.table.reshaped(4, 4).transpose()(rows, cols);
    CHECK((after.table - expected.transpose().reshaped()).norm() < 1e-10);
  }
}

TEST_CASE("argmax lists all ties, greedy those that each agent's own ranking leads to") {
  const Projection projection = monotone_projection(Vector<double>{{3, 3, 0, 3}}, 2);
  CHECK(projection.mse < 1e-25);
  CHECK(projection.argmax == std::vector<Index>{0, 1, 3});
  CHECK(projection.greedy == std::vector<Index>{1});
  const Projection tie = additive_projection(payoffs("xor"), 2, 2);
  CHECK(tie.argmax == std::vector<Index>{0, 1, 2, 3});
  CHECK(tie.greedy == std::vector<Index>{0, 1, 2, 3});
  const Projection three = additive_projection(payoffs("qtran-3"), 3, 3);
  CHECK(three.argmax == std::vector<Index>{13, 14, 16, 17, 22, 23, 25, 26});  // everyone B or C
  CHECK(three.greedy == three.argmax);
}

TEST_CASE("wrong tables are refused") {
  const Vector<double> nine = Vector<double>::Zero(9);
  CHECK_THROWS_AS(additive_projection(nine, 2, 2), Error);
  CHECK_THROWS_AS(additive_projection(nine, 0, 3), Error);
  CHECK_THROWS_AS(additive_projection(nine, 64, 3), Error);
  CHECK_THROWS_AS(monotone_projection(nine, 4), Error);
  CHECK_THROWS_AS(qmix_projection(Vector<double>{{0, 1, std::nan(""), 3}}, 2), Error);
  CHECK_THROWS_AS(monotone_projection(Vector<double>::Zero(36), 6), Error);
  CHECK_THROWS_AS(qmix_projection(nine, 3, {0, 1, 1}, {0, 1, 2}), Error);
  CHECK_THROWS_AS(qmix_projection(nine, 3, {0, 1, 2}, {0, 1}), Error);
}

// The games of the literature. Mean squared errors and greedy actions are those of the project's table of reference
// values, which was computed independently; tables follow from Q(i, j) = row mean + column mean - mean.

TEST_CASE("additive projections of the known games") {
  struct Case {
    const char* name;
    double mse;
    int digits;
    std::vector<Index> greedy;
    std::vector<double> table;
  };
  // Symmetric 3x3 tables of two kinds of actions: the corner A, and B or C, which are alike.
  const auto alike = [](double corner, double side, double block) {
    return std::vector<double>{corner, side, side, side, block, block, side, block, block};
  };
  const std::vector<Case> cases = {
      {"qtran", 50.5679, 4, {4, 5, 7, 8}, alike(-6.222, -4.889, -3.556)},
      {"matrix_game_3", 64.4938, 4, {4, 5, 7, 8}, alike(-7.556, -4.222, -0.889)},
      {"matrix_game_1", 12.7486, 4, {8}, {5.778, 5.644, 8.978, 5.644, 5.511, 8.844, 8.978, 8.844, 12.178}},
      {"pymarl2", 7.3501, 4, {0}, alike(6.578, 2.611, -1.356)},
      {"two-step-2b", 2.25, 12, {3}, {-1.5, 2.5, 2.5, 6.5}},
      {"two-step-2b-nonmonotonic", 4.0, 12, {3}, {0, 3, 3, 6}},
      {"or", 0.0625, 12, {3}, {0.25, 0.75, 0.75, 1.25}},
      {"and", 0.0625, 12, {3}, {-0.25, 0.25, 0.25, 0.75}},
      {"xor", 0.25, 12, {0, 1, 2, 3}, std::vector<double>(4, 0.5)},
      {"identity", 0.25, 12, {0, 1, 2, 3}, std::vector<double>(4, 0.5)},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const Index k = c.table.size() == 9 ? 3 : 2;
    const Projection projection = additive_projection(payoffs(c.name), 2, k);
    CHECK(prints_as(projection.mse, c.mse, c.digits));
    CHECK(projection.greedy == c.greedy);
    CHECK(projection.argmax == c.greedy);
    for (Index i = 0; i < k * k; ++i) CHECK(prints_as(projection.table[i], c.table[static_cast<std::size_t>(i)], 3));
  }
}

TEST_CASE("additive projections of which only the greatest entry is known") {
  struct Case {
    const char* name;
    double mse;
    double greatest;
    Index greedy;
    double payoff;
  };
  for (const Case& c : {Case{"pymarl2-tens", 9.0864, 13.111, 8, 10}, Case{"climbing", 175.0864, 8.778, 8, 5},
                        Case{"penalty-100", 1435.7531, 21.111, 4, 2}, Case{"penalty-10", 44.6420, 1.111, 4, 2}}) {
    INFO(c.name);
    const Projection projection = additive_projection(payoffs(c.name), 2, 3);
    CHECK(prints_as(projection.mse, c.mse, 4));
    CHECK(prints_as(projection.table.maxCoeff(), c.greatest, 3));
    CHECK(projection.argmax == std::vector<Index>{c.greedy});
    CHECK(payoffs(c.name)[c.greedy] == c.payoff);
  }
}

TEST_CASE("monotone projections of the known games") {
  struct Case {
    const char* name;
    double mse;
    int digits;
    std::vector<Index> greedy;  // any of these; empty: not known
  };
  for (const Case& c :
       {Case{"qtran", 32.0, 12, {0}}, Case{"matrix_game_3", 38.2222, 4, {4, 5, 7, 8}},
        Case{"matrix_game_1", 7.4207, 4, {8}}, Case{"pymarl2", 0.0022, 4, {0}}, Case{"pymarl2-tens", 0.3333, 4, {}},
        Case{"climbing", 110.8241, 4, {}}, Case{"penalty-100", 896.2963, 4, {}}, Case{"penalty-10", 31.1111, 4, {2, 6}},
        Case{"two-step-2b", 0, 12, {3}}, Case{"two-step-2b-nonmonotonic", 1.0 / 6, 12, {3}}, Case{"or", 0, 12, {3}},
        Case{"and", 0, 12, {3}}, Case{"xor", 1.0 / 6, 12, {}}, Case{"identity", 1.0 / 6, 12, {}}}) {
    INFO(c.name);
    const Vector<double> payoff = payoffs(c.name);
    const Projection projection = monotone_projection(payoff, payoff.size() == 9 ? 3 : 2);
    CHECK(prints_as(projection.mse, c.mse, c.digits));
    for (const Index cell : projection.greedy) {
      CHECK((c.greedy.empty() || contains(c.greedy, cell)));
      CHECK(contains(projection.argmax, cell));
    }
    CHECK_FALSE(projection.greedy.empty());
  }
}

TEST_CASE("QMIX projections of the known games") {
  struct Case {
    const char* name;
    double mse;
    int digits;
    std::vector<Index> greedy;  // any of these; empty: not known
    std::vector<double> payoff;
  };
  for (const Case& c : {Case{"qtran", 32.0, 12, {0}, {8}}, Case{"matrix_game_3", 38.2222, 4, {4, 8}, {6}},
                        Case{"matrix_game_1", 11.3411, 4, {8}, {10}}, Case{"pymarl2", 0.0022, 4, {0}, {12}},
                        Case{"pymarl2-tens", 9.0741, 4, {8}, {10}}, Case{"climbing", 151.5556, 4, {8}, {5}},
                        Case{"penalty-100", 1278.1111, 4, {4}, {2}}, Case{"penalty-10", 31.4074, 4, {0, 8}, {10}},
                        Case{"two-step-2b", 0, 12, {3}, {8}}, Case{"two-step-2b-nonmonotonic", 1.0 / 6, 12, {3}, {8}},
                        Case{"or", 0.0625, 12, {3}, {1}}, Case{"and", 0, 12, {3}, {1}},
                        Case{"xor", 1.0 / 6, 12, {1, 2}, {1}}, Case{"identity", 1.0 / 6, 12, {0, 3}, {1}}}) {
    INFO(c.name);
    const Vector<double> payoff = payoffs(c.name);
    const Projection projection = qmix_projection(payoff, payoff.size() == 9 ? 3 : 2);
    CHECK(prints_as(projection.mse, c.mse, c.digits));
    REQUIRE(projection.greedy.size() == 1);
    CHECK(projection.greedy == projection.argmax);
    CHECK(contains(c.greedy, projection.greedy.front()));
    CHECK(payoff[projection.greedy.front()] == c.payoff.front());
  }
}

TEST_CASE("on QTRAN's matrix QMIX's best table is right, and the well-known wrong one a local optimum") {
  const Vector<double> payoff = payoffs("qtran");
  const Projection best = qmix_projection(payoff, 3);
  CHECK((best.table - Vector<double>{{8, -6, -6, -6, -6, -6, -6, -6, -6}}).norm() < 1e-12);
  const Projection local = qmix_projection(payoff, 3, {0, 1, 2}, {0, 1, 2});  // A ranks last for both
  CHECK((local.table - Vector<double>{{-8, -8, -8, -8, 0, 0, -8, 0, 0}}).norm() < 1e-12);
  CHECK(std::abs(local.mse - 320.0 / 9) < 1e-12);
  CHECK(local.argmax == std::vector<Index>{4, 5, 7, 8});
  // On OR the best QMIX can do is the additive table.
  CHECK((qmix_projection(payoffs("or"), 2).table - additive_projection(payoffs("or"), 2, 2).table).norm() < 1e-12);
  CHECK((qmix_projection(payoffs("two-step-2b-nonmonotonic"), 2).table - Vector<double>{{4.0 / 3, 4.0 / 3, 4.0 / 3, 8}})
            .norm() < 1e-12);
}
