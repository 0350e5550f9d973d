#include "qatten/nn/initialise.hpp"

#include "qatten/nn/gru_cell.hpp"
#include "qatten/nn/linear.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// Uniform in ±bound: within it, nearly reaching it, centred.
template <class Derived>
void check_uniform(const Eigen::MatrixBase<Derived>& w, double bound) {
  CHECK(w.maxCoeff() <= bound);
  CHECK(w.minCoeff() >= -bound);
  CHECK(w.maxCoeff() > 0.9 * bound);
  CHECK(w.minCoeff() < -0.9 * bound);
  const double size = double(w.size());
  CHECK(std::abs(w.mean()) <= 4 * bound / std::sqrt(3 * size));
  CHECK(std::abs(w.array().square().mean() * 3 / (bound * bound) - 1) <= 4 * std::sqrt(0.8 / size));
}

}  // namespace

TEST_CASE("PyTorch's defaults: a linear layer within 1/sqrt(inputs), a GRU within 1/sqrt(hidden)") {
  ParameterLayout layout;
  const Linear<double> linear(layout, "fc", 25, 300);
  const GruCell<double> gru(layout, "rnn", 7, 64);
  Vector<double> p = Vector<double>::Zero(layout.size());
  Random random(1);
  linear.initialise(p, random);
  gru.initialise(p, random);
  for (const char* name : {"fc.weight", "fc.bias"}) check_uniform(block(p, layout.find(name)), 1. / 5);
  for (const char* name : {"rnn.weight_ih", "rnn.weight_hh", "rnn.bias_ih", "rnn.bias_hh"})
    check_uniform(block(p, layout.find(name)), 1. / 8);
}

TEST_CASE("initial numbers follow from the seed, rounded for floats") {
  Random a(5, "weights"), b(5, "weights"), c(5, "weights"), other(6, "weights");
  Matrix<double> x(4, 3), y(4, 3), z(4, 3);
  Matrix<float> f(4, 3);
  initialise_uniform<double>(x, 0.5, a);
  initialise_uniform<double>(y, 0.5, b);
  initialise_uniform<float>(f, 0.5, c);
  initialise_uniform<double>(z, 0.5, other);
  CHECK(same(x, y));
  CHECK(same(f, x.cast<float>()));
  CHECK(!same(x, z));
  initialise_orthogonal<double>(x, 1, a);
  initialise_orthogonal<double>(y, 1, b);
  CHECK(same(x, y));
}

TEST_CASE("orthogonal matrices are orthogonal to 1e-12, times the gain") {
  Random random(2);
  for (const auto& [rows, cols] : {std::pair<Index, Index>{5, 5}, {9, 4}, {4, 9}, {1, 6}, {6, 1}, {64, 64}}) {
    for (const double gain : {1., 0.01}) {
      INFO(rows << "x" << cols << ", gain " << gain);
      Matrix<double> w(rows, cols);
      initialise_orthogonal<double>(w, gain, random);
      const Matrix<double> gram = rows >= cols ? Matrix<double>(w.transpose() * w) : Matrix<double>(w * w.transpose());
      CHECK(distance(gram / (gain * gain), Matrix<double>::Identity(gram.rows(), gram.cols())) <= 1e-12);
    }
  }
}

TEST_CASE("orthogonal matrices have no preferred direction") {
  // A Haar-distributed orthogonal n x n matrix has entries of mean 0 and variance 1/n; of 2x2 ones, half are rotations.
  Random random(3);
  constexpr int draws = 4000;
  double sum = 0, squares = 0;
  int rotations = 0;
  for (int k = 0; k < draws; ++k) {
    Matrix<double> w(2, 2);
    initialise_orthogonal<double>(w, 1, random);
    sum += w(0, 0) / draws;
    squares += w(0, 0) * w(0, 0) / draws;
    rotations += w(0, 0) * w(1, 1) - w(0, 1) * w(1, 0) > 0;
  }
  const double root = 1 / std::sqrt(double(draws));
  CHECK(std::abs(sum) <= 4 * std::sqrt(0.5) * root);
  CHECK(std::abs(squares - 0.5) <= 4 * std::sqrt(1. / 8) * root);
  CHECK(std::abs(double(rotations) / draws - 0.5) <= 4 * 0.5 * root);
}

TEST_CASE("orthogonal initialisation of a network touches what its prefix names: matrices orthogonal, vectors zero") {
  ParameterLayout layout;
  layout.add("mixer.V.weight", 3, 4);
  layout.add("mixer.V.bias", 3);
  layout.add("agent.fc.weight", 3, 4);
  Vector<double> p = Vector<double>::Constant(layout.size(), 7);
  Random random(4);
  initialise_orthogonal<double>(layout, "mixer.", p, 2, random);
  const Matrix<double> w = block(p, layout.find("mixer.V.weight"));
  CHECK(distance(w * w.transpose(), 4 * Matrix<double>::Identity(3, 3)) <= 1e-12);
  CHECK(block(p, layout.find("mixer.V.bias")).isZero(0));
  CHECK((block(p, layout.find("agent.fc.weight")).array() == 7).all());
}
