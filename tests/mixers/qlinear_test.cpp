#include "qatten/mixers/qlinear.hpp"

#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("Qlinear is c(s) + sum of |f(u_i, s)| Q_i in plain loops") {
  constexpr Index n_agents = 3, state_dim = 5, unit_dim = 2, rows = 4, hidden = 6, value_hidden = 3;
  ParameterLayout layout;
  const Qlinear<double> mixer(layout, "mixer", n_agents, state_dim, unit_dim, {hidden, value_hidden});
  CHECK(layout.size() ==
        (unit_dim + state_dim + 1) * hidden + hidden + (state_dim + 1) * value_hidden + value_hidden + 1);
  Random random(1);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const MixerData<double> data(n_agents, state_dim, unit_dim, rows, random);
  const auto parameter = [&](const std::string& name, Index i, Index j) {
    return block(p, layout.find("mixer." + name))(i, j);
  };
  Matrix<double> want(1, rows), slopes(n_agents, rows);
  for (Index r = 0; r < rows; ++r) {
    double q_tot = parameter("V.2.bias", 0, 0);
    for (Index k = 0; k < value_hidden; ++k) {
      double x = parameter("V.0.bias", k, 0);
      for (Index s = 0; s < state_dim; ++s) x += parameter("V.0.weight", k, s) * data.state(s, r);
      q_tot += parameter("V.2.weight", 0, k) * std::max(x, 0.);
    }
    for (Index i = 0; i < n_agents; ++i) {
      double f = 0;
      for (Index k = 0; k < hidden; ++k) {
        double x = parameter("hyper_w.0.bias", k, 0);
        for (Index j = 0; j < unit_dim; ++j) x += parameter("hyper_w.0.weight", k, j) * data.units(i * unit_dim + j, r);
        for (Index s = 0; s < state_dim; ++s) x += parameter("hyper_w.0.weight", k, unit_dim + s) * data.state(s, r);
        f += parameter("hyper_w.2.weight", 0, k) * std::max(x, 0.);
      }
      slopes(i, r) = std::abs(f);
      q_tot += std::abs(f) * data.qs(i, r);
    }
    want(0, r) = q_tot;
  }

  Qlinear<double>::Cache cache;
  Qlinear<double>::Scratch scratch;
  mixer.prepare(cache, scratch, rows);
  Matrix<double> q_tot(1, rows), dqs(n_agents, rows);
  mixer.forward(p, data.inputs(), q_tot, cache, scratch);
  CHECK(distance(q_tot, want) <= 1e-13);
  Vector<double> unused = Vector<double>::Zero(p.size());
  mixer.backward(p, cache, data.inputs(), Matrix<double>::Ones(1, rows).eval(), unused, dqs, scratch);
  CHECK(distance(dqs, slopes) <= 1e-13);
}
