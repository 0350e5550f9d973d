#pragma once
// The best that a class of mixers can do on a table of payoffs: what learning should end at, and what no learning can
// beat.
//
// All projections minimise the squared error averaged over all joint actions with equal weights. A table is flat, the
// joint action (a_1, ..., a_n) at the number a_1 a_2 ... a_n in base n_actions (`joint_index`): two-player tables row
// by row, rows agent 1, columns agent 2.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/analysis/nnls.hpp"
#include "qatten/core/error.hpp"
#include "qatten/core/view.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// The table of a class that lies nearest to a table of payoffs.
struct Projection {
  Vector<double> table;       ///< indexed as the payoffs
  double mse = 0;             ///< mean squared difference from the payoffs
  std::vector<Index> argmax;  ///< where the table is greatest; ties, to 1e-9 of its largest entry, included
  std::vector<Index> greedy;  ///< those of them whose actions each rank first: what greedy agents play
};

namespace detail {

inline double mean_of(const Vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// (n_actions): the mean of the table where one agent plays each of its actions. The agent's digit of a joint action's
/// number is number / stride % n_actions: stride 1 for the last agent, n_actions for the one before, and so on.
inline Vector<double> marginal_means(const Vector<double>& table, Index n_actions, Index stride) {
  Vector<double> sum = Vector<double>::Zero(n_actions);
  for (Index i = 0; i < table.size(); ++i) sum[i / stride % n_actions] += table[i];
  for (double& mean : sum) mean *= static_cast<double>(n_actions) / static_cast<double>(table.size());
  return sum;
}

inline void check_table(std::string_view function, const Vector<double>& payoff, Index n_agents, Index n_actions) {
  if (payoff.size() != n_joint_actions(n_agents, n_actions))
    throw Error(std::string(function) + ": got " + std::to_string(payoff.size()) + " payoffs, expected " +
                std::to_string(n_actions) + "^" + std::to_string(n_agents));
  require(std::all_of(payoff.begin(), payoff.end(), [](double x) { return std::isfinite(x); }), function,
          "payoffs must be finite");
}

/// Which of the n_actions each agent's row, column, ... has the greatest mean, as a mask over joint actions. In a table
/// that is monotone in utilities this mean ranks the actions as the utilities do.
inline std::vector<bool> greedy_mask(const Vector<double>& table, Index n_actions, double tie) {
  std::vector<bool> greedy(static_cast<std::size_t>(table.size()), true);
  for (Index stride = 1; stride < table.size(); stride *= n_actions) {
    const Vector<double> mean = marginal_means(table, n_actions, stride);
    const double greatest = *std::max_element(mean.begin(), mean.end());
    for (Index i = 0; i < table.size(); ++i)
      if (mean[i / stride % n_actions] < greatest - tie) greedy[static_cast<std::size_t>(i)] = false;
  }
  return greedy;
}

inline Projection make_projection(Vector<double> table, const Vector<double>& payoff, Index n_actions) {
  Projection projection;
  double greatest = table[0], largest = 0, squares = 0;
  for (Index i = 0; i < table.size(); ++i) {
    greatest = std::max(greatest, table[i]);
    largest = std::max(largest, std::abs(table[i]));
    squares += (table[i] - payoff[i]) * (table[i] - payoff[i]);
  }
  projection.mse = squares / static_cast<double>(payoff.size());
  const double tie = 1e-9 * largest;
  const std::vector<bool> greedy = greedy_mask(table, n_actions, tie);
  for (Index i = 0; i < table.size(); ++i) {
    if (table[i] >= greatest - tie) projection.argmax.push_back(i);
    if (greedy[static_cast<std::size_t>(i)]) projection.greedy.push_back(i);
  }
  projection.table = std::move(table);
  return projection;
}

/// (k², G): one column per upper set of {0..k-1}² other than the empty and the full one, 1 inside. Their non-negative
/// sums plus a constant are the tables that rise along rows and columns.
inline Matrix<double> monotone_generators(Index k) {
  std::vector<double> columns;
  // In row i the set begins at column start[i]; an upper set begins earlier, or no later, in every further row.
  std::vector<Index> start(static_cast<std::size_t>(k), k);
  while (true) {
    if (start.front() > 0 && start.back() < k)  // neither full nor empty: start never increases
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < k; ++j) columns.push_back(j >= start[static_cast<std::size_t>(i)] ? 1 : 0);
    // The next non-increasing sequence in lexicographic order of its reversal.
    auto digit = std::find_if(start.rbegin(), start.rend(), [](Index s) { return s > 0; });
    if (digit == start.rend()) break;
    --*digit;
    std::fill(start.rbegin(), digit, *digit);
  }
  Matrix<double> generators(k * k, std::ssize(columns) / (k * k));
  std::copy(columns.begin(), columns.end(), generators.data());
  return generators;
}

/// (k², k² - 1): the steps [row >= i], [column >= j] and the corners [row >= i and column >= j]. Their non-negative
/// sums plus a constant are the tables that rise along rows and columns and have non-negative cross differences.
inline Matrix<double> supermodular_generators(Index k) {
  Matrix<double> generators(k * k, k * k - 1);
  for (Index j = 0; j < generators.cols(); ++j)
    for (Index cell = 0; cell < k * k; ++cell)
      generators(cell, j) = cell / k >= (j + 1) / k && cell % k >= (j + 1) % k ? 1 : 0;
  return generators;
}

using Order = std::vector<Index>;

inline Order first_order(Index k) {
  Order order(static_cast<std::size_t>(k));
  std::iota(order.begin(), order.end(), Index{0});
  return order;
}

/// The best sum of a constant and non-negative multiples of the generators, whose cell (r, c) is the joint action
/// (rows[r], cols[c]). `centred` are the generators less their means, which takes the constant out of the problem.
inline Projection project_in_order(const Matrix<double>& centred, const Vector<double>& payoff, const Order& rows,
                                   const Order& cols) {
  std::vector<Index> cell;
  for (const Index row : rows)
    for (const Index col : cols) cell.push_back(row * static_cast<Index>(cols.size()) + col);
  const double mean = mean_of(payoff);
  Vector<double> sorted(payoff.size()), table = Vector<double>::Constant(payoff.size(), mean);
  for (Index k = 0; k < payoff.size(); ++k) sorted(k) = payoff(cell[static_cast<std::size_t>(k)]) - mean;
  const Vector<double> weights = nonnegative_least_squares(centred, sorted);
  for (Index k = 0; k < payoff.size(); ++k)  // plain loops: this as one of Eigen's expressions compiles for a second
    for (Index j = 0; j < weights.size(); ++j) table(cell[static_cast<std::size_t>(k)]) += centred(k, j) * weights(j);
  return make_projection(std::move(table), payoff, std::ssize(rows));
}

inline Matrix<double> centre(Matrix<double> generators) {
  for (Index j = 0; j < generators.cols(); ++j) {
    double* const x = column(generators, j);
    const double mean = std::accumulate(x, x + generators.rows(), 0.0) / static_cast<double>(generators.rows());
    for (Index row = 0; row < generators.rows(); ++row) x[row] -= mean;
  }
  return generators;
}

/// The best over all orders of both agents' actions.
inline Projection project(const Matrix<double>& generators, const Vector<double>& payoff, Index k) {
  const Matrix<double> centred = centre(generators);
  const double better =
      1e-12 * dot(payoff.data(), payoff.data(), payoff.size());  // so that rounding does not choose among equals
  Projection best;
  Order rows = first_order(k);
  do {
    Order cols = first_order(k);
    do {
      Projection candidate = project_in_order(centred, payoff, rows, cols);
      if (best.table.size() == 0 || candidate.mse < best.mse - better) best = std::move(candidate);
    } while (std::next_permutation(cols.begin(), cols.end()));
  } while (std::next_permutation(rows.begin(), rows.end()));
  return best;
}

inline constexpr Index max_projected_actions = 5;

inline void check_two_player_table(std::string_view function, const Vector<double>& payoff, Index n_actions) {
  check_table(function, payoff, 2, n_actions);
  require(n_actions <= max_projected_actions, function,
          "got " + std::to_string(n_actions) + " actions, expected at most " + std::to_string(max_projected_actions) +
              ": the number of orders grows as the square of the factorial");
}

}  // namespace detail

