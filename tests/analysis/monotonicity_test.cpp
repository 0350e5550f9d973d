#include "qatten/analysis/monotonicity.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/mixers/vdn.hpp"
#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

/// Q_tot = Σ_i f(Q_i), f'(Q_i) given; a backward pass may be wrong on purpose.
template <class Scalar_, class F, class Slope>
class Separable {
 public:
  using Scalar = Scalar_;
  struct Cache {};
  struct Scratch {};
  Separable(Index n_agents, F f, Slope slope) : n_agents_(n_agents), f_(f), slope_(slope) {}
  Index n_agents() const { return n_agents_; }
  Index outputs() const { return 1; }
  MixerPromises promises() const { return {}; }
  void initialise(Vector<Scalar>&, Random&) const {}
  void prepare(Cache&, Scratch&, Index) const {}
  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache&, Scratch& s) const {
    evaluate(p, in, q_tot, s);
  }
  void evaluate(const Vector<Scalar>&, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch&) const {
    q_tot = in.agent_qs.unaryExpr(f_).colwise().sum();
  }
  void backward(const Vector<Scalar>&, const Cache&, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>&, View<Scalar> dq, Scratch&) const {
    dq = (in.agent_qs.unaryExpr(slope_).array().rowwise() * dq_tot.row(0).array()).matrix();
  }
  Scalar regulariser(const Cache&) const { return 0; }

 private:
  Index n_agents_;
  F f_;
  Slope slope_;
};

template <class Scalar, class M>
Vector<Scalar> parameters_of(const M& mixer, const ParameterLayout& layout, std::uint64_t seed) {
  Vector<Scalar> p = Vector<Scalar>::Zero(layout.size());
  Random random(seed);
  mixer.initialise(p, random);
  return p;
}

}  // namespace

TEST_CASE("VDN's slopes are all 1") {
  Random random(1);
  const MonotonicityReport report = check_monotonicity(Vdn<double>(3), Vector<double>(), {.samples = 100}, random);
  CHECK(report.monotonic());
  CHECK(report.slopes == 300);
  CHECK(report.violations == 0);
  CHECK(report.worst.slope == 1);
  CHECK_THAT(report.worst.numeric, WithinAbs(1, 1e-10));
  CHECK(report.disagreement <= 1e-10);
  CHECK(report.kinks == 0);
}

TEST_CASE("QMIX is monotonic, in single precision too") {
  const MonotonicityOptions options{.state_dim = 6, .samples = 300, .search_steps = 30};
  Random random(2);
  ParameterLayout layout, float_layout;
  const Qmix<double> mixer(layout, "mixer", 4, 6);
  const Qmix<float> float_mixer(float_layout, "mixer", 4, 6);
  const Vector<double> p = parameters_of<double>(mixer, layout, 3);
  const auto report = check_monotonicity(mixer, p, options, random);
  const auto float_report = check_monotonicity(float_mixer, Vector<float>(p.cast<float>()), options, random);
  for (const MonotonicityReport& r : {report, float_report}) {
    INFO(to_string(r));
    CHECK(r.monotonic());
    CHECK(r.slopes == 1200);
    CHECK(r.kinks < r.slopes / 10);
  }
  CHECK(report.disagreement <= 1e-6);
  CHECK(float_report.disagreement <= 1e-2);
}

TEST_CASE("Qatten is monotonic") {
  ParameterLayout layout;
  const Qatten<double> mixer(layout, "mixer", 4, 6, 2, QattenOptions::pymarl2());
  Random random(2);
  const auto report = check_monotonicity(mixer, parameters_of<double>(mixer, layout, 4),
                                         {.state_dim = 6, .unit_dim = 2, .samples = 300, .search_steps = 30}, random);
  INFO(to_string(report));
  CHECK(report.monotonic());
  CHECK(report.worst.slope >= 0);
  CHECK(report.disagreement <= 1e-6);
  CHECK(report.kinks == 0);
}

