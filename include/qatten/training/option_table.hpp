#pragma once
// The one table of what can be chosen: name, type, range and meaning of every option. Command line, files, the stored
// configuration and the documentation are made from it.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/training/options.hpp"

namespace qatten::inline QATTEN_ABI {

/// What an option may be: numbers lie in [low, high], texts are one of `choices` unless there are none.
struct OptionLimits {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  std::vector<std::string_view> choices{};
  std::vector<std::string_view> aliases{};  ///< names that it has elsewhere
  bool fixed = true;                        ///< a run that is resumed keeps it
};

struct Option {
  using T = TrainingOptions;
  using Member = std::variant<bool T::*, std::int64_t T::*, double T::*, Ratio T::*, std::string T::*>;

  std::string_view name;
  Member member;
  std::string_view doc;
  OptionLimits limits{};

  std::string_view type() const {
    return std::array<std::string_view, 5>{"bool", "int", "float", "ratio", "string"}[member.index()];
  }
};

namespace detail {

/// The least positive number, "> 0" as a range: of floats, in which trainings compute.
inline constexpr double above_zero = std::numeric_limits<float>::min();

}  // namespace detail

inline const std::vector<Option>& option_table() {
  using T = TrainingOptions;
  using detail::above_zero;
  static const std::vector<Option> table = {
      {"preset", &T::preset, "published settings to start from", {.choices = {"qatten-paper", "pymarl", "pymarl2"}}},
      {"name", &T::name, "what the run's folder is called after; the mixer if empty"},
      {"env", &T::env, "the environment; options of its own are `env_args.<name>`", {.aliases = {"env_config"}}},
      {"seed", &T::seed, "names all random streams, of the environments too"},
      {"t_max", &T::t_max, "environment steps to train for", {.low = 1, .fixed = false}},
      {"batch_size_run", &T::batch_size_run, "environments that are played side by side", {.low = 1, .high = 4096}},
      {"env_threads",
       &T::env_threads,
       "threads that step them; changes nothing but the speed",
       {.low = 1, .high = 4096, .fixed = false}},
      {"learner_threads",
       &T::learner_threads,
       "threads that learn from a batch; changes nothing but the speed",
       {.low = 1, .high = 4096, .fixed = false}},
      {"test_interval", &T::test_interval, "environment steps from one evaluation to the next", {.low = 1}},
      {"test_nepisode", &T::test_nepisode, "greedy episodes an evaluation; 0: none", {.high = 1e6}},
      {"log_interval",
       &T::log_interval,
       "environment steps from one row of metrics to the next",
       {.low = 1, .aliases = {"runner_log_interval", "learner_log_interval"}}},
      {"save_model", &T::save_model, "write checkpoints", {.fixed = false}},
      {"save_model_interval",
       &T::save_model_interval,
       "environment steps from one checkpoint to the next",
       {.low = 1, .fixed = false}},
      {"local_results_path", &T::local_results_path, "where the folders of runs are", {.fixed = false}},

      {"buffer_size", &T::buffer_size, "episodes that replay may keep", {.low = 1, .high = 1e8}},
      {"buffer_bytes_max", &T::buffer_bytes_max, "bytes that replay may take", {.low = 1}},
      {"buffer_precision",
       &T::buffer_precision,
       "of observations and states in replay; half holds numbers up to 65504",
       {.choices = {"single", "half"}}},
      {"batch_size", &T::batch_size, "episodes in a training batch", {.low = 1, .high = 1e6}},
      {"updates_per_episode",
       &T::updates_per_episode,
       "updates for every episode played, exactly: 1, 2 or 1/8",
       {.low = above_zero, .high = 1e6}},

      {"gamma", &T::gamma, "discount", {.high = 1}},
      {"td_lambda", &T::td_lambda, "λ of the returns; 0: one-step targets", {.high = 1}},
      {"double_q", &T::double_q, "the online network picks the action that the target network rates"},
      {"loss_scale", &T::loss_scale, "factor of the mean squared error; PyMARL2's is 0.5", {.low = above_zero}},
      {"grad_norm_clip",
       &T::grad_norm_clip,
       "largest norm of the gradient; of MAAC's critic for each agent",
       {.low = above_zero}},
      {"target_update_interval",
       &T::target_update_interval,
       "episodes from one copy of the target network to the next",
       {.low = 1}},
      {"target_update_interval_or_tau",
       &T::target_update_interval_or_tau,
       "EPyMARL's rule instead: updates between copies if above 1, share moved at every update if not; 0: off",
       {.high = 1e15}},
      {"optimizer", &T::optimizer, "the optimiser", {.choices = {"rmsprop", "adam"}}},
      {"lr", &T::lr, "learning rate", {.low = above_zero}},
      {"optim_alpha", &T::optim_alpha, "RMSprop's smoothing", {.high = 1}},
      {"optim_eps", &T::optim_eps, "RMSprop's ε; Adam's is PyTorch's 1e-8, as in PyMARL2", {.low = above_zero}},
      {"weight_decay", &T::weight_decay, "weight decay of the optimiser; of MAAC's critic alone"},
      {"critic_lr", &T::critic_lr, "learning rate of the critic of COMA and MAAC", {.low = above_zero}},
      {"reward_scale", &T::reward_scale, "of MAAC's rewards against the entropy of its policies", {.low = above_zero}},

      {"agent",
       &T::agent,
       "the agents' network: with a GRU (n_rnn is PyMARL2's name for it), without, or with a GRU and messages",
       {.choices = {"rnn", "n_rnn", "ff", "tarmac"}}},
      {"rnn_hidden_dim",
       &T::rnn_hidden_dim,
       "width of the agents' network",
       {.low = 1, .high = 65536, .aliases = {"hidden_dim"}}},
      {"obs_agent_id", &T::obs_agent_id, "agents see their number"},
      {"obs_last_action", &T::obs_last_action, "agents see their last action"},
      {"share_parameters", &T::share_parameters, "one network for all agents, or one each"},
      {"comm_rounds",
       &T::comm_rounds,
       "rounds of messages in a step (TarMAC)",
       {.low = 1, .high = 1024, .aliases = {"comm_passes"}}},
      {"use_layer_norm", &T::use_layer_norm, "layer normalisation after the GRU (PyMARL2)"},
      {"use_orthogonal", &T::use_orthogonal, "orthogonal initial weights (PyMARL2)"},
      {"gain", &T::gain, "gain of the agents' last layer if orthogonal"},

      {"epsilon_start", &T::epsilon_start, "exploration at the start", {.high = 1}},
      {"epsilon_finish", &T::epsilon_finish, "exploration at the end of its fall", {.high = 1}},
      {"epsilon_anneal_time", &T::epsilon_anneal_time, "environment steps that the fall takes"},
      {"evaluation_epsilon", &T::evaluation_epsilon, "exploration in evaluations (EPyMARL)", {.high = 1}},

      {"mixer",
       &T::mixer,
       "the mixer, or the system that learns in its place; none is iql",
       {.choices = {"iql", "vdn", "qmix", "qatten", "qatten-pymarl2", "qlinear", "qplex", "qtran_base", "qtran_alt",
                    "cw_qmix", "ow_qmix", "coma", "maac"},
        .aliases = {"config"}}},
      {"mixing_embed_dim",
       &T::mixing_embed_dim,
       "QMIX's embedding; Qatten's queries and keys; hidden width of c(s) and of QTRAN's nets",
       {.low = 1,
        .high = 65536,
        .aliases = {"n_query_embedding_layer2", "n_key_embedding_layer1", "n_constrant_value"}}},
      {"hypernet_layers", &T::hypernet_layers, "layers of the networks of the state, 1 or 2", {.low = 1, .high = 2}},
      {"hypernet_embed",
       &T::hypernet_embed,
       "their hidden width",
       {.low = 1, .high = 65536, .aliases = {"n_query_embedding_layer1", "n_head_embedding_layer1"}}},
      {"n_head",
       &T::n_head,
       "heads of Qatten, and of MAAC's critic",
       {.low = 1, .high = 1024, .aliases = {"n_attention_head", "n_head_embedding_layer2", "attend_heads"}}},
      {"weighted_head", &T::weighted_head, "Qatten weighs its heads by the state"},
      {"state_bias", &T::state_bias, "Qatten has c(s)"},
      {"nonlinear", &T::nonlinear, "the agents' values enter Qatten's keys: gives up monotonicity"},
      {"mask_dead", &T::mask_dead, "dead agents get no attention"},
      {"attend_reg_coef", &T::attend_reg_coef, "weight of the regulariser of Qatten's and MAAC's attention"},
      {"num_kernel", &T::num_kernel, "kernels of QPLEX's λ", {.low = 1, .high = 1024}},
      {"adv_hypernet_layers", &T::adv_hypernet_layers, "layers of its networks, 1 or 2", {.low = 1, .high = 2}},
      {"adv_hypernet_embed", &T::adv_hypernet_embed, "their hidden width", {.low = 1, .high = 65536}},
      {"opt_loss", &T::opt_loss, "weight of QTRAN's penalty at the greedy joint action"},
      {"nopt_min_loss", &T::nopt_min_loss, "weight of its penalty elsewhere"},
      {"w", &T::w, "WQMIX's α: the weight of what matters less", {.high = 1}},
      {"central_loss", &T::central_loss, "weight of the loss of WQMIX's unrestricted value"},
      {"central_mixing_embed_dim", &T::central_mixing_embed_dim, "width of its mixer", {.low = 1, .high = 65536}},
  };
  return table;
}

namespace detail {

/// PyMARL's `_` for `-`, as in --batch-size.
inline std::string option_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

/// The least number of letters to insert, drop, change or swap with their neighbours that turns a into b.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// The candidate with the least `edit_distance`; the first of equals.
inline std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  return *std::min_element(candidates.begin(), candidates.end(), [&](const std::string& a, const std::string& b) {
    return edit_distance(word, a) < edit_distance(word, b);
  });
}

inline std::string shortest(double x) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), x).ptr};
}

