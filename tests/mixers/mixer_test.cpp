// What holds of every mixer, whatever its formula.

#include <memory>

#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index n_agents = 3, state_dim = 5, unit_dim = 2, rows = 6;

/// A mixer of the table with its parameters, data and results.
template <class Scalar>
struct Fixture {
  explicit Fixture(const MixerCase& c) : data(n_agents, state_dim, unit_dim, rows, random) {
    mixer = mixer_under_test<Scalar>(c, layout, n_agents, state_dim, unit_dim);
    p = random_matrix<Scalar>(layout.size(), 1, random);
    mixer->prepare(rows);
    forward();
  }
  void forward() {
    q_tot.setConstant(mixer->outputs(), rows, Scalar(not_a_number));
    mixer->forward(p, data.inputs(), q_tot);
  }
  Matrix<Scalar> evaluate(const MixerInputs<Scalar>& in) {
    Matrix<Scalar> out = Matrix<Scalar>::Constant(mixer->outputs(), in.agent_qs.cols(), Scalar(not_a_number));
    mixer->evaluate(p, in, out);
    return out;
  }
  /// ∂Q_tot/∂Q of the last forward: (n_agents, rows), for mixers of one output.
  Matrix<Scalar> slopes() {
    Vector<Scalar> unused = Vector<Scalar>::Zero(p.size());
    Matrix<Scalar> dqs(n_agents, rows);
    mixer->backward(p, data.inputs(), Matrix<Scalar>::Ones(mixer->outputs(), rows).eval(), unused, dqs);
    return dqs;
  }

  Random random{1};
  MixerData<Scalar> data;
  ParameterLayout layout;
  std::unique_ptr<MixerUnderTest<Scalar>> mixer;
  Vector<Scalar> p;
  Matrix<Scalar> q_tot;
};

