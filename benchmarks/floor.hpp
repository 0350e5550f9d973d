#pragma once
// The floor under a measured time: the bare matrix products that its algebra needs and nothing else, no bias, no
// activation, no copy, by the same Eigen with the same shapes.
//
// What counts (the lists stand in mixer_floor.hpp and agent_floor.hpp):
//   - products with a matrix of parameters, and their transposes in the backward pass. What pairs one sample's numbers
//     with each other (attention's logits, QMIX's W_1 Q) is work on elements, not on matrices: a floor leaves it out;
//   - after the identities: first layers that read one input are one product, W_kᵀ W_q is formed first, one-hot inputs
//     are look-ups, the first hidden state is zero;
//   - no gradient towards states and observations, and nothing on padding.
// Parameters and their gradients lie as the library has them; what lies between may be transposed where that is faster.

#include <deque>
#include <vector>

#include "shapes.hpp"

namespace qatten::benchmarks {

/// A transposed factor of a product.
struct Transposed {
  ConstView<float> matrix;
};
inline Transposed t(ConstView<float> matrix) { return {matrix}; }

/// A list of products on matrices of their own. Matrices that several products share are shared here as well, so that
/// they are as warm or as cold in the caches as those of the measured code.
class Floor {
 public:
  /// A new (rows, cols) matrix of random numbers, which lives as long as the floor does.
  View<float> matrix(Index rows, Index cols) { return memory_.emplace_back(random_matrix(rows, cols, random_)); }

  /// c = a b
  void product(View<float> c, ConstView<float> a, ConstView<float> b) { push({Kind::plain, c, a, b}, a.cols()); }
  void product(View<float> c, Transposed a, ConstView<float> b) { push({Kind::left, c, a.matrix, b}, b.rows()); }
  void product(View<float> c, ConstView<float> a, Transposed b) { push({Kind::right, c, a, b.matrix}, a.cols()); }
  void product(View<float> c, Transposed a, Transposed b) {
    push({Kind::both, c, a.matrix, b.matrix}, b.matrix.cols());
  }

  /// Multiplications and additions of all products together.
  double flops() const { return flops_; }

  void run() {
    for (Product& p : products_) {
      switch (p.kind) {
        case Kind::plain:
          p.c.noalias() = p.a * p.b;
          break;
        case Kind::left:
          p.c.noalias() = p.a.transpose() * p.b;
          break;
        case Kind::right:
          p.c.noalias() = p.a * p.b.transpose();
          break;
        case Kind::both:
          p.c.noalias() = p.a.transpose() * p.b.transpose();
          break;
      }
    }
  }

 private:
  enum class Kind { plain, left, right, both };
  struct Product {
    Kind kind;
    View<float> c;
    ConstView<float> a, b;
  };

  void push(const Product& product, Index inner) {
    products_.push_back(product);
    flops_ += 2.0 * double(product.c.size()) * double(inner);
  }

  Random random_{1, "floor"};
  std::deque<Matrix<float>> memory_;
  std::vector<Product> products_;
  double flops_ = 0;
};

}  // namespace qatten::benchmarks
