#pragma once
// The arguments of a simulated battle.

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "qatten/environments/arguments.hpp"
#include "qatten/environments/skirmish/options.hpp"

/// The value that is called as the argument says; `otherwise` if it was not given.
template <class T>
T chosen(qatten::EnvironmentArguments& a, const std::string& name, T otherwise,
         std::initializer_list<std::pair<const char*, T>> choices) {
  const std::string given = a.text(name, "");
  if (given.empty()) return otherwise;
  std::string known;
  for (const auto& [choice, value] : choices) {
    if (given == choice) return value;
    known += (known.empty() ? "" : ", ") + std::string(choice);
  }
  throw qatten::Error("env_args." + name + ": got '" + given + "', expected one of " + known);
}

/// SMAC's arguments, and what skirmish has beside them.
inline qatten::skirmish::Options skirmish_options(qatten::EnvironmentArguments& a) {
  using qatten::skirmish::RewardSign, qatten::skirmish::Start;
  qatten::skirmish::Options o;
  qatten::skirmish::Ruleset& rules = o.rules;
  rules = qatten::skirmish::ruleset(a.text("rules", "sc2"));
  rules.heal_start_energy = static_cast<float>(a.real("heal_start_energy", rules.heal_start_energy));
  rules.reward_sign = chosen(a, "reward_sign", rules.reward_sign,
                             {{"abs", RewardSign::abs}, {"clip", RewardSign::clip}, {"gross", RewardSign::gross}});
  o.start = chosen<std::optional<Start>>(a, "start", o.start,
                                         {{"points", Start::points},
                                          {"surrounded", Start::surrounded},
                                          {"reflected", Start::reflected},
                                          {"either", Start::either}});
  o.step_mul = static_cast<int>(a.integer("step_mul", o.step_mul));
  o.n_units = static_cast<int>(a.integer("n_units", o.n_units));
  o.n_enemies = static_cast<int>(a.integer("n_enemies", o.n_enemies));
  using Flag = std::pair<const char*, bool*>;
  for (const auto& [name, flag] : {Flag{"continuing_episode", &o.continuing_episode},
                                   {"obs_all_health", &o.obs_all_health},
                                   {"obs_own_health", &o.obs_own_health},
                                   {"obs_last_action", &o.obs_last_action},
                                   {"obs_pathing_grid", &o.obs_pathing_grid},
                                   {"obs_terrain_height", &o.obs_terrain_height},
                                   {"obs_instead_of_state", &o.obs_instead_of_state},
                                   {"obs_timestep_number", &o.obs_timestep_number},
                                   {"state_last_action", &o.state_last_action},
                                   {"state_timestep_number", &o.state_timestep_number},
                                   {"reward_sparse", &o.reward_sparse},
                                   {"reward_only_positive", &o.reward_only_positive},
                                   {"reward_scale", &o.reward_scale},
                                   {"use_unit_ranges", &o.use_unit_ranges},
                                   {"weapon_noise", &rules.weapon_noise},
                                   {"damage_point", &rules.damage_point},
                                   {"missiles", &rules.missiles},
                                   {"random_order", &rules.random_order},
                                   {"pathing", &rules.pathing},
                                   {"healers_first", &rules.healers_first},
                                   {"call_for_help", &rules.call_for_help},
                                   {"death_explosion", &rules.death_explosion},
                                   {"rigid", &rules.rigid},
                                   {"sorted_agents", &rules.sorted_agents},
                                   {"reversed_codes", &rules.reversed_codes},
                                   {"clip_cooldown", &rules.clip_cooldown},
                                   {"true_cooldown", &rules.true_cooldown}})
    *flag = a.boolean(name, *flag);
  using Number = std::pair<const char*, double*>;
  for (const auto& [name, number] : {Number{"move_amount", &o.move_amount},
                                     {"reward_death_value", &o.reward_death_value},
                                     {"reward_win", &o.reward_win},
                                     {"reward_defeat", &o.reward_defeat},
                                     {"reward_negative_scale", &o.reward_negative_scale},
                                     {"reward_scale_rate", &o.reward_scale_rate},
                                     {"min_attack_range", &o.min_attack_range},
                                     {"start_jitter", &o.start_jitter}})
    *number = a.real(name, *number);
  return o;
}
