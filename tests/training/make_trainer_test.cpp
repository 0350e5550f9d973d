// Every agent, mixer and optimiser by its name: what is made, and that it trains.

#include "qatten/training/make_trainer.hpp"

#include "support/catch.hpp"
#include "training/small_training.hpp"

using namespace qatten;
using namespace qatten::test;
using qatten::testing::contains;

namespace {

/// Of mixers and other systems.
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto* list : {&mixer_names(), &system_names()})
    for (const auto& [name, description] : *list) all.push_back(name);
  return all;
}

/// Stumble, but for its state.
class Stateless {
 public:
  EnvironmentInfo info() const {
    EnvironmentInfo info = game_.info();
    info.state_shape = info.unit_dim = 0;
    return info;
  }
  void reset(const Random& stream) { game_.reset(stream); }
  void observe(Observation o) const {
    Matrix<float> state(4, 1), units(2, Stumble::n);
    game_.observe({o.obs, state, units, o.available, o.alive});
  }
  StepResult step(std::span<const int> actions) { return game_.step(actions); }

 private:
  Stumble game_;
};

}  // namespace

TEST_CASE("every combination that can be named trains, and repeats itself") {
  for (const std::string agent : {"rnn", "ff", "tarmac"}) {
    for (const std::string& mixer : names()) {
      for (const std::string optimizer : {"adam", "rmsprop"}) {
        CAPTURE(agent, mixer, optimizer);
        TrainingOptions options = small_options();
        options.agent = agent;
        options.mixer = mixer;
        options.optimizer = optimizer;
        options.t_max = 150;
        if (mixer == "coma") {
          for (const auto& [name, text] : small_coma) set_option(options, name, text);
          options.t_max = 300;
        }
        if (mixer == "maac") options.td_lambda = 0;
        const auto trainer = make_trainer(options, stumbles()), again = make_trainer(options, stumbles());
        const Vector<float> before = trainer->learner().state().parameters;
        Listener listener;
        CHECK(trainer->run(listener));
        again->run(listener);
        CHECK(trainer->learner().updates() > 5);
        CHECK(trainer->learner().state().parameters != before);
        CHECK(trainer->learner().state().parameters == again->learner().state().parameters);
        CHECK(trainer->learner().state().parameters.allFinite());
      }
    }
  }
}

TEST_CASE("a state may have no size") {
  const EnvironmentFactory make = [](Index) { return make_environment<Stateless>(); };
  for (const std::string& mixer : names()) {
    CAPTURE(mixer);
    TrainingOptions options = small_options();
    options.mixer = mixer;
    options.t_max = 300;
    if (mixer == "coma")
      for (const auto& [name, text] : small_coma) set_option(options, name, text);
    if (mixer == "maac") options.td_lambda = 0;
    if (mixer.starts_with("qatten")) {
      CHECK_THROWS_WITH(make_trainer(options, make), contains("Qatten: unit_dim is 0"));
      continue;
    }
    const auto trainer = make_trainer(options, make);
    Listener listener;
    CHECK(trainer->run(listener));
    CHECK(trainer->learner().updates() > 5);
    CHECK(trainer->learner().state().parameters.allFinite());
  }
}

TEST_CASE("what does not go into memory is an error that says so") {
  const TrainingOptions options = small_options();
  const auto full = [](Index) -> AnyEnvironment { throw std::bad_alloc(); };
  CHECK_THROWS_WITH(make_trainer(options, full), contains("no memory for networks of these widths") &&
                                                     contains("rnn_hidden_dim 8") && contains("sizes of stumble"));
}

TEST_CASE("options set by hand are held to their ranges") {
  TrainingOptions options = small_options();
  options.optimizer = "sgd";
  CHECK_THROWS_WITH(make_trainer(options, stumbles()), "option optimizer: got 'sgd', expected one of rmsprop, adam");
  options = small_options();
  options.test_interval = 0;
  CHECK_THROWS_WITH(make_trainer(options, stumbles()), contains("option test_interval: got '0'"));
}

TEST_CASE("the names that options allow are those that can be made") {
  CHECK(std::ranges::equal(find_option("mixer").limits.choices, names()));
  ParameterLayout layout;
  for (const auto name : find_option("agent").limits.choices) make_agent<float>(name, layout = {}, {});
  CHECK_THROWS_WITH(make_agent<float>("lstm", layout, {}),
                    contains("no agent is named 'lstm'; known: rnn, n_rnn, ff, tarmac"));
}

