#include "qatten/analysis/attention.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "qatten/mixers/qatten.hpp"
#include "support/catch.hpp"

using namespace qatten;
using Catch::Matchers::WithinAbs;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Two agents, two heads, three samples.
Matrix<double> attention() {
  Matrix<double> a(4, 3);
  a << 1.0, 0.5, 0.0,  // head 0, agent 0
      0.0, 0.5, 1.0,   //
      0.25, 0.2, 0.3,  // head 1
      0.75, 0.8, 0.7;
  return a;
}

}  // namespace

TEST_CASE("attention is summed up per head and per agent") {
  Matrix<double> w(2, 3);
  w << 1, 2, 0,  //
      0, 1, 4;
  const AttentionReport report = analyse_attention(attention(), 2, w);
  CHECK_THAT(report.head_share(0, 0), WithinAbs(0.5, 1e-15));
  CHECK_THAT(report.head_share(1, 0), WithinAbs(0.5, 1e-15));
  CHECK_THAT(report.head_share(0, 1), WithinAbs(0.25, 1e-15));
  CHECK_THAT(report.head_share(1, 1), WithinAbs(0.75, 1e-15));
  CHECK_THAT(report.head_weights(0), WithinAbs(1, 1e-15));
  CHECK_THAT(report.head_weights(1), WithinAbs(5. / 3, 1e-15));
  // agent 0: (1·1 + 2·0.5 + 1·0.2 + 4·0.3) / 8
  CHECK_THAT(report.share(0), WithinAbs(3.4 / 8, 1e-15));
  CHECK_THAT(report.share(1), WithinAbs(4.6 / 8, 1e-15));

  const AttentionReport alike = analyse_attention(attention(), 2);
  CHECK_THAT(alike.share(0), WithinAbs((1.5 + 0.75) / 6, 1e-15));
  CHECK(alike.head_weights == Vector<double>::Ones(2));

  const AttentionReport single = analyse_attention(Matrix<float>(attention().cast<float>()), 2, w.cast<float>().eval());
  CHECK_THAT(single.share(0), WithinAbs(3.4 / 8, 1e-7));

  CHECK(std::isnan(analyse_attention(attention(), 2, Matrix<double>::Zero(2, 3).eval()).share(0)));
}

TEST_CASE("entropy lies between 0 and log n") {
  const Matrix<double> entropy = attention_entropy(attention(), 2);
  REQUIRE(entropy.rows() == 2);
  CHECK(entropy(0, 0) == 0);
  CHECK_THAT(entropy(0, 1), WithinAbs(std::log(2.), 1e-15));
  CHECK(entropy(0, 2) == 0);
  CHECK_THAT(entropy(1, 1), WithinAbs(-0.2 * std::log(0.2) - 0.8 * std::log(0.8), 1e-15));
  const AttentionReport report = analyse_attention(attention(), 2);
  CHECK_THAT(report.entropy(0), WithinAbs(std::log(2.) / 3, 1e-15));
  CHECK(report.entropy_bound == std::log(2.));

  const AttentionReport uniform = analyse_attention(Matrix<double>::Constant(5, 1, 0.2), 5);
  CHECK_THAT(uniform.entropy(0), WithinAbs(uniform.entropy_bound, 1e-15));
  CHECK(std::isnan(attention_entropy(Matrix<double>::Constant(2, 1, not_a_number), 2)(0, 0)));
}

TEST_CASE("Qatten's attention keeps its promises") {
  for (const bool weighted : {false, true}) {
    QattenOptions options = QattenOptions::authors();
    options.weighted_head = weighted;
    ParameterLayout layout;
    const Qatten<double> mixer(layout, "mixer", 5, 6, 3, options);
    Vector<double> p = Vector<double>::Zero(layout.size()), gradients = p;
    Random random(1);
    mixer.initialise(p, random);
    const auto draw = [&](Index rows) {
      Matrix<double> x(rows, 20);
      for (Index k = 0; k < x.size(); ++k) x(k) = 2 * random.normal();
      return x;
    };
    const Matrix<double> q = draw(5), state = draw(6), units = draw(15), ones = Matrix<double>::Ones(1, 20);
    Qatten<double>::Cache cache;
    Qatten<double>::Scratch scratch;
    mixer.prepare(cache, scratch, 20);
    Matrix<double> q_tot(1, 20), slopes(5, 20);
    mixer.forward(p, {q, state, units}, q_tot, cache, scratch);
    mixer.backward(p, cache, {q, state, units}, ones, gradients, slopes, scratch);
    const auto w = mixer.head_weights(cache, 20), c = mixer.state_value(cache, 20);

    CHECK(sum_rule_error(slopes, w) <= 1e-13);
    CHECK(bounds_excess(q, w, q_tot, c) <= 1e-13);
    const AttentionReport report = analyse_attention(mixer.attention(cache, 20), 5, w);
    CHECK_THAT(report.share.sum(), WithinAbs(1, 1e-14));
    CHECK((report.share - slopes.rowwise().sum() / slopes.sum()).cwiseAbs().maxCoeff() <= 1e-14);
    CHECK(report.entropy.minCoeff() > 0);
    CHECK(report.entropy.maxCoeff() <= report.entropy_bound);

    // broken promises are seen
    Matrix<double> wrong = slopes;
    wrong(2, 7) += 1e-3;
    CHECK_THAT(sum_rule_error(wrong, w), WithinAbs(1e-3, 1e-12));
    wrong(2, 7) = not_a_number;
    CHECK(sum_rule_error(wrong, w) == infinity);
    Matrix<double> outside = q_tot;
    outside(4) = c(0, 4) + w.col(4).sum() * q.col(4).maxCoeff() + 0.25;
    CHECK_THAT(bounds_excess(q, w, outside, c), WithinAbs(0.25, 1e-12));
    outside(4) = c(0, 4) + w.col(4).sum() * q.col(4).minCoeff() - 0.5;
    CHECK_THAT(bounds_excess(q, w, outside, c), WithinAbs(0.5, 1e-12));
    outside(4) = not_a_number;
    CHECK(bounds_excess(q, w, outside, c) == infinity);
  }
}

TEST_CASE("the attention report reads well, and mistakes are errors") {
  const std::string text = to_string(analyse_attention(attention(), 2));
  CHECK(text.find("head 1: attention [0.25, 0.75], weight 1, entropy") != std::string::npos);
  CHECK(text.find("of at most 0.693") != std::string::npos);
  CHECK(text.find("all heads: share [0.375, 0.625]") != std::string::npos);
  CHECK_THROWS_AS(analyse_attention(attention(), 3), Error);
  CHECK_THROWS_AS(analyse_attention(attention(), 2, Matrix<double>::Ones(3, 3).eval()), Error);
  CHECK_THROWS_AS(analyse_attention(Matrix<double>(4, 0), 2), Error);
  CHECK_THROWS_AS(sum_rule_error(Matrix<double>::Ones(2, 3), Matrix<double>::Ones(2, 4)), Error);
}
