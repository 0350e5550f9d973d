#include "qatten/optim/optimizer.hpp"

#include "qatten/optim/adam.hpp"
#include "qatten/optim/clip.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// A user's own optimiser.
struct Sgd {
  using Scalar = float;
  struct State {};
  void prepare(State&, Index) const {}
  void update(Vector<float>& parameters, const Vector<float>& gradients, State&) const {
    parameters -= 0.1F * gradients;
  }
};

struct WithoutState {
  using Scalar = float;
  void update(Vector<float>&, const Vector<float>&) const {}
};

struct NotConst : Sgd {
  void update(Vector<float>&, const Vector<float>&, State&) {}
};

static_assert(Optimizer<Sgd> && Optimizer<Adam<double>> && Optimizer<RmsProp<double>>);
static_assert(!Optimizer<WithoutState> && !Optimizer<NotConst> && !Optimizer<int>);

/// Gradients of all sizes, down to where ε rules, and of both signs; their size changes from step to step.
Matrix<double> gradients(int steps) {
  Matrix<double> g(8, steps);
  Random random(1);
  for (Index k = 0; k < steps; ++k) {
    for (Index i = 0; i < 7; ++i)
      g(i, k) = (i % 2 ? -1 : 1) * std::pow(10., 1. - 2. * double(i)) * random.uniform(0.5, 2);
    g(7, k) = 0;
  }
  return g;
}

/// What both formulas start with.
double start(Index i) { return (i % 2 ? -1 : 1) * (2 + 0.3 * double(i)); }

/// Steps of O against θ after each of them, for every entry by itself. Movements are compared, so that tiny ones count.
template <class O, class Formula>
void check(const O& optimizer, double weight_decay, const Formula& formula) {
  using Scalar = typename O::Scalar;
  constexpr int steps = 12;
  const Matrix<double> g = gradients(steps);
  Vector<Scalar> p(8);
  for (Index i = 0; i < 8; ++i) p(i) = Scalar(weight_decay > 0 ? start(i) : 0);
  typename O::State state;
  optimizer.prepare(state, 8);
  Matrix<double> got(8, steps), want(8, steps);
  for (int k = 0; k < steps; ++k) {
    optimizer.update(p, g.col(k).template cast<Scalar>(), state);
    got.col(k) = p.template cast<double>();
  }
  for (Index i = 0; i < 8; ++i) {
    double theta = weight_decay > 0 ? double(Scalar(start(i))) : 0;
    auto step = formula;
    for (int k = 0; k < steps; ++k) {
      theta = step(theta, double(Scalar(g(i, k))) + weight_decay * theta);
      want(i, k) = theta;
    }
    INFO("entry " << i << ", gradients about 1e" << 1 - 2 * i);
    CHECK(distance(got.row(i), want.row(i)) <= (std::is_same_v<Scalar, float> ? 3e-6 : 1e-13));
  }
  CHECK((weight_decay > 0 || (got.row(7).array() == 0).all()));
}

template <class Scalar>
void check_adam(const AdamOptions& o) {
  check(Adam<Scalar>(o), o.weight_decay, [o, m = 0., v = 0., t = 0](double theta, double g) mutable {
    ++t;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, t)), v_hat = v / (1 - std::pow(o.beta2, t));
    return theta - o.lr * m_hat / (std::sqrt(v_hat) + o.eps);
  });
}