/// The option's range in words: "in [0, 1]", "positive", "one of a, b".
inline std::string range_text(const Option& option) {
  if (!option.limits.choices.empty()) {
    std::string text = "one of ";
    for (const auto choice : option.limits.choices)
      text += (choice == option.limits.choices.front() ? "" : ", ") + std::string(choice);
    return text;
  }
  if (option.member.index() == 0) return "true or false";
  if (option.type() == "string") return "a text";
  const bool unbounded = std::isinf(option.limits.high);
  if (option.limits.low == detail::above_zero)
    return "positive" + (unbounded ? "" : ", at most " + shortest(option.limits.high));
  return unbounded ? "at least " + shortest(option.limits.low)
                   : "in [" + shortest(option.limits.low) + ", " + shortest(option.limits.high) + "]";
}

[[noreturn]] inline void option_error(const Option& option, std::string_view got) {
  const std::string_view type = option.type();
  const std::string kind = type == "int"     ? "a whole number, "
                           : type == "float" ? "a number, "
                           : type == "ratio" ? "a ratio of whole numbers such as 1/8, "
                                             : "";
  throw Error("option " + std::string(option.name) + ": got '" + std::string(got) + "', expected " + kind +
              range_text(option));
}

template <class T>
bool parse(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return !text.empty() && error == std::errc() && rest == end;
}

