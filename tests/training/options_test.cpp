// Options: types, ranges, names, layers; and presets against the tables of their sources.

#include <fstream>
#include <iterator>
#include <set>

#include "qatten/training/presets.hpp"
#include "support/catch.hpp"

using namespace qatten;
using qatten::testing::contains;

namespace {

TrainingOptions with(const Assignments& command_line, const Assignments& file = {}) {
  return resolve_options(file, command_line);
}

std::string value(const TrainingOptions& options, std::string_view name) {
  return get_option(options, find_option(name));
}

}  // namespace

TEST_CASE("every option has a default within its own range, and every name leads to one option") {
  std::set<std::string_view> names;
  for (const Option& option : option_table()) {
    CAPTURE(std::string(option.name));
    CHECK(names.insert(option.name).second);
    for (const auto alias : option.limits.aliases) {
      CHECK(names.insert(alias).second);
      CHECK(&find_option(alias) == &option);
    }
    CHECK_FALSE(option.doc.empty());
    TrainingOptions options;
    const std::string text = get_option(options, option);
    set_option(options, option.name, text);
    CHECK(options == TrainingOptions{});
  }
}

TEST_CASE("values are read by their type") {
  CHECK(with({{"t_max", "2e6"}}).t_max == 2000000);
  CHECK(with({{"t_max", "2_050_000"}}).t_max == 2050000);
  CHECK(with({{"double_q", "False"}}).double_q == false);
  CHECK(with({{"updates_per_episode", "3/24"}}).updates_per_episode == Ratio{3, 24});
  CHECK(with({{"updates_per_episode", "2"}}).updates_per_episode == Ratio{2, 1});
  CHECK(with({{"mixer", "null"}}).mixer == "iql");
  CHECK(with({{"batch-size", "16"}}).batch_size == 16);
  CHECK(with({{"env_args.map_name", "3m"}}).env_args.at("map_name") == "3m");
  CHECK(with({{"hidden_dim", "128"}}).rnn_hidden_dim == 128);
  CHECK(with({{"n_attention_head", "8"}}).n_head == 8);
}

TEST_CASE("what a program chooses beats defaults, and gives way to all that was asked for") {
  const Assignments program = {{"mixer", "coma"}, {"lr", "0.25"}, {"td_lambda", "0.5"}};
  const TrainingOptions plain = resolve_options({}, {}, program);
  CHECK(plain.mixer == "coma");
  CHECK(plain.batch_size == 8);  // coma's authors'
  CHECK(plain.lr == 0.25);
  CHECK(plain.td_lambda == 0.5);
  CHECK(resolve_options({{"lr", "0.125"}}, {}, program).lr == 0.125);
  CHECK(resolve_options({}, {{"lr", "0.125"}}, program).lr == 0.125);
  CHECK(resolve_options({}, {{"mixer", "qatten"}}, program).batch_size == 32);
  for (const bool in_file : {false, true}) {
    const Assignments asked = {{"preset", "pymarl2"}};
    const TrainingOptions o =
        resolve_options(in_file ? asked : Assignments{}, in_file ? Assignments{} : asked, program);
    CHECK(o.preset == "pymarl2");
    CHECK(o.mixer == "qmix");
    CHECK(o.lr == 0.001);
    CHECK(o.td_lambda == 0.6);
  }
}

