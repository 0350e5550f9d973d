#pragma once
// A hand-written gradient against the same derivatives found another way: exactly, by dual numbers, or by finite
// differences of the very code in use.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "qatten/analysis/dual.hpp"
#include "qatten/core/error.hpp"
#include "qatten/core/parameters.hpp"
#include "qatten/core/random.hpp"

namespace qatten::inline QATTEN_ABI {

struct GradientCheckOptions {
  /// Larger blocks are checked along random directions instead of entry by entry.
  Index largest_block = std::numeric_limits<Index>::max();
  int directions = 8;      ///< per larger block; entries of a direction are +1 or -1
  std::uint64_t seed = 0;  ///< of the directions
};

/// The worst disagreement within one block.
struct BlockCheck {
  std::string name;
  double error = 0;  ///< |got - want| / scale; infinite where a number is not finite
  double scale = 0;  ///< see GradientReport
  Index row = 0, col = 0;
  int direction = -1;  ///< which random direction, or -1: the entry (row, col)
  double got = 0;      ///< by the hand-written gradient
  double want = 0;     ///< by dual numbers or differences
};

/// One check for each block of the layout. Errors are relative to the largest entry of the block's gradient, by either
/// account; a block's scale is never less than a thousandth of the largest entry of all blocks, so that rounding in a
/// block whose gradient is 0 (a bias that softmax does not see) is not an error. Along directions, where the entries
/// wanted are not known one by one, their size is estimated from |g · v| ≈ |g|, v having entries ±1.
struct GradientReport {
  std::vector<BlockCheck> blocks;

