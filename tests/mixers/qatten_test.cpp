#include "qatten/mixers/qatten.hpp"

#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index n_agents = 3, state_dim = 5, unit_dim = 2, rows = 6;

/// linear(x), or linear(relu(linear(x))) where the layout has two layers, in plain loops.
std::vector<double> net(const ParameterLayout& layout, const Vector<double>& p, const std::string& name,
                        std::vector<double> x) {
  std::vector<std::string> layers = {name};
  for (const NamedBlock& b : layout.blocks())
    if (b.name == name + ".0.weight") layers = {name + ".0", name + ".2"};
  for (const std::string& layer : layers) {
    const auto w = block(p, layout.find(layer + ".weight"));
    std::vector<double> y;
    for (Index i = 0; i < w.rows(); ++i) {
      double sum = 0;
      for (const NamedBlock& b : layout.blocks())
        if (b.name == layer + ".bias") sum = block(p, b)(i, 0);
      for (Index k = 0; k < w.cols(); ++k) sum += w(i, k) * x[static_cast<std::size_t>(k)];
      y.push_back(layer != layers.back() ? std::max(sum, 0.) : sum);
    }
    x = y;
  }
  return x;
}

/// Equation 12 on one sample, with the names of either implementation. λ goes to `attention`, w to `weights`.
double definition(const ParameterLayout& layout, const Vector<double>& p, const QattenOptions& o,
                  const MixerData<double>& data, Index r, Matrix<double>& attention, Matrix<double>& weights) {
  const bool authors = o.names == QattenOptions::Names::authors;
  const auto column = [r](const Matrix<double>& m, Index first, Index count) {
    return std::vector<double>(m.col(r).data() + first, m.col(r).data() + first + count);
  };
  const std::vector<double> s = column(data.state, 0, state_dim);
  double q_tot = 0;
  if (o.state_bias) q_tot = net(layout, p, authors ? "mixer.V" : "mixer.constrant_value_layer", s)[0];
  std::vector<double> w(static_cast<std::size_t>(o.n_head), 1.);
  if (o.weighted_head) w = net(layout, p, authors ? "mixer.hyper_w_head" : "mixer.head_embedding_layer", s);
  for (Index h = 0; h < o.n_head; ++h) {
    const std::string number = "." + std::to_string(h);
    const auto q = net(layout, p, (authors ? "mixer.selector_extractors" : "mixer.query_embedding_layers") + number, s);
    std::vector<double> e;
    double sum = 0;
    for (Index i = 0; i < n_agents; ++i) {
      auto u = column(data.units, i * unit_dim, unit_dim);
      if (o.nonlinear) u.push_back(data.qs(i, r));
      const auto k = net(layout, p, (authors ? "mixer.key_extractors" : "mixer.key_embedding_layers") + number, u);
      double logit = 0;
      for (std::size_t j = 0; j < k.size(); ++j) logit += q[j] * k[j] / std::sqrt(double(o.embed));
      if (o.mask_dead && data.alive(i, r) == 0) logit = -99999999;
      e.push_back(logit);
    }
    const double largest = *std::max_element(e.begin(), e.end());
    for (double& x : e) sum += x = std::exp(x - largest);
    const auto head = static_cast<std::size_t>(h);
    weights(h, r) = std::abs(w[head]);
    for (Index i = 0; i < n_agents; ++i) {
      const double lambda = e[static_cast<std::size_t>(i)] / sum;
      attention(h * n_agents + i, r) = lambda;
      q_tot += weights(h, r) * lambda * data.qs(i, r);
    }
  }
  return q_tot;
}

struct Fixture {
  explicit Fixture(const QattenOptions& o)
      : options(o), mixer(layout, "mixer", n_agents, state_dim, unit_dim, o), data(make_data()) {
    p = random_matrix<double>(layout.size(), 1, random);
    mixer.prepare(cache, scratch, rows);
    q_tot.resize(1, rows);
    mixer.forward(p, data.inputs(), q_tot, cache, scratch);
  }
  MixerData<double> make_data() { return {n_agents, state_dim, unit_dim, rows, random}; }
  Matrix<double> evaluate(const MixerInputs<double>& in) {
    Matrix<double> out(1, rows);
    mixer.evaluate(p, in, out, scratch);
    return out;
  }
  Matrix<double> slopes() {
    Vector<double> unused = Vector<double>::Zero(p.size());
    Matrix<double> dqs(n_agents, rows);
    mixer.backward(p, cache, data.inputs(), Matrix<double>::Ones(1, rows).eval(), unused, dqs, scratch);
    return dqs;
  }
  /// c(s), zero without state bias.
  Matrix<double> state_value() const {
    return options.state_bias ? Matrix<double>(mixer.state_value(cache, rows)) : Matrix<double>::Zero(1, rows).eval();
  }