TEST_CASE("options reach agent, mixer and learner") {
  TrainingOptions o = resolve_options({}, {{"mixer", "qatten-pymarl2"},
                                           {"hypernet_layers", "1"},
                                           {"n_head", "3"},
                                           {"mixing_embed_dim", "5"},
                                           {"mask_dead", "true"},
                                           {"obs_agent_id", "false"},
                                           {"rnn_hidden_dim", "7"},
                                           {"share_parameters", "false"},
                                           {"comm_passes", "3"}});
  const MixerOptions mixer = mixer_options(o);
  CHECK(mixer.qatten_pymarl2.n_head == 3);
  CHECK(mixer.qatten_pymarl2.embed == 5);
  CHECK(mixer.qatten_pymarl2.query_hidden == 0);
  CHECK(mixer.qatten_pymarl2.head_hidden == 0);
  CHECK(mixer.qatten_pymarl2.mask_dead);
  CHECK(mixer.qatten_pymarl2.weighted_head);
  CHECK(mixer.qatten_pymarl2.attend_reg_coef == 0);
  CHECK(mixer.qatten_pymarl2.key_bias);
  CHECK_FALSE(mixer.qatten.key_bias);
  CHECK(mixer.qmix.hypernet_embed == 0);
  const AgentOptions agent = agent_options(o, Stumble().info());
  CHECK(agent.n_agents == 3);
  CHECK(agent.n_actions == 4);
  CHECK(agent.obs_shape == 5);
  CHECK(agent.hidden_dim == 7);
  CHECK_FALSE(agent.obs_agent_id);
  CHECK_FALSE(agent.share_parameters);
  CHECK(agent.comm_rounds == 3);

  CHECK(learner_options(o).target_update.rule == TargetUpdate::Rule::every_episodes);
  CHECK(learner_options(o).target_update.interval == 200);
  o.target_update_interval_or_tau = 100;
  CHECK(learner_options(o).target_update.rule == TargetUpdate::Rule::every_updates);
  CHECK(learner_options(o).target_update.interval == 100);
  o.target_update_interval_or_tau = 0.01;
  CHECK(learner_options(o).target_update.rule == TargetUpdate::Rule::soft);
  CHECK(learner_options(o).target_update.tau == 0.01);
}

TEST_CASE("the defaults of Qatten's options are its authors'") {
  const QattenOptions made = mixer_options(resolve_options({}, {{"mixer", "qatten"}})).qatten,
                      authors = QattenOptions::authors();
  CHECK(made.n_head == authors.n_head);
  CHECK(made.embed == authors.embed);
  CHECK(made.query_hidden == authors.query_hidden);
  CHECK(made.head_hidden == authors.head_hidden);
  CHECK(made.value_hidden == authors.value_hidden);
  CHECK(made.weighted_head == authors.weighted_head);
  CHECK(made.state_bias == authors.state_bias);
  CHECK(made.nonlinear == authors.nonlinear);
  CHECK(made.mask_dead == authors.mask_dead);
  CHECK(made.attend_reg_coef == authors.attend_reg_coef);
  const QattenOptions second = mixer_options(resolve_options({}, {{"mixer", "qatten-pymarl2"}})).qatten_pymarl2,
                      pymarl2 = QattenOptions::pymarl2();
  CHECK(second.weighted_head == pymarl2.weighted_head);
  CHECK(second.attend_reg_coef == pymarl2.attend_reg_coef);
  CHECK(second.query_bias == pymarl2.query_bias);
  CHECK(second.names == pymarl2.names);
}

TEST_CASE("QTRAN's options are those of its sources, and can be changed") {
  const TrainingOptions base = resolve_options({}, {{"mixer", "qtran_base"}}),
                        alt = resolve_options({}, {{"mixer", "qtran_alt"}, {"opt_loss", "0.5"}});
  CHECK(base.mixing_embed_dim == 64);
  CHECK(base.opt_loss == 1);
  CHECK(base.nopt_min_loss == 0.1);
  CHECK(alt.mixing_embed_dim == 64);
  CHECK(alt.opt_loss == 0.5);
  CHECK(alt.nopt_min_loss == 1);
  CHECK(resolve_options({}, {{"mixer", "qtran_base"}, {"mixing_embed_dim", "8"}}).mixing_embed_dim == 8);
}

