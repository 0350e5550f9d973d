#pragma once
// The sizes of a training's networks from its options.

#include "qatten/agents/agent.hpp"
#include "qatten/environments/environment.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/training/options.hpp"

namespace qatten::inline QATTEN_ABI {

inline AgentOptions agent_options(const TrainingOptions& o, const EnvironmentInfo& info) {
  return {.n_agents = info.n_agents,
          .n_actions = info.n_actions,
          .obs_shape = info.obs_shape,
          .obs_last_action = o.obs_last_action,
          .obs_agent_id = o.obs_agent_id,
          .hidden_dim = o.rnn_hidden_dim,
          .use_layer_norm = o.use_layer_norm,
          .share_parameters = o.share_parameters,
          .comm_rounds = o.comm_rounds};
}

inline MixerOptions mixer_options(const TrainingOptions& o) {
  const Index hidden = o.hypernet_layers == 1 ? 0 : o.hypernet_embed;
  const auto qatten = [&](QattenOptions options) {
    options.n_head = o.n_head;
    options.embed = options.value_hidden = o.mixing_embed_dim;
    options.query_hidden = options.head_hidden = hidden;
    options.weighted_head = o.weighted_head;
    options.state_bias = o.state_bias;
    options.nonlinear = o.nonlinear;
    options.mask_dead = o.mask_dead;
    options.attend_reg_coef = o.attend_reg_coef;
    return options;
  };
  return {.qmix = {.mixing_embed_dim = o.mixing_embed_dim, .hypernet_embed = hidden},
          .qatten = qatten(QattenOptions::authors()),
          .qatten_pymarl2 = qatten(QattenOptions::pymarl2()),
          .qlinear = {.hidden = o.hypernet_embed, .value_hidden = o.mixing_embed_dim}};
}

}  // namespace qatten::inline QATTEN_ABI
