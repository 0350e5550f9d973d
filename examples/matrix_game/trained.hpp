#pragma once
// One objective trained on one game, and what can be seen of it afterwards.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/analysis/attention.hpp"
#include "qatten/analysis/monotonicity.hpp"
#include "qatten/analysis/qtran_conditions.hpp"
#include "qatten/learners/learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/optim/adam.hpp"
#include "run.hpp"
#include "table_shape.hpp"

using Agents = qatten::FeedForwardAgent<float>;

template <class O>
inline constexpr bool is_qtran = false;
template <class Net>
inline constexpr bool is_qtran<qatten::QtranObjective<Agents, Net>> = true;

using namespace qatten;

/// One objective trained on one game.
template <class O>
class Trained {
 public:
  Trained(const Game& game, const ParameterLayout& layout, O objective, const Options& options)
      : game_(game), learner_(layout, std::move(objective), Adam<float>(), Random(options.seed, "parameters")) {
    std::vector<const Episode<float>*> episodes;
    for (const auto& e : game.episodes) episodes.push_back(&e);
    batch_.assign(episodes);
  }

  void train(const Options& options, const std::string& name, const Terminal& terminal) {
    for (int k = 1; k <= options.updates; ++k) {
      const double lr = options.lr * std::pow(0.01, double(k) / options.updates);
      learner_.set_optimizer(Adam<float>({.lr = lr}));
      const double loss = learner_.update(batch_).loss;
      terminal.progress(name, k, options.updates, loss);
    }
  }

  /// The agents' values (n_actions, n_agents) at a state of the game.
  Matrix<float> values(const State& state) const {
    const AgentOptions& o = learner_.agent().options();
    const Episode<float>& e = game_.episodes[state.episode];
    typename Agents::Scratch scratch;
    learner_.agent().prepare(scratch, o.n_agents, o.n_agents);
    Matrix<float> q(o.n_actions, o.n_agents), hidden(o.hidden_dim, o.n_agents);
    const ConstView<float> obs = e.obs.middleCols(state.step * o.n_agents, o.n_agents);
    learner_.agent().step(learner_.state().parameters, {obs}, hidden, q, scratch);
    return q;
  }

  void show(const std::string& name, Kind kind, const Terminal& terminal) {
    std::printf("\n  %s\n", terminal.bold(name).c_str());
    learner_.loss(learner_.state().parameters, learner_.state().target, batch_);  // leaves Q_tot of all that was played
    const std::vector<Vector<double>> expected = game_.expected(kind);
    const std::vector<Matrix<double>> expected_alone = game_.expected_alone();
    std::vector<std::vector<int>> greedy;
    double mse = 0, best_mse = 0;
    Checks checks;
    for (std::size_t s = 0; s < game_.states.size(); ++s) {
      const State& state = game_.states[s];
      const Matrix<float> q = values(state);
      greedy.push_back(greedy_actions(q));
      if (kind == Kind::independent) {
        if (s == 0 || game_.states.size() <= 3) show_values(state, q, expected_alone[s]);
        continue;
      }
      const Vector<float> values = joint_table_at(state);
      const Vector<double> table = values.cast<double>();
      if (s == 0 || game_.states.size() <= 3) show_tables(state, table, expected[s]);
      mse += (table - state.payoff).squaredNorm() / double(table.size() * std::ssize(game_.states));
      if (expected[s].size() > 0)
        best_mse += (expected[s] - state.payoff).squaredNorm() / double(table.size() * std::ssize(game_.states));
      check(state, q, values, checks);
    }
    std::string joint;
    for (std::size_t s = 0; s < greedy.size(); ++s)
      joint += (s > 0 ? ", then " : "") +
               action_names(joint_index(greedy[s], game_.info.n_actions), game_.info.n_agents, game_.info.n_actions);
    std::printf("    greedy %s: pays %g of at most %g\n", joint.c_str(), game_.play(greedy), game_.best);
    if (kind == Kind::independent) return;
    std::printf("    mean squared error %.4f", mse);
    if (expected[0].size() > 0) std::printf(", projection %.4f", best_mse);
    std::printf("\n");
    show_checks(checks);
    show_attention();
  }

 private:
  /// Over all states.
  struct Checks {
    Index igm = 0;                                    ///< in how many it holds
    double greedy_residual = 0, lowest_residual = 0;  ///< the largest of QTRAN's (4a) and (4b)
  };
  /// Whether Q_tot is a function of the agents' values and the state, so that its slopes say something.
  static constexpr bool has_slopes = requires(const O o) {
    requires !ReadsActions<std::remove_cvref_t<decltype(o.mixer())>>;
  };

  ConstView<float> state_at(const State& s) const { return game_.episodes[s.episode].state.col(s.step); }
  ConstView<float> units_at(const State& s) const { return game_.episodes[s.episode].units.col(s.step); }

  /// f(k) for each transition of the batch that starts in a state.
  template <class F>
  void for_each_transition(const State& s, const F& f) const {
    const Episode<float>& e = game_.episodes[s.episode];
    const Index n = game_.info.n_agents;
    for (Index b = 0; b < batch_.ragged.sequences(); ++b)
      for (Index t = 0; t < batch_.transitions.length(b); ++t) {
        const Index column = batch_.ragged.column(b, t);
        if (batch_.state.col(column) == e.state.col(s.step) &&
            batch_.obs.middleCols(n * column, n) == e.obs.middleCols(n * s.step, n))
          f(batch_.transitions.column(b, t));
      }
  }

