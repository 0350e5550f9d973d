#include "qatten/nn/hypernetwork.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index inputs = 3;

struct NetCase {
  std::string name;
  Index outputs, hidden;
  bool rectified;
};

/// Mixtures of linear, rectified and two-layer nets, in orders that the stacking must undo.
const std::vector<std::vector<NetCase>> mixtures = {
    {{"a", 2, 0, false}},
    {{"a", 2, 0, true}},
    {{"a", 2, 4, false}},
    {{"a", 2, 0, false},
     {"b", 3, 4, false},
     {"c", 1, 0, true},
     {"d", 2, 3, false},
     {"e", 2, 0, true},
     {"f", 1, 0, false}},
};

template <class Scalar>
Hypernetwork<Scalar> make(ParameterLayout& layout, const std::vector<NetCase>& nets) {
  std::vector<typename Hypernetwork<Scalar>::Net> all;
  for (const NetCase& net : nets) all.push_back({net.name, net.outputs, net.hidden, net.rectified});
  return Hypernetwork<Scalar>(layout, inputs, all);
}

/// One layer in plain loops.
template <class Scalar>
Matrix<double> affine(const ParameterLayout& layout, const Vector<Scalar>& p, const std::string& name,
                      const Matrix<double>& x, bool relu) {
  const auto w = block(p, layout.find(name + ".weight")), b = block(p, layout.find(name + ".bias"));
  Matrix<double> y(w.rows(), x.cols());
  for (Index j = 0; j < x.cols(); ++j)
    for (Index i = 0; i < w.rows(); ++i) {
      y(i, j) = double(b(i, 0));
      for (Index k = 0; k < x.rows(); ++k) y(i, j) += double(w(i, k)) * x(k, j);
      if (relu && y(i, j) < 0) y(i, j) = 0;
    }
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("a hypernetwork is its nets, each by itself", "", float, double) {
  for (const auto& nets : mixtures) {
    ParameterLayout layout;
    const auto hyper = make<TestType>(layout, nets);
    Random random(1);
    const Vector<TestType> p = random_matrix<TestType>(layout.size(), 1, random);
    const Matrix<TestType> x = random_matrix<TestType>(inputs, 5, random);
    typename Hypernetwork<TestType>::Activations activations, single;
    hyper.prepare(activations, 7);
    hyper.prepare(single, 1);
    hyper.forward(p, x, activations);
    Index size = 0;
    for (std::size_t k = 0; k < nets.size(); ++k) {
      const NetCase& net = nets[k];
      INFO("net " << net.name);
      const Matrix<double> y = x.template cast<double>();
      const Matrix<double> want =
          net.hidden > 0 ? affine(layout, p, net.name + ".2", affine(layout, p, net.name + ".0", y, true), false)
                         : affine(layout, p, net.name, y, net.rectified);
      const Matrix<TestType> got = hyper.output(std::as_const(activations), k, 5);
      CHECK(distance(got, want) <= 10 * double(std::numeric_limits<TestType>::epsilon()));
      for (Index j = 0; j < 5; ++j) {
        hyper.forward(p, x.col(j), single);
        CHECK(same(hyper.output(single, k, 1), got.col(j)));
      }
      size += net.hidden > 0 ? net.hidden * (inputs + 1) + net.outputs * (net.hidden + 1) : net.outputs * (inputs + 1);
    }
    CHECK(layout.size() == size);
  }
}

TEST_CASE("neighbouring nets of one kind are neighbours in memory") {
  ParameterLayout layout;
  const auto hyper =
      make<double>(layout, {{"q0", 2, 0, true}, {"q1", 2, 0, true}, {"w", 3, 4, false}, {"v", 1, 0, false}});
  Random random(2);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  Hypernetwork<double>::Activations activations;
  hyper.prepare(activations, 3);
  hyper.forward(p, random_matrix<double>(inputs, 3, random), activations);
  const Matrix<double> stacked = hyper.outputs(activations, 0, 2, 3);
  CHECK(same(stacked.topRows(2), hyper.output(activations, 0, 3)));
  CHECK(same(stacked.bottomRows(2), hyper.output(activations, 1, 3)));
}

TEST_CASE("a hypernetwork's gradients, every net used") {
  for (const auto& nets : mixtures) {
    ParameterLayout layout;
    const auto hyper = make<double>(layout, nets);
    Random random(3);
    const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
    const Matrix<double> x = random_matrix<double>(inputs, 4, random);
    std::vector<Matrix<double>> dy;
    for (const NetCase& net : nets) dy.push_back(random_matrix<double>(net.outputs, 4, random));
    Hypernetwork<double>::Activations activations, d;
    hyper.prepare(activations, 6);
    hyper.prepare(d, 6);
    hyper.forward(p, x, activations);
    const Vector<double> gradient = gradient_of(layout, {}, [&](Vector<double>& g) {
      for (std::size_t k = 0; k < nets.size(); ++k) hyper.output(d, k, 4) = dy[k];
      hyper.backward(p, activations, x, g, d);
    });
    check_twice(layout, p, gradient, [&]<class S>(const Vector<S>& q) {
      ParameterLayout same_layout;
      const auto copy = make<S>(same_layout, nets);
      typename Hypernetwork<S>::Activations memory;
      copy.prepare(memory, 4);
      const Matrix<S> input = x.cast<S>();
      copy.forward(q, input, memory);
      S loss(0);
      for (std::size_t k = 0; k < nets.size(); ++k) loss += weighted_sum<S>(dy[k], copy.output(memory, k, 4));
      return loss;
    });
  }
}

TEST_CASE("a hypernetwork initialises every layer within 1/sqrt of its own inputs") {
  ParameterLayout layout;
  const auto hyper = make<double>(layout, {{"a", 40, 16, false}, {"b", 40, 0, false}});
  Vector<double> p = Vector<double>::Zero(layout.size());
  Random random(4);
  hyper.initialise(p, random);
  for (const NamedBlock& b : layout.blocks()) {
    INFO(b.name);
    const double bound = b.name.starts_with("a.2") ? 1. / 4 : 1 / std::sqrt(3.);
    CHECK(block(p, b).cwiseAbs().maxCoeff() <= bound);
    CHECK(block(p, b).cwiseAbs().maxCoeff() > 0.8 * bound);
  }
}

TEST_CASE("a hypernetwork rejects wrong shapes and being unprepared") {
  ParameterLayout layout;
  const auto hyper = make<double>(layout, mixtures[3]);
  const Vector<double> p = Vector<double>::Zero(layout.size());
  Hypernetwork<double>::Activations activations;
  hyper.prepare(activations, 4);
  CHECK_THROWS_AS(hyper.forward(p, Matrix<double>(2, 4), activations), Error);
  CHECK_THROWS_AS(hyper.forward(p, Matrix<double>(3, 5), activations), Error);
}
