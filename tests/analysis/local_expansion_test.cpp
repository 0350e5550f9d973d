#include "qatten/analysis/local_expansion.hpp"

#include <cmath>

#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qmix.hpp"
#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

Vector<double> vector(std::initializer_list<double> x) {
  Vector<double> v(static_cast<Index>(x.size()));
  std::copy(x.begin(), x.end(), v.data());
  return v;
}

double factorial(int n) { return std::tgamma(n + 1); }

const auto exponential = []<class S>(const Vector<S>& q) -> S { return exp(0.3 * q(0) + 0.2 * q(1)); };

}  // namespace

TEST_CASE("the expansion of an exponential") {
  const Vector<double> alpha = vector({1, 0.5});
  const LocalExpansion e = local_expansion<12>(exponential, alpha);

  // λ_{i,h} = a_i 0.4^{h-1} / (h-1)!, because Σ a_i α_i = 0.4
  for (int h = 1; h <= 12; ++h) {
    CHECK_THAT(e.lambda(0, h - 1), WithinRel(0.3 * std::pow(0.4, h - 1) / factorial(h - 1), 1e-13));
    CHECK_THAT(e.lambda(1, h - 1), WithinRel(0.2 * std::pow(0.4, h - 1) / factorial(h - 1), 1e-13));
  }
  CHECK_THAT(e.lambda(0, 4), WithinAbs(3.2e-4, 1e-15));
  CHECK_THAT(e.lambda(0, 5), WithinAbs(2.56e-5, 1e-15));
  CHECK_THAT(e.lambda.row(0).sum(), WithinAbs(0.447547409, 1e-9));
  CHECK_THAT(e.lambda.row(1).sum(), WithinAbs(0.298364940, 1e-9));
  CHECK_THAT(e.c, WithinAbs(0.895094819, 1e-9));
  CHECK_THAT(e.c, WithinAbs(0.6 * std::exp(0.4), 1e-12));

  // tangent plane at α
  CHECK_THAT(e.slope(0), WithinAbs(0.3 * std::exp(0.4), 1e-15));
  CHECK_THAT(e.slope(1), WithinAbs(0.2 * std::exp(0.4), 1e-15));
  CHECK_THAT(e.offset, WithinAbs(0.6 * std::exp(0.4), 1e-15));
  CHECK(e.remainder() <= 1e-12);
  CHECK_THAT(e(alpha), WithinAbs(std::exp(0.4), 1e-12));

  // fewer orders: the same coefficients, and a remainder of the size of the next
  const LocalExpansion three = local_expansion<3>(exponential, alpha);
  CHECK(three.lambda == e.lambda.leftCols(3));
  CHECK_THAT(three.remainder(), WithinAbs(e.lambda.row(0).tail(9).sum(), 1e-12));
}

TEST_CASE("the residual of the expansion is of fourth order in the actions") {
  // Q_i = α_i + β_i x², β = (-1, -2)
  const LocalExpansion e = local_expansion<16>(exponential, vector({1, 0.5}));
  const double want[] = {3.6465e-5, 2.2830e-6, 1.4275e-7, 8.923e-9};
  double x = 0.1, previous = 0;
  for (int k = 0; k < 4; ++k, x /= 2) {
    const Vector<double> q = vector({1 - x * x, 0.5 - 2 * x * x});
    const double residual = std::exp(0.3 * q(0) + 0.2 * q(1)) - e(q);
    CHECK_THAT(residual, WithinRel(want[k], 1e-4));
    if (k > 0) CHECK_THAT(previous / residual, WithinAbs(16, 0.06));
    previous = residual;
  }
  CHECK_THAT(previous / std::pow(2 * x, 4), WithinAbs(0.3655, 1e-4));
}

TEST_CASE("the expansion of a product has two orders") {
  const auto product = []<class S>(const Vector<S>& q) -> S { return q(0) * q(1); };
  const LocalExpansion e = local_expansion<5>(product, vector({3, -7}));
  CHECK(e.lambda.col(0).isZero(0));
  CHECK(e.lambda(0, 1) == -7);
  CHECK(e.lambda(1, 1) == 3);
  CHECK(e.lambda.rightCols(3).isZero(0));
  CHECK_THAT(e.c, WithinAbs(21, 1e-14));
  CHECK(e.offset == 21);
  CHECK(e.remainder() == 0);
}

TEST_CASE("the tangent plane identities hold for an entire function of several values") {
  const auto f = []<class S>(const Vector<S>& q) -> S {
    return sin(q(0) * q(1)) + exp(0.5 * q(2)) * cos(q(0)) - q(1) * q(1) * q(2);
  };
  const Vector<double> a = vector({0.4, -0.6, 0.7});
  const LocalExpansion e = local_expansion<30>(f, a);
  // gradient by hand
  const double cosine = std::cos(a(0) * a(1)), grown = std::exp(0.5 * a(2));
  CHECK_THAT(e.slope(0), WithinAbs(a(1) * cosine - grown * std::sin(a(0)), 1e-15));
  CHECK_THAT(e.slope(1), WithinAbs(a(0) * cosine - 2 * a(1) * a(2), 1e-15));
  CHECK_THAT(e.slope(2), WithinAbs(0.5 * grown * std::cos(a(0)) - a(1) * a(1), 1e-15));
  CHECK(e.remainder() <= 1e-14);
  CHECK_THAT(e.c, WithinAbs(e.offset, 1e-14));
  CHECK_THAT(e.offset, WithinAbs(f(a) - a.dot(e.slope), 1e-15));

  // λ_{i,1} and λ_{i,2} from the derivatives at 0: gradient (0, 0, 1/2), Hessian [[-1, 1, 0], [1, 0, 0], [0, 0, 1/4]]
  CHECK_THAT(e.lambda(0, 0), WithinAbs(0, 1e-16));
  CHECK_THAT(e.lambda(1, 0), WithinAbs(0, 1e-16));
  CHECK_THAT(e.lambda(2, 0), WithinAbs(0.5, 1e-16));
  CHECK_THAT(e.lambda(0, 1), WithinAbs(-a(0) + a(1), 1e-15));
  CHECK_THAT(e.lambda(1, 1), WithinAbs(a(0), 1e-15));
  CHECK_THAT(e.lambda(2, 1), WithinAbs(a(2) / 4, 1e-15));
}

