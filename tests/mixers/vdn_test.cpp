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

TEST_CASE("VDN sums few and many agents, any number of rows, and columns that lie apart") {
  Random random(5);
  for (const Index n : {1, 3, 15, 16, 20, 33}) {
    for (Index rows = 1; rows <= 9; ++rows) {
      CAPTURE(n, rows);
      // Every value stands in a larger matrix, whose rest must neither be read nor written.
      const double outside = 1e6;
      Matrix<double> qs = Matrix<double>::Constant(n + 2, rows, outside), q_tot = Matrix<double>::Constant(3, rows, 0);
      Matrix<double> dqs = qs, dq_tot = Matrix<double>::Constant(3, rows, outside);
      for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < n; ++i) qs(i + 1, r) = random.uniform();
        dq_tot(1, r) = random.uniform();
      }
      const Vdn<double> vdn(n);
      Vdn<double>::Scratch scratch;
      const ConstView<double> agent_qs = qs.middleRows(1, n);
      vdn.evaluate({}, {agent_qs}, q_tot.middleRows(1, 1), scratch);
      Vector<double> gradients;
      vdn.backward({}, {}, {agent_qs}, dq_tot.middleRows(1, 1), gradients, dqs.middleRows(1, n), scratch);
      const Matrix<double> packed_qs = agent_qs, packed_dq_tot = dq_tot.row(1);
      const auto check = [&] {
        for (Index r = 0; r < rows; ++r) {
          double sum = 0;
          for (Index i = 0; i < n; ++i) sum += qs(i + 1, r);
          CHECK(std::abs(q_tot(1, r) - sum) < 1e-14 * double(n));
          CHECK((dqs.col(r).segment(1, n).array() == dq_tot(1, r)).all());
        }
        CHECK((q_tot.row(0).array() == 0).all());
        CHECK((q_tot.row(2).array() == 0).all());
        CHECK((dqs.row(0).array() == outside).all());
        CHECK((dqs.row(n + 1).array() == outside).all());
      };
      check();
      vdn.evaluate({}, {packed_qs}, q_tot.middleRows(1, 1), scratch);
      vdn.backward({}, {}, {agent_qs}, packed_dq_tot, gradients, dqs.middleRows(1, n), scratch);
      check();

      // One behind the other, the same numbers come the same way or quicker.
      Matrix<double> packed_q_tot(1, rows), packed_dqs(n, rows);
      vdn.backward({}, {}, {packed_qs}, packed_dq_tot, gradients, packed_dqs, scratch);
      CHECK(same(packed_dqs, dqs.middleRows(1, n)));
      for (const ConstView<double>& either : {agent_qs, ConstView<double>(packed_qs)}) {
        vdn.evaluate({}, {either}, packed_q_tot, scratch);
        CHECK(same(packed_q_tot, q_tot.middleRows(1, 1)));
      }
    }
  }
}