TEST_CASE("a wrong type or range says what was got and what was expected") {
  const auto error = [](const std::string& name, const std::string& text, const std::string& expected) {
    CAPTURE(name, text);
    CHECK_THROWS_WITH(with({{name, text}}), "option " + name + ": got '" + text + "', expected " + expected);
  };
  error("t_max", "many", "a whole number, at least 1");
  error("t_max", "0", "a whole number, at least 1");
  error("t_max", "1.5", "a whole number, at least 1");
  error("t_max", "1e30", "a whole number, at least 1");
  error("t_max", "", "a whole number, at least 1");
  error("gamma", "1.01", "a number, in [0, 1]");
  error("gamma", "nan", "a number, in [0, 1]");
  error("gamma", "0.9x", "a number, in [0, 1]");
  error("lr", "0", "a number, positive");
  error("lr", "inf", "a number, positive");
  error("lr", "1e300", "a number, positive");         // no float
  error("optim_eps", "1e-60", "a number, positive");  // 0 as a float
  error("grad_norm_clip", "1e-300", "a number, positive");
  error("target_update_interval_or_tau", "1e30", "a number, in [0, 1e+15]");
  error("double_q", "yes", "true or false");
  error("optimizer", "sgd", "one of rmsprop, adam");
  error("updates_per_episode", "1/0", "a ratio of whole numbers such as 1/8, positive, at most 1e+06");
  error("updates_per_episode", "0.125", "a ratio of whole numbers such as 1/8, positive, at most 1e+06");
  error("hypernet_layers", "3", "a whole number, in [1, 2]");
}

TEST_CASE("an unknown name leads to the nearest known one") {
  CHECK_THROWS_WITH(with({{"bufer_size", "5"}}), "there is no option 'bufer_size'; the nearest is 'buffer_size'");
  CHECK_THROWS_WITH(with({{"epsilon_aneal_tmie", "5"}}), contains("the nearest is 'epsilon_anneal_time'"));
  CHECK_THROWS_WITH(with({{"td_lamdba", "5"}}), contains("the nearest is 'td_lambda'"));
  CHECK_THROWS_WITH(with({}, {{"sed", "5"}}), contains("the nearest is 'seed'"));
  CHECK(detail::edit_distance("kitten", "sitting") == 3);
  CHECK(detail::edit_distance("", "abc") == 3);
  CHECK(detail::edit_distance("ab", "ba") == 1);
}

TEST_CASE("default < preset < mixer's own < file < command line") {
  CHECK(with({}).lr == 5e-4);
  CHECK(with({{"preset", "pymarl2"}}).lr == 1e-3);
  CHECK(with({{"preset", "pymarl2"}}, {{"lr", "0.01"}}).lr == 0.01);
  CHECK(with({{"lr", "0.02"}, {"preset", "pymarl2"}}, {{"lr", "0.01"}}).lr == 0.02);
  CHECK(with({{"preset", "pymarl2"}}, {{"preset", "qatten-paper"}}).preset == "pymarl2");
  CHECK(with({}, {{"preset", "qatten-paper"}}).mixer == "qatten");
  CHECK(with({{"lr", "0.1"}, {"lr", "0.2"}}).lr == 0.2);

  CHECK_FALSE(with({{"mixer", "qatten"}}).weighted_head);
  CHECK(with({{"mixer", "qatten"}}).attend_reg_coef == 0.01);
  CHECK(with({{"mixer", "qatten-pymarl2"}}).weighted_head);
  CHECK(with({{"mixer", "qatten-pymarl2"}}).attend_reg_coef == 0);
  CHECK_FALSE(with({{"mixer", "qatten-pymarl2"}}, {{"weighted_head", "false"}}).weighted_head);
  CHECK(with({{"attend_reg_coef", "0.5"}, {"mixer", "qatten-pymarl2"}}).attend_reg_coef == 0.5);
  CHECK_THROWS_WITH(with({{"preset", "pymarl3"}}), contains("one of qatten-paper, pymarl, pymarl2"));
}

