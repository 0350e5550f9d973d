// Policies from logits: masks, exploration, draws, and the gradient of log π.

#include "qatten/agents/policy.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// Some actions of each column, at least one.
Matrix<std::uint8_t> random_mask(Index rows, Index cols, Random& random) {
  Matrix<std::uint8_t> mask(rows, cols);
  for (Index j = 0; j < cols; ++j) {
    for (Index a = 0; a < rows; ++a) mask(a, j) = random.integer(2) != 0;
    mask(random.integer(rows), j) = 1;
  }
  return mask;
}

template <class Scalar>
Matrix<Scalar> softmax_of(Matrix<Scalar> z, const Matrix<std::uint8_t>& available) {
  masked_softmax<Scalar>(z, available);
  return z;
}

}  // namespace

TEST_CASE("what is not available has no probability, the rest is a softmax") {
  Random random(1);
  const Matrix<double> z = 3 * random_matrix<double>(5, 40, random);
  const Matrix<std::uint8_t> available = random_mask(5, 40, random);
  const Matrix<double> p = softmax_of(z, available);
  for (Index j = 0; j < z.cols(); ++j) {
    double sum = 0;
    for (Index a = 0; a < 5; ++a) sum += available(a, j) != 0 ? std::exp(z(a, j)) : 0;
    for (Index a = 0; a < 5; ++a)
      CHECK(std::abs(p(a, j) - (available(a, j) != 0 ? std::exp(z(a, j)) / sum : 0)) < 1e-15);
  }
}

TEST_CASE("logits of any size, also those of masked actions, leave probabilities") {
  Matrix<float> z(3, 3);
  z << 1e4f, -1e4f, 3e38f, -1e4f, -1e4f, 0, 0, std::numeric_limits<float>::infinity(), -3e38f;
  Matrix<std::uint8_t> available(3, 3);
  available << 1, 1, 0, 1, 1, 1, 1, 0, 1;
  Matrix<float> want(3, 3);
  want << 1, 0.5f, 0, 0, 0.5f, 1, 0, 0, 0;
  CHECK(same(softmax_of(z, available), want));
}

TEST_CASE("exploration shares ε evenly among the available actions") {
  Random random(2);
  const Matrix<std::uint8_t> available = random_mask(4, 30, random);
  const Matrix<double> p = softmax_of(random_matrix<double>(4, 30, random), available);
  for (const double epsilon : {0.0, 0.3, 1.0})
    for (Index j = 0; j < p.cols(); ++j) {
      const Policy<double> pi(p, available, j, epsilon);
      const double m = double((available.col(j).array() != 0).count());
      double sum = 0;
      for (Index a = 0; a < 4; ++a) {
        const double want = available(a, j) != 0 ? (1 - epsilon) * p(a, j) + epsilon / m : 0;
        CHECK(std::abs(pi(a) - want) < 1e-15);
        sum += pi(a);
      }
      CHECK(std::abs(sum - 1) < 1e-14);
    }
}

TEST_CASE("draws are as frequent as they are probable") {
  Matrix<float> p(4, 1);
  p << 0.5f, 0, 0.375f, 0.125f;
  Matrix<std::uint8_t> available(4, 1);
  available << 1, 0, 1, 1;
  for (const double epsilon : {0.0, 0.4}) {
    const Policy<float> pi(p, available, 0, epsilon);
    Random random(3);
    const int draws = 20000;
    Vector<int> count = Vector<int>::Zero(4);
    for (int k = 0; k < draws; ++k) ++count(pi.sample(random));
    CHECK(count(1) == 0);
    for (const Index a : {0, 2, 3}) {
      const double want = double(pi(a));
      CHECK(std::abs(count(a) - draws * want) < 5 * std::sqrt(draws * want * (1 - want)));
    }
  }
}

TEST_CASE("the gradient of log π goes through softmax, mask and exploration") {
  using D = Dual<double>;
  Random random(4);
  const Index n_actions = 5, columns = 12;
  ParameterLayout layout;
  const Block logits = layout.add("logits", n_actions, columns);
  const Vector<double> z = random_matrix<double>(layout.size(), 1, random);
  const Matrix<std::uint8_t> available = random_mask(n_actions, columns, random);
  const Matrix<double> weights = random_matrix<double>(1, columns, random);
  const Matrix<double> p = softmax_of<double>(block(z, logits), available);
  for (const double epsilon : {0.0, 0.25, 1.0}) {
    std::vector<Index> taken;
    for (Index j = 0; j < columns; ++j) taken.push_back(Policy<double>(p, available, j, epsilon).sample(random));
    Vector<double> gradient = Vector<double>::Constant(layout.size(), not_a_number);
    for (Index j = 0; j < columns; ++j)
      Policy<double>(p, available, j, epsilon)
          .backward(taken[static_cast<std::size_t>(j)], weights(0, j), block(gradient, logits).col(j).data());
    check_by_duals(layout, z, gradient, [&](const Vector<D>& x) {
      const Matrix<D> dual_p = softmax_of<D>(block(x, logits), available);
      D loss(0);
      for (Index j = 0; j < columns; ++j)
        loss += D(weights(0, j)) * log(Policy<D>(dual_p, available, j, epsilon)(taken[static_cast<std::size_t>(j)]));
      return loss;
    });
    CHECK((gradient.norm() > 0.1) == (epsilon < 1));
    for (Index j = 0; j < columns; ++j)
      for (Index a = 0; a < n_actions; ++a)
        if (available(a, j) == 0) CHECK(block(gradient, logits)(a, j) == 0);
  }
}

TEST_CASE("an agent without an action and logits that are no numbers are errors") {
  Matrix<double> z = Matrix<double>::Zero(3, 1);
  Matrix<std::uint8_t> none = Matrix<std::uint8_t>::Zero(3, 1), all = Matrix<std::uint8_t>::Ones(3, 1);
  CHECK_THROWS_AS(softmax_of(z, none), Error);
  CHECK_THROWS_AS(softmax_of(z, Matrix<std::uint8_t>::Ones(3, 2)), Error);
  z.setConstant(not_a_number);
  const Matrix<double> p = softmax_of(z, all);
  Random random(5);
  CHECK_THROWS_AS(Policy<double>(p, all, 0, 0).sample(random), Error);
}