TEST_CASE("QMIX without positive weights is caught, and the search makes it worse") {
  ParameterLayout layout;
  const Qmix<double> mixer(layout, "mixer", 4, 6, {.positive = Positive::none});
  const Vector<double> p = parameters_of<double>(mixer, layout, 5);
  Random random(6);
  const auto report = check_monotonicity(mixer, p, {.state_dim = 6, .samples = 200, .search_steps = 50}, random);
  INFO(to_string(report));
  CHECK(!report.monotonic());
  CHECK(report.violations > 100);
  CHECK(report.sampled_minimum < 0);
  CHECK(report.worst.slope < 2 * report.sampled_minimum);
  CHECK_THAT(report.worst.numeric, WithinRel(report.worst.slope, 1e-5));
}

TEST_CASE("nonlinear Qatten is not monotonic, and the worst case says where") {
  ParameterLayout layout;
  QattenOptions options = QattenOptions::authors();  // with its regulariser, which also feels the keys
  options.nonlinear = true;
  const Qatten<double> mixer(layout, "mixer", 3, 5, 2, options);
  const Vector<double> p = parameters_of<double>(mixer, layout, 7);
  Random random(8);
  const auto report =
      check_monotonicity(mixer, p, {.state_dim = 5, .unit_dim = 2, .samples = 200, .search_steps = 100}, random);
  INFO(to_string(report));
  CHECK(!report.monotonic());
  CHECK(report.worst.slope < report.sampled_minimum);
  CHECK_THAT(report.worst.numeric, WithinRel(report.worst.slope, 1e-5));
  CHECK(report.disagreement <= 1e-5);

  // the worst case is a case: raise that agent's value a little, and Q_tot falls
  Matrix<double> q = report.worst.agent_qs.replicate(1, 2), q_tot(1, 2);
  q(report.worst.agent, 1) += 1e-4;
  Qatten<double>::Cache cache;
  Qatten<double>::Scratch scratch;
  mixer.prepare(cache, scratch, 2);
  mixer.evaluate(
      p,
      {q, Matrix<double>(report.worst.state.replicate(1, 2)), Matrix<double>(report.worst.units.replicate(1, 2)), {}},
      q_tot, scratch);
  CHECK(q_tot(1) < q_tot(0));
}

TEST_CASE("samples may be given, and then the search varies Q alone") {
  ParameterLayout layout;
  const Qmix<double> mixer(layout, "mixer", 2, 3, {.positive = Positive::none});
  const Vector<double> p = parameters_of<double>(mixer, layout, 9);
  std::srand(10);
  const Matrix<double> q = Matrix<double>::Random(2, 70), state = Matrix<double>::Random(3, 70);
  Random random(11);
  const auto report = check_monotonicity(mixer, p, {.agent_qs = q, .state = state}, random, {.search_steps = 20});
  CHECK(!report.monotonic());
  CHECK(report.slopes == 140);
  CHECK(report.worst.slope < report.sampled_minimum);
  CHECK(report.worst.agent_qs.cwiseAbs().maxCoeff() <= q.cwiseAbs().maxCoeff());
  CHECK((state.colwise() - report.worst.state).colwise().norm().minCoeff() == 0);
}

TEST_CASE("dead agents' samples keep their mask") {
  ParameterLayout layout;
  QattenOptions options = QattenOptions::authors();
  options.mask_dead = true;
  options.nonlinear = true;
  const Qatten<double> mixer(layout, "mixer", 3, 2, 2, options);
  const Vector<double> p = parameters_of<double>(mixer, layout, 12);
  std::srand(13);
  const Matrix<double> q = 5 * Matrix<double>::Random(3, 80), state = Matrix<double>::Random(2, 80),
                       units = Matrix<double>::Random(6, 80);
  Matrix<std::uint8_t> alive = Matrix<std::uint8_t>::Ones(3, 80);
  alive.row(1).setZero();
  Random random(14);
  const auto report = check_monotonicity(mixer, p, {q, state, units, alive}, random, {.search_steps = 20});
  INFO(to_string(report));
  REQUIRE(report.worst.alive.size() == 3);
  CHECK(report.worst.alive(1) == 0);
  CHECK(report.worst.slope >= 0);
  CHECK(report.worst.slope <= 1e-300);  // what softmax leaves of a dead agent
  CHECK(report.disagreement <= 1e-5);
}

