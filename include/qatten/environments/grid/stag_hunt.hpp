#pragma once
// The stag hunt of DCG and WQMIX: two must catch a stag at the same time, one alone is punished.

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"
#include "qatten/environments/grid/board.hpp"

namespace qatten::inline QATTEN_ABI {

/// WQMIX's setting, under its names. PyMARL2's has no punishment, DCG's are 0, −1, −1.25, −1.5 and −2.
struct StagHuntOptions {
  double miscapture_punishment = -2;
  Index world_size = 10;
  Index n_agents = 8;
  Index n_stags = 8;
  Index episode_limit = 200;
};

/// Stag hunt, or predator-prey with punishment (Böhmer et al. 2020, DCG; Rashid et al. 2020, WQMIX), by
/// the rules of oxwhirl/wqmix (pred_prey_punish). Agents and stags start on cells by chance, and in each step
///
///   1. the agents move, one after the other in an order by chance; a cell that is taken stops a move;
///   2. stag after stag, in an order by chance: if at least two agents that stand beside it catch, the team gets +10,
///      and the stag and these agents leave the game; if one does, the team gets the punishment. A stag that was not
///      caught moves to a free neighbouring cell by chance, and stays only where there is none.
///
/// The episode ends when all stags or all agents have left, and is cut off (truncated) at its limit. Actions: right,
/// down, left, up, stay, catch. Moves over the edge are not available, nor is `catch` without a stag beside; who has
/// left can only `stay`.
///
/// An agent sees the 5x5 cells around it, row by row, three numbers a cell: agent (itself too), stag, hare (there are
/// none); zeros beyond the edge and once it has left. The state is the same of the whole world. Unit features: row and
/// column as (x − size/2) / size, zeros once it has left.
class StagHunt {
 public:
  enum Action { right, down, left, up, stay, catch_stag };
  static constexpr Index n_actions = 6;
  static constexpr int sight = 2;
  static constexpr Index features = 3;
  static constexpr double reward_stag = 10;

  /// Throws for sizes that do not fit and a punishment that is not a finite float.
  explicit StagHunt(const StagHuntOptions& options = {})
      : options_(options),
        board_(checked(options).world_size),
        members_(static_cast<std::size_t>(options.n_agents + options.n_stags)),
        present_(members_.size()),
        agent_order_(static_cast<std::size_t>(options.n_agents)),
        stag_order_(static_cast<std::size_t>(options.n_stags)) {}

  EnvironmentInfo info() const {
    constexpr Index seen = 2 * sight + 1;
    return {.n_agents = options_.n_agents,
            .n_actions = n_actions,
            .obs_shape = features * seen * seen,
            .state_shape = features * options_.world_size * options_.world_size,
            .unit_dim = 2,
            .episode_limit = options_.episode_limit};
  }

  void reset(const Random& stream) {
    begin(stream);
    grid::place_by_chance(board_, members_, random_);
  }
  /// From given cells: the agents', then the stags'. Throws unless they are as many, free and on the board.
  void reset(const Random& stream, std::span<const grid::Cell> cells) {
    begin(stream);
    grid::place_on(board_, members_, cells, "StagHunt::reset");
  }

  void observe(Observation o) const {
    for (int k = 0; k < std::ssize(members_); ++k)
      if (present(k)) mark({}, int(options_.world_size), o.state.col(0), k);
    for (int i = 0; i < options_.n_agents; ++i) {
      allow(i, o.available);
      o.alive(i, 0) = present(i);
      if (!present(i)) continue;
      const grid::Cell corner = cell(i) + grid::Cell{-sight, -sight};
      for (int k = 0; k < std::ssize(members_); ++k)
        if (present(k)) mark(corner, 2 * sight + 1, o.obs.col(i), k);
      o.units(0, i) = scaled(cell(i).row);
      o.units(1, i) = scaled(cell(i).column);
    }
  }

  /// Throws when the episode has ended, and unless there is one action per agent, each in 0 … 5. What is not available
  /// does nothing.
  StepResult step(std::span<const int> actions) {
    detail::require(!ended_, "StagHunt::step", "the episode has ended; call reset() first");
    detail::check_actions("StagHunt::step", actions, options_.n_agents, n_actions);
    grid::shuffle(agent_order_, random_);
    for (const int i : agent_order_)
      if (present(i) && actions[static_cast<std::size_t>(i)] < stay)
        move(i, ways[static_cast<std::size_t>(actions[static_cast<std::size_t>(i)])]);
    double reward = 0;
    grid::shuffle(stag_order_, random_);
    for (const int s : stag_order_)
      if (present(s)) reward += hunt(s, actions);
    ++taken_;
    const bool terminated = none_present(0, options_.n_agents) || none_present(options_.n_agents, std::ssize(members_));
    const bool truncated = !terminated && taken_ == options_.episode_limit;
    ended_ = terminated || truncated;
    return {.reward = static_cast<float>(reward), .terminated = terminated, .truncated = truncated};
  }

