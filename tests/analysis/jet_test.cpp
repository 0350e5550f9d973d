#include "qatten/analysis/jet.hpp"

#include <Eigen/Dense>
#include <array>
#include <string>

#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;

namespace {

using J = Jet<double, 6>;

void check(const std::string& name, const J& got, const std::array<double, 6>& want) {
  for (int k = 0; k < 6; ++k) {
    INFO(name << ", coefficient " << k);
    CHECK_THAT(got[k], WithinAbs(want[static_cast<std::size_t>(k)], 1e-14));
  }
}

/// a + b t + c t², so that a function of it needs more than the chain rule's first term.
J curve(double a, double b, double c) {
  J x = J::line(a, b);
  x[2] = c;
  return x;
}

}  // namespace

TEST_CASE("a jet expands the textbook series") {
  const J t = J::line(0, 1);
  check("exp", exp(t), {1, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120});
  check("expm1", expm1(t), {0, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120});
  check("log", log(1 + t), {0, 1, -1. / 2, 1. / 3, -1. / 4, 1. / 5});
  check("log1p", log1p(t), {0, 1, -1. / 2, 1. / 3, -1. / 4, 1. / 5});
  check("sqrt", sqrt(1 + t), {1, 1. / 2, -1. / 8, 1. / 16, -5. / 128, 7. / 256});
  check("tanh", tanh(t), {0, 1, 0, -1. / 3, 0, 2. / 15});
  check("logistic", logistic(t), {1. / 2, 1. / 4, 0, -1. / 48, 0, 1. / 480});
  check("sin", sin(t), {0, 1, 0, -1. / 6, 0, 1. / 120});
  check("cos", cos(t), {1, 0, -1. / 2, 0, 1. / 24, 0});
  check("geometric", 1 / (1 - 2 * t), {1, 2, 4, 8, 16, 32});
  check("whole power", pow(t, 3), {0, 0, 0, 1, 0, 0});
  check("power", pow(1 + t, -0.5), {1, -1. / 2, 3. / 8, -5. / 16, 35. / 128, -63. / 256});
  check("absolute", abs(t - 2), {2, -1, 0, 0, 0, 0});
  check("maximum", max(t, t * t - 1), {0, 1, 0, 0, 0, 0});
  check("minimum", min(t, t * t - 1), {-1, 0, 1, 0, 0, 0});
}

TEST_CASE("functions of jets satisfy their identities off the origin") {
  const J x = curve(0.7, -0.4, 0.9), one = J(1);
  const auto all = [](const J& j) { return j.coefficients; };
  check("log exp", log(exp(x)), all(x));
  check("expm1", expm1(x), all(exp(x) - 1));
  check("log1p", log1p(x), all(log(1 + x)));
  check("sqrt", sqrt(x) * sqrt(x), all(x));
  check("sin² + cos²", sin(x) * sin(x) + cos(x) * cos(x), all(one));
  check("sin 2x", sin(2 * x), all(2 * sin(x) * cos(x)));
  check("tanh", tanh(x), all((exp(2 * x) - 1) / (exp(2 * x) + 1)));
  check("logistic", logistic(x), all(1 / (1 + exp(-x))));
  check("power", pow(x, 1.5), all(x * sqrt(x)));
  check("division", (x / (1 + x)) * (1 + x), all(x));
  J y = x;
  y *= x;
  y /= x;
  y += 1;
  y -= 1;
  check("assignment", y, all(x));
}

TEST_CASE("comparisons of jets see the leading coefficient") {
  CHECK(J::line(1, 5) == J::line(1, -5));
  CHECK(J::line(1, 5) < J::line(2, -5));
  CHECK(J(1) <= 1);
  CHECK(J(2) > 1);
  CHECK(J(2) >= 2);
  CHECK(J(2) != 1);
  CHECK(isinf(std::numeric_limits<J>::infinity() + J(0)));
  CHECK(isfinite(J(1)));
  CHECK(isnan(0 / J(0)));
}

TEST_CASE("Eigen works on jets") {
  // d²/dt² of a two-layer net along a line, against the second derivative by hand: y = v·tanh(W (a + t b))
  std::srand(5);
  const Matrix<double> w = Matrix<double>::Random(7, 4), v = Matrix<double>::Random(1, 7);
  const Vector<double> a = Vector<double>::Random(4), b = Vector<double>::Random(4);
  Matrix<J> x(4, 1);
  for (Index i = 0; i < 4; ++i) x(i) = J::line(a(i), b(i));
  const Matrix<J> hidden = (w.cast<J>() * x).array().tanh();
  const J y = (v.cast<J>() * hidden).value();

  const Eigen::ArrayXd h = (w * a).array().tanh(), slope = (w * b).array();
  const Eigen::ArrayXd second = -2 * h * (1 - h.square()) * slope.square();
  CHECK_THAT(y[0], WithinAbs((v * h.matrix()).value(), 1e-14));
  CHECK_THAT(y[1], WithinAbs((v * ((1 - h.square()) * slope).matrix()).value(), 1e-14));
  CHECK_THAT(2 * y[2], WithinAbs((v * second.matrix()).value(), 1e-14));

  const Matrix<J> elu = (x.array() > 0).select(x.array(), x.array().expm1());
  Index i = 0;
  a.minCoeff(&i);
  REQUIRE(a(i) < 0);
  CHECK_THAT(elu(i)[2], WithinAbs(std::exp(a(i)) * b(i) * b(i) / 2, 1e-14));
  CHECK(Matrix<J>(x.array().logistic() * 2.0 + 1)(i)[3] == (2 * logistic(x(i)))[3]);
  CHECK(x.colwise().maxCoeff()(0)[0] == a.maxCoeff());
  CHECK_THAT(Matrix<J>(x.array().pow(2))(i)[2], WithinAbs(b(i) * b(i), 1e-15));
}

TEST_CASE("a dual number over jets gives the derivative of the expansion") {
  // d/dp exp(p t) = t exp(p t), at p = 2
  using S = Dual<Jet<double, 4>>;
  const S t(Jet<double, 4>::line(0, 1));
  const S p(Jet<double, 4>(2), Jet<double, 4>(1));
  const Jet<double, 4> d = exp(p * t).derivative;
  CHECK_THAT(d[0], WithinAbs(0, 1e-15));
  CHECK_THAT(d[1], WithinAbs(1, 1e-15));
  CHECK_THAT(d[2], WithinAbs(2, 1e-15));
  CHECK_THAT(d[3], WithinAbs(2, 1e-15));

  // and a jet over dual numbers is the same
  using R = Jet<Dual<double>, 4>;
  const R y = exp(R(Dual<double>(2, 1)) * R::line(0, 1));
  for (int k = 0; k < 4; ++k) CHECK_THAT(y[k].derivative, WithinAbs(d[k], 1e-15));
}