/// Whole numbers may be written 2000000, 2_000_000 or 2e6.
inline bool parse_whole(std::string_view text, std::int64_t& value) {
  std::string digits(text);
  std::erase(digits, '_');
  if (parse(std::string_view(digits), value)) return true;
  double x = 0;
  if (!parse(std::string_view(digits), x) || std::abs(x) > 0x1p53 || x != std::floor(x)) return false;
  value = static_cast<std::int64_t>(x);
  return true;
}

inline bool parse_value(const Option&, std::string_view text, bool& value) {
  for (const auto& [word, meaning] :
       {std::pair{"true", true}, {"True", true}, {"1", true}, {"false", false}, {"False", false}, {"0", false}}) {
    if (text != word) continue;
    value = meaning;
    return true;
  }
  return false;
}
inline bool in_range(const Option& option, double x) { return x >= option.limits.low && x <= option.limits.high; }
inline bool parse_value(const Option& option, std::string_view text, std::int64_t& value) {
  return parse_whole(text, value) && in_range(option, double(value));
}
inline bool parse_value(const Option& option, std::string_view text, double& value) {
  return parse(text, value) && std::abs(value) <= double(std::numeric_limits<float>::max()) && in_range(option, value);
}
inline bool parse_value(const Option& option, std::string_view text, Ratio& value) {
  const std::size_t slash = text.find('/');
  value.denominator = 1;
  if (!parse_whole(text.substr(0, slash), value.numerator)) return false;
  if (slash != text.npos && !parse_whole(text.substr(slash + 1), value.denominator)) return false;
  const std::int64_t limit = 1'000'000;  // so that products with counts of episodes stay exact
  return value.numerator >= 1 && value.numerator <= limit && value.denominator >= 1 && value.denominator <= limit &&
         in_range(option, double(value.numerator) / double(value.denominator));
}
inline bool parse_value(const Option& option, std::string_view text, std::string& value) {
  value = text;
  return option.limits.choices.empty() ||
         std::count(option.limits.choices.begin(), option.limits.choices.end(), text) == 1;
}

