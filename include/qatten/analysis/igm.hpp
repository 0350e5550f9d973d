#pragma once
// Individual-Global-Max (Son et al. 2019, QTRAN): do the agents' own greedy actions form a joint greedy action?
//
//   argmax_u Q_tot(u)  ⊇  argmax_{u_1} Q_1 × … × argmax_{u_n} Q_n
//
// over available actions. Ties make both sides sets: every element of the product must attain the joint maximum.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

struct IgmOptions {
  Index exhaustive_limit = Index{1} << 16;  ///< more available joint actions than that are sampled
  Index samples = 4096;                     ///< random joint actions, then
  std::size_t climbs = 32;                  ///< of them, starts from which agent after agent takes its best reply
  double tolerance = 1e-5;                  ///< relative to the largest |Q_tot| seen
  std::size_t listed = 16;                  ///< members of each set that the report keeps
};

struct JointAction {
  std::vector<int> actions;
  double value = 0;  ///< Q_tot
};

/// How far QTRAN's conditions, which are enough for IGM, hold: qtran_conditions.hpp.
struct QtranConditions {
  double greedy = 0;  ///< δ(ū), the residual of (4a)
  double lowest = 0;  ///< min δ(u) over available u, the residual of (4b)
};

struct IgmReport {
  bool holds = false;
  bool exhaustive = false;  ///< all joint actions were looked at, so that `holds` is certain
  Index evaluated = 0;      ///< values of Q_tot computed
  double tolerance = 0;     ///< in units of Q_tot

  JointAction greedy;  ///< the member of the product of local argmax sets with the lowest value
  JointAction best;    ///< the best joint action found: the counterexample if IGM fails

  std::vector<std::vector<int>> greedy_set;  ///< members of the product of local argmax sets, the first few
  double greedy_count = 0;                   ///< how many there are, in all
  std::vector<std::vector<int>> best_set;    ///< members of the joint argmax set, the first few; only if exhaustive
  double best_count = 0;

  std::optional<QtranConditions> qtran{};  ///< of a joint value that comes with a state value

  double gap() const { return best.value - greedy.value; }
};

namespace detail {

inline std::string joint_to_string(const std::vector<int>& actions) {
  std::string text = "(";
  for (const int a : actions) text += (text.size() > 1 ? ", " : "") + std::to_string(a);
  return text + ")";
}

}  // namespace detail

inline std::string to_string(const IgmReport& report) {
  std::ostringstream text;
  text << (report.holds ? "IGM holds" : "IGM fails") << " (" << (report.exhaustive ? "exhaustive, " : "sampled, ")
       << report.evaluated << " values)\n"
       << "greedy " << detail::joint_to_string(report.greedy.actions) << " has Q_tot " << report.greedy.value
       << ", one of " << report.greedy_count << "\n"
       << "best   " << detail::joint_to_string(report.best.actions) << " has Q_tot " << report.best.value;
  if (report.exhaustive) text << ", one of " << report.best_count;
  text << "\n";
  if (report.qtran)
    text << "QTRAN's conditions: (4a) is off by " << report.qtran->greedy << ", (4b) by "
         << std::min(report.qtran->lowest, 0.0) << " at worst\n";
  return text.str();
}

namespace detail {

/// For every agent the actions it may choose from.
using ActionSets = std::vector<std::vector<int>>;

template <class Scalar>
ActionSets available_actions(ConstView<Scalar> q, ConstView<std::uint8_t> available) {
  if (available.size() > 0) check_shape("greedy_actions", "available", available, q.rows(), q.cols());
  ActionSets sets(static_cast<std::size_t>(q.cols()));
  for (Index i = 0; i < q.cols(); ++i) {
    auto& actions = sets[static_cast<std::size_t>(i)];
    for (Index a = 0; a < q.rows(); ++a)
      if (available.size() == 0 || available(a, i) != 0) actions.push_back(static_cast<int>(a));
    require(!actions.empty(), "greedy_actions", "agent " + std::to_string(i) + " has no available action");
    for (const int a : actions)
      require(!std::isnan(q(a, i)), "greedy_actions",
              "Q of agent " + std::to_string(i) + ", action " + std::to_string(a) + " is NaN");
  }
  return sets;
}

/// Of `sets`, the actions of largest value, each agent for itself.
template <class Scalar>
ActionSets local_argmax(ConstView<Scalar> q, const ActionSets& sets) {
  ActionSets best(sets.size());
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto value = [&](int a) { return q(a, static_cast<Index>(i)); };
    const int top =
        *std::max_element(sets[i].begin(), sets[i].end(), [&](int a, int b) { return value(a) < value(b); });
    for (const int a : sets[i])
      if (value(a) == value(top)) best[i].push_back(a);
  }
  return best;
}

