#include "qatten/learners/returns.hpp"

#include "support/numbers.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

/// Σ_n (1-λ) λ^{n-1} G^(n), the last one with all the rest of the weight; G^(n) = Σ_{k<n} γ^k r_{t+k} + γⁿ Q(t+n), and
/// after termination Q = 0: the definition (Watkins 1989; Sutton and Barto 2018, equation 12.3).
double definition(const std::vector<double>& rewards, const std::vector<double>& next_values, bool terminated,
                  std::size_t t, double gamma, double lambda) {
  const std::size_t length = rewards.size();
  double mixture = 0, discounted = 0;
  for (std::size_t n = 1; t + n <= length; ++n) {
    discounted += std::pow(gamma, double(n - 1)) * rewards[t + n - 1];
    const double value = terminated && t + n == length ? 0 : next_values[t + n - 1];
    const double weight =
        t + n == length ? std::pow(lambda, double(n - 1)) : (1 - lambda) * std::pow(lambda, double(n - 1));
    mixture += weight * (discounted + std::pow(gamma, double(n)) * value);
  }
  return mixture;
}

}  // namespace

TEST_CASE("lambda-returns are the mixture of n-step returns, each episode from its own end") {
  Random random(1);
  for (int draw = 0; draw < 30; ++draw) {
    std::vector<Index> lengths(static_cast<std::size_t>(1 + random.integer(5)));
    for (Index& length : lengths) length = 1 + random.integer(7);
    std::sort(lengths.rbegin(), lengths.rend());
    const Ragged ragged(lengths);
    for (const Index outputs : {1, 3}) {
      const Matrix<double> rewards = random_matrix<double>(1, ragged.total(), random);
      const Matrix<double> next_values = random_matrix<double>(outputs, ragged.total(), random);
      Matrix<double> continues = Matrix<double>::Ones(1, ragged.total());
      for (Index b = 0; b < ragged.sequences(); ++b)
        continues(0, ragged.column(b, ragged.length(b) - 1)) = double(random.integer(2));
      for (const double lambda : {0., 0.6, 1.}) {
        for (const double gamma : {0., 0.9, 1.}) {
          INFO("lambda " << lambda << ", gamma " << gamma << ", " << outputs << " outputs");
          Matrix<double> returns = Matrix<double>::Constant(outputs, ragged.total(), not_a_number), want = returns;
          lambda_returns<double>(ragged, rewards, continues, next_values, gamma, lambda, returns);
          for (Index b = 0; b < ragged.sequences(); ++b) {
            for (Index o = 0; o < outputs; ++o) {
              std::vector<double> r, q;
              for (Index t = 0; t < ragged.length(b); ++t) {
                r.push_back(rewards(0, ragged.column(b, t)));
                q.push_back(next_values(o, ragged.column(b, t)));
              }
              const bool terminated = continues(0, ragged.column(b, ragged.length(b) - 1)) == 0;
              for (Index t = 0; t < ragged.length(b); ++t)
                want(o, ragged.column(b, t)) = definition(r, q, terminated, static_cast<std::size_t>(t), gamma, lambda);
            }
          }
          CHECK(distance(returns, want) <= 1e-14);
        }
      }
    }
  }
}

TEST_CASE("what follows a terminated step is not looked at, what follows a cut-off one is") {
  const Ragged ragged(std::vector<Index>{1, 1});
  Matrix<double> rewards(1, 2), continues(1, 2), next_values(1, 2), returns(1, 2);
  rewards << 1, 1;
  continues << 0, 1;
  next_values << 10, 10;
  for (const double lambda : {0., 0.6, 1.}) {
    lambda_returns<double>(ragged, rewards, continues, next_values, 0.5, lambda, returns);
    CHECK(returns(0, 0) == 1);
    CHECK(returns(0, 1) == 6);
  }
}

TEST_CASE("lambda-returns reject wrong shapes") {
  const Ragged ragged(std::vector<Index>{2, 1});
  const Matrix<double> row = Matrix<double>::Zero(1, 3), short_row = Matrix<double>::Zero(1, 2);
  Matrix<double> returns(1, 3), tall(2, 3);
  const auto run = [&](const Matrix<double>& r, const Matrix<double>& c, const Matrix<double>& q, Matrix<double>& out) {
    lambda_returns<double>(ragged, r, c, q, 1, 0, out);
  };
  CHECK_NOTHROW(run(row, row, row, returns));
  CHECK_THROWS_AS(run(short_row, row, row, returns), Error);
  CHECK_THROWS_AS(run(row, short_row, row, returns), Error);
  CHECK_THROWS_AS(run(row, row, short_row, returns), Error);
  CHECK_THROWS_AS(run(row, row, row, tall), Error);
}
