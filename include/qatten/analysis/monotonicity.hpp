#pragma once
// Does Q_tot never fall when an agent's value rises? The slopes ∂Q_tot/∂Q_i of a mixer over samples of (Q, s, u), by
// its own backward pass and by differences of its values, and a search that tries to make the smallest slope smaller.

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

struct MonotonicityOptions {
  Index state_dim = 0;       ///< of the states to draw
  Index unit_dim = 0;        ///< of one agent's unit features to draw
  Index samples = 1024;      ///< drawn: state and units standard normal,
  double q_scale = 5;        ///< and Q_i normal with this deviation
  Index search_steps = 200;  ///< of 64 tries each; 0 only samples
  double tolerance = 1e-9;   ///< a slope below -tolerance is a violation
};

struct MonotonicityReport {
  Index slopes = 0;            ///< slopes looked at: samples · n_agents
  Index violations = 0;        ///< how many of them were below -tolerance, or NaN
  double sampled_minimum = 0;  ///< the smallest of them
  double tolerance = 0;

  /// The smallest slope that sampling or the search found, and where.
  struct WorstCase {
    double slope = std::numeric_limits<double>::infinity();  ///< by the backward pass
    double numeric = 0;                                      ///< by differences
    Index agent = 0;
    Vector<double> agent_qs, state, units;
    Vector<std::uint8_t> alive;  ///< empty when all live
  };
  WorstCase worst;

  /// Largest |backward - differences| over the samples, relative to the largest slope. Differences have their own
  /// error, about 1e-6 in double and 1e-2 in float; a wrong backward pass is off by far more.
  double disagreement = 0;
  Index kinks = 0;  ///< slopes left out of it, because two step sizes contradict each other

  bool monotonic() const { return violations == 0 && worst.slope >= -tolerance; }
};

inline std::string to_string(const MonotonicityReport& report) {
  const Eigen::IOFormat row(6, Eigen::DontAlignCols, ", ", ", ", "", "", "[", "]");
  std::ostringstream text;
  text << (report.monotonic() ? "monotonic" : "not monotonic") << ": " << report.violations << " of " << report.slopes
       << " slopes below -" << report.tolerance << ", smallest sampled " << report.sampled_minimum << "\n"
       << "smallest found: dQ_tot/dQ_" << report.worst.agent << " = " << report.worst.slope << " (by differences "
       << report.worst.numeric << ")\n  at Q = " << report.worst.agent_qs.format(row) << "\n";
  if (report.worst.state.size() > 0) text << "  state = " << report.worst.state.format(row) << "\n";
  if (report.worst.units.size() > 0) text << "  units = " << report.worst.units.format(row) << "\n";
  text << "backward and differences disagree by at most " << report.disagreement << " (" << report.kinks
       << " slopes at kinks left out)\n";
  return text.str();
}

namespace detail {

/// Samples with memory of their own.
template <class Scalar>
struct MixerSamples {
  Matrix<Scalar> agent_qs, state, units;
  Matrix<std::uint8_t> alive;

  MixerInputs<Scalar> inputs() const { return {agent_qs, state, units, alive}; }
};

/// Both kinds of ∂Q_tot/∂Q_i of a mixer, up to `tile` samples at a time.
template <Mixer M>
class SlopeProbe {
 public:
  using Scalar = typename M::Scalar;
  static constexpr Index tile = 64;

  struct Numeric {
    Vector<Scalar> slope;  ///< (R)
    Vector<Scalar> doubt;  ///< how far the two step sizes are apart
  };

  SlopeProbe(const M& mixer, const Vector<Scalar>& parameters)
      : mixer_(mixer), p_(parameters), gradients_(parameters.size()), q_tot_(1, tile) {
    gradients_.setZero();
    mixer.prepare(cache_, scratch_, tile);
  }

  /// (n_agents, R) by the backward pass. The gradient of the regulariser comes along with it, and is taken off.
  Matrix<Scalar> analytic(const MixerInputs<Scalar>& in) {
    mixer_.forward(p_, in, q_tot_.leftCols(in.agent_qs.cols()), cache_, scratch_);
    Matrix<Scalar> slopes = backward(in, Scalar(1));
    if (mixer_.regulariser(cache_) != Scalar(0)) slopes -= backward(in, Scalar(0));
    return slopes;
  }

  /// Agent i's slopes by central differences D(h) and D(h/2): (4 D(h/2) - D(h)) / 3 is of order h⁴ (Richardson 1911).
  Numeric numeric(const MixerInputs<Scalar>& in, Index i) {
    const Vector<Scalar> wide = central(in, i, step()), narrow = central(in, i, step() / 2);
    return {(4 * narrow - wide) / 3, (wide - narrow).cwiseAbs()};
  }