  /// Q_tot of every joint action at a state: all of them have been played. QTRAN-alt's is the mean of its views.
  Vector<float> joint_table_at(const State& s) const {
    Vector<float> table(s.payoff.size());
    for_each_transition(s, [&](Index k) {
      const std::span<const int> actions(batch_.actions.col(k).data(), static_cast<std::size_t>(game_.info.n_agents));
      table(joint_index(actions, game_.info.n_actions)) = learner_.q_tot().col(k).mean();
    });
    return table;
  }

  void check(const State& s, const Matrix<float>& q, const Vector<float>& table, Checks& checks) const {
    if constexpr (is_qtran<O>) {
      Index start = 0;
      for_each_transition(s, [&](Index k) { start = k; });
      const IgmReport report = check_igm(q, {}, table, learner_.tile().v(0, start));
      checks.igm += report.holds;
      checks.greedy_residual = std::max(checks.greedy_residual, std::abs(report.qtran->greedy));
      checks.lowest_residual = std::max(checks.lowest_residual, -report.qtran->lowest);
    } else {
      checks.igm += check_igm(q, {}, table).holds;
    }
  }

  void show_tables(const State& state, const Vector<double>& table, const Vector<double>& expected) const {
    const TableShape shape(game_.info);
    if (!state.title.empty()) std::printf("    %s\n", state.title.c_str());
    std::vector<std::string> titles{"learned Q_tot"};
    std::vector<Matrix<double>> tables{shape(table)};
    if (expected.size() > 0) {
      titles.push_back("its projection");
      tables.push_back(shape(expected));
    }
    print_tables(titles, tables, shape.row_names, shape.col_names);
  }

  /// IQL has no joint value: each agent's values, beside the mean over what the others do.
  void show_values(const State& state, const Matrix<float>& q, const Matrix<double>& expected) const {
    if (!state.title.empty()) std::printf("    %s\n", state.title.c_str());
    std::vector<std::string> agents, actions;
    for (Index i = 0; i < q.cols(); ++i) agents.push_back(std::to_string(i + 1));
    for (Index a = 0; a < q.rows(); ++a) actions.push_back(action_names(a, 1, q.rows()));
    print_tables({"learned Q_i", "mean over others"}, {q.cast<double>().transpose(), expected.transpose()}, agents,
                 actions);
  }

  void show_checks(const Checks& checks) const {
    if (const Index states = std::ssize(game_.states); checks.igm == states) {
      std::printf("    IGM holds in every state");
    } else {
      std::printf("    IGM FAILS in %ld of %ld states", static_cast<long>(states - checks.igm),
                  static_cast<long>(states));
    }
    if constexpr (is_qtran<O>) {
      std::printf("; QTRAN's conditions: (4a) is off by %.3g at most, (4b) by %.3g\n", checks.greedy_residual,
                  checks.lowest_residual);
    } else if constexpr (has_slopes) {
      Random random(0, "monotonicity");
      const MonotonicityReport report = check_monotonicity(
          learner_.objective().mixer(), learner_.state().parameters,
          {.state_dim = game_.info.state_shape, .unit_dim = game_.info.unit_dim, .samples = 256, .search_steps = 20},
          random);
      std::printf("; monotonic %s: %ld slopes, the smallest found is %.3g\n",
                  report.violations == 0 && report.worst.slope >= 0 ? "yes" : "NO", static_cast<long>(report.slopes),
                  report.worst.slope);
    } else {
      std::printf("\n");
    }
  }

  /// For each state and head, the share of its attention that each agent gets.
  void show_attention() const {
    if constexpr (requires(const O o, const Matrix<float> m) { o.mixer().options().n_head; }) {
      using Mixer = std::remove_cvref_t<decltype(std::declval<const O&>().mixer())>;
      const Mixer& mixer = learner_.objective().mixer();
      const Index n = game_.info.n_agents;
      typename Mixer::Cache cache;
      typename Mixer::Scratch scratch;
      mixer.prepare(cache, scratch, 1);
      const Matrix<float> qs = Matrix<float>::Zero(n, 1);
      Matrix<float> q_tot(1, 1);
      std::printf("    attention of each head\n");
      for (const State& state : game_.states) {
        mixer.forward(learner_.state().parameters, {qs, state_at(state), units_at(state)}, q_tot, cache, scratch);
        const ConstView<float> attention = mixer.attention(cache, 1);
        for (Index h = 0; h < mixer.options().n_head; ++h) {
          std::printf("      %-18s head %d", h == 0 ? state.title.c_str() : "", static_cast<int>(h + 1));
          for (Index i = 0; i < n; ++i) {
            const double share = double(attention(h * n + i, 0));
            std::printf("  %d %s%3.0f %%", static_cast<int>(i + 1), share_bar(share).c_str(), 100 * share);
          }
          std::printf("\n");
        }
      }
    }
  }

  const Game& game_;
  EpisodeBatch<float> batch_;
  Learner<O, Adam<float>> learner_;
};

/// The agents of every game: no memory, nothing but what they observe.
inline Agents make_agents(const Game& game, ParameterLayout& layout) {
  return {layout,
          "agent",
          {.n_agents = game.info.n_agents,
           .n_actions = game.info.n_actions,
           .obs_shape = game.info.obs_shape,
           .obs_last_action = false,
           .hidden_dim = 32}};
}

inline QLearnerOptions learning(const Game& game) {
  return {.gamma = game.gamma, .target_update = {TargetUpdate::Rule::every_updates, 50}};
}

/// Trains, shows. Returns the seconds that training took.
template <class O>
double train_and_show(const Game& game, const std::string& name, Kind kind, const ParameterLayout& layout,
                      const O& objective, const Options& options, const Terminal& terminal) {
  const auto start = std::chrono::steady_clock::now();
  Trained<O> trained(game, layout, objective, options);
  trained.train(options, name, terminal);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  trained.show(name, kind, terminal);
  return seconds.count();
}