TEST_CASE("QPLEX's options reach its mixer") {
  TrainingOptions o = small_options();
  o.mixer = "qplex";
  o.num_kernel = 3;
  const auto plain = make_learner<float>(o, Stumble().info());
  CHECK(plain->layout().find("mixer.si_weight.key_extractors.2.weight").rows == 1);
  CHECK_THROWS_AS(plain->layout().find("mixer.si_weight.key_extractors.3.weight"), Error);
  o.adv_hypernet_layers = 2;
  o.adv_hypernet_embed = 11;
  const auto deep = make_learner<float>(o, Stumble().info());
  CHECK(deep->layout().find("mixer.si_weight.action_extractors.2.0.weight").rows == 11);
}

TEST_CASE("WQMIX's two systems have the sizes that the options say") {
  TrainingOptions o = small_options();
  o.mixer = "cw_qmix";
  o.central_mixing_embed_dim = 17;
  const auto learner = make_learner<float>(o, Stumble().info());
  const auto rows = [&](const std::string& name) { return learner->layout().find(name).rows; };
  CHECK(rows("central_mixer.net.4.weight") == 17);
  CHECK(rows("central_agent.rnn.weight_hh") == rows("agent.rnn.weight_hh"));
}

TEST_CASE("COMA's rates, discounts and target interval reach agents and critic") {
  const auto moved = [](const Assignments& changes) {
    TrainingOptions o = small_options();
    for (const Assignments* layer : {&small_coma, &changes})
      for (const auto& [name, text] : *layer) set_option(o, name, text);
    o.t_max = 200;
    const auto trainer = make_trainer(o, stumbles());
    const LearnerState<float> before = trainer->learner().state();
    Listener listener;
    trainer->run(listener);
    CHECK(listener.times("coma_loss").size() > 0);
    CHECK(listener.times("pi_max").size() > 0);
    std::map<std::string, double> changed;
    const LearnerState<float> after = trainer->learner().state();
    for (const NamedBlock& b : trainer->learner().layout().blocks()) {
      const double by = double((block(after.parameters, b) - block(before.parameters, b)).cwiseAbs().maxCoeff());
      changed[b.name] = by;
      changed[b.name.substr(0, b.name.find('.'))] += by;
      changed["target"] += double((block(after.target, b) - block(before.target, b)).cwiseAbs().maxCoeff());
    }
    REQUIRE(after.critic);
    changed["critic.updates"] = double(after.critic->updates);
    return changed;
  };
  const auto usual = moved({}), slow_critic = moved({{"critic_lr", "1e-30"}}), slow_agents = moved({{"lr", "1e-30"}}),
             old_target = moved({{"target_update_interval_or_tau", "100000"}});
  CHECK(usual.at("agent") > 0);
  CHECK(usual.at("critic") > 0);
  CHECK(usual.at("target") > 0);
  CHECK(usual.at("critic.updates") > 20);
  CHECK(slow_critic.at("agent") > 0);
  CHECK(slow_critic.at("critic") == 0);
  CHECK(slow_agents.at("agent") == 0);
  CHECK(slow_agents.at("critic") > 0);
  CHECK(old_target.at("target") == 0);
  for (const Assignments& change : {Assignments{{"gamma", "0.5"}}, {{"td_lambda", "0"}}, {{"grad_norm_clip", "1e-3"}}})
    CHECK(moved(change).at("critic.fc1.weight") != usual.at("critic.fc1.weight"));
}

TEST_CASE("MAAC's options reach its critic and its learner") {
  TrainingOptions o = small_options();
  for (const auto& [name, text] : small_maac) set_option(o, name, text);
  for (const bool share : {true, false}) {
    o.share_parameters = share;
    o.n_head = 8;
    o.attend_reg_coef = 0.25;
    o.reward_scale = 7;
    o.gamma = 0.75;
    o.grad_norm_clip = 3;
    const auto any = make_learner<float>(o, Stumble().info());
    auto* learner = dynamic_cast<LearnerOf<MaacLearner<RecurrentAgent<float>, AnyOptimizer<float>>>*>(any.get());
    REQUIRE(learner != nullptr);
    const MaacCriticSizes& sizes = learner->learner().critic().sizes();
    CHECK(sizes.attend_heads == 8);
    CHECK(sizes.hidden == 128);
    CHECK(sizes.attend_reg_coef == 0.25);
    CHECK(sizes.share_parameters == share);
    CHECK(learner->learner().options().reward_scale == 7);
    CHECK(learner->learner().options().gamma == 0.75);
    CHECK(learner->learner().options().grad_norm_clip == 3);
    CHECK(learner->learner().options().policy_grad_norm_clip == 0.5);
    CHECK(learner->learner().options().target_update.tau == 0.05);
    CHECK(any->learns_policy());
    CHECK(any->layout().find("critic.key_extractors.7.weight").rows == 16);
  }
}