inline std::string to_text(bool value) { return value ? "true" : "false"; }
inline std::string to_text(std::int64_t value) { return std::to_string(value); }
inline std::string to_text(double value) { return shortest(value); }
inline std::string to_text(const Ratio& value) {
  return std::to_string(value.numerator) + (value.denominator == 1 ? "" : "/" + std::to_string(value.denominator));
}
inline std::string to_text(const std::string& value) { return value; }

}  // namespace detail

/// The option of that name or alias; `-` and `_` are alike. Throws, naming the nearest one, when there is none.
inline const Option& find_option(std::string_view name) {
  const std::string plain = detail::option_name(name);
  std::vector<std::string> known;
  for (const Option& option : option_table()) {
    known.emplace_back(option.name);
    known.insert(known.end(), option.limits.aliases.begin(), option.limits.aliases.end());
    if (plain == option.name || std::count(option.limits.aliases.begin(), option.limits.aliases.end(), plain) == 1)
      return option;
  }
  throw Error("there is no option '" + std::string(name) + "'; the nearest is '" + detail::nearest(plain, known) + "'");
}

/// Sets an option from its text; `env_args.<name>` is handed on to the environment. Throws for an unknown name, a wrong
/// type and a value out of range.
inline void set_option(TrainingOptions& options, std::string_view name, std::string_view text) {
  constexpr std::string_view env_args = "env_args.";
  if (name.starts_with(env_args)) {
    options.env_args[std::string(name.substr(env_args.size()))] = text;
    return;
  }
  const Option& option = find_option(name);
  if (option.name == "mixer" && (text == "null" || text == "None" || text == "none")) text = "iql";  // PyMARL's
  std::visit(
      [&](auto member) {
        auto value = options.*member;
        if (!detail::parse_value(option, text, value)) detail::option_error(option, text);
        options.*member = std::move(value);
      },
      option.member);
}

/// The option's value as a text that `set_option` takes back to the same bits.
inline std::string get_option(const TrainingOptions& options, const Option& option) {
  return std::visit([&](auto member) { return detail::to_text(options.*member); }, option.member);
}

/// A Markdown table of all options with their defaults: what docs/training.md must show.
inline std::string options_markdown() {
  std::string table =
      "| option | type | default | range | meaning | also called |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const Option& option : option_table()) {
    const std::string value = get_option(TrainingOptions{}, option);
    std::string aliases;
    for (const auto alias : option.limits.aliases)
      aliases += (aliases.empty() ? "`" : ", `") + std::string(alias) + "`";
    const std::string cells[] = {
        "`" + std::string(option.name) + "`", std::string(option.type()), value.empty() ? "" : "`" + value + "`",
        detail::range_text(option),           std::string(option.doc),    aliases};
    for (const std::string& cell : cells) table.append("| ").append(cell).append(" ");
    table += "|\n";
  }
  return table;
}

}  // namespace qatten::inline QATTEN_ABI