/// In floating point, since it may be huge.
inline double product_size(const ActionSets& sets) {
  double size = 1;
  for (const auto& actions : sets) size *= static_cast<double>(actions.size());
  return size;
}

/// The k-th element of the product, the last agent varying fastest.
inline std::vector<int> product_element(const ActionSets& sets, Index k) {
  std::vector<int> joint(sets.size());
  for (std::size_t i = sets.size(); i-- > 0;) {
    const auto size = static_cast<Index>(sets[i].size());
    joint[i] = sets[i][static_cast<std::size_t>(k % size)];
    k /= size;
  }
  return joint;
}

/// The whole product if it has at most `limit` elements, else `samples` random ones.
inline std::vector<std::vector<int>> product_elements(const ActionSets& sets, Index limit, Index samples,
                                                      Random& random) {
  std::vector<std::vector<int>> elements;
  if (const double size = product_size(sets); size <= static_cast<double>(limit)) {
    for (Index k = 0; k < static_cast<Index>(size); ++k) elements.push_back(product_element(sets, k));
    return elements;
  }
  for (Index k = 0; k < samples; ++k) {
    elements.emplace_back();
    for (const auto& actions : sets)
      elements.back().push_back(actions[static_cast<std::size_t>(random.integer(static_cast<Index>(actions.size())))]);
  }
  return elements;
}

/// Q_tot of joint actions, at most `tile` of them for each call of `value`.
template <class Scalar, class Value>
class JointValues {
 public:
  static constexpr Index tile = 1024;

  JointValues(ConstView<Scalar> q, const Value& value)
      : q_(q), value_(value), chosen_(q.cols(), tile), q_tot_(1, tile) {}

  Index evaluated() const { return evaluated_; }
  /// The largest |Q_tot| seen.
  double largest() const { return largest_; }

  std::vector<double> operator()(const std::vector<std::vector<int>>& joints) {
    std::vector<double> values;
    for (std::size_t first = 0; first < joints.size(); first += tile) {
      const auto part = std::span(joints).subspan(first, std::min<std::size_t>(tile, joints.size() - first));
      const auto count = static_cast<Index>(part.size());
      for (Index r = 0; r < count; ++r)
        for (Index i = 0; i < q_.cols(); ++i)
          chosen_(i, r) = q_(part[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)], i);
      value_(ConstView<Scalar>(chosen_.leftCols(count)), View<Scalar>(q_tot_.leftCols(count)));
      for (Index r = 0; r < count; ++r) values.push_back(static_cast<double>(q_tot_(0, r)));
    }
    evaluated_ += static_cast<Index>(joints.size());
    for (const double v : values)
      if (std::isfinite(v)) largest_ = std::max(largest_, std::abs(v));
    return values;
  }

 private:
  ConstView<Scalar> q_;
  const Value& value_;
  Matrix<Scalar> chosen_, q_tot_;
  Index evaluated_ = 0;
  double largest_ = 0;
};

/// Q_tot of joint actions that is known for all of them, by `joint_index`.
template <class Scalar>
class TableValues {
 public:
  TableValues(const Vector<Scalar>& table, Index n_actions) : table_(table), n_actions_(n_actions) {}

  Index evaluated() const { return table_.size(); }
  double largest() const {
    double largest = 0;
    for (const Scalar& v : table_)
      if (std::isfinite(double(v))) largest = std::max(largest, std::abs(double(v)));
    return largest;
  }

