// Backward of every mixer and option: every named parameter and every agent's value.

#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index n_agents = 3, state_dim = 5, unit_dim = 2;

void check_mixer(const MixerCase& c, Index rows, std::uint64_t seed) {
  ParameterLayout layout;
  const auto mixer = mixer_under_test<double>(c, layout, n_agents, state_dim, unit_dim);
  const Block qs = layout.add("agent_qs", n_agents, rows);
  Random random(seed);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const MixerData<double> data(n_agents, state_dim, unit_dim, rows, random);
  const MixerInputs<double> in = data.inputs(block(p, qs));
  const Matrix<double> dq_tot = random_matrix<double>(mixer->outputs(), rows, random);

  mixer->prepare(rows + 2);
  Matrix<double> q_tot(mixer->outputs(), rows);
  mixer->forward(p, in, q_tot);
  const Vector<double> gradient =
      gradient_of(layout, {qs}, [&](Vector<double>& g) { mixer->backward(p, in, dq_tot, g, block(g, qs)); });

  const auto loss = [&]<class S>(const Vector<S>& q) {
    ParameterLayout same_layout;
    const auto copy = mixer_under_test<S>(c, same_layout, n_agents, state_dim, unit_dim);
    copy->prepare(rows);
    const Matrix<S> state = data.state.template cast<S>(), units = data.units.template cast<S>();
    Matrix<S> out(copy->outputs(), rows);
    copy->forward(q, {block(q, qs), state, units, data.alive}, out);
    return weighted_sum(dq_tot, out) + copy->regulariser();
  };
  if (rows > 1) {
    check_twice(layout, p, gradient, loss);
  } else {
    check_by_duals(layout, p, gradient, loss);
  }

  // Nothing is wrong by being zero everywhere (seed 1: in others a tiny net may be dead), and the key bias is zero
  // exactly, unless the regulariser reads it.
  for (const NamedBlock& b : layout.blocks()) {
    INFO(b.name);
    const bool key_bias = b.name.find("key_") != std::string::npos && b.name.ends_with(".bias");
    if (key_bias && mixer->regulariser() == 0) {
      CHECK(block(gradient, b).isZero(0));
    } else if (rows > 1 && seed == 1) {
      CHECK(block(gradient, b).cwiseAbs().maxCoeff() > 0);
    }
  }
}

}  // namespace

TEST_CASE("gradients of every mixer and option, on one row and on several") {
  for (const MixerCase& c : mixer_cases()) {
    check_mixer(c, 1, 1);
    for (const std::uint64_t seed : {1U, 2U, 3U}) {  // of one seed alone, Qlinear's weights are of one sign
      INFO(c.name << ", seed " << seed);
      check_mixer(c, 6, seed);
    }
  }
}