  QattenOptions options;
  ParameterLayout layout;
  Qatten<double> mixer;
  Random random{1};
  MixerData<double> data;
  Vector<double> p;
  Qatten<double>::Cache cache;
  Qatten<double>::Scratch scratch;
  Matrix<double> q_tot;
};

template <class F>
void for_each_qatten(const F& f) {
  int count = 0;
  for (const MixerCase& c : mixer_cases()) {
    if (!std::holds_alternative<QattenOptions>(c.options)) continue;
    INFO(c.name);
    Fixture fixture(std::get<QattenOptions>(c.options));
    f(fixture);
    ++count;
  }
  REQUIRE(count >= 10);
}

}  // namespace

TEST_CASE("Qatten is equation 12 in plain loops, with every option and both namings") {
  for_each_qatten([](Fixture& f) {
    Matrix<double> attention(f.options.n_head * n_agents, rows), weights(f.options.n_head, rows), want(1, rows);
    for (Index r = 0; r < rows; ++r) want(0, r) = definition(f.layout, f.p, f.options, f.data, r, attention, weights);
    CHECK(distance(f.q_tot, want) <= 1e-12);
    CHECK(distance(f.mixer.attention(f.cache, rows), attention) <= 1e-12);
    CHECK(distance(f.mixer.head_weights(f.cache, rows), weights) <= 1e-12);
    f.evaluate(f.data.inputs());
    CHECK(same(f.mixer.attention(f.scratch, rows), f.mixer.attention(f.cache, rows)));
    CHECK(same(f.mixer.head_weights(f.scratch, rows), f.mixer.head_weights(f.cache, rows)));
  });
}

TEST_CASE("the slopes of a sample sum to the sum of its head weights, and none is negative") {
  for_each_qatten([](Fixture& f) {
    if (f.options.nonlinear) return;
    const Matrix<double> slopes = f.slopes(), w = f.mixer.head_weights(f.cache, rows);
    CHECK(distance(slopes.colwise().sum(), w.colwise().sum()) <= 1e-13);
    CHECK((slopes.array() >= 0).all());
    if (!f.options.weighted_head) {
      CHECK((w.array() == 1).all());
      if (!f.options.mask_dead) CHECK((slopes.array() > 0).all());
    }
  });
}

TEST_CASE("Q_tot - c lies between the smallest and the largest value, times the head weights") {
  for_each_qatten([](Fixture& f) {
    const Matrix<double> above = f.q_tot - f.state_value(), w = f.mixer.head_weights(f.cache, rows);
    for (Index r = 0; r < rows; ++r) {
      CHECK(above(0, r) >= w.col(r).sum() * f.data.qs.col(r).minCoeff() - 1e-12);
      CHECK(above(0, r) <= w.col(r).sum() * f.data.qs.col(r).maxCoeff() + 1e-12);
    }
  });
}

TEST_CASE("a constant added to all values adds itself times the sum of the head weights") {
  for_each_qatten([](Fixture& f) {
    if (f.options.nonlinear) return;
    const Matrix<double> w = f.mixer.head_weights(f.cache, rows);
    const Matrix<double> shifted = f.data.qs.array() + 2.5;
    CHECK(distance(f.evaluate(f.data.inputs(shifted)), f.q_tot + 2.5 * w.colwise().sum()) <= 1e-13);
  });
}

TEST_CASE("agents change places together with their units: Q_tot stays, attention follows") {
  for_each_qatten([](Fixture& f) {
    const Index place[] = {2, 0, 1};
    MixerData<double> moved = f.data;
    for (Index i = 0; i < n_agents; ++i) {
      moved.qs.row(place[i]) = f.data.qs.row(i);
      moved.alive.row(place[i]) = f.data.alive.row(i);
      moved.units.middleRows(place[i] * unit_dim, unit_dim) = f.data.units.middleRows(i * unit_dim, unit_dim);
    }
    CHECK(distance(f.evaluate(moved.inputs()), f.q_tot) <= 1e-13);
    for (Index h = 0; h < f.options.n_head; ++h)
      for (Index i = 0; i < n_agents; ++i)
        CHECK(distance(f.mixer.attention(f.scratch, rows).row(h * n_agents + place[i]),
                       f.mixer.attention(f.cache, rows).row(h * n_agents + i)) <= 1e-13);
  });
}

