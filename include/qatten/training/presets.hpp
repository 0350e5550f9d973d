#pragma once
// From what was asked for to the options of a run:
//
//   defaults < preset < what the mixer's authors chose for it < the program < file < command line
//
// where a preset that was asked for by name beats the program's own choices.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/training/option_table.hpp"

namespace qatten::inline QATTEN_ABI {

/// Options as texts, in the order in which they were given: a later one wins.
using Assignments = std::vector<std::pair<std::string, std::string>>;

/// What each preset sets. Sources: the configurations of oxwhirl/pymarl c971afd (default, envs/sc2, algs/qmix),
/// hijkzzz/pymarl2 8ccac7c (algs/qmix) and the authors of Qatten (qattenaaai22/Qatten: default, envs/sc2, algs/qatten).
/// Throws for a name that is not known.
inline Assignments preset(std::string_view name) {
  const Assignments pymarl = {
      {"mixer", "qmix"},
      {"agent", "rnn"},
      {"rnn_hidden_dim", "64"},
      {"obs_agent_id", "true"},
      {"obs_last_action", "true"},
      {"hypernet_layers", "2"},
      {"hypernet_embed", "64"},
      {"optimizer", "rmsprop"},
      {"lr", "0.0005"},
      {"optim_alpha", "0.99"},
      {"optim_eps", "0.00001"},
      {"loss_scale", "1"},
      {"gamma", "0.99"},
      {"td_lambda", "0"},
      {"double_q", "true"},
      {"grad_norm_clip", "10"},
      {"batch_size", "32"},
      {"buffer_size", "5000"},
      {"batch_size_run", "1"},
      {"updates_per_episode", "1"},
      {"target_update_interval", "200"},
      {"target_update_interval_or_tau", "0"},
      {"epsilon_start", "1"},
      {"epsilon_finish", "0.05"},
      {"epsilon_anneal_time", "50000"},
      {"test_interval", "10000"},
      {"test_nepisode", "32"},
      {"log_interval", "10000"},
      {"t_max", "2050000"},
  };
  Assignments settings = pymarl;
  if (name == "pymarl") return settings;
  if (name == "qatten-paper") {
    settings.insert(settings.end(), {{"mixer", "qatten"}});
    return settings;
  }
  if (name == "pymarl2") {
    settings.insert(settings.end(), {{"agent", "n_rnn"},
                                     {"optimizer", "adam"},
                                     {"lr", "0.001"},
                                     {"loss_scale", "0.5"},
                                     {"td_lambda", "0.6"},
                                     {"batch_size", "128"},
                                     {"batch_size_run", "8"},
                                     {"updates_per_episode", "1/8"},
                                     {"epsilon_anneal_time", "100000"},
                                     {"t_max", "10050000"}});
    return settings;
  }
  throw Error("preset: no preset is named '" + std::string(name) + "'; known: qatten-paper, pymarl, pymarl2");
}

/// What the authors of a mixer chose differently from QMIX's and Qatten's; `make_learner` knows the rest of each by its
/// name. QTRAN-base's are PyMARL's, QTRAN-alt's those of starry-sky6688/MARL-Algorithms, COMA's PyMARL's (algs/coma),
/// whose target follows after 200 steps of the critic, MAAC's shariqiqbal2810/MAAC, whose policies explore by their
/// draws.
inline Assignments mixer_settings(std::string_view mixer) {
  if (mixer == "qatten-pymarl2") return {{"weighted_head", "true"}, {"attend_reg_coef", "0"}};
  if (mixer == "qtran_base") return {{"mixing_embed_dim", "64"}};
  if (mixer == "qtran_alt") return {{"mixing_embed_dim", "64"}, {"nopt_min_loss", "1"}};
  if (mixer == "coma")
    return {{"batch_size", "8"},
            {"buffer_size", "8"},
            {"batch_size_run", "8"},
            {"updates_per_episode", "1/8"},
            {"td_lambda", "0.8"},
            {"target_update_interval_or_tau", "200"},
            {"epsilon_start", "0.5"},
            {"epsilon_finish", "0.01"},
            {"epsilon_anneal_time", "100000"}};
  if (mixer == "maac")
    return {{"optimizer", "adam"},        {"lr", "0.001"},        {"critic_lr", "0.001"},
            {"weight_decay", "0.001"},    {"td_lambda", "0"},     {"target_update_interval_or_tau", "0.001"},
            {"attend_reg_coef", "0.001"}, {"epsilon_start", "0"}, {"epsilon_finish", "0"}};
  return {};
}

namespace detail {

/// The last value given for an option, under whatever alias.
inline void last_value(const Assignments& assignments, std::string_view option, std::string& value) {
  for (const auto& [name, text] : assignments)
    if (!name.starts_with("env_args.") && find_option(name).name == option) value = text;
}

}  // namespace detail

/// Throws for options that are out of their range or do not go together.
inline void check_options(const TrainingOptions& o) {
  TrainingOptions copy;
  for (const Option& option : option_table()) set_option(copy, option.name, get_option(o, option));
  const auto check = [](bool condition, const std::string& message) { detail::require(condition, "options", message); };
  check(o.batch_size <= o.buffer_size, "batch_size " + std::to_string(o.batch_size) + " is more than buffer_size " +
                                           std::to_string(o.buffer_size) + ": no batch would ever be full");
  check(!o.use_layer_norm || o.agent != "ff", "use_layer_norm is for agents with a GRU, agent is ff");
  check(o.share_parameters || o.agent != "tarmac", "share_parameters is false, but one network serves a tarmac team");
  const double tau = o.target_update_interval_or_tau;
  check(tau <= 1 || tau == std::floor(tau), "target_update_interval_or_tau " + detail::shortest(tau) +
                                                " is neither a share of at most 1 nor a whole number of updates");
  const Ratio& ratio = o.updates_per_episode;
  check(o.mixer != "coma" || (o.buffer_size == o.batch_size && o.batch_size % o.batch_size_run == 0 &&
                              ratio.denominator == o.batch_size * ratio.numerator),
        "coma learns from its present policy's episodes, from each once: expected a buffer_size of batch_size " +
            std::to_string(o.batch_size) + ", updates_per_episode 1/" + std::to_string(o.batch_size) +
            " and a batch_size_run that divides it");
  check(o.mixer != "maac" || o.td_lambda == 0, "maac's targets are of one step: expected td_lambda 0");
}

/// Puts the layers together; `program` is what a program chooses that trains something special. Throws for unknown
/// names, wrong types and values out of range, wherever they were given.
inline TrainingOptions resolve_options(const Assignments& file, const Assignments& command_line,
                                       const Assignments& program = {}) {
  std::string asked_for;
  for (const Assignments* layer : {&file, &command_line}) detail::last_value(*layer, "preset", asked_for);
  TrainingOptions options;
  const bool by_name = !asked_for.empty();
  if (by_name) set_option(options, "preset", asked_for);
  const Assignments published = preset(options.preset), none;
  const Assignments &early = by_name ? program : none, &late = by_name ? none : program;
  for (const Assignments* layer : {&early, &published, &late, &file, &command_line})
    for (const auto& [name, text] : *layer)
      if (!name.starts_with("env_args.") && find_option(name).name == "mixer") set_option(options, name, text);
  const Assignments mixer = mixer_settings(options.mixer);
  for (const Assignments* layer : {&early, &published, &mixer, &late, &file, &command_line})
    for (const auto& [name, text] : *layer) set_option(options, name, text);
  check_options(options);
  return options;
}

/// What a command line says: options, and words of the program's own (`extra`, such as "resume"), each with a value.
/// Understood are --name value, --name=value, PyMARL's name=value, and its word `with`, which changes nothing. A bool
/// alone is true. Throws for a word that fits nothing and for a missing value.
inline Assignments parse_command_line(std::span<const std::string> words,
                                      std::span<const std::string_view> extra = {}) {
  const auto is_bool = [&](std::string_view name) {
    if (name.starts_with("env_args.") || std::count(extra.begin(), extra.end(), name) > 0) return false;
    return find_option(name).type() == "bool";
  };
  Assignments found;
  for (std::size_t k = 0; k < words.size(); ++k) {
    std::string_view word = words[k];
    if (word == "with") continue;
    const bool dashes = word.starts_with("--");
    if (dashes) word.remove_prefix(2);
    const std::size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    if (equals != word.npos && equals > 0) {
      found.emplace_back(name, word.substr(equals + 1));
    } else if (!dashes || name.empty()) {
      throw Error("command line: '" + words[k] + "' is neither --name value nor name=value");
    } else if (const bool last = k + 1 == words.size() || words[k + 1].starts_with("--"); last && is_bool(name)) {
      found.emplace_back(name, "true");
    } else {
      detail::require(!last, "command line", "--" + name + " needs a value");
      found.emplace_back(name, words[++k]);
    }
  }
  return found;
}

}  // namespace qatten::inline QATTEN_ABI