/// The nearest sum of utilities, Q(a) = sum_i m_i(a_i) - (n - 1) m with m_i(a_i) the mean payoff where agent i plays
/// a_i and m the mean of all. It is what VDN and, at a fixed state, Qatten can reach. `payoff` has n_actions^n_agents
/// entries; throws when it has not, or when one is not finite.
inline Projection additive_projection(const Vector<double>& payoff, Index n_agents, Index n_actions) {
  detail::check_table("additive_projection", payoff, n_agents, n_actions);
  const double mean = detail::mean_of(payoff);
  Vector<double> table = Vector<double>::Constant(payoff.size(), mean);
  for (Index stride = 1; stride < payoff.size(); stride *= n_actions) {
    const Vector<double> utility = detail::marginal_means(payoff, n_actions, stride);
    for (Index i = 0; i < payoff.size(); ++i) table[i] += utility[i / stride % n_actions] - mean;
  }
  return detail::make_projection(std::move(table), payoff, n_actions);
}

/// The nearest table that is monotone in two agents' utilities, whatever the utilities: the best over all orders of
/// both agents' actions of the best table that rises along both orders. Of equally good tables one is returned.
/// `payoff` has n_actions² entries, n_actions <= 5; throws otherwise, or when a payoff is not finite.
inline Projection monotone_projection(const Vector<double>& payoff, Index n_actions) {
  detail::check_two_player_table("monotone_projection", payoff, n_actions);
  return detail::project(detail::monotone_generators(n_actions), payoff, n_actions);
}

/// The nearest table that QMIX's mixer can represent for two agents at a fixed state. ELU is convex and rising and the
/// weights are not negative, so that the table, sorted by utilities, rises along both orders and has non-negative cross
/// differences (it is supermodular); the best such table over all orders. Of equally good ones one is returned.
/// Gradient descent may end elsewhere: at the best table of another order. Arguments and errors as for
/// `monotone_projection`.
inline Projection qmix_projection(const Vector<double>& payoff, Index n_actions) {
  detail::check_two_player_table("qmix_projection", payoff, n_actions);
  return detail::project(detail::supermodular_generators(n_actions), payoff, n_actions);
}

/// The same for given orders of both agents' actions, from the lowest utility to the highest: a local optimum of QMIX.
inline Projection qmix_projection(const Vector<double>& payoff, Index n_actions, const std::vector<Index>& rows,
                                  const std::vector<Index>& cols) {
  detail::check_two_player_table("qmix_projection", payoff, n_actions);
  const detail::Order all = detail::first_order(n_actions);
  for (const detail::Order* order : {&rows, &cols})
    detail::require(std::is_permutation(order->begin(), order->end(), all.begin(), all.end()), "qmix_projection",
                    "an order must list each of the " + std::to_string(n_actions) + " actions once");
  return detail::project_in_order(detail::centre(detail::supermodular_generators(n_actions)), payoff, rows, cols);
}

}  // namespace qatten::inline QATTEN_ABI