TEST_CASE("coma is on-policy, with PyMARL's settings") {
  // oxwhirl/pymarl c971afd, src/config/algs/coma.yaml; its target interval counts steps of the critic.
  for (const char* preset : {"pymarl", "pymarl2"}) {
    const TrainingOptions o = with({{"mixer", "coma"}, {"preset", preset}});
    CHECK(o.batch_size == 8);
    CHECK(o.buffer_size == 8);
    CHECK(o.batch_size_run == 8);
    CHECK(o.updates_per_episode == Ratio{1, 8});
    CHECK(o.td_lambda == 0.8);
    CHECK(o.target_update_interval_or_tau == 200);
    CHECK(o.epsilon_start == 0.5);
    CHECK(o.epsilon_finish == 0.01);
    CHECK(o.epsilon_anneal_time == 100000);
    CHECK(o.critic_lr == 5e-4);
  }
  const auto error = [](const Assignments& changes) {
    Assignments all = {{"mixer", "coma"}};
    all.insert(all.end(), changes.begin(), changes.end());
    CHECK_THROWS_WITH(with(all), contains("coma learns from its present policy's episodes"));
  };
  error({{"buffer_size", "16"}});
  error({{"batch_size_run", "3"}});
  error({{"updates_per_episode", "1"}});
  with({{"mixer", "coma"}, {"batch_size_run", "4"}});
  with({{"mixer", "coma"},
        {"batch_size", "4"},
        {"buffer_size", "4"},
        {"batch_size_run", "2"},
        {"updates_per_episode", "2/8"}});
}

TEST_CASE("maac is off-policy, with its authors' settings and one-step targets") {
  // shariqiqbal2810/MAAC 6174a01, main.py and algorithms/attention_sac.py.
  for (const char* preset : {"pymarl", "pymarl2"}) {
    const TrainingOptions o = with({{"mixer", "maac"}, {"preset", preset}});
    CHECK(o.optimizer == "adam");
    CHECK(o.lr == 0.001);
    CHECK(o.critic_lr == 0.001);
    CHECK(o.weight_decay == 0.001);
    CHECK(o.target_update_interval_or_tau == 0.001);
    CHECK(o.n_head == 4);
    CHECK(o.attend_reg_coef == 0.001);
    CHECK(o.reward_scale == 100);
    CHECK(o.gamma == 0.99);
    CHECK(o.td_lambda == 0);
    CHECK(o.epsilon_start == 0);
    CHECK(o.epsilon_finish == 0);
    CHECK(o.buffer_size == 5000);
  }
  CHECK(with({{"mixer", "maac"}, {"attend_heads", "2"}}).n_head == 2);
  CHECK_THROWS_WITH(with({{"mixer", "maac"}, {"td_lambda", "0.6"}}), contains("expected td_lambda 0"));
  CHECK_THROWS_WITH(with({{"reward_scale", "0"}}), contains("expected a number, positive"));
}

TEST_CASE("options that do not go together are an error") {
  CHECK_THROWS_WITH(with({{"batch_size", "64"}, {"buffer_size", "63"}}), contains("no batch would ever be full"));
  CHECK_THROWS_WITH(with({{"agent", "ff"}, {"use_layer_norm", "true"}}), contains("use_layer_norm"));
  CHECK_THROWS_WITH(with({{"agent", "tarmac"}, {"share_parameters", "false"}}), contains("share_parameters"));
  CHECK_THROWS_WITH(with({{"target_update_interval_or_tau", "2.5"}}), contains("neither a share"));
}

TEST_CASE("the command line is read in its own way and in PyMARL's") {
  const std::vector<std::string> words = {
      "--config=qmix", "--env-config=sc2",          "with",     "env_args.map_name=2s3z",
      "seed=7",        "--use_orthogonal",          "--lr",     "1e-3",
      "--save_model",  "--updates_per_episode=1/8", "--resume", "a=b"};
  constexpr std::array<std::string_view, 1> own = {"resume"};
  Assignments found = parse_command_line(words, own);
  REQUIRE(found.back() == std::pair<std::string, std::string>{"resume", "a=b"});
  found.pop_back();
  const TrainingOptions options = with(found);
  CHECK(options.mixer == "qmix");
  CHECK(options.env == "sc2");
  CHECK(options.env_args == std::map<std::string, std::string>{{"map_name", "2s3z"}});
  CHECK(options.seed == 7);
  CHECK(options.use_orthogonal);
  CHECK(options.save_model);
  CHECK(options.lr == 1e-3);
  CHECK(options.updates_per_episode == Ratio{1, 8});

  const auto parse = [](const std::vector<std::string>& given) { return parse_command_line(given); };
  CHECK_THROWS_WITH(parse({"seed"}), contains("'seed' is neither"));
  CHECK_THROWS_WITH(parse({"--"}), contains("'--' is neither"));
  CHECK_THROWS_WITH(parse({"--seed"}), contains("--seed needs a value"));
  CHECK_THROWS_WITH(parse({"--seed", "--lr", "1"}), contains("--seed needs a value"));
  CHECK_THROWS_WITH(parse({"--sed"}), contains("the nearest is 'seed'"));
}

