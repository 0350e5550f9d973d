#include "qatten/analysis/igm.hpp"

#include <cmath>
#include <limits>
#include <set>

#include "qatten/analysis/joint_table.hpp"
#include "qatten/analysis/qtran_conditions.hpp"
#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/mixers/vdn.hpp"
#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

using Joint = std::vector<int>;
using Joints = std::set<Joint>;

Joints set_of(const std::vector<Joint>& list) { return Joints(list.begin(), list.end()); }

const auto sum = [](ConstView<double> q, View<double> q_tot) { q_tot = q.colwise().sum(); };

/// Not monotonic: every agent pulls its own way, and the last one the other way.
const auto last_reversed = [](ConstView<double> q, View<double> q_tot) {
  q_tot = q.topRows(q.rows() - 1).colwise().sum() - q.bottomRows(1);
};

Matrix<double> random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  Matrix<double> x(rows, cols);
  for (Index k = 0; k < x.size(); ++k) x(k) = random.normal();
  return x;
}

}  // namespace

TEST_CASE("greedy actions are available and the first of equals") {
  Matrix<double> q(3, 4);
  q << 1, 5, 2, -1,  //
      3, 5, 9, -1,   //
      2, 0, 1, -2;
  CHECK(greedy_actions(q) == Joint{1, 0, 1, 0});
  Matrix<std::uint8_t> available(3, 4);
  available << 1, 0, 1, 0,  //
      0, 1, 0, 0,           //
      1, 1, 1, 1;
  CHECK(greedy_actions(q, available) == Joint{2, 1, 0, 2});
  CHECK(greedy_actions(Matrix<float>(q.cast<float>()), available) == Joint{2, 1, 0, 2});
  q(1, 0) = std::numeric_limits<double>::quiet_NaN();  // not available, so not in the way
  CHECK(greedy_actions(q, available) == Joint{2, 1, 0, 2});
  CHECK_THROWS_AS(greedy_actions(q), Error);
  CHECK_THROWS_AS(greedy_actions(q, available.leftCols(3)), Error);
  available.col(2).setZero();
  CHECK_THROWS_AS(greedy_actions(q, available), Error);
}

TEST_CASE("IGM holds for a sum, exhaustively for 6 agents") {
  const Matrix<double> q = random_matrix(6, 6, 1);
  Random random(2);
  const IgmReport report = check_igm(q, {}, sum, random);
  CHECK(report.holds);
  CHECK(report.exhaustive);
  CHECK(report.evaluated == 46656 + 1);
  CHECK(report.greedy.actions == greedy_actions(q));
  CHECK(report.best.actions == report.greedy.actions);
  CHECK_THAT(report.best.value, WithinAbs(q.colwise().maxCoeff().sum(), 1e-12));
  CHECK(report.greedy_set == report.best_set);
  CHECK(report.greedy_count == 1);
  CHECK(report.best_count == 1);
  CHECK(to_string(report).find("IGM holds (exhaustive, 46657 values)") == 0);
}

TEST_CASE("an IGM violation comes with its counterexample") {
  Matrix<double> q(2, 3);
  q << 0, 4, 2,  //
      1, 0, 3;
  Random random(3);
  const IgmReport report = check_igm(q, {}, last_reversed, random);
  CHECK(!report.holds);
  CHECK(report.greedy.actions == Joint{1, 0, 1});
  CHECK(report.greedy.value == 2);
  CHECK(report.best.actions == Joint{1, 0, 0});
  CHECK(report.best.value == 3);
  CHECK(report.gap() == 1);
  CHECK(report.best_set == std::vector<Joint>{{1, 0, 0}});
  const std::string text = to_string(report);
  CHECK(text.find("IGM fails") == 0);
  CHECK(text.find("greedy (1, 0, 1) has Q_tot 2") != std::string::npos);
  CHECK(text.find("best   (1, 0, 0) has Q_tot 3") != std::string::npos);

  // within a tolerance it passes
  CHECK(check_igm(q, {}, last_reversed, random, {.tolerance = 0.1}).holds == false);
  CHECK(check_igm(q, {}, last_reversed, random, {.tolerance = 0.5}).holds);
}