  /// The block of the largest error.
  const BlockCheck& worst() const {
    return *std::max_element(blocks.begin(), blocks.end(),
                             [](const BlockCheck& a, const BlockCheck& b) { return a.error < b.error; });
  }
  bool passed(double tolerance) const { return worst().error <= tolerance; }
};

/// A line for each block: error, name, where, got and want.
inline std::string to_string(const GradientReport& report) {
  std::ostringstream text;
  for (const BlockCheck& b : report.blocks) {
    text.precision(2);
    text << std::scientific << b.error << "  " << b.name;
    if (b.direction < 0)
      text << " (" << b.row << ", " << b.col << ")";
    else
      text << " along direction " << b.direction;
    text.precision(12);
    text << ": got " << b.got << ", want " << b.want << (&b == &report.worst() ? "  <- worst" : "") << "\n";
  }
  return text.str();
}

namespace detail {

/// df/dt at 0 by central differences over six points, of order h⁶ (Fornberg 1988, table 1):
///
///   f' = (45 (f(h) - f(-h)) - 9 (f(2h) - f(-2h)) + (f(3h) - f(-3h))) / 60h
///
/// Truncation h⁶ and rounding ε/h balance near h = ε^{1/7} ≈ 2⁻⁷, in units of `scale`. A kink within the stencil spoils
/// that step, so it shrinks, and the value that the next smaller step confirms best counts, beside what rounding may
/// hide: small steps agree by chance.
template <class F>
double six_point_derivative(const F& f, double scale) {
  const auto stencil = [&](double h) {
    return (45 * (f(h) - f(-h)) - 9 * (f(2 * h) - f(-2 * h)) + (f(3 * h) - f(-3 * h))) / (60 * h);
  };
  const double rounding = std::numeric_limits<double>::epsilon() * std::abs(f(0));
  double h = 0x1p-7 * scale, derivative = stencil(h);
  double previous = derivative, best = std::numeric_limits<double>::infinity();
  for (int shrinking = 0; shrinking < 6; ++shrinking) {
    h /= 4;
    const double now = stencil(h), change = std::abs(now - previous), error = change + rounding / h;
    if (error < best) derivative = previous, best = error;
    if (change <= 1e-11 * std::abs(now)) break;
    previous = now;
  }
  return derivative;
}

/// `worst.error` stays the distance itself until all scales are known; -1 means that nothing was compared yet.
inline void keep_worst(BlockCheck& worst, Index row, Index col, int direction, double got, double want) {
  const double distance = std::isfinite(got - want) ? std::abs(got - want) : std::numeric_limits<double>::infinity();
  if (distance <= worst.error) return;
  worst = {worst.name, distance, worst.scale, row, col, direction, got, want};
}

inline double larger(double a, double b) { return std::isfinite(b) ? std::max(a, std::abs(b)) : a; }

/// `v` is the direction, all zero before and after.
template <class Slope>
void check_entries(BlockCheck& worst, const ConstView<double>& gradient, View<double> v, const Slope& slope) {
  for (Index col = 0; col < v.cols(); ++col) {
    for (Index row = 0; row < v.rows(); ++row) {
      v(row, col) = 1;
      const double want = slope();
      v(row, col) = 0;
      worst.scale = larger(worst.scale, want);
      keep_worst(worst, row, col, -1, gradient(row, col), want);
    }
  }
}

template <class Slope>
void check_directions(BlockCheck& worst, const ConstView<double>& gradient, View<double> v, int directions,
                      Random random, const Slope& slope) {
  for (int direction = 0; direction < directions; ++direction) {
    for (Index col = 0; col < v.cols(); ++col)
      for (Index row = 0; row < v.rows(); ++row) v(row, col) = random.bits() % 2 == 0 ? 1 : -1;
    const double want = slope();
    worst.scale = larger(worst.scale, want / std::sqrt(double(v.size())));
    keep_worst(worst, 0, 0, direction, gradient.cwiseProduct(v).sum(), want);
  }
  v.setZero();
}

/// Compares `gradient` with slope(v) = ∇L · v for directions v within one block at a time.
template <class Slope>
GradientReport check_gradient(const char* function, const ParameterLayout& layout, const Vector<double>& parameters,
                              const Vector<double>& gradient, const GradientCheckOptions& options, const Slope& slope) {
  require(!layout.blocks().empty(), function, "the layout has no blocks: there is nothing to check");
  require(options.directions > 0, function, "directions must be positive");
  check_shape(function, "parameters", parameters, layout.size(), 1);
  check_shape(function, "gradient", gradient, layout.size(), 1);

  Vector<double> v = Vector<double>::Zero(layout.size());
  const auto slope_along_v = [&] { return slope(std::as_const(v)); };
  GradientReport report;
  double largest = 0;
  for (const NamedBlock& b : layout.blocks()) {
    const ConstView<double> within = block(gradient, b);
    BlockCheck worst{b.name, -1};
    for (Index col = 0; col < b.cols; ++col)
      for (Index row = 0; row < b.rows; ++row) worst.scale = larger(worst.scale, within(row, col));
    if (b.size() <= options.largest_block)
      check_entries(worst, within, block(v, b), slope_along_v);
    else
      check_directions(worst, within, block(v, b), options.directions, Random(options.seed, b.name), slope_along_v);
    largest = std::max(largest, worst.scale);
    report.blocks.push_back(worst);
  }
  for (BlockCheck& b : report.blocks) {
    b.scale = std::max(b.scale, 1e-3 * largest);
    if (b.error > 0) b.error /= b.scale;
  }
  return report;
}

}  // namespace detail

/// Compares `gradient` with the exact derivative of loss(const Vector<S>& parameters) -> S, a callable templated on its
/// scalar S (here Dual<double>). One evaluation for each entry. Throws when sizes differ from the layout's, or the
/// layout is empty.
template <class Loss>
GradientReport check_gradient_by_duals(const ParameterLayout& layout, const Vector<double>& parameters,
                                       const Vector<double>& gradient, const Loss& loss,
                                       const GradientCheckOptions& options = {}) {
  Vector<Dual<double>> p = parameters.cast<Dual<double>>();
  const auto slope = [&](const Vector<double>& v) {
    for (Index k = 0; k < p.size(); ++k) p(k).derivative = v(k);
    return Dual<double>(loss(std::as_const(p))).derivative;
  };
  return detail::check_gradient("check_gradient_by_duals", layout, parameters, gradient, options, slope);
}

/// Compares `gradient` with finite differences of loss(const Vector<double>& parameters) -> double: 12 to 24
/// evaluations for each entry. Good to about 1e-10 of the loss; an entry that lies on a kink itself has no derivative
/// to agree on.
template <class Loss>
GradientReport check_gradient_by_differences(const ParameterLayout& layout, const Vector<double>& parameters,
                                             const Vector<double>& gradient, const Loss& loss,
                                             const GradientCheckOptions& options = {}) {
  Vector<double> p = parameters;
  const auto slope = [&](const Vector<double>& v) {
    const auto along = [&](double t) {
      p = parameters + t * v;
      return double(loss(std::as_const(p)));
    };
    // a step of the size of the largest parameter varied, or of 1; a direction is as long as a single entry's step
    const double magnitude = std::max(1.0, parameters.cwiseProduct(v).cwiseAbs().maxCoeff());
    return detail::six_point_derivative(along, magnitude / v.norm());
  };
  return detail::check_gradient("check_gradient_by_differences", layout, parameters, gradient, options, slope);
}

}  // namespace qatten::inline QATTEN_ABI