TEST_CASE("weight decay is for MAAC's critic alone") {
  const auto trained = [](const char* weight_decay) {
    TrainingOptions o = small_options();
    for (const auto& [name, text] : small_maac) set_option(o, name, text);
    set_option(o, "weight_decay", weight_decay);
    set_option(o, "critic_lr", "1e-30");  // the policies read the critic
    o.t_max = 100;
    o.updates_per_episode = {1, 1000};  // one update is made
    const auto trainer = make_trainer(o, stumbles());
    Listener listener;
    trainer->run(listener);
    CHECK(trainer->learner().updates() == 1);
    return trainer->learner().state();
  };
  const auto without = trained("0"), with = trained("0.5");
  const auto moment = [](const LearnerState<float>& s, bool critic) {
    return std::get<AdamState<float>>(critic ? s.critic->optimizer : s.optimizer).m;
  };
  const auto changed = [&](bool critic) {
    return double((moment(without, critic) - moment(with, critic)).cwiseAbs().maxCoeff());
  };
  CHECK(changed(true) > 1e-3);
  CHECK(changed(false) == 0);
}

TEST_CASE("orthogonal weights: gain 1, a small last layer, no biases, the GRU's own") {
  for (const std::string agent : {"rnn", "ff", "tarmac"}) {
    TrainingOptions o = small_options();
    o.agent = agent;
    o.use_orthogonal = true;
    o.use_layer_norm = agent != "ff";
    o.comm_rounds = 2;
    const auto learner = make_learner<float>(o, Stumble().info());
    o.use_orthogonal = false;
    const auto plain = make_learner<float>(o, Stumble().info());
    const LearnerState<float> state = learner->state(), usual = plain->state();
    CHECK(state.target == state.parameters);
    const std::string last = agent == "ff" ? "agent.fc3." : "agent.fc2.";
    for (const NamedBlock& b : learner->layout().blocks()) {
      CAPTURE(b.name);
      const Matrix<float> w = block(state.parameters, b), before = block(usual.parameters, b);
      if (b.name.starts_with("agent.rnn") || b.name.starts_with("agent.layer_norm")) {
        CHECK(w == before);
      } else if (b.rank == 1) {
        CHECK(w.isZero());
      } else {
        const double gain = b.name.starts_with(last) ? 0.01 : 1;
        const Matrix<float> gram =
            w.rows() < w.cols() ? Matrix<float>(w * w.transpose()) : Matrix<float>(w.transpose() * w);
        const Matrix<float> unit = Matrix<float>::Identity(gram.rows(), gram.cols());
        CHECK((gram / float(gain * gain) - unit).cwiseAbs().maxCoeff() < 1e-5F);
      }
    }
  }
}

TEST_CASE("a state of another optimiser or size is refused") {
  TrainingOptions o = small_options();
  const auto adam = make_learner<float>(o, Stumble().info());
  o.optimizer = "rmsprop";
  const auto rmsprop = make_learner<float>(o, Stumble().info());
  o.rnn_hidden_dim = 9;
  const auto wider = make_learner<float>(o, Stumble().info());
  CHECK_THROWS_WITH(wider->restore(rmsprop->state()), contains("LearnerOf::restore: parameters is"));
  LearnerState<float> without = small_coma_learner(o, Stumble().info())->state();
  without.critic.reset();
  CHECK_THROWS_WITH(small_coma_learner(o, Stumble().info())->restore(without), contains("without a critic"));
  const AnyOptimizer<float> optimizer = make_optimizer<float>(o);
  LearnerState<float> state = adam->state();
  const Vector<float> gradients = state.parameters;
  CHECK_THROWS_WITH(optimizer.update(state.parameters, gradients, state.optimizer), contains("another optimiser's"));
}