TEST_CASE("ties are sets") {
  Matrix<double> q(3, 2);
  q << 1, 2,  //
      1, 0,   //
      0, 2;
  Random random(4);
  const Joints product{{0, 0}, {0, 2}, {1, 0}, {1, 2}};

  SECTION("every member of the product attains the maximum") {
    const IgmReport report = check_igm(q, {}, sum, random);
    CHECK(report.holds);
    CHECK(report.greedy_count == 4);
    CHECK(report.best_count == 4);
    CHECK(set_of(report.greedy_set) == product);
    CHECK(set_of(report.best_set) == product);
  }
  SECTION("a weight of 0 makes the joint set larger, which is allowed") {
    const IgmReport report = check_igm(
        q, {}, [](ConstView<double> x, View<double> q_tot) { q_tot = x.row(0); }, random);
    CHECK(report.holds);
    CHECK(report.greedy_count == 4);
    CHECK(report.best_count == 6);
  }
  SECTION("lists are bounded, counts are not") {
    const IgmReport report = check_igm(q, {}, sum, random, {.listed = 3});
    CHECK(report.greedy_set.size() == 3);
    CHECK(report.best_set.size() == 3);
    CHECK(report.greedy_count == 4);
    CHECK(report.best_count == 4);
  }
  SECTION("one member that misses the maximum is a violation, and named") {
    // -0.0 and 0.0 are equal values that a joint function may tell apart
    Matrix<double> zeros(2, 2);
    zeros << 0., 0.,  //
        -0., -0.;
    const auto picky = [](ConstView<double> x, View<double> q_tot) {
      for (Index r = 0; r < x.cols(); ++r) q_tot(0, r) = std::signbit(x(0, r)) && !std::signbit(x(1, r)) ? 1 : 2;
    };
    const IgmReport report = check_igm(zeros, {}, picky, random);
    CHECK(!report.holds);
    CHECK(report.greedy_count == 4);
    CHECK(report.greedy.actions == Joint{1, 0});
    CHECK(report.best_count == 3);
  }
}

TEST_CASE("availability holds on both sides") {
  Matrix<double> q(2, 2);
  q << 1, 5,  //
      3, 4;
  Matrix<std::uint8_t> available = Matrix<std::uint8_t>::Ones(2, 2);
  available(1, 0) = 0;
  Random random(5);
  const IgmReport report = check_igm(q, available, sum, random);
  CHECK(report.holds);
  CHECK(report.best.actions == Joint{0, 0});
  CHECK(report.best.value == 6);
  CHECK(report.evaluated == 3);  // two available joint actions, and the greedy one

  // the reversed agent's violation needs an action that is not available
  available << 1, 1,  //
      1, 0;
  CHECK(check_igm(q, available, last_reversed, random).holds);
  CHECK(!check_igm(q, {}, last_reversed, random).holds);
}

TEST_CASE("40 agents are sampled") {
  const Matrix<double> q = random_matrix(9, 40, 6);
  Random random(7);
  const IgmReport report = check_igm(q, {}, sum, random, {.samples = 500, .climbs = 4});
  CHECK(report.holds);
  CHECK(!report.exhaustive);
  CHECK_THAT(report.best.value, WithinAbs(q.colwise().maxCoeff().sum(), 1e-12));
  CHECK(report.best_set.empty());
  CHECK(to_string(report).find("IGM holds (sampled") == 0);

  // coordinate ascent finds the true maximum of a joint value that random actions do not come near
  const IgmReport broken = check_igm(q, {}, last_reversed, random, {.samples = 500, .climbs = 4});
  CHECK(!broken.holds);
  CHECK_THAT(broken.best.value, WithinAbs(q.leftCols(39).colwise().maxCoeff().sum() - q.col(39).minCoeff(), 1e-12));
  CHECK_THAT(broken.gap(), WithinAbs(q.col(39).maxCoeff() - q.col(39).minCoeff(), 1e-12));

  Matrix<std::uint8_t> available = Matrix<std::uint8_t>::Ones(9, 40);
  Index lowest = 0;
  q.col(39).minCoeff(&lowest);
  available(lowest, 39) = 0;
  const IgmReport masked = check_igm(q, available, last_reversed, random, {.samples = 500, .climbs = 4});
  CHECK(masked.best.value < broken.best.value);
  CHECK(masked.best.actions[39] != lowest);

  // a product of local argmax sets that is itself too large
  const IgmReport tied = check_igm(Matrix<double>::Zero(9, 40), {}, sum, random, {.samples = 50, .climbs = 2});
  CHECK(tied.holds);
  CHECK_THAT(tied.greedy_count, WithinRel(std::pow(9., 40.), 1e-12));
  CHECK(tied.greedy_set.size() == 16);
}