TEST_CASE("with a finite radius of convergence the decay is geometric") {
  // 1 / (1 - c Q): λ_h = h c^h α^{h-1}
  const double c = 0.5, a = 1.2;
  const auto f = [&]<class S>(const Vector<S>& q) -> S { return 1 / (1 - c * q(0)); };
  const LocalExpansion e = local_expansion<40>(f, vector({a}));
  for (int h = 1; h <= 40; ++h)
    CHECK_THAT(e.lambda(0, h - 1), WithinRel(h * std::pow(c, h) * std::pow(a, h - 1), 1e-12));
  CHECK_THAT(e.lambda(0, 39) / e.lambda(0, 38), WithinRel(c * a * 40 / 39, 1e-12));  // -> c α = 0.6, not -> 0
  CHECK_THAT(e.slope(0), WithinRel(c / std::pow(1 - c * a, 2), 1e-14));
  CHECK(e.remainder() <= 1e-6);

  // beyond the radius it does not converge, and says so
  CHECK(local_expansion<40>(f, vector({3})).remainder() > 1e3);
  const auto kink = []<class S>(const Vector<S>& q) -> S { return max(q(0) - 1, S(0)); };
  CHECK(local_expansion<3>(kink, vector({2})).remainder() == 1);
}

TEST_CASE("the expansion of QMIX at a state") {
  const auto make = [](auto scalar, ParameterLayout& layout) {
    return Qmix<decltype(scalar)>(layout, "mixer", 3, 4, {.mixing_embed_dim = 8, .hypernet_embed = 16});
  };
  ParameterLayout layout;
  const Qmix<double> mixer = make(0.0, layout);
  Vector<double> p = Vector<double>::Zero(layout.size());
  Random random(1);
  mixer.initialise(p, random);
  const Vector<double> state = vector({0.5, -1, 0.3, 0.8}), alpha = vector({-0.02, 0.03, 0.01});
  const LocalExpansion e = local_expansion<10>(mixer_function(make, p, state), alpha);

  // the slope at α by the mixer's own backward pass
  Qmix<double>::Cache cache;
  Qmix<double>::Scratch scratch;
  mixer.prepare(cache, scratch, 1);
  Matrix<double> q_tot(1, 1), slope(3, 1);
  Vector<double> gradients = Vector<double>::Zero(p.size());
  mixer.forward(p, {alpha, state}, q_tot, cache, scratch);
  mixer.backward(p, cache, {alpha, state}, Matrix<double>::Ones(1, 1).eval(), gradients, slope, scratch);
  CHECK((e.slope - slope).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK_THAT(e.offset, WithinAbs(q_tot(0) - alpha.dot(slope.col(0)), 1e-14));

  // λ_{i,1} is the slope at 0, and ELU bends: higher orders are there, and no kink lies between 0 and α
  const Vector<double> zero = Vector<double>::Zero(3);
  mixer.forward(p, {zero, state}, q_tot, cache, scratch);
  mixer.backward(p, cache, {zero, state}, Matrix<double>::Ones(1, 1).eval(), gradients, slope, scratch);
  CHECK((e.lambda.col(0) - slope).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK(e.lambda.col(1).cwiseAbs().maxCoeff() > 1e-6);
  CHECK(e.remainder() <= 1e-12);
  CHECK_THAT(e.c, WithinAbs(e.offset, 1e-12));
}

TEST_CASE("Qatten is its own expansion, of first order") {
  const auto make = [](auto scalar, ParameterLayout& layout) {
    return Qatten<decltype(scalar)>(layout, "mixer", 3, 4, 2, QattenOptions::pymarl2());
  };
  ParameterLayout layout;
  const Qatten<double> mixer = make(0.0, layout);
  Vector<double> p = Vector<double>::Zero(layout.size());
  Random random(2);
  mixer.initialise(p, random);
  const Vector<double> state = vector({0.5, -1, 0.3, 0.8}), units = vector({1, 2, -1, 0, 0.5, 1});
  const LocalExpansion e = local_expansion<4>(mixer_function(make, p, state, units), vector({3, -1, 2}));
  CHECK(e.lambda.rightCols(3).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK(e.lambda.col(0).minCoeff() > 0);
  CHECK(e.remainder() <= 1e-13);

  Qatten<double>::Cache cache;
  Qatten<double>::Scratch scratch;
  mixer.prepare(cache, scratch, 1);
  Matrix<double> q_tot(1, 1);
  mixer.forward(p, {Vector<double>::Zero(3).eval(), state, units}, q_tot, cache, scratch);
  CHECK_THAT(e.c, WithinAbs(mixer.state_value(cache, 1)(0, 0), 1e-13));
}

TEST_CASE("mistakes in an expansion are errors") {
  CHECK_THROWS_AS(local_expansion<2>(exponential, Vector<double>()), Error);
  const auto make = [](auto scalar, ParameterLayout& layout) { return Qmix<decltype(scalar)>(layout, "mixer", 2, 1); };
  CHECK_THROWS_AS(local_expansion<2>(mixer_function(make, vector({1, 2}), vector({1})), vector({1, 2})), Error);
}
