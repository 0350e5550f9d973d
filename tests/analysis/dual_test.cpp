#include "qatten/analysis/dual.hpp"

#include <Eigen/Dense>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

using D = Dual<double>;
using DD = Dual<Dual<double>>;

struct Case {
  std::string name;
  std::function<D(D)> f;
  std::function<DD(DD)> ff;
  double x, value, first, second;  // by hand
};

std::vector<Case> cases() {
  const double s = 1 / (1 + std::exp(-0.3)), t = std::tanh(0.3);
  return {
      {"exp", [](auto x) { return exp(x); }, [](auto x) { return exp(x); }, 0.3, std::exp(0.3), std::exp(0.3),
       std::exp(0.3)},
      {"expm1", [](auto x) { return expm1(x); }, [](auto x) { return expm1(x); }, 1e-9, std::expm1(1e-9),
       std::exp(1e-9), std::exp(1e-9)},
      {"log", [](auto x) { return log(x); }, [](auto x) { return log(x); }, 2., std::log(2.), 0.5, -0.25},
      {"log1p", [](auto x) { return log1p(x); }, [](auto x) { return log1p(x); }, 1., std::log(2.), 0.5, -0.25},
      {"sqrt", [](auto x) { return sqrt(x); }, [](auto x) { return sqrt(x); }, 4., 2., 0.25, -1. / 32},
      {"sin", [](auto x) { return sin(x); }, [](auto x) { return sin(x); }, 0.7, std::sin(0.7), std::cos(0.7),
       -std::sin(0.7)},
      {"cos", [](auto x) { return cos(x); }, [](auto x) { return cos(x); }, 0.7, std::cos(0.7), -std::sin(0.7),
       -std::cos(0.7)},
      {"tanh", [](auto x) { return tanh(x); }, [](auto x) { return tanh(x); }, 0.3, t, 1 - t * t, -2 * t * (1 - t * t)},
      {"logistic", [](auto x) { return logistic(x); }, [](auto x) { return logistic(x); }, 0.3, s, s * (1 - s),
       s * (1 - s) * (1 - 2 * s)},
      {"abs", [](auto x) { return abs(x); }, [](auto x) { return abs(x); }, -2., 2., -1., 0.},
      {"pow 3", [](auto x) { return pow(x, 3); }, [](auto x) { return pow(x, 3); }, -2., -8., 12., -12.},
      {"pow 1/2", [](auto x) { return pow(x, 0.5); }, [](auto x) { return pow(x, 0.5); }, 4., 2., 0.25, -1. / 32},
      {"pow 0", [](auto x) { return pow(x, 0); }, [](auto x) { return pow(x, 0); }, 0., 1., 0., 0.},
      {"quotient", [](auto x) { return (x - 1) / (x * x); }, [](auto x) { return (x - 1) / (x * x); }, 2., 0.25, 0.,
       -1. / 8},  // f' = (2 - x)/x³, f'' = (2x - 6)/x⁴
      {"maximum", [](auto x) { return max(x * x, x); }, [](auto x) { return max(x * x, x); }, 3., 9., 6., 2.},
      {"minimum", [](auto x) { return min(x * x, x); }, [](auto x) { return min(x * x, x); }, 3., 3., 1., 0.},
  };
}

}  // namespace

TEST_CASE("a dual number carries first derivatives, and nested second ones") {
  for (const Case& c : cases()) {
    INFO(c.name);
    const D y = c.f(D(c.x, 1));
    CHECK_THAT(y.value, WithinRel(c.value, 1e-15));
    CHECK_THAT(y.derivative, WithinAbs(c.first, 1e-14));
    const DD yy = c.ff(DD(D(c.x, 1), D(1)));
    CHECK_THAT(yy.value.value, WithinRel(c.value, 1e-15));
    CHECK_THAT(yy.derivative.value, WithinAbs(c.first, 1e-14));
    CHECK_THAT(yy.derivative.derivative, WithinAbs(c.second, 1e-14));
  }
}