TEST_CASE("Q_tot that is NaN fails") {
  const Matrix<double> q = random_matrix(3, 2, 8);
  Random random(9);
  int calls = 0;
  const auto nan_once = [&](ConstView<double> x, View<double> q_tot) {
    q_tot = x.colwise().sum();
    if (++calls == 2) q_tot(0, 4) = std::numeric_limits<double>::quiet_NaN();
  };
  const IgmReport report = check_igm(q, {}, nan_once, random);
  CHECK(!report.holds);
  CHECK(report.best.actions == Joint{1, 1});
  CHECK(std::isnan(report.best.value));
}

TEST_CASE("IGM of the mixers at a state") {
  Random random(10);
  const Matrix<double> q = 3 * random_matrix(5, 4, 11), state = random_matrix(6, 1, 12),
                       units = random_matrix(8, 1, 13);
  const auto initialised = [&](const auto& mixer, const ParameterLayout& layout) {
    Vector<double> p = Vector<double>::Zero(layout.size());
    mixer.initialise(p, random);
    return p;
  };
  const Vector<double> none;
  CHECK(check_igm(q, {}, MixerAtState(Vdn<double>(4), none), random).holds);
  CHECK_THROWS_AS(MixerAtState(Independent<double>(4), none), Error);
  CHECK_THROWS_AS(MixerAtState(Vdn<double>(4), none, Matrix<double>::Zero(3, 2).eval()), Error);

  ParameterLayout qmix_layout;
  const Qmix<double> qmix(qmix_layout, "mixer", 4, 6);
  const Vector<double> qmix_p = initialised(qmix, qmix_layout);
  CHECK(check_igm(q, {}, MixerAtState(qmix, qmix_p, state), random).holds);

  ParameterLayout qatten_layout;
  const Qatten<double> qatten(qatten_layout, "mixer", 4, 6, 2, QattenOptions::authors());
  const Vector<double> qatten_p = initialised(qatten, qatten_layout);
  const IgmReport report = check_igm(q, {}, MixerAtState(qatten, qatten_p, state, units), random);
  CHECK(report.holds);
  CHECK(report.best_count == 1);

  ParameterLayout wild_layout;
  const Qmix<double> wild(wild_layout, "mixer", 4, 6, {.positive = Positive::none});
  const Vector<double> wild_p = initialised(wild, wild_layout);
  const IgmReport broken = check_igm(q, {}, MixerAtState(wild, wild_p, state), random);
  CHECK(!broken.holds);
  // the counterexample stands on its own
  Matrix<double> chosen(4, 2), q_tot(1, 2);
  for (Index i = 0; i < 4; ++i) {
    chosen(i, 0) = q(broken.best.actions[static_cast<std::size_t>(i)], i);
    chosen(i, 1) = q(broken.greedy.actions[static_cast<std::size_t>(i)], i);
  }
  MixerAtState(wild, wild_p, state)(chosen, q_tot);
  CHECK_THAT(q_tot(0), WithinAbs(broken.best.value, 1e-12));
  CHECK_THAT(q_tot(1), WithinAbs(broken.greedy.value, 1e-12));
  CHECK(q_tot(0) > q_tot(1));
}

TEST_CASE("nonlinear Qatten fails IGM") {
  // one head whose logits grow with Q_i (slope kappa): Q^h = sum_i softmax_i(kappa Q) Q_i falls when a low Q_i rises
  ParameterLayout layout;
  QattenOptions options;
  options.nonlinear = true;
  options.state_bias = false;
  options.query_hidden = 0;
  options.n_head = 1;
  options.embed = 1;
  const Qatten<double> mixer(layout, "mixer", 2, 1, 1, options);
  Vector<double> p = Vector<double>::Zero(layout.size());
  p.setOnes();  // kappa = 1 at state 1: logits u_i + Q_i
  const Matrix<double> state = Matrix<double>::Ones(1, 1), units = Matrix<double>::Zero(2, 1);
  Matrix<double> q(2, 2);
  q << -3, 0,  //
      -2.9, 0;
  Matrix<double> chosen(2, 2), q_tot(1, 2);
  chosen << -3, -2.9,  //
      0, 0;
  MixerAtState(mixer, p, state, units)(chosen, q_tot);
  CHECK_THAT(q_tot(0), WithinAbs(-3 / (1 + std::exp(3.)), 1e-12));
  CHECK_THAT(q_tot(1), WithinAbs(-2.9 / (1 + std::exp(2.9)), 1e-12));

  Random random(14);
  const IgmReport report = check_igm(q, {}, MixerAtState(mixer, p, state, units), random);
  CHECK(!report.holds);
  CHECK(report.greedy_set == std::vector<Joint>{{1, 0}, {1, 1}});
  CHECK(report.best_set == std::vector<Joint>{{0, 0}, {0, 1}});
}

