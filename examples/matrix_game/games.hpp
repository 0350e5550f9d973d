#pragma once
// The games of the demo: their data, each trajectory once, and what each kind of mixer can make of them at best.

#include <functional>
#include <string>
#include <vector>

#include "qatten/analysis/projection.hpp"
#include "qatten/environments/games/named_games.hpp"
#include "qatten/environments/games/spotlight.hpp"
#include "qatten/environments/games/two_step_game.hpp"
#include "qatten/training/enumerate.hpp"

using qatten::EnvironmentInfo;
using qatten::Index;
using qatten::Matrix;
using qatten::Vector;

/// What a mixer can represent: sums of utilities that see what the agents see, sums weighted by the state, QMIX's
/// monotone and convex functions, these fitted with weights, every table, or no joint value at all.
enum class Kind { sum, weighted_sum, qmix, weighted_qmix, complete, independent };

/// A state in which agents decide: its table of payoffs (or exact values), by `joint_index`.
struct State {
  std::string title;
  std::size_t episode;  ///< an episode that passes through it,
  Index step;           ///< at this step
  Vector<double> payoff;
};

struct Game {
  std::string title{}, about{};
  EnvironmentInfo info{};
  double gamma = 0.99;
  std::vector<qatten::Episode<float>> episodes{};
  std::vector<State> states{};
  double best = 0;  ///< the return of the best joint policy
  /// The return of choosing these joint actions, one for each state.
  std::function<double(const std::vector<std::vector<int>>&)> play{};
  /// The table that each state's should end at; empty where it is not known.
  std::function<std::vector<Vector<double>>(Kind)> expected{};
  /// The values (n_actions, n_agents) that independent learners should end at in each state.
  std::function<std::vector<Matrix<double>>()> expected_alone{};
};

inline Vector<double> project(Kind kind, const Vector<double>& payoff, const EnvironmentInfo& info) {
  if (kind == Kind::complete) return payoff;
  if (kind == Kind::weighted_qmix) return {};  // its fixed point depends on where the weights lead it
  if (kind != Kind::qmix) return qatten::additive_projection(payoff, info.n_agents, info.n_actions).table;
  if (info.n_agents != 2 || info.n_actions > 5) return {};
  return qatten::qmix_projection(payoff, info.n_actions).table;
}

/// What an agent who ignores the others sees: the mean over their actions (n_actions, n_agents).
inline Matrix<double> alone(const Vector<double>& payoff, const EnvironmentInfo& info) {
  Matrix<double> means = Matrix<double>::Zero(info.n_actions, info.n_agents);
  for (Index k = 0; k < payoff.size(); ++k) {
    const std::vector<int> actions = qatten::joint_action(k, info.n_agents, info.n_actions);
    for (Index i = 0; i < info.n_agents; ++i) means(actions[static_cast<std::size_t>(i)], i) += payoff(k);
  }
  return means * (double(info.n_actions) / double(payoff.size()));
}

inline Game one_shot(const std::string& title, const std::string& about, qatten::MatrixGame environment) {
  Game game{.title = title, .about = about, .info = environment.info()};
  const std::vector<qatten::Random> streams{qatten::Random(0)};
  game.episodes = qatten::enumerate_episodes(environment, std::span<const qatten::Random>(streams), 1);
  game.states = {{"", 0, 0, environment.payoffs()}};
  game.best = environment.optimal_return();
  game.play = [environment](const auto& actions) { return environment.payoff(actions[0]); };
  game.expected = [payoff = environment.payoffs(), info = game.info](Kind kind) {
    return std::vector<Vector<double>>{project(kind, payoff, info)};
  };
  game.expected_alone = [payoff = environment.payoffs(), info = game.info] {
    return std::vector<Matrix<double>>{alone(payoff, info)};
  };
  return game;
}

