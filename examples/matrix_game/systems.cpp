#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/qplex.hpp"
#include "trained.hpp"

namespace {

/// What the objectives of this file are made from.
struct Parts {
  const Game& game;
  ParameterLayout layout{};
  Agents agents = make_agents(game, layout);
  QLearnerOptions learning = ::learning(game);
};

auto qplex(Parts& p) {
  const EnvironmentInfo& i = p.game.info;
  return QObjective(p.agents, Qplex<float>(p.layout, "mixer", i.n_agents, i.n_actions, i.state_shape), p.learning);
}

template <class Net>
auto qtran(Parts& p, const QtranLossOptions& weights) {
  const EnvironmentInfo& i = p.game.info;
  const Net net(p.layout, "mixer", {i.n_agents, i.n_actions, p.agents.options().hidden_dim, i.state_shape});
  return QtranObjective(p.agents, net, p.learning, weights);
}

auto weighted_qmix(Parts& p, bool optimistic) {
  const EnvironmentInfo& i = p.game.info;
  const Qmix<float> mixer(p.layout, "mixer", i.n_agents, i.state_shape);
  const Agents central_agents(p.layout, "central_agent", p.agents.options());
  const CentralMixer<float> central_mixer(p.layout, "central_mixer", i.n_agents, i.state_shape);
  return WeightedQmixObjective(p.agents, mixer, central_agents, central_mixer, p.learning,
                               {.hysteretic_qmix = optimistic});
}

}  // namespace

double run_system(const Game& game, const std::string& name, const Options& options, const Terminal& terminal) {
  Parts parts{game};
  const auto run = [&](Kind kind, const auto& objective) {
    return train_and_show(game, name, kind, parts.layout, objective, options, terminal);
  };
  if (name == "qplex") return run(Kind::complete, qplex(parts));
  if (name == "qtran_base") return run(Kind::complete, qtran<QtranBase<float>>(parts, {}));
  if (name == "qtran_alt") return run(Kind::complete, qtran<QtranAlt<float>>(parts, {1, 1}));
  return run(Kind::weighted_qmix, weighted_qmix(parts, name == "ow_qmix"));
}