TEST_CASE("numbers mix with dual numbers, and assignment operators are the operators") {
  D x(3, 1);
  CHECK((2 * x + 1 - x / 2).derivative == 1.5);
  CHECK((1 / x).derivative == -1. / 9);
  x += x;
  x *= x;  // 4 x²
  x -= 1;
  x /= 2;
  CHECK(x.value == 17.5);
  CHECK(x.derivative == 12);
}

TEST_CASE("comparisons see values only") {
  CHECK(D(1, 5) == D(1, -5));
  CHECK(D(1, 5) < D(2, -5));
  CHECK(D(2) >= 2);
  CHECK(D(0) <= D(0, 1));
  CHECK(D(1) != D(2));
  CHECK(D(3) > 2);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(isnan(D(nan)));
  CHECK(isfinite(D(1)));
  CHECK(!isfinite(D(nan)));
  CHECK(isinf(-std::numeric_limits<D>::infinity() + D(1)));
}

TEST_CASE("dual numbers have PyTorch's slopes at kinks") {
  CHECK(abs(D(0, 7)).derivative == 0);
  CHECK(max(D(1, 2), D(1, 3)).derivative == 3);
  CHECK(min(D(1, 2), D(1, 3)).derivative == 2);
  const Eigen::Array<D, 1, 1> x(D(0, 7));
  CHECK(x.max(D(0))(0).derivative == 0);          // ReLU
  CHECK(x.min(D(0)).expm1()(0).derivative == 7);  // ELU
}

TEST_CASE("a saturated dual number has slope 0, not NaN") {
  CHECK(logistic(D(-1000, 1)).derivative == 0);
  CHECK(logistic(D(1000, 1)).derivative == 0);
  CHECK(tanh(D(-1000, 1)).derivative == 0);
  Eigen::Array<D, 2, 1> x(D(-1000, 1), D(1000, 1));
  const Eigen::Array<D, 2, 1> y = x.logistic();
  CHECK(y(0).derivative == 0);
  CHECK(y(1).derivative == 0);
  CHECK(y(1).value == 1);
}