TEST_CASE("presets are what their sources say") {
  // QMIX in oxwhirl/pymarl c971afd (src/config/default.yaml, envs/sc2.yaml, algs/qmix.yaml, learners/q_learner.py) and
  // in hijkzzz/pymarl2 8ccac7c (the same and algs/qmix.yaml, learners/nq_learner.py); the authors' Qatten trains as
  // PyMARL does (their config/default.yaml, envs/sc2.yaml, algs/qatten.yaml).
  struct Row {
    std::string name, pymarl, pymarl2;
  };
  const std::vector<Row> rows = {
      {"optimizer", "rmsprop", "adam"},
      {"lr", "0.0005", "0.001"},
      {"optim_alpha", "0.99", "0.99"},
      {"optim_eps", "0.00001", "0.00001"},
      {"loss_scale", "1", "0.5"},
      {"rnn_hidden_dim", "64", "64"},
      {"obs_last_action", "true", "true"},
      {"obs_agent_id", "true", "true"},
      {"mixing_embed_dim", "32", "32"},
      {"hypernet_layers", "2", "2"},
      {"hypernet_embed", "64", "64"},
      {"batch_size", "32", "128"},
      {"buffer_size", "5000", "5000"},
      {"batch_size_run", "1", "8"},
      {"updates_per_episode", "1", "1/8"},
      {"target_update_interval", "200", "200"},
      {"target_update_interval_or_tau", "0", "0"},
      {"td_lambda", "0", "0.6"},
      {"gamma", "0.99", "0.99"},
      {"double_q", "true", "true"},
      {"grad_norm_clip", "10", "10"},
      {"epsilon_start", "1", "1"},
      {"epsilon_finish", "0.05", "0.05"},
      {"epsilon_anneal_time", "50000", "100000"},
      {"evaluation_epsilon", "0", "0"},
      {"t_max", "2050000", "10050000"},
      {"test_interval", "10000", "10000"},
      {"test_nepisode", "32", "32"},
      {"use_orthogonal", "false", "false"},
      {"use_layer_norm", "false", "false"},
  };
  const TrainingOptions pymarl = with({{"preset", "pymarl"}}), pymarl2 = with({{"preset", "pymarl2"}}),
                        paper = with({{"preset", "qatten-paper"}});
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TrainingOptions expected = pymarl;
    set_option(expected, row.name, row.pymarl);
    CHECK(value(pymarl, row.name) == value(expected, row.name));
    CHECK(value(paper, row.name) == value(expected, row.name));
    set_option(expected, row.name, row.pymarl2);
    CHECK(value(pymarl2, row.name) == value(expected, row.name));
  }
  CHECK(pymarl.mixer == "qmix");
  CHECK(pymarl2.mixer == "qmix");
  CHECK(paper.mixer == "qatten");
  CHECK(paper.n_head == 4);
  CHECK(paper.attend_reg_coef == 0.01);
  CHECK_FALSE(paper.weighted_head);
  CHECK(paper.state_bias);
  CHECK(pymarl == with({}));  // the defaults are PyMARL's
}

TEST_CASE("the documentation shows the table of options as it is") {
  std::ifstream file(QATTEN_SOURCE_DIR "/docs/training.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  CHECK_THAT(page, contains(options_markdown()));
}