  std::vector<double> operator()(const std::vector<std::vector<int>>& joints) const {
    std::vector<double> values(joints.size());
    std::ranges::transform(joints, values.begin(), [this](const std::vector<int>& joint) {
      return double(table_(joint_index(joint, n_actions_)));
    });
    return values;
  }

 private:
  const Vector<Scalar>& table_;
  Index n_actions_;
};

/// a > b, where NaN is above everything: what is not a number must not pass for a maximum attained.
inline bool above(double a, double b) { return !(a <= b) && !std::isnan(b); }

/// The joint action of largest sign · Q_tot.
inline JointAction extreme(const std::vector<std::vector<int>>& joints, const std::vector<double>& values,
                           double sign) {
  std::size_t top = 0;
  for (std::size_t k = 1; k < joints.size(); ++k)
    if (above(sign * values[k], sign * values[top])) top = k;
  return {joints[top], values[top]};
}

/// Coordinate ascent: from each start, agent after agent takes its best reply to the others until none improves.
template <class Evaluate>
std::vector<JointAction> climb(std::vector<JointAction> starts, const ActionSets& sets, Evaluate& evaluate) {
  for (bool improved = true; improved;) {
    improved = false;
    for (std::size_t i = 0; i < sets.size(); ++i) {
      std::vector<std::vector<int>> replies;
      for (const JointAction& start : starts)
        for (const int a : sets[i]) {
          replies.push_back(start.actions);
          replies.back()[i] = a;
        }
      const std::vector<double> values = evaluate(replies);
      for (std::size_t k = 0; k < replies.size(); ++k) {
        JointAction& current = starts[k / sets[i].size()];
        if (!above(values[k], current.value)) continue;
        current = {replies[k], values[k]};
        improved = true;
      }
    }
  }
  return starts;
}

/// `check_igm` of whatever gives the values of joint actions.
template <class Scalar, class Evaluate>
IgmReport igm_report(ConstView<Scalar> q, ConstView<std::uint8_t> available, Evaluate& evaluate, Random& random,
                     const IgmOptions& options) {
  const ActionSets sets = available_actions<Scalar>(q, available);
  const ActionSets greedy = local_argmax<Scalar>(q, sets);
  IgmReport report;
  report.exhaustive = product_size(sets) <= static_cast<double>(options.exhaustive_limit);

  const auto members = product_elements(greedy, options.exhaustive_limit, options.samples, random);
  report.greedy = extreme(members, evaluate(members), -1);
  report.greedy_count = product_size(greedy);
  report.greedy_set.assign(members.begin(),
                           members.begin() + static_cast<Index>(std::min(options.listed, members.size())));

  const auto joints = product_elements(sets, options.exhaustive_limit, options.samples, random);
  const std::vector<double> values = evaluate(joints);
  report.best = extreme(joints, values, +1);
  if (!report.exhaustive) {
    std::vector<JointAction> starts{report.greedy, report.best};
    for (std::size_t k = 0; k < std::min(joints.size(), options.climbs); ++k) starts.push_back({joints[k], values[k]});
    for (const JointAction& top : climb(starts, sets, evaluate))
      if (above(top.value, report.best.value)) report.best = top;
  }

  report.tolerance = options.tolerance * evaluate.largest();
  report.evaluated = evaluate.evaluated();
  report.holds = report.gap() <= report.tolerance;
  for (std::size_t k = 0; report.exhaustive && k < joints.size(); ++k)
    if (values[k] >= report.best.value - report.tolerance && ++report.best_count <= double(options.listed))
      report.best_set.push_back(joints[k]);
  return report;
}

}  // namespace detail

/// Each agent's available action of largest value, the first of equals. q is (n_actions, n_agents); `available`
/// likewise, 0 where an action is not; empty when all are. Throws when an agent has no available action or a value is
/// NaN.
template <class Q>
std::vector<int> greedy_actions(const Eigen::MatrixBase<Q>& q, ConstView<std::uint8_t> available = {}) {
  const Matrix<typename Q::Scalar> values = q;
  return detail::product_element(detail::local_argmax<typename Q::Scalar>(
                                     values, detail::available_actions<typename Q::Scalar>(values, available)),
                                 0);
}

