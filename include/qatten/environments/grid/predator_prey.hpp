#pragma once
// QTRAN's modified predator-prey: two must touch a prey, one alone is punished.

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/grid/board.hpp"

namespace qatten::inline QATTEN_ABI {

/// The authors' smaller setting.
struct PredatorPreyOptions {
  Index size = 5;
  Index n_predators = 2;
  Index n_prey = 1;
  double penalty = 0.5;  ///< P
  Index episode_limit = 100;
};

/// "5x5": 2 predators and 1 prey, "7x7": 4 and 2. Throws for another name.
inline PredatorPreyOptions predator_prey_setting(std::string_view name) {
  if (name == "5x5") return {};
  if (name == "7x7") return {.size = 7, .n_predators = 4, .n_prey = 2};
  throw Error("predator_prey_setting: got '" + std::string(name) + "', expected 5x5 or 7x7");
}

/// Modified predator-prey (Son et al. 2019, QTRAN), by the rules of the authors' program (scenario
/// endless3 of Sonkyunghwan/QTRAN): predators and prey start on cells by chance, and in each step
///
///   1. everyone moves to a neighbouring cell or stays, predators first, in order; prey choose uniformly. Who stands
///      where another wants to go moves before that one. A cell that is still taken, or the edge, stops a move, so that
///      two cannot change places;
///   2. for each prey the team gets +1 where at least two predators stand beside it, −P where exactly one does;
///   3. each prey that two touched goes on from a free cell by chance, another one than its own.
///
/// The episode is cut off (truncated) at its limit. Actions: up, left, stay, right, down. The state is row and column
/// of each predator, then of each prey, as (x − size/2) / size. A predator sees where all are from where it stands, in
/// the same order and scale, and its own two of the state (as the first lines of the authors' networks make of the
/// state, whichever the system). Unit features: the predator's own two.
class PredatorPrey {
 public:
  enum Action { up, left, stay, right, down };
  static constexpr Index n_actions = 5;

  /// Throws for sizes that do not fit and a penalty that is not a finite float, at least 0.
  explicit PredatorPrey(const PredatorPreyOptions& options = {})
      : options_(options), board_(checked(options).size), members_(count(options)), moved_(count(options)) {}

  EnvironmentInfo info() const {
    const Index width = 2 * std::ssize(members_);
    return {.n_agents = options_.n_predators,
            .n_actions = n_actions,
            .obs_shape = width + 2,
            .state_shape = width,
            .unit_dim = 2,
            .episode_limit = options_.episode_limit};
  }

  void reset(const Random& stream) {
    begin(stream);
    grid::place_by_chance(board_, members_, random_);
  }
  /// From given cells: the predators', then the preys'. Throws unless they are as many, free and on the board.
  void reset(const Random& stream, std::span<const grid::Cell> cells) {
    begin(stream);
    grid::place_on(board_, members_, cells, "PredatorPrey::reset");
  }

  void observe(Observation o) const {
    for (Index k = 0; k < std::ssize(members_); ++k) {
      o.state(2 * k, 0) = scaled(member(k).row);
      o.state(2 * k + 1, 0) = scaled(member(k).column);
    }
    for (Index i = 0; i < options_.n_predators; ++i) {
      for (Index k = 0; k < std::ssize(members_); ++k) {
        o.obs(2 * k, i) = offset(member(k).row - member(i).row);
        o.obs(2 * k + 1, i) = offset(member(k).column - member(i).column);
      }
      o.units.col(i) = o.state.col(0).segment(2 * i, 2);
      o.obs.col(i).tail(2) = o.units.col(i);
    }
  }

  /// Throws when the episode has ended, and unless there is one action per predator, each in 0 … 4.
  StepResult step(std::span<const int> actions) {
    detail::require(taken_ < options_.episode_limit, "PredatorPrey::step", "the episode has ended; call reset() first");
    detail::check_actions("PredatorPrey::step", actions, options_.n_predators, n_actions);
    move_all(actions);
    const double reward = reward_and_renew();
    ++taken_;
    return {.reward = static_cast<float>(reward), .truncated = taken_ == options_.episode_limit};
  }