/// f(fixture) for every mixer of the table.
template <class Scalar, class F>
void for_each_mixer(const F& f) {
  for (const MixerCase& c : mixer_cases()) {
    INFO(c.name);
    Fixture<Scalar> fixture(c);
    f(fixture);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("evaluate gives the bits of forward", "", float, double) {
  for_each_mixer<TestType>([](Fixture<TestType>& m) {
    m.forward();
    CHECK(same(m.evaluate(m.data.inputs()), m.q_tot));
  });
}

TEMPLATE_TEST_CASE("a batch is its rows one by one", "", float, double) {
  for_each_mixer<TestType>([](Fixture<TestType>& m) {
    m.forward();
    for (Index r = 0; r < rows; ++r) {
      const auto& d = m.data;
      const Matrix<TestType> single = m.evaluate({d.qs.col(r), d.state.col(r), d.units.col(r), d.alive.col(r)});
      CHECK(distance(single, m.q_tot.col(r)) <= 200 * double(std::numeric_limits<TestType>::epsilon()));
    }
  });
}

TEST_CASE("float agrees with double") {
  std::vector<Matrix<double>> values;
  for_each_mixer<double>([&](Fixture<double>& m) {
    m.p = m.p.cast<float>().cast<double>();
    m.forward();
    values.push_back(m.q_tot);
  });
  std::size_t k = 0;
  for_each_mixer<float>([&](Fixture<float>& m) {
    m.forward();
    CHECK(distance(m.q_tot, values[k++]) <= 1e-4);
  });
}

TEST_CASE("promises hold, and what is not promised does not hold") {
  for_each_mixer<double>([](Fixture<double>& m) {
    const MixerPromises promises = m.mixer->promises();
    if (m.mixer->outputs() != 1) {
      CHECK(!promises.monotonic);
      CHECK(!promises.igm);
      CHECK(!promises.additive);
      return;
    }
    CHECK(promises.monotonic == promises.igm);
    CHECK((promises.monotonic || !promises.additive));
    double lowest = 0, curvature = 0;
    for (int draw = 0; draw < 30; ++draw) {
      m.p = 2 * random_matrix<double>(m.p.size(), 1, m.random);
      m.data = MixerData<double>(n_agents, state_dim, unit_dim, rows, m.random);
      m.data.qs *= 4;
      m.data.alive.setOnes();
      m.forward();
      const double scale = std::max(1., m.q_tot.cwiseAbs().maxCoeff());
      lowest = std::min(lowest, m.slopes().minCoeff() / scale);
      // Q(x + a + b) - Q(x + a) - Q(x + b) + Q(x): zero for all steps a and b just when the mixer is affine in the Q's.
      const Matrix<double> a = random_matrix<double>(n_agents, rows, m.random);
      const Matrix<double> b = random_matrix<double>(n_agents, rows, m.random);
      const auto at = [&](const Matrix<double>& qs) { return m.evaluate(m.data.inputs(qs)); };
      const Matrix<double> x = m.data.qs;
      const Matrix<double> second = at(x + a + b) - at(x + a) - at(x + b) + at(x);
      REQUIRE(second.allFinite());
      curvature = std::max(curvature, second.cwiseAbs().maxCoeff() / scale);
    }
    if (promises.monotonic) {
      CHECK(lowest >= 0);
    } else {
      CHECK(lowest < -1e-3);
    }
    if (promises.additive) {
      CHECK(curvature <= 1e-13);
    } else {
      CHECK(curvature > 1e-3);
    }
  });
}

TEST_CASE("a larger value of any agent never lowers Q_tot, where monotonicity is promised") {
  for_each_mixer<double>([](Fixture<double>& m) {
    if (!m.mixer->promises().monotonic) return;
    m.forward();
    for (Index i = 0; i < n_agents; ++i) {
      Matrix<double> qs = m.data.qs;
      qs.row(i).array() += 0.75;
      CHECK((m.evaluate(m.data.inputs(qs)).array() >= m.q_tot.array() - 1e-14).all());
    }
  });
}

TEST_CASE("inputs may be blocks of larger matrices: the top rows of a state serve as units") {
  for_each_mixer<double>([](Fixture<double>& m) {
    const Index units = unit_dim * n_agents;
    const Matrix<double> table = random_matrix<double>(units + 3, rows + 2, m.random);
    const Matrix<double> values = random_matrix<double>(n_agents + 4, rows + 1, m.random);
    const auto in_place = table.middleCols(1, rows);
    const auto qs_in_place = values.block(2, 1, n_agents, rows);
    const Matrix<double> state = in_place.bottomRows(state_dim), copied_units = in_place.topRows(units);
    const Matrix<double> qs = qs_in_place;
    const MixerInputs<double> strided{qs_in_place, in_place.bottomRows(state_dim), in_place.topRows(units)};
    const MixerInputs<double> copied{qs, state, copied_units};
    CHECK(distance(m.evaluate(strided), m.evaluate(copied)) <= 1e-14);

    const Matrix<double> dq = random_matrix<double>(m.mixer->outputs(), rows, m.random);
    Vector<double> g = Vector<double>::Zero(m.p.size()), want = g;
    Matrix<double> dqs = Matrix<double>::Zero(n_agents + 2, rows), want_dqs(n_agents, rows);
    m.mixer->forward(m.p, copied, m.q_tot);
    m.mixer->backward(m.p, copied, dq, want, want_dqs);
    m.mixer->forward(m.p, strided, m.q_tot);
    m.mixer->backward(m.p, strided, dq, g, dqs.middleRows(1, n_agents));
    CHECK(distance(g, want) <= 1e-13);
    CHECK(distance(dqs.middleRows(1, n_agents), want_dqs) <= 1e-13);
    CHECK((dqs.row(0).isZero(0) && dqs.row(n_agents + 1).isZero(0)));
  });
}

TEST_CASE("copies of a mixer work, and outlive it") {
  for_each_mixer<double>([](Fixture<double>& m) {
    m.mixer = m.mixer->copy();  // the original is gone
    m.mixer->prepare(rows);
    CHECK(same(m.evaluate(m.data.inputs()), m.q_tot));
  });
  // Assigned and moved, Qatten with all its names and nets.
  ParameterLayout layout;
  auto original = std::make_unique<Qatten<double>>(layout, "mixer", n_agents, state_dim, unit_dim);
  Qatten<double> copy = *original, assigned = Qatten<double>(*original);
  Qatten<double> moved = std::move(*original);
  original.reset();
  assigned = copy;
  Random random(1);
  const Vector<double> p = random_matrix<double>(layout.size(), 1, random);
  const MixerData<double> data(n_agents, state_dim, unit_dim, rows, random);
  std::vector<Matrix<double>> values;
  for (const auto* mixer : {&copy, &assigned, &moved}) {
    WrappedMixer<Qatten<double>> wrapped(*mixer);
    wrapped.prepare(rows);
    wrapped.evaluate(p, data.inputs(), values.emplace_back(1, rows));
  }
  CHECK(same(values[1], values[0]));
  CHECK(same(values[2], values[0]));
}

TEST_CASE("memory prepared for more rows serves fewer, again and again") {
  for_each_mixer<double>([](Fixture<double>& m) {
    m.forward();
    const Matrix<double> want = m.q_tot, slopes = m.slopes();
    m.mixer->prepare(3 * rows);
    const MixerData<double> other(n_agents, state_dim, unit_dim, 3 * rows, m.random);
    m.evaluate(other.inputs());
    Matrix<double> all(m.mixer->outputs(), 3 * rows);
    m.mixer->forward(m.p, other.inputs(), all);
    m.forward();
    CHECK(distance(m.q_tot, want) <= 1e-14);
    CHECK(distance(m.slopes(), slopes) <= 1e-13);
  });
}

TEST_CASE("NaN among an agent's values or in the state reaches Q_tot") {
  for_each_mixer<double>([](Fixture<double>& m) {
    m.data.alive.setOnes();
    m.data.qs(1, 2) = not_a_number;
    m.forward();
    CHECK(std::isnan(m.q_tot.col(2).sum()));
    CHECK(m.q_tot.leftCols(2).allFinite());
    CHECK(m.q_tot.rightCols(rows - 3).allFinite());
    if (m.p.size() == 0) return;  // VDN and IQL read no state
    m.data.qs(1, 2) = 0;
    m.data.state(0, 4) = not_a_number;
    m.forward();
    CHECK(std::isnan(m.q_tot(0, 4)));
    CHECK(m.q_tot.leftCols(4).allFinite());
  });
}

TEST_CASE("initial parameters follow from the seed and leave no block untouched") {
  for_each_mixer<double>([](Fixture<double>& m) {
    Vector<double> a = Vector<double>::Constant(m.p.size(), 7), b = a, c = a;
    Random one(3, "mixer"), again(3, "mixer"), other(4, "mixer");
    m.mixer->initialise(a, one);
    m.mixer->initialise(b, again);
    m.mixer->initialise(c, other);
    CHECK(same(a, b));
    CHECK((a.array().abs() <= 1).all());
    CHECK((a.size() == 0 || !same(a, c)));
  });
}

TEST_CASE("wrong shapes and unprepared memory are errors") {
  for_each_mixer<double>([](Fixture<double>& m) {
    using Data = MixerData<double>;
    const bool reads_state = m.p.size() > 0;
    const bool reads_units = m.mixer->reads_units();
    const auto forward = [&](const Data& d, Index out_rows, Index out_cols) {
      Matrix<double> out(out_rows, out_cols);
      m.mixer->forward(m.p, d.inputs(), out);
    };
    const Index outputs = m.mixer->outputs();
    const Data good = m.data;
    CHECK_NOTHROW(forward(good, outputs, rows));
    CHECK_THROWS_AS(forward(good, outputs + 1, rows), Error);
    CHECK_THROWS_AS(forward(good, outputs, rows + 1), Error);
    Data bad = good;
    bad.qs.resize(n_agents + 1, rows);
    CHECK_THROWS_AS(forward(bad, outputs, rows), Error);
    if (reads_state) {
      bad = good;
      bad.state.resize(state_dim - 1, rows);
      CHECK_THROWS_AS(forward(bad, outputs, rows), Error);
      bad.state.resize(state_dim, rows - 1);
      CHECK_THROWS_AS(forward(bad, outputs, rows), Error);
      const Data more(n_agents, state_dim, unit_dim, rows + 1, m.random);
      CHECK_THROWS_AS(forward(more, outputs, rows + 1), Error);
    }
    if (reads_units) {
      bad = good;
      bad.units.resize(unit_dim * n_agents + 1, rows);
      CHECK_THROWS_AS(forward(bad, outputs, rows), Error);
    }
    m.forward();
    const auto backward = [&](Index d_rows, Index d_cols, Index q_rows) {
      Vector<double> g = Vector<double>::Zero(m.p.size());
      Matrix<double> dqs(q_rows, rows);
      m.mixer->backward(m.p, good.inputs(), Matrix<double>(d_rows, d_cols), g, dqs);
    };
    const auto backward_of = [&](const Data& d, const Vector<double>& p, Index gradients) {
      Vector<double> g = Vector<double>::Zero(gradients);
      Matrix<double> dqs(n_agents, rows);
      m.mixer->backward(p, d.inputs(), Matrix<double>::Ones(outputs, rows).eval(), g, dqs);
    };
    CHECK_NOTHROW(backward_of(good, m.p, m.p.size()));
    CHECK_THROWS_AS(backward(outputs, rows, n_agents + 1), Error);
    if (reads_state) {
      CHECK_THROWS_AS(backward(outputs + 1, rows, n_agents), Error);
      CHECK_THROWS_AS(backward(outputs, rows - 1, n_agents), Error);
      bad = good;
      bad.state.resize(state_dim - 1, rows);
      CHECK_THROWS_AS(backward_of(bad, m.p, m.p.size()), Error);
      const Vector<double> less = m.p.head(m.p.size() / 2);
      Matrix<double> out(outputs, rows);
      CHECK_THROWS_AS(m.mixer->forward(less, good.inputs(), out), Error);
      CHECK_THROWS_AS(m.mixer->evaluate(less, good.inputs(), out), Error);
      CHECK_THROWS_AS(backward_of(good, m.p, m.p.size() / 2), Error);
      m.mixer->prepare(rows - 1);
      CHECK_THROWS_AS(forward(good, outputs, rows), Error);
      CHECK_THROWS_AS(m.mixer->evaluate(m.p, good.inputs(), out), Error);
      CHECK_THROWS_AS(backward_of(good, m.p, m.p.size()), Error);
    }
  });
}

TEST_CASE("mixers by name have the names and defaults they are known for") {
  for (const auto& [name, description] : mixer_names()) {
    INFO(name);
    CHECK(!description.empty());
    ParameterLayout layout;
    const AnyMixer<float> mixer = make_mixer<float>(name, layout, 4, 7, 3);
    std::visit([](const auto& m) { CHECK(m.n_agents() == 4); }, mixer);
    for (const NamedBlock& b : layout.blocks()) CHECK(b.name.starts_with("mixer."));
  }
  ParameterLayout layout;
  CHECK(std::get<Qatten<float>>(make_mixer<float>("qatten", layout, 4, 7, 3)).options().attend_reg_coef == 0.01);
  ParameterLayout second;
  CHECK(std::get<Qatten<float>>(make_mixer<float>("qatten-pymarl2", second, 4, 7, 3)).options().weighted_head);
  try {
    make_mixer<float>("qaten", layout, 4, 7, 3);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("'qaten'") != std::string::npos);
    CHECK(std::string(e.what()).find("qatten-pymarl2") != std::string::npos);
  }
}
