// Mixes agent values with Qatten: a header, a layout, a vector of parameters.

#include <iostream>

#include "qatten/mixers/qatten.hpp"

int main() {
  const int agents = 3, state_dim = 12, unit_dim = 4, rows = 5;
  qatten::ParameterLayout layout;
  const qatten::Qatten<float> mixer(layout, "mixer", agents, state_dim, unit_dim);
  Eigen::VectorXf parameters(layout.size());
  qatten::Random random(42, "parameters");
  mixer.initialise(parameters, random);

  const Eigen::MatrixXf q = Eigen::MatrixXf::Random(agents, rows);         // one column a sample
  const Eigen::MatrixXf state = Eigen::MatrixXf::Random(state_dim, rows);  // its top rows are the units, as in SMAC
  Eigen::MatrixXf q_tot(1, rows);
  qatten::Qatten<float>::Cache cache;
  qatten::Qatten<float>::Scratch scratch;
  mixer.prepare(cache, scratch, rows);
  mixer.evaluate(parameters, {q, state, state.topRows(agents * unit_dim)}, q_tot, scratch);
  std::cout << "Q_tot\n" << q_tot << "\n\nattention, head after head\n" << mixer.attention(scratch, rows) << "\n";
}
