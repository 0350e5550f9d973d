#include "qatten/analysis/gradient_check.hpp"

#include <limits>
#include <string>

#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

/// L = ½ |V elu(W x + b) - y|², with a scale s of the output that has no effect, written twice: as a loss for any
/// scalar and as a gradient by hand.
struct Net {
  ParameterLayout layout;
  Block hidden, bias, output, inert;
  Matrix<double> x = Matrix<double>::Random(5, 9), y = Matrix<double>::Random(3, 9);

  Net() {
    const std::vector<ParameterLayout::Band> bands{{"hidden.top", 2}, {"hidden.bottom", 4}};
    hidden = layout.add_stacked(bands, 5);
    bias = layout.add("bias", 6);
    output = layout.add("output", 3, 6);
    inert = layout.add("inert", 1);
  }

  Vector<double> parameters() const { return Vector<double>::Random(layout.size()); }

  template <class S>
  S operator()(const Vector<S>& p) const {
    Matrix<S> h = block(p, hidden) * x.cast<S>();
    h.colwise() += block(p, bias).col(0);
    h = (h.array() > 0).select(h.array(), h.array().expm1());
    const S nothing = block(p, inert)(0, 0) - block(p, inert)(0, 0);
    return (block(p, output) * h - y.cast<S>()).squaredNorm() / 2 + nothing;
  }

  Vector<double> gradient(const Vector<double>& p) const {
    Vector<double> g = Vector<double>::Zero(layout.size());
    Matrix<double> z = block(p, hidden) * x;
    z.colwise() += block(p, bias).col(0);
    const Matrix<double> h = (z.array() > 0).select(z.array(), z.array().expm1());
    const Matrix<double> dy = block(p, output) * h - y;
    block(g, output) = dy * h.transpose();
    const Matrix<double> slope = (z.array() > 0).select(Matrix<double>::Ones(6, 9), (h.array() + 1).matrix());
    const Matrix<double> dz = (block(p, output).transpose() * dy).cwiseProduct(slope);
    block(g, hidden) = dz * x.transpose();
    block(g, bias) = dz.rowwise().sum();
    block(g, inert)(0, 0) = 1e-17;  // rounding, where nothing is expected
    return g;
  }
};

std::vector<GradientReport> both(const Net& net, const Vector<double>& p, const Vector<double>& g,
                                 const GradientCheckOptions& options = {}) {
  return {check_gradient_by_duals(net.layout, p, g, net, options),
          check_gradient_by_differences(net.layout, p, g, net, options)};
}

}  // namespace

TEST_CASE("a right gradient passes by dual numbers and by differences") {
  const Net net;
  const Vector<double> p = net.parameters(), g = net.gradient(p);
  const auto reports = both(net, p, g);
  INFO(to_string(reports[0]) << to_string(reports[1]));
  CHECK(reports[0].passed(1e-14));
  CHECK(reports[1].passed(1e-10));
  REQUIRE(reports[0].blocks.size() == 5);
  CHECK(reports[0].blocks[0].name == "hidden.top");
  CHECK_THAT(reports[0].blocks[2].scale, WithinRel(block(g, net.bias).cwiseAbs().maxCoeff(), 1e-12));
  CHECK_THAT(reports[0].blocks[4].scale, WithinRel(1e-3 * g.cwiseAbs().maxCoeff(), 1e-12));
}

