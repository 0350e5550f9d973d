// The mixers without parameters: VDN and none.

#include "qatten/mixers/vdn.hpp"

#include "qatten/mixers/independent.hpp"
#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

TEST_CASE("VDN is the sum of the agents' values, IQL the values themselves") {
  Matrix<double> qs(3, 2), q_tot(1, 2), own(3, 2);
  qs << 1, -1, 2, 0.5, 4, 0.25;
  const Vector<double> p;
  Vdn<double>::Scratch vdn_scratch;
  Independent<double>::Scratch iql_scratch;
  Vdn<double>(3).evaluate(p, {qs}, q_tot, vdn_scratch);
  CHECK(q_tot(0, 0) == 7);
  CHECK(q_tot(0, 1) == -0.25);
  Independent<double>(3).evaluate(p, {qs}, own, iql_scratch);
  CHECK(same(own, qs));
  CHECK(Vdn<double>(3).outputs() == 1);
  CHECK(Independent<double>(3).outputs() == 3);

  Matrix<double> dq_tot(1, 2), dqs(3, 2), want(3, 2);
  dq_tot << 2, -3;
  want << 2, -3, 2, -3, 2, -3;
  Vector<double> gradients;
  Vdn<double>(3).backward(p, {}, {qs}, dq_tot, gradients, dqs, vdn_scratch);
  CHECK(same(dqs, want));
  Independent<double>(3).backward(p, {}, {qs}, qs, gradients, dqs, iql_scratch);
  CHECK(same(dqs, qs));
}