  /// h = ε^{1/5}, where truncation h⁴ and rounding ε/h balance for functions that bend over a distance of 1.
  static Scalar step() { return std::pow(std::numeric_limits<Scalar>::epsilon(), Scalar(0.2)); }

 private:
  Matrix<Scalar> backward(const MixerInputs<Scalar>& in, Scalar dq_tot) {
    const Matrix<Scalar> dq = Matrix<Scalar>::Constant(1, in.agent_qs.cols(), dq_tot);
    Matrix<Scalar> slopes(mixer_.n_agents(), in.agent_qs.cols());
    mixer_.backward(p_, cache_, in, dq, gradients_, slopes, scratch_);
    return slopes;
  }

  Vector<Scalar> central(const MixerInputs<Scalar>& in, Index i, Scalar h) {
    Matrix<Scalar> q = in.agent_qs;
    q.row(i).array() += h;
    const Vector<Scalar> above = values({q, in.state, in.units, in.alive});
    q.row(i) = in.agent_qs.row(i).array() - h;
    return (above - values({q, in.state, in.units, in.alive})) / (2 * h);
  }

  Vector<Scalar> values(const MixerInputs<Scalar>& in) {
    View<Scalar> q_tot = q_tot_.leftCols(in.agent_qs.cols());
    mixer_.evaluate(p_, in, q_tot, scratch_);
    return q_tot.transpose();
  }

  const M& mixer_;
  const Vector<Scalar>& p_;
  Vector<Scalar> gradients_;
  Matrix<Scalar> q_tot_;
  typename M::Cache cache_;
  typename M::Scratch scratch_;
};

/// Some columns of the samples.
template <class Scalar>
MixerInputs<Scalar> columns(const MixerInputs<Scalar>& in, Index first, Index count) {
  const auto part = [&]<class V>(const V& x) { return x.size() == 0 ? V() : V(x.middleCols(first, count)); };
  return {part(in.agent_qs), part(in.state), part(in.units), part(in.alive)};
}

template <class To, class From>
Vector<To> column(ConstView<From> x, Index r) {
  return x.size() == 0 ? Vector<To>() : Vector<To>(x.col(r).template cast<To>());
}

/// Keeps the smallest of `slopes` if it is smaller than the worst so far; NaN is smaller than any number.
template <class Scalar>
void keep_smallest(MonotonicityReport::WorstCase& worst, ConstView<Scalar> slopes, const MixerInputs<Scalar>& in) {
  for (Index r = 0; r < slopes.cols(); ++r)
    for (Index i = 0; i < slopes.rows(); ++i)
      if (!(slopes(i, r) >= worst.slope) && !std::isnan(worst.slope))
        worst = {slopes(i, r),
                 0,
                 i,
                 column<double>(in.agent_qs, r),
                 column<double>(in.state, r),
                 column<double>(in.units, r),
                 column<std::uint8_t>(in.alive, r)};
}

/// Fills in how far backward and differences are apart, all (n_agents, samples).
template <class Scalar>
void compare_slopes(const Matrix<Scalar>& analytic, const Matrix<Scalar>& numeric, const Matrix<Scalar>& doubt,
                    Scalar step, MonotonicityReport& report) {
  const double largest = std::max(analytic.cwiseAbs().maxCoeff(), numeric.cwiseAbs().maxCoeff());
  const double smooth = 8 * largest * double(step) * double(step);  // D(h) - D(h/2) is of order h²
  for (Index k = 0; k < analytic.size(); ++k) {
    const double difference = std::abs(double(analytic(k)) - double(numeric(k)));
    if (doubt(k) > smooth)
      ++report.kinks;
    else if (!std::isfinite(difference))
      report.disagreement = std::numeric_limits<double>::infinity();
    else if (difference > 0)
      report.disagreement = std::max(report.disagreement, difference / largest);
  }
}

/// Looks at every slope of the samples.
template <Mixer M>
void sample_slopes(SlopeProbe<M>& probe, const MixerInputs<typename M::Scalar>& samples, MonotonicityReport& report) {
  using Scalar = typename M::Scalar;
  const Index n = samples.agent_qs.rows(), total = samples.agent_qs.cols();
  Matrix<Scalar> analytic(n, total), numeric(n, total), doubt(n, total);
  for (Index first = 0; first < total; first += probe.tile) {
    const Index count = std::min(probe.tile, total - first);
    const MixerInputs<Scalar> in = columns(samples, first, count);
    analytic.middleCols(first, count) = probe.analytic(in);
    keep_smallest<Scalar>(report.worst, analytic.middleCols(first, count), in);
    for (Index i = 0; i < n; ++i) {
      const auto [slope, change] = probe.numeric(in, i);
      numeric.row(i).segment(first, count) = slope.transpose();
      doubt.row(i).segment(first, count) = change.transpose();
    }
  }
  report.slopes = analytic.size();
  for (Index k = 0; k < analytic.size(); ++k)
    if (!(analytic(k) >= -report.tolerance)) ++report.violations;
  report.sampled_minimum = report.worst.slope;
  compare_slopes(analytic, numeric, doubt, probe.step(), report);
}

/// Random local search (Rastrigin 1963) from the worst case: tries at many distances at once, and moves to the smallest
/// slope. Every entry stays within the range that `samples` span; state and units stay put unless `everything` moves.
template <Mixer M>
void search_smallest(SlopeProbe<M>& probe, const MixerInputs<typename M::Scalar>& samples, bool everything, Index steps,
                     Random& random, MonotonicityReport::WorstCase& worst) {
  using Scalar = typename M::Scalar;
  MixerSamples<Scalar> tries;
  const auto spread = [&](Matrix<Scalar>& x, const Vector<double>& centre, ConstView<Scalar> range, bool move) {
    x = centre.cast<Scalar>().replicate(1, probe.tile);
    if (!move || x.size() == 0) return;
    const Scalar low = range.minCoeff(), high = range.maxCoeff();
    for (Index r = 0; r < x.cols(); ++r) {
      const double distance = double(high - low) * std::exp2(-10 * random.uniform());
      for (Index k = 0; k < x.rows(); ++k)
        x(k, r) = std::clamp(x(k, r) + static_cast<Scalar>(distance * random.normal()), low, high);
    }
  };
  for (Index step = 0; step < steps; ++step) {
    spread(tries.agent_qs, worst.agent_qs, samples.agent_qs, true);
    spread(tries.state, worst.state, samples.state, everything);
    spread(tries.units, worst.units, samples.units, everything);
    tries.alive = worst.alive.replicate(1, probe.tile);
    keep_smallest<Scalar>(worst, probe.analytic(tries.inputs()), tries.inputs());
  }
}

template <Mixer M>
MonotonicityReport check_monotonicity(const M& mixer, const Vector<typename M::Scalar>& parameters,
                                      const MixerInputs<typename M::Scalar>& samples, bool everything,
                                      const MonotonicityOptions& options, Random& random) {
  using Scalar = typename M::Scalar;
  require(mixer.outputs() == 1, "check_monotonicity", "the mixer has no joint value");
  require(samples.agent_qs.cols() > 0, "check_monotonicity", "there are no samples");
  MonotonicityReport report;
  report.tolerance = options.tolerance;
  SlopeProbe<M> probe(mixer, parameters);
  sample_slopes(probe, samples, report);
  search_smallest(probe, samples, everything, options.search_steps, random, report.worst);

  MonotonicityReport::WorstCase& worst = report.worst;
  const MixerSamples<Scalar> at{worst.agent_qs.cast<Scalar>(), worst.state.cast<Scalar>(), worst.units.cast<Scalar>(),
                                worst.alive};
  worst.numeric = probe.numeric(at.inputs(), worst.agent).slope(0);
  return report;
}

}  // namespace detail

