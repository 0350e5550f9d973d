#include "qatten/learners/q_learner.hpp"
#include "trained.hpp"

namespace {

Kind kind_of(const std::string& mixer) {
  if (mixer == "vdn") return Kind::sum;
  if (mixer == "qmix") return Kind::qmix;
  return mixer == "iql" ? Kind::independent : Kind::weighted_sum;
}

}  // namespace

double run_mixer(const Game& game, const std::string& name, const Options& options, const Terminal& terminal) {
  ParameterLayout layout;
  const Agents agents = make_agents(game, layout);
  const auto any_mixer =
      make_mixer<float>(name, layout, game.info.n_agents, game.info.state_shape, game.info.unit_dim, options.mixer);
  return std::visit(
      [&](const auto& mixer) {
        return train_and_show(game, name, kind_of(name), layout, QObjective(agents, mixer, learning(game)), options,
                              terminal);
      },
      any_mixer);
}