TEST_CASE("Eigen works on dual numbers") {
  using T = double;
  using S = Dual<T>;
  const auto seeded = [](const Matrix<T>& value, const Matrix<T>& derivative) {
    Matrix<S> x = value.cast<S>();
    for (Index i = 0; i < x.size(); ++i) x(i).derivative = derivative(i);
    return x;
  };
  const auto derivative = [](const auto& expression) {
    const Matrix<S> x = expression;
    return Matrix<T>(x.unaryExpr([](const S& s) { return s.derivative; }));
  };
  std::srand(3);
  const Matrix<T> a = Matrix<T>::Random(37, 23), b = Matrix<T>::Random(23, 41);
  const Matrix<T> da = Matrix<T>::Random(37, 23), db = Matrix<T>::Random(23, 41);
  const Matrix<S> x = seeded(a, da), y = seeded(b, db);
  const double tolerance = 200 * double(std::numeric_limits<T>::epsilon());
  const auto near = [&](const Matrix<T>& got, const Matrix<T>& want) {
    return double((got - want).cwiseAbs().maxCoeff()) <= tolerance;
  };

  CHECK(near(derivative(x * y), da * b + a * db));
  CHECK(near(derivative(x.transpose() * x), da.transpose() * a + a.transpose() * da));
  Matrix<S> sum = x * y;
  sum.noalias() += x * y;
  CHECK(near(derivative(sum), 2 * (da * b + a * db)));
  CHECK(near(derivative(x * y.col(0)), da * b.col(0) + a * db.col(0)));

  CHECK(near(derivative(x.array().tanh().matrix()), ((1 - a.array().tanh().square()) * da.array()).matrix()));
  const Matrix<T> s = a.array().logistic();
  CHECK(near(derivative(x.array().logistic().matrix()), (s.array() * (1 - s.array()) * da.array()).matrix()));
  CHECK(near(derivative(x.array().exp().matrix()), (a.array().exp() * da.array()).matrix()));
  CHECK(near(derivative(x.array().expm1().matrix()), (a.array().exp() * da.array()).matrix()));
  CHECK(near(derivative((x.array() + 2).log().matrix()), (da.array() / (a.array() + 2)).matrix()));
  CHECK(near(derivative((x.array() + 2).log1p().matrix()), (da.array() / (a.array() + 3)).matrix()));
  CHECK(near(derivative((x.array() + 2).sqrt().matrix()), (da.array() / (2 * (a.array() + 2).sqrt())).matrix()));
  CHECK(near(derivative(x.array().square().matrix()), (2 * a.array() * da.array()).matrix()));
  CHECK(near(derivative(x.array().pow(2).matrix()), (2 * a.array() * da.array()).matrix()));
  CHECK(near(derivative(x.array().cube().matrix()), (3 * a.array().square() * da.array()).matrix()));
  CHECK(near(derivative((x.array() + 2).inverse().matrix()), (-da.array() / (a.array() + 2).square()).matrix()));
  CHECK(near(derivative(x.array().abs().matrix()), (a.array().sign() * da.array()).matrix()));
  CHECK(near(derivative(x.cwiseAbs()), (a.array().sign() * da.array()).matrix()));
  CHECK(near(derivative(x.array().sin().matrix()), (a.array().cos() * da.array()).matrix()));
  CHECK(near(derivative((1 - x.array() * T(0.5)).matrix()), -da / 2));
  CHECK(near(derivative((2.0 / (x.array() + 2)).matrix()), (-2 * da.array() / (a.array() + 2).square()).matrix()));

  const Matrix<T> zero = Matrix<T>::Zero(37, 23);
  const Matrix<T> relu = (a.array() > 0).select(da, zero);
  CHECK(near(derivative(x.cwiseMax(S(0))), relu));
  CHECK(near(derivative(x.array().max(S(0)).matrix()), relu));
  CHECK(near(derivative((x.array() > 0).select(x, Matrix<S>::Zero(37, 23))), relu));
  const Matrix<S> elu = (x.array() > 0).select(x.array(), x.array().expm1());
  CHECK(near(derivative(elu), (a.array() > 0).select(da.array(), a.array().exp() * da.array()).matrix()));

  const Matrix<S> largest = x.colwise().maxCoeff();
  Index row = 0, got = 0;
  a.col(5).maxCoeff(&row);
  x.col(5).maxCoeff(&got);
  CHECK(row == got);
  CHECK(largest(5).derivative == da(row, 5));
  CHECK(near(derivative(x.colwise().sum()), da.colwise().sum()));
  CHECK(near(derivative(x.rowwise().mean()), da.rowwise().mean()));
  CHECK(std::abs(double(x.squaredNorm().derivative - 2 * a.cwiseProduct(da).sum())) <= tolerance * 10);

  // softmax over rows, as an attention layer writes it
  const Matrix<S> e = (x.rowwise() - x.colwise().maxCoeff()).array().exp();
  const Matrix<S> p = e.array().rowwise() / e.colwise().sum().array();
  const Matrix<T> pe = (a.rowwise() - a.colwise().maxCoeff()).array().exp();
  const Matrix<T> pv = pe.array().rowwise() / pe.colwise().sum().array();
  const Matrix<T> mean = pv.cwiseProduct(da).colwise().sum();
  CHECK(near(derivative(p), pv.cwiseProduct(da.rowwise() - mean.row(0))));
  CHECK(x.allFinite());
}

TEST_CASE("a dual number may hold floats") {
  const Matrix<Dual<float>> x{{Dual<float>(1, 1), 2}, {3, 4}};
  const Matrix<Dual<float>> y = (x * x).array().pow(2) * 0.5;  // (x²)_00 = x_00² + x_01 x_10 = 7, with slope 2
  CHECK(y(0, 0).value == 24.5F);
  CHECK(y(0, 0).derivative == 14);
  CHECK(y(1, 1).derivative == 0);
}
