#pragma once
// Hearsay: everyone is asked for what only a team-mate saw.

#include <span>
#include <string>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/games/joint_actions.hpp"

namespace qatten::inline QATTEN_ABI {

/// Our own game, two steps. In the first, each of n agents sees a symbol of its own, one of k, and whose symbol it will
/// be asked for: another agent's (both one-hot). All it can do is wait (action 0). In the second it sees nothing;
/// action a names symbol a, and the reward is the share of agents that name the symbol they are asked for. Symbols and
/// questions are independent and uniform. The state is what all agents saw, agent after agent, in both steps, and an
/// agent's unit features are its own part of it.
///
/// It cannot be played without messages. What agent i sees, and all it can remember, is independent of the symbol that
/// it is asked for, so that whatever it answers is right with probability 1/k: every team of agents that do not
/// communicate returns 1/k on average, in training and at best. With messages every answer can be right: 1.
class Hearsay {
 public:
  /// Throws unless there are at least two agents and two symbols.
  explicit Hearsay(Index n_agents = 4, Index n_symbols = 4)
      : n_agents_(n_agents),
        n_symbols_(n_symbols),
        symbols_(size_of(n_agents, n_symbols)),
        asked_(size_of(n_agents, n_symbols)) {}

  EnvironmentInfo info() const {
    const Index seen = n_symbols_ + n_agents_;
    return {.n_agents = n_agents_,
            .n_actions = n_symbols_,
            .obs_shape = seen,
            .state_shape = n_agents_ * seen,
            .unit_dim = seen,
            .episode_limit = 2};
  }

  void reset(const Random& stream) {
    Random random = stream;
    for (Index i = 0; i < n_agents_; ++i) {
      symbols_[at(i)] = random.integer(n_symbols_);
      const Index other = random.integer(n_agents_ - 1);
      asked_[at(i)] = other < i ? other : other + 1;
    }
    t_ = 0;
  }

  void observe(Observation o) const {
    for (Index i = 0; i < n_agents_; ++i)
      for (const Index entry : {symbol(i), n_symbols_ + asked(i)}) {
        if (t_ == 0) o.obs(entry, i) = 1;
        o.units(entry, i) = 1;
        o.state(i * (n_symbols_ + n_agents_) + entry, 0) = 1;
      }
    if (t_ == 0) o.available.bottomRows(n_symbols_ - 1).setZero();
  }

  /// Throws when the episode has ended, and unless there is one action per agent, each a symbol.
  StepResult step(std::span<const int> actions) {
    detail::require(t_ < 2, "Hearsay::step", "the episode has ended; call reset() first");
    detail::check_actions("Hearsay::step", actions, n_agents_, n_symbols_);
    if (t_++ == 0) return {};
    Index right = 0;
    for (Index i = 0; i < n_agents_; ++i) right += actions[at(i)] == symbol(asked(i));
    return {.reward = static_cast<float>(double(right) / double(n_agents_)), .terminated = true};
  }

  /// Agent i's own symbol, and the agent whose symbol it is asked for.
  Index symbol(Index i) const { return symbols_[at(i)]; }
  Index asked(Index i) const { return asked_[at(i)]; }

  double optimal_return() const { return 1; }
  /// What every team without messages returns on average.
  double silent_return() const { return 1 / static_cast<double>(n_symbols_); }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  static std::size_t size_of(Index n_agents, Index n_symbols) {
    detail::require(n_agents >= 2 && n_symbols >= 2, "Hearsay",
                    "got " + std::to_string(n_agents) + " agents and " + std::to_string(n_symbols) +
                        " symbols, expected at least two of each");
    return at(n_agents);
  }

  Index n_agents_, n_symbols_;
  std::vector<Index> symbols_, asked_;
  Index t_ = 0;
};
static_assert(Environment<Hearsay>);

}  // namespace qatten::inline QATTEN_ABI