template <class Scalar>
void check_rmsprop(const RmsPropOptions& o) {
  check(RmsProp<Scalar>(o), o.weight_decay, [o, v = 0.](double theta, double g) mutable {
    v = o.alpha * v + (1 - o.alpha) * g * g;
    return theta - o.lr * g / (std::sqrt(v) + o.eps);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("Adam is Kingma and Ba's formula, epsilon outside the root of the corrected moment", "", float,
                   double) {
  for (const double eps : {1e-8, 1e-5, 1e-3})
    for (const double weight_decay : {0., 0.1})
      for (const double beta2 : {0.999, 0.9}) {
        INFO("eps " << eps << ", weight decay " << weight_decay << ", beta2 " << beta2);
        check_adam<TestType>({.lr = 0.01, .beta1 = 0.9, .beta2 = beta2, .eps = eps, .weight_decay = weight_decay});
      }
}

TEMPLATE_TEST_CASE("RMSprop is Tieleman and Hinton's formula, epsilon outside the root", "", float, double) {
  for (const double eps : {1e-8, 1e-5, 1e-3})
    for (const double weight_decay : {0., 0.1})
      for (const double alpha : {0.99, 0.5}) {
        INFO("eps " << eps << ", weight decay " << weight_decay << ", alpha " << alpha);
        check_rmsprop<TestType>({.lr = 0.01, .alpha = alpha, .eps = eps, .weight_decay = weight_decay});
      }
}

TEST_CASE("Adam's first step is lr g / (|g| + eps): half of lr where g is eps") {
  const Adam<double> adam({.lr = 0.1, .eps = 1e-8});
  Adam<double>::State state;
  adam.prepare(state, 3);
  Vector<double> p = Vector<double>::Zero(3), g(3);
  g << 1e-8, -1e-12, 1;
  adam.update(p, g, state);
  CHECK(std::abs(p(0) + 0.05) < 1e-12);
  CHECK(std::abs(p(1) - 0.1 * 1e-12 / (1e-12 + 1e-8)) < 1e-15);
  CHECK(std::abs(p(2) + 0.1) < 1e-8);
}

TEST_CASE("prepare gives a fresh state") {
  const Adam<double> adam;
  Adam<double>::State state;
  Vector<double> a = Vector<double>::Zero(2), b = a;
  const Vector<double> g = Vector<double>::Ones(2);
  adam.prepare(state, 2);
  adam.update(a, g, state);
  CHECK(state.step == 1);
  adam.prepare(state, 2);
  adam.update(b, g, state);
  CHECK(same(a, b));
  CHECK(state.step == 1);
}

TEST_CASE("optimisers reject vectors of the wrong size") {
  Vector<double> p = Vector<double>::Zero(3);
  const Vector<double> g = Vector<double>::Zero(3), shorter = Vector<double>::Zero(2);
  Adam<double>::State adam;
  RmsProp<double>::State rmsprop;
  CHECK_THROWS_AS(Adam<double>().update(p, g, adam), Error);
  CHECK_THROWS_AS(RmsProp<double>().update(p, g, rmsprop), Error);
  Adam<double>().prepare(adam, 3);
  RmsProp<double>().prepare(rmsprop, 3);
  CHECK_THROWS_AS(Adam<double>().update(p, shorter, adam), Error);
  CHECK_THROWS_AS(RmsProp<double>().update(p, shorter, rmsprop), Error);
  CHECK(adam.step == 0);
}

TEST_CASE("clipping scales to the limit above it, and leaves what is below it as it is") {
  Vector<double> g(2);
  g << 3, 4;
  CHECK(clip_global_norm(g, 10) == 5);
  CHECK(g(0) == 3);
  CHECK(clip_global_norm(g, 1) == 5);
  CHECK(std::abs(g(0) - 3 / (5 + 1e-6)) < 1e-15);  // torch.nn.utils.clip_grad_norm_
  CHECK(std::abs(g(1) - 4 / (5 + 1e-6)) < 1e-15);
  Vector<double> zero = Vector<double>::Zero(3);
  CHECK(clip_global_norm(zero, 1) == 0);
  CHECK(zero.isZero(0));
  Vector<float> single = Vector<float>::Constant(4, 2);
  CHECK(clip_global_norm(single, 2) == 4);
  CHECK(distance(single, Vector<double>::Constant(4, 1)) <= 1e-6);
}

TEST_CASE("clipping tells of NaN and infinity") {
  Vector<double> g(2);
  g << 1, not_a_number;
  CHECK(std::isnan(clip_global_norm(g, 1)));
  g << 1, std::numeric_limits<double>::infinity();
  CHECK(std::isinf(clip_global_norm(g, 1)));
}
