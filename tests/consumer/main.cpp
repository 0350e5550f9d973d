#include <iostream>

#include "qatten/qatten.hpp"

int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Constant(2, 3, 1.0f);
  std::cout << "qatten " << QATTEN_VERSION_MAJOR << '.' << QATTEN_VERSION_MINOR << '.' << QATTEN_VERSION_PATCH
            << " says " << qatten::ConstView<float>(x).sum() << '\n';
}
