#include "qatten/mixers/qmix.hpp"

#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

constexpr Index n_agents = 3, state_dim = 5, rows = 6;

struct Fixture {
  explicit Fixture(const QmixOptions& o) : options(o), mixer(layout, "mixer", n_agents, state_dim, o) {
    p = random_matrix<double>(layout.size(), 1, random);
    state = random_matrix<double>(state_dim, rows, random);
    mixer.prepare(cache, scratch, rows);
  }
  Matrix<double> operator()(const Matrix<double>& qs) {
    Matrix<double> q_tot(1, rows);
    mixer.evaluate(p, {qs, state}, q_tot, scratch);
    return q_tot;
  }

  QmixOptions options;
  ParameterLayout layout;
  Qmix<double> mixer;
  Random random{1};
  Vector<double> p;
  Matrix<double> state;
  Qmix<double>::Cache cache;
  Qmix<double>::Scratch scratch;
};

template <class F>
void for_each_qmix(const F& f) {
  int count = 0;
  for (const MixerCase& c : mixer_cases()) {
    if (!std::holds_alternative<QmixOptions>(c.options)) continue;
    INFO(c.name);
    Fixture fixture(std::get<QmixOptions>(c.options));
    f(fixture);
    ++count;
  }
  REQUIRE(count == 8);
}

double positive(Positive f, double x) {
  switch (f) {
    case Positive::abs:
      return std::abs(x);
    case Positive::softplus:
      return std::log(1 + std::exp(x));
    case Positive::square:
      return x * x / 2;
    case Positive::none:
      return x;
  }
  return not_a_number;
}

/// One or two layers on one state, in plain loops.
std::vector<double> net(const Fixture& f, const std::string& name, const Vector<double>& s) {
  const auto layer = [&](const std::string& layer_name, const std::vector<double>& x) {
    const auto w = block(f.p, f.layout.find(layer_name + ".weight")),
               b = block(f.p, f.layout.find(layer_name + ".bias"));
    std::vector<double> y;
    for (Index i = 0; i < w.rows(); ++i) {
      y.push_back(b(i, 0));
      for (Index k = 0; k < w.cols(); ++k) y.back() += w(i, k) * x[static_cast<std::size_t>(k)];
    }
    return y;
  };
  const std::vector<double> x(s.data(), s.data() + s.size());
  if (name == "mixer.hyper_b_1" || (f.options.hypernet_embed == 0 && name != "mixer.V")) return layer(name, x);
  std::vector<double> hidden = layer(name + ".0", x);
  for (double& h : hidden) h = std::max(h, 0.);
  return layer(name + ".2", hidden);
}

}  // namespace

TEST_CASE("QMIX is PyMARL's mixing network in plain loops, with every option") {
  for_each_qmix([](Fixture& f) {
    const Matrix<double> qs = random_matrix<double>(n_agents, rows, f.random);
    Matrix<double> want(1, rows);
    const Index embed = f.options.mixing_embed_dim;
    for (Index r = 0; r < rows; ++r) {
      const Vector<double> s = f.state.col(r);
      const auto w_1 = net(f, "mixer.hyper_w_1", s), b_1 = net(f, "mixer.hyper_b_1", s);
      const auto w_2 = net(f, "mixer.hyper_w_final", s);
      want(0, r) = net(f, "mixer.V", s)[0];
      for (Index e = 0; e < embed; ++e) {
        double x = b_1[static_cast<std::size_t>(e)];
        for (Index i = 0; i < n_agents; ++i)  // PyTorch's view(n_agents, embed)
          x += positive(f.options.positive, w_1[static_cast<std::size_t>(i * embed + e)]) * qs(i, r);
        want(0, r) += positive(f.options.positive, w_2[static_cast<std::size_t>(e)]) * (x > 0 ? x : std::exp(x) - 1);
      }
    }
    CHECK(distance(f(qs), want) <= 1e-12);
  });
}

TEST_CASE("QMIX is convex and supermodular in the agents' values") {
  for_each_qmix([](Fixture& f) {
    if (!f.mixer.promises().monotonic) return;
    bool curved = false;
    for (int draw = 0; draw < 20; ++draw) {
      const Matrix<double> x = random_matrix<double>(n_agents, rows, f.random);
      const Matrix<double> y = random_matrix<double>(n_agents, rows, f.random);
      const double rounding = 1e-12 * std::max(1., f(x).cwiseAbs().maxCoeff());
      const Matrix<double> convexity = (f(x) + f(y)) / 2 - f((x + y) / 2);
      const Matrix<double> supermodularity = f(x.cwiseMax(y)) + f(x.cwiseMin(y)) - f(x) - f(y);
      CHECK(convexity.minCoeff() >= -rounding);
      CHECK(supermodularity.minCoeff() >= -rounding);
      curved = curved || (convexity.maxCoeff() > 1e-3 && supermodularity.maxCoeff() > 1e-3);
    }
    CHECK(curved);
  });
}

TEST_CASE("QMIX's parameter counts on SMAC's maps, and names as in PyMARL") {
  struct Map {
    const char* name;
    Index state, agents, parameters;
  };
  for (const Map& map :
       {Map{"3m", 48, 3, 17761}, Map{"2s3z", 120, 5, 35745}, Map{"8m", 168, 8, 51201}, Map{"MMM2", 322, 10, 84929}}) {
    INFO(map.name);
    ParameterLayout layout, one_layer;
    Qmix<float>(layout, "mixer", map.agents, map.state);
    CHECK(layout.size() == map.parameters);
    CHECK(layout.find("mixer.hyper_w_1.2.weight").rows == 32 * map.agents);
    CHECK(layout.find("mixer.V.2.bias").rows == 1);
    Qmix<float>(one_layer, "mixer", map.agents, map.state, {.hypernet_embed = 0});
    CHECK(one_layer.size() == (map.state + 1) * 32 * (map.agents + 1 + 1 + 1) + 33);
    CHECK(one_layer.find("mixer.hyper_w_1.weight").cols == map.state);
  }
}