/// Q_tot of a mixer at one state as a function of agent_qs, for `check_igm`. Keeps references to mixer and parameters.
template <Mixer M>
class MixerAtState {
 public:
  using Scalar = typename M::Scalar;

  /// `state` (state_dim, 1), `units` (unit_dim · n_agents, 1), `alive` (n_agents, 1); empty what the mixer does not
  /// read.
  MixerAtState(const M& mixer, const Vector<Scalar>& parameters, ConstView<Scalar> state = {},
               ConstView<Scalar> units = {}, ConstView<std::uint8_t> alive = {})
      : mixer_(mixer), p_(parameters), state_(one(state)), units_(one(units)), alive_(one(alive)) {
    detail::require(mixer.outputs() == 1, "MixerAtState", "the mixer has no joint value");
  }

  /// agent_qs (n_agents, R) -> q_tot (1, R). Allocates when R grows.
  void operator()(ConstView<Scalar> agent_qs, View<Scalar> q_tot) const {
    const Index rows = agent_qs.cols();
    if (rows > prepared_) {
      mixer_.prepare(cache_, scratch_, prepared_ = rows);
      states_ = state_.replicate(1, rows);
      units_of_all_ = units_.replicate(1, rows);
      alives_ = alive_.replicate(1, rows);
    }
    mixer_.evaluate(p_, {agent_qs, states_.leftCols(rows), units_of_all_.leftCols(rows), alives_.leftCols(rows)}, q_tot,
                    scratch_);
  }

 private:
  template <class T>
  static Matrix<T> one(ConstView<T> x) {
    if (x.size() == 0) return Matrix<T>(0, 1);
    detail::check_shape("MixerAtState", "state, units or alive", x, -1, 1);
    return x;
  }

  const M& mixer_;
  const Vector<Scalar>& p_;
  Matrix<Scalar> state_, units_;
  Matrix<std::uint8_t> alive_;
  mutable Index prepared_ = 0;
  mutable Matrix<Scalar> states_, units_of_all_;
  mutable Matrix<std::uint8_t> alives_;
  mutable typename M::Cache cache_;
  mutable typename M::Scratch scratch_;
};

/// Checks IGM of value(agent_qs (n_agents, R), q_tot (1, R)), which writes Q_tot of R joint actions (a `MixerAtState`,
/// or any callable on views), for action values q (n_actions, n_agents) with `available` as in greedy_actions. Looks at
/// all available joint actions up to `exhaustive_limit`; above it at random ones and at where coordinate ascent from
/// them and from the greedy joint action leads, which can refute IGM but not prove it. Q_tot that is NaN fails. Throws
/// like greedy_actions.
template <class Q, class Value>
IgmReport check_igm(const Eigen::MatrixBase<Q>& q, ConstView<std::uint8_t> available, const Value& value,
                    Random& random, const IgmOptions& options = {}) {
  using Scalar = typename Q::Scalar;
  detail::require(options.samples > 0, "check_igm", "samples must be positive");
  const Matrix<Scalar> qs = q;
  detail::JointValues<Scalar, Value> evaluate(qs, value);
  return detail::igm_report<Scalar>(qs, available, evaluate, random, options);
}

/// Likewise of the Q_tot of every joint action, by `joint_index`: exhaustive. Throws when `joint` has another size.
template <class Q>
IgmReport check_igm(const Eigen::MatrixBase<Q>& q, ConstView<std::uint8_t> available,
                    const Vector<typename Q::Scalar>& joint, IgmOptions options = {}) {
  using Scalar = typename Q::Scalar;
  detail::check_shape("check_igm", "joint", joint, n_joint_actions(q.cols(), q.rows()), 1);
  const Matrix<Scalar> qs = q;
  detail::TableValues<Scalar> evaluate(joint, q.rows());
  options.exhaustive_limit = joint.size();
  Random unused(0);
  return detail::igm_report<Scalar>(qs, available, evaluate, unused, options);
}

}  // namespace qatten::inline QATTEN_ABI