  /// captures: stags caught; miscaptures: attempts by one alone. Counts of the episode.
  std::span<const Metric> metrics() const { return metrics_; }

  /// Where the agents, then the stags stand, or stood when they left.
  std::span<const grid::Cell> cells() const { return members_; }
  /// Whether one of these is still in the game.
  bool present(int member) const { return present_[static_cast<std::size_t>(member)]; }

  /// No episode pays more: each stag takes two agents.
  double highest_return() const { return reward_stag * double(std::min(options_.n_stags, options_.n_agents / 2)); }

 private:
  static constexpr std::array<grid::Cell, 4> ways = {{{0, 1}, {1, 0}, {0, -1}, {-1, 0}}};

  static const StagHuntOptions& checked(const StagHuntOptions& o) {
    detail::require(o.n_agents >= 1 && o.n_stags >= 1 && o.episode_limit >= 1, "StagHunt",
                    "n_agents, n_stags and episode_limit must be at least 1");
    detail::require(std::abs(o.miscapture_punishment) <= std::numeric_limits<float>::max(), "StagHunt",
                    "miscapture_punishment must be finite as a float");
    grid::check_board("StagHunt", o.world_size, o.n_agents + o.n_stags);
    return o;
  }

  void begin(const Random& stream) {
    random_ = stream;
    taken_ = 0;
    ended_ = false;
    std::fill(present_.begin(), present_.end(), true);
    std::iota(agent_order_.begin(), agent_order_.end(), 0);
    std::iota(stag_order_.begin(), stag_order_.end(), static_cast<int>(options_.n_agents));
    for (Metric& m : metrics_) m.value = 0;
  }

  const grid::Cell& cell(int member) const { return members_[static_cast<std::size_t>(member)]; }
  bool is_stag(int member) const { return member >= options_.n_agents; }
  bool none_present(Index first, Index last) const {
    return std::none_of(present_.begin() + first, present_.begin() + last, [](bool present) { return present; });
  }
  float scaled(int x) const {
    const double size = double(options_.world_size);
    return static_cast<float>((x - size / 2) / size);
  }

  /// Sets a member's number in a window of width² cells, if it stands there.
  template <class Column>
  void mark(grid::Cell corner, int width, Column window, int member) const {
    const int row = cell(member).row - corner.row, column = cell(member).column - corner.column;
    if (row >= 0 && row < width && column >= 0 && column < width)
      window((row * width + column) * features + is_stag(member)) = 1;
  }

  void allow(int agent, View<std::uint8_t> available) const {
    auto allowed = available.col(agent);
    allowed.setZero();
    allowed(stay) = 1;
    if (!present(agent)) return;
    for (std::size_t u = 0; u < ways.size(); ++u) {
      const grid::Cell beside = cell(agent) + ways[u];
      if (!board_.contains(beside)) continue;
      allowed(static_cast<Index>(u)) = 1;
      if (board_.at(beside) != grid::Board::nobody && is_stag(board_.at(beside))) allowed(catch_stag) = 1;
    }
  }

  void move(int member, grid::Cell way) {
    grid::Cell& at = members_[static_cast<std::size_t>(member)];
    if (!board_.free(at + way)) return;
    board_.remove(at);
    at = at + way;
    board_.put(at, member);
  }

  void leave(int member) {
    present_[static_cast<std::size_t>(member)] = false;
    board_.remove(cell(member));
  }

  /// A stag's turn; what the team gets.
  double hunt(int stag, std::span<const int> actions) {
    catching_.clear();
    for (int i = 0; i < options_.n_agents; ++i)
      if (present(i) && actions[static_cast<std::size_t>(i)] == catch_stag && grid::adjacent(cell(i), cell(stag)))
        catching_.push_back(i);
    if (catching_.size() >= 2) {
      for (const int i : catching_) leave(i);
      leave(stag);
      ++metrics_[0].value;
      return reward_stag;
    }
    flee(stag);
    if (catching_.empty()) return 0;
    ++metrics_[1].value;
    return options_.miscapture_punishment;
  }

  void flee(int stag) {
    std::array<grid::Cell, 4> open;
    Index count = 0;
    for (const grid::Cell& way : ways)
      if (board_.free(cell(stag) + way)) open[static_cast<std::size_t>(count++)] = way;
    if (count > 0) move(stag, open[static_cast<std::size_t>(random_.integer(count))]);
  }

  StagHuntOptions options_;
  grid::Board board_;
  std::vector<grid::Cell> members_;
  std::vector<bool> present_;
  std::vector<int> agent_order_, stag_order_, catching_;
  Random random_{0};
  Index taken_ = 0;
  bool ended_ = false;
  std::array<Metric, 2> metrics_ = {{{"captures"}, {"miscaptures"}}};
};
static_assert(ReportsMetrics<StagHunt>);

}  // namespace qatten::inline QATTEN_ABI