  /// captures: prey touched by two; miscaptures: by one alone. Counts of the episode.
  std::span<const Metric> metrics() const { return metrics_; }

  /// Where the predators, then the prey stand.
  std::span<const grid::Cell> cells() const { return members_; }

  /// No episode pays more: every prey caught in every step.
  double highest_return() const { return double(options_.n_prey * options_.episode_limit); }

 private:
  static const PredatorPreyOptions& checked(const PredatorPreyOptions& o) {
    detail::require(o.n_predators >= 1 && o.n_prey >= 1 && o.episode_limit >= 1, "PredatorPrey",
                    "n_predators, n_prey and episode_limit must be at least 1");
    detail::require(o.penalty >= 0 && o.penalty <= std::numeric_limits<float>::max(), "PredatorPrey",
                    "penalty must be at least 0 and finite as a float");
    grid::check_board("PredatorPrey", o.size, o.n_predators + o.n_prey);
    return o;
  }
  static std::size_t count(const PredatorPreyOptions& o) { return static_cast<std::size_t>(o.n_predators + o.n_prey); }

  void begin(const Random& stream) {
    random_ = stream;
    taken_ = 0;
    for (Metric& m : metrics_) m.value = 0;
  }

  const grid::Cell& member(Index k) const { return members_[static_cast<std::size_t>(k)]; }
  float scaled(int x) const {
    const double size = double(options_.size);
    return static_cast<float>((x - size / 2) / size);
  }
  float offset(int x) const { return static_cast<float>(x / double(options_.size)); }

  void move_all(std::span<const int> actions) {
    steps_.assign(actions.begin(), actions.end());
    while (steps_.size() < members_.size()) steps_.push_back(static_cast<int>(random_.integer(n_actions)));
    std::fill(moved_.begin(), moved_.end(), false);
    for (std::size_t k = 0; k < members_.size(); ++k) move(k);
  }

  /// A member that waits for the one in its way counts as moved: a ring of members stands still.
  void move(std::size_t k) {
    constexpr std::array<grid::Cell, n_actions> ways = {{{-1, 0}, {0, -1}, {0, 0}, {0, 1}, {1, 0}}};
    if (moved_[k]) return;
    moved_[k] = true;
    const grid::Cell from = members_[k], to = from + ways[static_cast<std::size_t>(steps_[k])];
    if (!board_.contains(to)) return;
    if (board_.at(to) != grid::Board::nobody) move(static_cast<std::size_t>(board_.at(to)));
    if (!board_.free(to)) return;
    board_.remove(from);
    board_.put(to, static_cast<int>(k));
    members_[k] = to;
  }

  double reward_and_renew() {
    double reward = 0;
    caught_.clear();
    for (std::size_t k = static_cast<std::size_t>(options_.n_predators); k < members_.size(); ++k) {
      Index touching = 0;
      for (Index i = 0; i < options_.n_predators; ++i) touching += grid::adjacent(member(i), members_[k]);
      if (touching >= 2) caught_.push_back(k);
      reward += touching >= 2 ? 1 : touching == 1 ? -options_.penalty : 0;
      metrics_[0].value += touching >= 2;
      metrics_[1].value += touching == 1;
    }
    for (const std::size_t k : caught_) {  // after all were judged where they stood
      const grid::Cell to = board_.draw_free(random_);
      board_.remove(members_[k]);
      board_.put(to, static_cast<int>(k));
      members_[k] = to;
    }
    return reward;
  }

  PredatorPreyOptions options_;
  grid::Board board_;
  std::vector<grid::Cell> members_;
  std::vector<bool> moved_;
  std::vector<int> steps_;
  std::vector<std::size_t> caught_;
  Random random_{0};
  Index taken_ = 0;
  std::array<Metric, 2> metrics_ = {{{"captures"}, {"miscaptures"}}};
};
static_assert(ReportsMetrics<PredatorPrey>);

}  // namespace qatten::inline QATTEN_ABI