TEST_CASE("single precision mixers are checked in single precision") {
  const Vector<float> none;
  Random random(15);
  const Vdn<float> mixer(3);
  const IgmReport report =
      check_igm(Matrix<float>(random_matrix(4, 3, 16).cast<float>()), {}, MixerAtState(mixer, none), random);
  CHECK(report.holds);
  CHECK(report.evaluated == 65);
}

TEST_CASE("IGM of a table is that of the mixer it came from") {
  const Matrix<double> q = random_matrix(3, 4, 17);
  Matrix<std::uint8_t> available = Matrix<std::uint8_t>::Ones(3, 4);
  available(0, 1) = 0;
  Vector<double> table(81);
  for (const bool reversed : {false, true}) {
    for (Index k = 0; k < table.size(); ++k) {
      const Joint joint = joint_action(k, 4, 3);
      table(k) = 0;
      for (Index i = 0; i < 4; ++i) {
        const double value = q(joint[static_cast<std::size_t>(i)], i);
        table(k) += reversed && i == 3 ? -value : value;
      }
    }
    Random random(0);
    const std::function<void(ConstView<double>, View<double>)> value =
        reversed ? std::function<void(ConstView<double>, View<double>)>(last_reversed) : sum;
    const IgmReport expected = check_igm(q, available, value, random);
    const IgmReport report = check_igm(q, available, table);
    CHECK(report.holds == !reversed);
    CHECK(report.exhaustive);
    CHECK(report.greedy.actions == expected.greedy.actions);
    CHECK(report.best.actions == expected.best.actions);
    CHECK_THAT(report.gap(), WithinAbs(expected.gap(), 1e-12));
    CHECK(set_of(report.best_set) == set_of(expected.best_set));
    CHECK_FALSE(report.qtran);
  }
  CHECK_THROWS_WITH(check_igm(q, available, Vector<double>(table.head(80))), testing::contains("joint"));
  table(7) = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(check_igm(q, {}, table).holds);
}

// QTRAN's matrix, its first action worth 4 to either agent: the sum meets the payoff at the optimum and lies above it
// elsewhere.
TEST_CASE("QTRAN's conditions are reported by the IGM check") {
  Matrix<double> q(3, 2);
  q << 4, 4,  //
      0, 1,   //
      0, 0;
  Vector<double> joint(9);
  joint << 8, -12, -12, -12, 0, 0, -12, 0, 0;
  const IgmReport kept = check_igm(q, {}, joint, 0.0);
  CHECK(kept.holds);
  CHECK(kept.qtran->greedy == 0);
  CHECK(kept.qtran->lowest == 0);

  const IgmReport lower = check_igm(q, {}, joint, -0.5);  // V_jt takes half a point off every sum
  CHECK(lower.qtran->greedy == -0.5);
  CHECK(lower.qtran->lowest == -0.5);
  CHECK_THAT(to_string(lower), testing::contains("(4a) is off by -0.5, (4b) by -0.5"));

  joint(8) = 3;  // (C, C): the sum is 0, so (4b) fails there, though the optimum is still the greedy action
  const IgmReport broken = check_igm(q, {}, joint, 0.0);
  CHECK(broken.holds);
  CHECK(broken.qtran->greedy == 0);
  CHECK(broken.qtran->lowest == -3);

  Matrix<std::uint8_t> available = Matrix<std::uint8_t>::Ones(3, 2);
  available(2, 0) = 0;  // agent 0 cannot play C
  CHECK(check_igm(q, available, joint, 0.0).qtran->lowest == 0);
  available(0, 0) = 0;  // nor A: ū is (B, A), which pays −12
  CHECK(check_igm(q, available, joint, 0.0).qtran->greedy == 16);
}
