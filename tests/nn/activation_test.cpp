#include "qatten/nn/activation.hpp"

#include <functional>

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

struct ActivationCase {
  Activation f;
  std::function<double(double)> value, slope;
};

double sigmoid(double x) { return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

const ActivationCase activations[] = {
    {Activation::identity, [](double x) { return x; }, [](double) { return 1.; }},
    {Activation::relu, [](double x) { return x > 0 ? x : 0; }, [](double x) { return x > 0 ? 1. : 0.; }},
    {Activation::leaky_relu, [](double x) { return x > 0 ? x : 0.01 * x; }, [](double x) { return x > 0 ? 1. : 0.01; }},
    {Activation::elu, [](double x) { return x > 0 ? x : std::expm1(x); },
     [](double x) { return x > 0 ? 1. : std::exp(x); }},
    {Activation::tanh, [](double x) { return std::tanh(x); },
     [](double x) { return 1 / (std::cosh(x) * std::cosh(x)); }},
    {Activation::sigmoid, sigmoid, [](double x) { return sigmoid(x) * sigmoid(-x); }},
    {Activation::softplus, softplus, sigmoid},
};

struct PositiveCase {
  Positive f;
  std::function<double(double)> value, slope;
};

const PositiveCase positives[] = {
    {Positive::abs, [](double x) { return std::abs(x); }, [](double x) { return x > 0   ? 1.
                                                                                : x < 0 ? -1.
                                                                                        : 0.; }},
    {Positive::softplus, softplus, sigmoid},
    {Positive::square, [](double x) { return x * x / 2; }, [](double x) { return x; }},
    {Positive::none, [](double x) { return x; }, [](double) { return 1.; }},
};

/// Kinks, the usual range, saturation.
template <class Scalar>
Matrix<Scalar> arguments() {
  Matrix<Scalar> x(1, 47);
  for (Index k = 0; k < 41; ++k) x(0, k) = Scalar(0.25 * double(k - 20));
  const double extremes[] = {-1e4, -100, -30, 30, 100, 1e4};
  for (Index k = 0; k < 6; ++k) x(0, 41 + k) = Scalar(extremes[k]);
  return x;
}

/// Eigen 3.4's float logistic is good to 3e-6.
template <class Scalar>
double tolerance() {
  return std::is_same_v<Scalar, float> ? 4e-6 : 1e-14;
}

/// Entry by entry, relative to 1 or to what is wanted.
template <class Scalar>
void compare(const Matrix<Scalar>& x, const Matrix<Scalar>& got, const std::function<double(double)>& want) {
  for (Index k = 0; k < x.cols(); ++k) {
    const double w = want(double(x(0, k)));
    INFO("at " << x(0, k) << ": got " << got(0, k) << ", want " << w);
    CHECK(std::abs(double(got(0, k)) - w) <= tolerance<Scalar>() * std::max(1., std::abs(w)));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("activations and their slopes, saturated and at kinks", "", float, double) {
  const Matrix<TestType> x = arguments<TestType>();
  for (const ActivationCase& c : activations) {
    INFO("activation " << int(c.f));
    Matrix<TestType> y = x;
    activate<TestType>(c.f, y);
    compare<TestType>(x, y, c.value);
    Matrix<TestType> dy = Matrix<TestType>::Constant(1, x.cols(), 2);
    activate_backward<TestType>(c.f, y, dy);
    compare<TestType>(x, dy, [&](double a) { return 2 * c.slope(a); });
  }
}

TEMPLATE_TEST_CASE("positive maps and their slopes, saturated and at kinks", "", float, double) {
  const Matrix<TestType> x = arguments<TestType>();
  const Matrix<TestType> dy = Matrix<TestType>::Constant(1, x.cols(), 2);
  for (const PositiveCase& c : positives) {
    INFO("positive " << int(c.f));
    Matrix<TestType> y(1, x.cols()), dx(1, x.cols());
    make_positive<TestType>(c.f, x, y);
    compare<TestType>(x, y, c.value);
    if (c.f != Positive::none) CHECK((y.array() >= 0).all());
    make_positive_backward<TestType>(c.f, x, dy, dx);
    compare<TestType>(x, dx, [&](double a) { return 2 * c.slope(a); });

    Matrix<TestType> in_place = x, d_in_place = dy;
    make_positive<TestType>(c.f, in_place, in_place);
    make_positive_backward<TestType>(c.f, x, d_in_place, d_in_place);
    CHECK(same(in_place, y));
    CHECK(same(d_in_place, dx));
  }
}

TEST_CASE("slopes agree with dual numbers away from kinks") {
  Random random(1);
  const Matrix<double> x = random_matrix<double>(3, 4, random);
  Matrix<Dual<double>> seeded = x.cast<Dual<double>>();
  for (Index k = 0; k < x.size(); ++k) seeded.data()[k].derivative = 1;
  const auto slopes = [](const Matrix<Dual<double>>& y) {
    return Matrix<double>(y.unaryExpr([](const Dual<double>& d) { return d.derivative; }));
  };
  for (const ActivationCase& c : activations) {
    INFO("activation " << int(c.f));
    Matrix<double> y = x, dy = Matrix<double>::Ones(3, 4);
    activate<double>(c.f, y);
    activate_backward<double>(c.f, y, dy);
    Matrix<Dual<double>> z = seeded;
    activate<Dual<double>>(c.f, z);
    CHECK(distance(dy, slopes(z)) <= 1e-14);
  }
  for (const PositiveCase& c : positives) {
    INFO("positive " << int(c.f));
    Matrix<double> dx(3, 4);
    make_positive_backward<double>(c.f, x, Matrix<double>::Ones(3, 4).eval(), dx);
    Matrix<Dual<double>> z(3, 4);
    make_positive<Dual<double>>(c.f, seeded, z);
    CHECK(distance(dx, slopes(z)) <= 1e-14);
  }
}

TEMPLATE_TEST_CASE("ELU keeps its digits near 0", "", float, double) {
  for (double x = -1; x < -1e-12; x /= 3) {
    Matrix<TestType> y = Matrix<TestType>::Constant(1, 5, TestType(x));
    activate<TestType>(Activation::elu, y);
    const double want = std::expm1(double(TestType(x)));
    CAPTURE(x, want, y(0, 0));
    CHECK(((y.template cast<double>().array() / want - 1).abs() < 8 * std::numeric_limits<TestType>::epsilon()).all());
  }
}

TEMPLATE_TEST_CASE("activations do not hide NaN", "", float, double) {
  const Matrix<TestType> x =
      Matrix<TestType>::Constant(1, 9, TestType(not_a_number));  // packets and the rest behind them
  for (const ActivationCase& c : activations) {
    INFO("activation " << int(c.f));
    Matrix<TestType> y = x;
    activate<TestType>(c.f, y);
    CHECK(y.array().isNaN().all());
  }
  for (const PositiveCase& c : positives) {
    INFO("positive " << int(c.f));
    Matrix<TestType> y(1, 9);
    make_positive<TestType>(c.f, x, y);
    CHECK(y.array().isNaN().all());
  }
}