TEST_CASE("a wrong gradient is caught, and the entry named") {
  const Net net;
  const Vector<double> p = net.parameters(), right = net.gradient(p);

  SECTION("a flipped sign in one entry of a stacked block") {
    Vector<double> g = right;
    const Block& b = net.layout.find("hidden.bottom");
    block(g, b)(2, 3) *= -1;
    for (const GradientReport& report : both(net, p, g)) {
      const BlockCheck& worst = report.worst();
      CHECK(!report.passed(1e-4));
      CHECK(worst.name == "hidden.bottom");
      CHECK(worst.row == 2);
      CHECK(worst.col == 3);
      CHECK(worst.direction == -1);
      CHECK(worst.got == block(g, b)(2, 3));
      CHECK_THAT(worst.want, WithinRel(-worst.got, 1e-8));
      const double largest = block(right, b).cwiseAbs().maxCoeff();
      CHECK_THAT(worst.error, WithinRel(2 * std::abs(worst.got) / largest, 1e-8));
      CHECK(to_string(report).find("hidden.bottom (2, 3): got") != std::string::npos);
      CHECK(to_string(report).find("<- worst") != std::string::npos);
      for (const BlockCheck& other : report.blocks)
        if (other.name != worst.name) CHECK(other.error < 1e-9);
    }
  }
  SECTION("a dropped term") {
    Vector<double> g = right;
    block(g, net.bias).setZero();
    for (const GradientReport& report : both(net, p, g)) {
      CHECK(report.worst().name == "bias");
      CHECK_THAT(report.worst().error, WithinRel(1., 1e-8));
    }
  }
  SECTION("a gradient where there is none") {
    Vector<double> g = right;
    block(g, net.inert)(0, 0) = 1e-6 * right.cwiseAbs().maxCoeff();
    for (const GradientReport& report : both(net, p, g)) {
      CHECK(report.worst().name == "inert");
      CHECK_THAT(report.worst().error, WithinRel(1e-3, 1e-6));
    }
  }
  SECTION("NaN and infinity") {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      Vector<double> g = right;
      block(g, net.output)(1, 1) = bad;
      for (const GradientReport& report : both(net, p, g)) {
        CHECK(!report.passed(1e300));
        CHECK(report.worst().name == "output");
        CHECK(report.worst().row == 1);
        CHECK(report.worst().col == 1);
      }
    }
  }
  SECTION("a loss that is NaN") {
    Vector<double> nan = p;
    block(nan, net.inert)(0, 0) = std::numeric_limits<double>::infinity();  // inf - inf
    CHECK(!check_gradient_by_differences(net.layout, nan, right, net).passed(1e300));
  }
  SECTION("along random directions") {
    Vector<double> g = right;
    block(g, net.output)(1, 4) *= -1;
    const GradientCheckOptions options{.largest_block = 10, .directions = 2};
    for (const GradientReport& report : both(net, p, g, options)) {
      CHECK(report.worst().name == "output");
      CHECK(report.worst().direction >= 0);
      CHECK_THAT(std::abs(report.worst().got - report.worst().want),
                 WithinRel(2 * std::abs(g(net.output.offset + 13)), 1e-7));
      CHECK(report.blocks[2].direction == -1);  // small blocks entry by entry
      CHECK(to_string(report).find("output along direction") != std::string::npos);
    }
    for (const GradientReport& report : both(net, p, right, options)) CHECK(report.passed(1e-9));
    Vector<double> none = right;
    block(none, net.output).setZero();
    for (const GradientReport& report : both(net, p, none, options)) CHECK(report.worst().error > 0.3);
    Vector<double> nan = right;
    block(nan, net.output)(0, 0) = std::numeric_limits<double>::quiet_NaN();
    for (const GradientReport& report : both(net, p, nan, options)) CHECK(!report.passed(1e300));
  }
}

TEST_CASE("differences keep clear of kinks, ends of domains and magnitudes") {
  struct Case {
    double (*loss)(double);
    double x, slope;
  };
  const Case cases[] = {
      {[](double x) { return std::abs(x); }, 1e-4, 1},  // the first stencils reach across the kink
      {[](double x) { return std::max(x, 0.); }, -3e-4, 0},
      {[](double x) { return std::log(x); }, 1e-3, 1000},  // and here below 0
      {[](double x) { return x * x; }, 1e6, 2e6},
      {[](double x) { return std::exp(x); }, 30, std::exp(30.)},
      {[](double x) { return std::sin(10 * x); }, 1, 10 * std::cos(10.)},
  };
  ParameterLayout layout;
  layout.add("p", 1);
  for (const Case& c : cases) {
    const auto loss = [&](const Vector<double>& p) { return c.loss(p(0)); };
    const Vector<double> p = Vector<double>::Constant(1, c.x), g = Vector<double>::Constant(1, c.slope);
    const GradientReport report = check_gradient_by_differences(layout, p, g, loss);
    INFO(to_string(report));
    CHECK(report.passed(1e-8));
    CHECK(!check_gradient_by_differences(layout, p, Vector<double>(1.01 * g.array() + 0.01), loss).passed(1e-8));
  }
}

TEST_CASE("a gradient that is zero everywhere agrees with a constant") {
  ParameterLayout layout;
  layout.add("p", 2);
  const Vector<double> p = Vector<double>::Ones(2), zero = Vector<double>::Zero(2);
  const auto constant = []<class S>(const Vector<S>&) { return S(3); };
  CHECK(check_gradient_by_duals(layout, p, zero, constant).passed(0));
  CHECK(check_gradient_by_differences(layout, p, zero, constant).passed(0));
  CHECK(!check_gradient_by_duals(layout, p, p, constant).passed(0.5));
}

TEST_CASE("a gradient check that would check nothing is an error") {
  const Net net;
  const Vector<double> p = net.parameters(), g = net.gradient(p);
  CHECK_THROWS_AS(check_gradient_by_duals(ParameterLayout(), Vector<double>(), Vector<double>(), net), Error);
  CHECK_THROWS_AS(check_gradient_by_duals(net.layout, p, Vector<double>(g.head(7)), net), Error);
  CHECK_THROWS_AS(check_gradient_by_differences(net.layout, Vector<double>(p.head(7)), g, net), Error);
  CHECK_THROWS_AS(check_gradient_by_duals(net.layout, p, g, net, {.largest_block = 1, .directions = 0}), Error);
}
