#pragma once
// A training from its options: agent, mixer and optimiser are chosen by their names here, and nowhere else.

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "qatten/agents/by_name.hpp"
#include "qatten/learners/coma.hpp"
#include "qatten/learners/maac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/mixers/qplex.hpp"
#include "qatten/nn/initialise.hpp"
#include "qatten/training/networks.hpp"
#include "qatten/training/trainer.hpp"

namespace qatten::inline QATTEN_ABI {

inline QplexOptions qplex_options(const TrainingOptions& o) {
  return {.num_kernel = o.num_kernel,
          .hypernet_embed = o.hypernet_embed,
          .adv_hypernet_embed = o.adv_hypernet_layers == 1 ? 0 : o.adv_hypernet_embed};
}

inline TargetUpdate target_update(const TrainingOptions& o) {
  const double x = o.target_update_interval_or_tau;
  if (x > 1) return {TargetUpdate::Rule::every_updates, static_cast<Index>(x)};
  if (x > 0) return {.rule = TargetUpdate::Rule::soft, .tau = x};
  return {TargetUpdate::Rule::every_episodes, o.target_update_interval};
}

inline QLearnerOptions learner_options(const TrainingOptions& o) {
  return {.gamma = o.gamma,
          .td_lambda = o.td_lambda,
          .double_q = o.double_q,
          .loss_scale = o.loss_scale,
          .grad_norm_clip = o.grad_norm_clip,
          .target_update = target_update(o)};
}

/// The names that `mixer` may have beside those of `mixer_names`, with a line about each: systems that read more than
/// values and states, or have losses of their own.
inline const std::vector<std::pair<std::string, std::string>>& system_names() {
  static const std::vector<std::pair<std::string, std::string>> names = {
      {"qplex", "QPLEX: duplex dueling, the complete class of values with IGM"},
      {"qtran_base", "QTRAN-base as in PyMARL: a joint value, and penalties that tie the agents' sum to it"},
      {"qtran_alt", "QTRAN-alt: the same with a counterfactual joint value"},
      {"cw_qmix", "WQMIX with central weights: QMIX fitted to an unrestricted value, the greedy action first"},
      {"ow_qmix", "WQMIX with optimistic weights: what is underestimated first"},
      {"coma", "COMA: policies, and a central critic with a counterfactual baseline; on-policy"},
      {"maac", "MAAC: soft actor-critic, agents attend to one another in the critic"},
  };
  return names;
}

inline MaacCriticSizes maac_critic_sizes(const TrainingOptions& o, const EnvironmentInfo& info) {
  return {.n_agents = info.n_agents,
          .n_actions = info.n_actions,
          .obs_shape = info.obs_shape,
          .attend_heads = o.n_head,
          .attend_reg_coef = o.attend_reg_coef,
          .share_parameters = o.share_parameters,
          .obs_agent_id = o.obs_agent_id};
}

template <class Scalar>
AnyOptimizer<Scalar> make_optimizer(const TrainingOptions& o) {
  if (o.optimizer == "adam") return Adam<Scalar>({.lr = o.lr, .weight_decay = o.weight_decay});
  return RmsProp<Scalar>({.lr = o.lr, .alpha = o.optim_alpha, .eps = o.optim_eps, .weight_decay = o.weight_decay});
}

namespace detail {

/// PyMARL2's use_orthogonal: gain 1 for all layers but the agents' last one, and no biases. The GRU keeps its own.
template <class Scalar>
void make_orthogonal(AnyLearner<Scalar>& learner, const TrainingOptions& o) {
  LearnerState<Scalar> state = learner.state();
  Random random(static_cast<std::uint64_t>(o.seed), "orthogonal parameters");
  const std::string last = o.agent == "ff" ? "fc3." : "fc2.";
  for (const NamedBlock& b : learner.layout().blocks()) {
    if (b.name.find(".rnn.") != b.name.npos || b.name.find(".layer_norm.") != b.name.npos) continue;
    const double gain =
        (b.name.starts_with("agent.") || b.name.starts_with("central_agent.")) && b.name.find("." + last) != b.name.npos
            ? o.gain
            : 1;
    if (b.rank == 2) {
      initialise_orthogonal<Scalar>(block(state.parameters, b), gain, random);
    } else {
      block(state.parameters, b).setZero();
    }
  }
  state.target = state.parameters;
  learner.restore(std::move(state));
}

}  // namespace detail

namespace detail {

/// What learns by an objective.
template <class Scalar, class O>
std::unique_ptr<AnyLearner<Scalar>> learner_by(const TrainingOptions& options, const ParameterLayout& layout,
                                               const O& objective) {
  return std::make_unique<LearnerOf<Learner<O, AnyOptimizer<Scalar>>>>(
      layout, objective, make_optimizer<Scalar>(options),
      Random(static_cast<std::uint64_t>(options.seed), "parameters"));
}

/// The learner of a team that is laid out already.
template <class Scalar, class A>
std::unique_ptr<AnyLearner<Scalar>> learner_of(const TrainingOptions& options, const EnvironmentInfo& info,
                                               ParameterLayout& layout, const A& agent) {
  const QLearnerOptions learning = learner_options(options);
  const QtranSizes sizes{info.n_agents, info.n_actions, agent.options().hidden_dim, info.state_shape};
  const QtranOptions joint{options.mixing_embed_dim, options.mixer == "qtran_alt"};
  const QtranLossOptions penalties{options.opt_loss, options.nopt_min_loss};
  TrainingOptions critic_options = options;
  critic_options.lr = options.critic_lr;
  if (options.mixer == "coma") {
    const ComaCritic<Scalar> critic(layout, "critic",
                                    {info.n_agents, info.n_actions, info.obs_shape, info.state_shape});
    return std::make_unique<LearnerOf<ComaLearner<A, AnyOptimizer<Scalar>>>>(
        layout, agent, critic, make_optimizer<Scalar>(options), make_optimizer<Scalar>(critic_options),
        ComaOptions{options.gamma, options.td_lambda, options.grad_norm_clip, target_update(options)},
        static_cast<std::uint64_t>(options.seed));
  }
  if (options.mixer == "maac") {
    TrainingOptions policy_options = options;
    policy_options.weight_decay = 0;
    const MaacCritic<Scalar> critic(layout, "critic", maac_critic_sizes(options, info));
    return std::make_unique<LearnerOf<MaacLearner<A, AnyOptimizer<Scalar>>>>(
        layout, agent, critic, make_optimizer<Scalar>(policy_options), make_optimizer<Scalar>(critic_options),
        MaacOptions{.gamma = options.gamma,
                    .reward_scale = options.reward_scale,
                    .grad_norm_clip = options.grad_norm_clip,
                    .target_update = target_update(options)},
        static_cast<std::uint64_t>(options.seed));
  }
  if (options.mixer == "qplex") {
    const Qplex<Scalar> mixer(layout, "mixer", info.n_agents, info.n_actions, info.state_shape, qplex_options(options));
    return learner_by<Scalar>(options, layout, QObjective(agent, mixer, learning));
  }
  if (options.mixer == "qtran_base") {
    const QtranBase<Scalar> net(layout, "mixer", sizes, joint);
    return learner_by<Scalar>(options, layout, QtranObjective(agent, net, learning, penalties));
  }
  if (options.mixer == "qtran_alt") {
    const QtranAlt<Scalar> net(layout, "mixer", sizes, joint);
    return learner_by<Scalar>(options, layout, QtranObjective(agent, net, learning, penalties));
  }
  if (options.mixer == "cw_qmix" || options.mixer == "ow_qmix") {
    const Qmix<Scalar> mixer(layout, "mixer", info.n_agents, info.state_shape, mixer_options(options).qmix);
    const A central_agent(layout, "central_agent", agent.options());
    const CentralMixer<Scalar> central_mixer(layout, "central_mixer", info.n_agents, info.state_shape,
                                             {options.central_mixing_embed_dim});
    const WeightedQmixOptions weighting{options.mixer == "ow_qmix", options.w, options.central_loss};
    return learner_by<Scalar>(options, layout,
                              WeightedQmixObjective(agent, mixer, central_agent, central_mixer, learning, weighting));
  }
  const AnyMixer<Scalar> any_mixer =
      make_mixer<Scalar>(options.mixer, layout, info.n_agents, info.state_shape, info.unit_dim, mixer_options(options));
  return std::visit(
      [&](const auto& mixer) { return learner_by<Scalar>(options, layout, QObjective(agent, mixer, learning)); },
      any_mixer);
}

}  // namespace detail

/// The learner that the options name, for an environment of these sizes.
template <class Scalar>
std::unique_ptr<AnyLearner<Scalar>> make_learner(const TrainingOptions& options, const EnvironmentInfo& info) {
  ParameterLayout layout;
  const AnyAgent<Scalar> any_agent = make_agent<Scalar>(options.agent, layout, agent_options(options, info));
  auto learner = std::visit([&](const auto& agent) { return detail::learner_of<Scalar>(options, info, layout, agent); },
                            any_agent);
  if (options.use_orthogonal) detail::make_orthogonal(*learner, options);
  return learner;
}

#ifdef QATTEN_COMPILED_TRAINING  // by who links qatten::compiled_training, where it is
extern template std::unique_ptr<AnyLearner<float>> make_learner<float>(const TrainingOptions&, const EnvironmentInfo&);
#endif

/// A training by its options, in environments from `make`. Throws for what does not go together or into memory. A
/// template so that only those who call it compile it.
template <class Scalar = float>
std::unique_ptr<Trainer> make_trainer(const TrainingOptions& options, const EnvironmentFactory& make) {
  check_options(options);
  const auto too_large = [&] {
    return Error("make_trainer: there is no memory for networks of these widths (rnn_hidden_dim " +
                 std::to_string(options.rnn_hidden_dim) + ", mixing_embed_dim " +
                 std::to_string(options.mixing_embed_dim) + ", hypernet_embed " +
                 std::to_string(options.hypernet_embed) + ") or episodes of the sizes of " + options.env);
  };
  try {
    auto rollout = std::make_unique<ParallelRollout>(make, options.batch_size_run, options.env_threads);
    auto learner = make_learner<Scalar>(options, rollout->info());
    return std::make_unique<Trainer>(options, std::move(rollout), std::move(learner));
  } catch (const std::bad_alloc&) {
    throw too_large();
  } catch (const std::length_error&) {
    throw too_large();
  }
}

}  // namespace qatten::inline QATTEN_ABI