/// The values of the first step follow from those of the second: γ times what the greedy actions there are thought to
/// be worth.
inline Game two_step() {
  qatten::TwoStepGame environment;
  Game game{.title = "two-step game",
            .about = "agent 1's first action picks the second table: 2A pays 7, 2B pays 8 to those who agree on it",
            .info = environment.info()};
  const std::vector<qatten::Random> streams{qatten::Random(0)};
  game.episodes = qatten::enumerate_episodes(environment, std::span<const qatten::Random>(streams), 2);
  const Vector<double> a = Vector<double>::Constant(4, 7), b{{0, 1, 1, 8}};
  const double gamma = game.gamma;
  const auto first = [gamma](double value_a, double value_b) {
    return Vector<double>{{gamma * value_a, gamma * value_a, gamma * value_b, gamma * value_b}};
  };
  game.states = {
      {"first step", 0, 0, first(a.maxCoeff(), b.maxCoeff())}, {"2A", 0, 1, a}, {"2B", game.episodes.size() - 1, 1, b}};
  game.best = environment.optimal_return();
  game.play = [a, b](const auto& actions) {
    return actions[0][0] == 0 ? a(qatten::joint_index(actions[1], 2)) : b(qatten::joint_index(actions[2], 2));
  };
  game.expected = [=, info = game.info](Kind kind) {
    if (kind == Kind::weighted_qmix) return std::vector<Vector<double>>(3);
    const Vector<double> at_a = project(kind, a, info), at_b = project(kind, b, info);
    return std::vector<Vector<double>>{first(at_a.maxCoeff(), at_b.maxCoeff()), at_a, at_b};
  };
  game.expected_alone = [=, info = game.info] {
    const Matrix<double> at_a = alone(a, info), at_b = alone(b, info);
    Matrix<double> at_first(info.n_actions, info.n_agents);
    for (Index i = 0; i < info.n_agents; ++i)
      at_first.col(i) = alone(first(at_a.col(i).maxCoeff(), at_b.col(i).maxCoeff()), info).col(i);
    return std::vector<Matrix<double>>{at_first, at_a, at_b};
  };
  return game;
}

inline Game spotlight() {
  const Index n = 4;
  const Vector<double> p{{0, 4}};
  qatten::Spotlight environment(n, p);
  Game game{
      .title = "spotlight",
      .about = "a light that the agents do not see falls on one of four; only the lit agent's action pays: 0 or 4",
      .info = environment.info()};
  std::vector<qatten::Random> streams;
  for (std::uint64_t k = 0; static_cast<Index>(streams.size()) < n; ++k) {
    const qatten::Random stream(0, "light", k);
    environment.reset(stream);
    if (environment.lit() == static_cast<Index>(streams.size())) streams.push_back(stream);
  }
  game.episodes = qatten::enumerate_episodes(environment, std::span<const qatten::Random>(streams), 1);
  const Index joint = qatten::n_joint_actions(n, p.size());
  Vector<double> blind = Vector<double>::Zero(joint);  // the light averaged out: the best that a state-blind sum can do
  for (Index lit = 0; lit < n; ++lit) {
    Vector<double> payoff(joint);
    for (Index k = 0; k < joint; ++k)
      payoff(k) = p(qatten::joint_action(k, n, p.size())[static_cast<std::size_t>(lit)]);
    game.states.push_back(
        {"light on agent " + std::to_string(lit + 1), static_cast<std::size_t>(lit * joint), 0, payoff});
    blind += payoff / double(n);
  }
  game.best = environment.optimal_return();
  game.play = [p, n](const auto& actions) {
    double sum = 0;
    for (Index lit = 0; lit < n; ++lit)
      sum += p(actions[static_cast<std::size_t>(lit)][static_cast<std::size_t>(lit)]) / double(n);
    return sum;
  };
  game.expected = [states = game.states, blind](Kind kind) {
    std::vector<Vector<double>> tables;
    for (const State& state : states) tables.push_back(kind == Kind::sum ? blind : state.payoff);
    return tables;
  };
  game.expected_alone = [info = game.info, blind] {
    return std::vector<Matrix<double>>(static_cast<std::size_t>(info.n_agents), alone(blind, info));
  };
  return game;
}