/// Draws samples, looks at all their slopes, then searches from the smallest one over Q, state and units. Throws when
/// the mixer has no joint value (outputs() other than 1) or its sizes are not those of the options.
template <Mixer M>
MonotonicityReport check_monotonicity(const M& mixer, const Vector<typename M::Scalar>& parameters,
                                      const MonotonicityOptions& options, Random& random) {
  using Scalar = typename M::Scalar;
  const auto draw = [&](Index rows, double scale) {
    Matrix<Scalar> x(rows, options.samples);
    for (Index k = 0; k < x.size(); ++k) x(k) = static_cast<Scalar>(scale * random.normal());
    return x;
  };
  const detail::MixerSamples<Scalar> samples{draw(mixer.n_agents(), options.q_scale),
                                             draw(options.state_dim, 1),
                                             draw(options.unit_dim * mixer.n_agents(), 1),
                                             {}};
  return detail::check_monotonicity(mixer, parameters, samples.inputs(), true, options, random);
}

/// The same at given samples, from a replay memory say; the search varies Q alone.
template <Mixer M>
MonotonicityReport check_monotonicity(const M& mixer, const Vector<typename M::Scalar>& parameters,
                                      const MixerInputs<typename M::Scalar>& samples, Random& random,
                                      const MonotonicityOptions& options = {}) {
  return detail::check_monotonicity(mixer, parameters, samples, false, options, random);
}

}  // namespace qatten::inline QATTEN_ABI