TEST_CASE("a wrong backward pass disagrees with the values") {
  // Q_tot = Σ sin(Q_i) is not monotonic, but this backward pass claims |cos|
  const auto f = [](double q) { return std::sin(q); };
  const Separable<double, decltype(f), double (*)(double)> mixer(
      2, f, +[](double q) { return std::abs(std::cos(q)); });
  Random random(15);
  const auto report = check_monotonicity(mixer, Vector<double>(), {.samples = 100, .search_steps = 0}, random);
  CHECK(report.monotonic());
  CHECK(report.disagreement > 1);

  const Separable<double, decltype(f), double (*)(double)> right(
      2, f, +[](double q) { return std::cos(q); });
  const auto honest = check_monotonicity(right, Vector<double>(), {.samples = 100}, random);
  CHECK(!honest.monotonic());
  CHECK_THAT(honest.worst.slope, WithinAbs(-1, 1e-5));
  CHECK_THAT(std::abs(std::remainder(honest.worst.agent_qs(honest.worst.agent), 2 * std::numbers::pi)),
             WithinAbs(std::numbers::pi, 1e-2));
  CHECK(honest.disagreement <= 1e-6);
}

TEST_CASE("slopes at kinks are counted, not compared") {
  const auto f = [](double q) { return std::max(q, 2 * q); };
  const auto slope = [](double q) { return q > 0 ? 2. : 1.; };
  const Separable<double, decltype(f), decltype(slope)> mixer(1, f, slope);
  Random random(16);
  Matrix<double> q = Matrix<double>::Random(1, 50);
  q(7) = 1e-5;
  q(8) = -2e-4;
  const auto report = check_monotonicity(mixer, Vector<double>(), {.agent_qs = q}, random);
  CHECK(report.kinks == 2);
  CHECK(report.disagreement <= 1e-9);
  CHECK(report.monotonic());
}

TEST_CASE("NaN is not monotonic") {
  const auto f = [](double q) { return q > 3 ? std::numeric_limits<double>::quiet_NaN() : q; };
  const auto slope = [](double q) { return q > 3 ? std::numeric_limits<double>::quiet_NaN() : 1.; };
  const Separable<double, decltype(f), decltype(slope)> mixer(2, f, slope);
  Random random(17);
  const auto report = check_monotonicity(mixer, Vector<double>(), {.samples = 200, .search_steps = 3}, random);
  CHECK(!report.monotonic());
  CHECK(std::isnan(report.worst.slope));
  CHECK(report.worst.agent_qs(report.worst.agent) > 3);
  CHECK(report.disagreement == std::numeric_limits<double>::infinity());

  // so is an infinite slope
  const auto infinite = [](double q) { return q > 3 ? std::numeric_limits<double>::infinity() : 1.; };
  const auto line = [](double q) { return q; };
  const Separable<double, decltype(line), decltype(infinite)> steep(2, line, infinite);
  const auto of_steep = check_monotonicity(steep, Vector<double>(), {.samples = 200, .search_steps = 3}, random);
  CHECK(of_steep.disagreement == std::numeric_limits<double>::infinity());

  // NaN from the values alone is a disagreement
  const auto claims = [](double) { return 1.; };
  const Separable<double, decltype(f), decltype(claims)> liar(2, f, claims);
  const auto second = check_monotonicity(liar, Vector<double>(), {.samples = 200, .search_steps = 3}, random);
  CHECK(second.disagreement == std::numeric_limits<double>::infinity());
}

TEST_CASE("the monotonicity report reads well, and mistakes are errors") {
  Random random(18);
  const auto f = [](double q) { return -q; };
  const auto slope = [](double) { return -1.; };
  const Separable<double, decltype(f), decltype(slope)> falling(2, f, slope);
  const std::string text = to_string(check_monotonicity(falling, Vector<double>(), {.samples = 10}, random));
  CHECK(text.find("not monotonic: 20 of 20 slopes") == 0);
  CHECK(text.find("dQ_tot/dQ_0 = -1") != std::string::npos);

  CHECK_THROWS_AS(check_monotonicity(Independent<double>(2), Vector<double>(), {.samples = 10}, random), Error);
  CHECK_THROWS_AS(check_monotonicity(falling, Vector<double>(), {.samples = 0}, random), Error);
}
