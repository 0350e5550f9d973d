#include <iostream>

#include "library.hpp"

int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Constant(2, 3, 1.0f);
  std::cout << "the sum is " << sum(x) << '\n';
}