TEST_CASE("dead agents are seen by their value nowhere, where they are masked") {
  for_each_qatten([](Fixture& f) {
    if (!f.options.mask_dead) return;
    MixerData<double> changed = f.data;
    for (Index r = 0; r + 1 < rows; ++r)
      for (Index i = 0; i < n_agents; ++i)
        if (f.data.alive(i, r) == 0) changed.qs(i, r) += 100;
    CHECK(distance(f.evaluate(changed.inputs()).leftCols(rows - 1), f.q_tot.leftCols(rows - 1)) <= 1e-13);
    const Matrix<double> attention = f.mixer.attention(f.cache, rows);  // in the last sample all are dead
    CHECK(distance(attention.col(rows - 1), Matrix<double>::Constant(attention.rows(), 1, 1. / n_agents)) <= 1e-15);
  });
}

TEST_CASE("the regulariser is zero without its coefficient, and c(s) an error without state bias") {
  for_each_qatten([](Fixture& f) {
    CHECK((f.mixer.regulariser(f.cache) > 0) == (f.options.attend_reg_coef > 0));
    if (!f.options.state_bias) CHECK_THROWS_AS(f.mixer.state_value(f.cache, rows), Error);
  });
}

TEST_CASE("the nonlinear option breaks monotonicity, by its own formula") {
  // One head, q . k = Q: slope λ_i (1 + Q_i - Q^h). At Q = (-3, 0): Q^h = -3 e⁻³ / (1 + e⁻³) = -0.1423.
  ParameterLayout layout;
  const Qatten<double> mixer(layout, "mixer", 2, 1, 1,
                             {.n_head = 1, .embed = 1, .query_hidden = 0, .state_bias = false, .nonlinear = true});
  Vector<double> p = Vector<double>::Zero(layout.size());
  block(p, layout.find("mixer.selector_extractors.0.weight"))(0, 0) = 1;
  block(p, layout.find("mixer.key_extractors.0.weight"))(0, 1) = 1;
  const Matrix<double> state = Matrix<double>::Ones(1, 2), units = Matrix<double>::Zero(2, 2);
  Matrix<double> qs(2, 2), q_tot(1, 2), slopes(2, 2);
  qs << -3, 3, 0, 0;
  Qatten<double>::Cache cache;
  Qatten<double>::Scratch scratch;
  mixer.prepare(cache, scratch, 2);
  mixer.forward(p, {qs, state, units}, q_tot, cache, scratch);
  Vector<double> unused = Vector<double>::Zero(p.size());
  mixer.backward(p, cache, {qs, state, units}, Matrix<double>::Ones(1, 2).eval(), unused, slopes, scratch);
  const auto slope = [](double q) {
    const double lambda = 1 / (1 + std::exp(-q));
    return lambda * (1 + q - lambda * q);
  };
  CHECK(std::abs(q_tot(0, 0) - -3 / (1 + std::exp(3.))) < 1e-14);
  CHECK(std::abs(slopes(0, 0) - slope(-3)) < 1e-14);
  CHECK(std::abs(slopes(0, 1) - slope(3)) < 1e-14);
  CHECK(slopes(0, 0) < -0.088);
  CHECK(!mixer.promises().monotonic);
}

TEST_CASE("parameter counts on SMAC's maps") {
  struct Map {
    const char* name;
    Index state, unit, agents, unweighted, weighted, nonlinear, pymarl2;
  };
  const Map maps[] = {
      // H[(SK + K) + KE + E d_u] + (SE + 2E + 1) + [(SK + K + KH + H)], H 4, K 64, E 32
      {"3m", 48, 4, 3, 22849, 26245, 26373, 26501},
      {"2s3z", 120, 7, 5, 43969, 51973, 52101, 52229},
      {"8m", 168, 4, 8, 57409, 68485, 68613, 68741},
      {"MMM2", 322, 7, 10, 102145, 123077, 123205, 123333},
  };
  const auto count = [](const Map& map, Index agents, const QattenOptions& options) {
    ParameterLayout layout;
    Qatten<float>(layout, "mixer", agents, map.state, map.unit, options);
    return layout.size();
  };
  QattenOptions weighted = QattenOptions::authors();
  weighted.weighted_head = true;
  QattenOptions nonlinear = weighted;
  nonlinear.nonlinear = true;
  for (const Map& map : maps) {
    INFO(map.name);
    for (const Index agents : {map.agents, Index{1}, Index{27}}) {  // the number of agents does not matter
      CHECK(count(map, agents, QattenOptions::authors()) == map.unweighted);
      CHECK(count(map, agents, weighted) == map.weighted);
      CHECK(count(map, agents, nonlinear) == map.nonlinear);
      CHECK(count(map, agents, QattenOptions::pymarl2()) == map.pymarl2);
    }
  }
}
