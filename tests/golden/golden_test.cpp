// Reference numbers of PyTorch: every *.safetensors in tests/golden, or in $QATTEN_GOLDEN_DIR. A case that is not
// known, a folder that is missing or empty, and a number that nobody compared are failures.

#include <cstdlib>
#include <filesystem>
#include <set>

#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/io/named_parameters.hpp"
#include "qatten/learners/coma.hpp"
#include "qatten/learners/maac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/learners/qtran.hpp"
#include "qatten/learners/weighted_qmix.hpp"
#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qlinear.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/mixers/qplex.hpp"
#include "qatten/mixers/vdn.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

constexpr double tolerance = 1e-9;

/// One golden file, which knows which of its tensors were used.
class Golden {
 public:
  explicit Golden(const std::filesystem::path& path) : file_(SafeTensors::load(path)) {}

  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata.find(key);
    if (found == file_.metadata.end()) throw Error("golden: no metadata '" + key + "'");
    return found->second;
  }
  bool has_text(const std::string& key) const { return file_.metadata.contains(key); }
  Index size(const std::string& key) const { return std::stoll(text(key)); }
  Index size(const std::string& key, Index otherwise) const { return has_text(key) ? size(key) : otherwise; }
  bool flag(const std::string& key, bool otherwise) const { return size(key, otherwise) != 0; }
  double number(const std::string& key) const { return std::stod(text(key)); }
  double number(const std::string& key, double otherwise) const { return has_text(key) ? number(key) : otherwise; }

  bool contains(const std::string& name) const { return file_.contains(name); }
  const StoredTensor& tensor(const std::string& name) {
    used_.insert(name);
    return file_.tensor(name);
  }
  /// [..., F] as (F, ...).
  Matrix<double> matrix(const std::string& name) { return tensor(name).matrix<double>(); }
  template <class T>
  std::vector<T> values(const std::string& name) {
    return tensor(name).values<T>();
  }

  /// The parameters of the layout under prefix + name; `blocks` are marked as used.
  Vector<double> parameters(const ParameterLayout& layout, const std::string& prefix = "") {
    for (const NamedBlock& b : layout.blocks()) used_.insert(prefix + b.name);
    return read_parameters<double>(file_, layout, prefix, Others::ignore);
  }

  void use(const std::string& name) { used_.insert(name); }
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const auto& [name, tensor] : file_.tensors())
      if (name.starts_with(prefix)) found.push_back(name);
    return found;
  }
  /// Everything in the file must have been read or compared.
  void check_all_used() const {
    for (const auto& [name, tensor] : file_.tensors()) {
      INFO("tensor " << name);
      CHECK(used_.contains(name));
    }
  }

 private:
  SafeTensors file_;
  std::set<std::string> used_;
};

/// |got − want| <= tolerance · max |want|, everywhere; NaN fails.
template <class Got, class Want>
void compare(const std::string& name, const Got& got, const Want& want) {
  INFO(name);
  REQUIRE(got.rows() == want.rows());
  REQUIRE(got.cols() == want.cols());
  if (want.size() == 0) return;
  const double scale = want.array().abs().maxCoeff();
  const double error = (got - want).array().abs().maxCoeff();
  REQUIRE(std::isfinite(scale));
  REQUIRE(got.array().isFinite().all());
  INFO("largest error " << error << ", scale " << scale);
  CHECK(error <= tolerance * scale);
}

bool is_key_bias(const std::string& name) {
  return name.find("key_embedding_layers") != std::string::npos && name.ends_with(".bias");
}

/// Every block's gradient, by name. What the file has beyond the layout may only be parameters that nothing reads:
/// PyMARL2 builds its head net even when the heads are not weighted.
void compare_gradients(Golden& golden, const ParameterLayout& layout, const Vector<double>& gradients) {
  for (const NamedBlock& b : layout.blocks()) {
    const Matrix<double> got = block(gradients, b), want = golden.tensor("grad." + b.name).weight<double>();
    if (is_key_bias(b.name)) {  // softmax does not see it: rounding in PyTorch, an exact zero here
      INFO(b.name);
      CHECK(got.isZero(0));
      CHECK(want.array().abs().maxCoeff() < 1e-12);
      continue;
    }
    compare("grad." + b.name, got, want);
  }
}

std::set<std::string> names_of(const ParameterLayout& layout) {
  std::set<std::string> names;
  for (const NamedBlock& b : layout.blocks()) names.insert(b.name);
  return names;
}

/// Parameters under `prefix` that the layout lacks must have a gradient of zero.
void check_idle_parameters(Golden& golden, const ParameterLayout& layout) {
  const auto known = names_of(layout);
  for (const std::string prefix : {"agent.", "mixer."}) {
    for (const std::string& name : golden.names(prefix)) {
      if (known.contains(name)) continue;
      INFO(name << " is in the file but not in the layout");
      CHECK(golden.matrix("grad." + name).isZero(0));
      golden.use(name);
      for (const std::string& copy : {"target." + name, "after." + name})
        if (golden.contains(copy)) golden.use(copy);
      if (golden.contains("after." + name)) CHECK(golden.matrix("after." + name) == golden.matrix(name));
    }
  }
}

// --- gru_agent -------------------------------------------------------------------------------------------------------

/// Teams of n agents, one of them a column. What only some agents have to show, `compare_more` compares after
/// `forward`.
template <class A, class CompareMore>
void check_agent(Golden& golden, Index teams, const AgentOptions& options, const CompareMore& compare_more) {
  const Index steps = golden.size("steps"), rows = teams * options.n_agents;
  ParameterLayout layout;
  const A agent(layout, "agent", options);
  const Vector<double> p = golden.parameters(layout);
  const Ragged ragged(std::vector<Index>(static_cast<std::size_t>(teams), steps));
  const Matrix<double> inputs = golden.matrix("inputs"), h0 = golden.matrix("h0"), dq = golden.matrix("grad.q");

  typename A::Cache cache;
  typename A::Scratch scratch;
  agent.prepare(cache, scratch, steps * rows, rows);
  Matrix<double> q(golden.size("actions"), steps * rows), h(h0.rows(), steps * rows);
  agent.forward(p, ragged, {inputs}, h0, q, cache, scratch);
  agent.hidden(cache, h);
  compare("q", q, golden.matrix("q"));
  compare("h", h, golden.matrix("h"));
  compare_more(agent, cache);

  Vector<double> gradients = Vector<double>::Zero(layout.size());
  Matrix<double> dinputs(inputs.rows(), inputs.cols()), dh0(h0.rows(), h0.cols());
  agent.backward(p, cache, ragged, {inputs}, h0, dq, gradients, dinputs, dh0, scratch);
  compare("grad.inputs", dinputs, golden.matrix("grad.inputs"));
  compare("grad.h0", dh0, golden.matrix("grad.h0"));
  compare_gradients(golden, layout, gradients);

  // Acting step by step reaches the same numbers.
  Matrix<double> hidden = h0, step_q(q.rows(), rows);
  for (Index t = 0; t < steps; ++t) {
    agent.step(p, {inputs.middleCols(t * rows, rows)}, hidden, step_q, scratch);
    compare("q, acting", step_q, q.middleCols(t * rows, rows));
  }
}

AgentOptions agent_options(const Golden& golden) {
  return {.n_agents = golden.size("n_agents", 1),
          .n_actions = golden.size("actions"),
          .obs_shape = golden.size("inputs"),
          .obs_last_action = false,
          .obs_agent_id = false,
          .hidden_dim = golden.size("hidden"),
          .use_layer_norm = golden.flag("layer_norm", false),
          .comm_rounds = golden.size("comm_rounds", 1)};
}

void check_gru_agent(Golden& golden) {
  check_agent<RecurrentAgent<double>>(golden, golden.size("rows"), agent_options(golden), [](auto&...) {});
}

void check_tarmac_agent(Golden& golden) {
  const AgentOptions options = agent_options(golden);
  check_agent<TarmacAgent<double>>(golden, golden.size("teams"), options, [&](const auto& agent, const auto& cache) {
    const Matrix<double> want = golden.matrix("attention");  // one agent's after the other's, team after team
    compare("attention", agent.attention(cache, want.cols(), options.comm_rounds - 1), want);
  });
}

// --- mixers ----------------------------------------------------------------------------------------------------------

QattenOptions qatten_options(const Golden& golden, const std::string& mixer) {
  if (mixer == "qatten_authors") {
    QattenOptions options = QattenOptions::authors();
    options.n_head = golden.size("heads");
    options.embed = options.value_hidden = golden.size("mixing_embed");
    options.query_hidden = options.head_hidden =
        golden.size("hypernet_layers", 2) == 2 ? golden.size("hypernet_embed") : 0;
    options.weighted_head = golden.flag("weighted", true);
    options.state_bias = golden.flag("state_bias", true);
    options.nonlinear = golden.flag("nonlinear", false);
    options.mask_dead = golden.flag("mask_dead", false);
    options.attend_reg_coef = golden.number("attend_reg_coef");
    return options;
  }
  QattenOptions options = QattenOptions::pymarl2();
  options.n_head = golden.size("heads");
  options.embed = golden.size("embed");
  options.query_hidden = golden.size("query_hidden");
  options.head_hidden = golden.size("head_hidden");
  options.value_hidden = golden.size("value_hidden");
  options.weighted_head = mixer == "qatten";
  return options;
}

Positive positive(const Golden& golden) {
  if (!golden.has_text("positive")) return Positive::abs;
  const std::string& name = golden.text("positive");
  if (name == "abs") return Positive::abs;
  if (name == "softplus") return Positive::softplus;
  if (name == "square") return Positive::square;
  throw Error("golden: unknown positive '" + name + "'");
}

/// Calls f with the mixer that the file names, laid out under "mixer".
template <class F>
void with_mixer(const Golden& golden, ParameterLayout& layout, F&& f) {
  const std::string& name = golden.text("mixer");
  const Index n = golden.size("n_agents"), state = golden.size("state_dim");
  if (name == "iql") {
    f(Independent<double>(n));
  } else if (name == "vdn") {
    f(Vdn<double>(n));
  } else if (name == "qmix" || name == "qmix1") {
    f(Qmix<double>(layout, "mixer", n, state,
                   {.mixing_embed_dim = golden.size("mixing_embed"),
                    .hypernet_embed = name == "qmix" ? golden.size("hypernet_embed") : 0,
                    .positive = positive(golden)}));
  } else if (name == "qlinear") {
    f(Qlinear<double>(layout, "mixer", n, state, golden.size("unit_dim"),
                      {.hidden = golden.size("hypernet_embed"), .value_hidden = golden.size("mixing_embed")}));
  } else if (name.starts_with("qatten")) {
    f(Qatten<double>(layout, "mixer", n, state, golden.size("unit_dim"), qatten_options(golden, name)));
  } else {
    FAIL("unknown mixer '" << name << "'");
  }
}

template <class M>
void check_attention(Golden& golden, const M& mixer, const typename M::Cache& cache, Index rows) {
  if constexpr (requires { mixer.attention(cache, rows); }) {
    const Matrix<double> want = golden.matrix("attention");  // [R, heads, n]: (n, R · heads)
    compare("attention", mixer.attention(cache, rows).reshaped(want.rows(), want.cols()), want);
    compare("head_weights", mixer.head_weights(cache, rows), golden.matrix("head_weights"));
  }
}

void check_mixer(Golden& golden) {
  ParameterLayout layout;
  with_mixer(golden, layout, [&]<class M>(const M& mixer) {
    const Vector<double> p = golden.parameters(layout);
    const Index rows = golden.size("rows"), n = golden.size("n_agents");
    const Matrix<double> qs = golden.matrix("agent_qs"), state = golden.matrix("states");
    Matrix<std::uint8_t> alive;
    if (golden.contains("alive")) {
      const auto values = golden.values<std::uint8_t>("alive");
      alive = Eigen::Map<const Matrix<std::uint8_t>>(values.data(), n, rows);
    }
    const MixerInputs<double> in{qs, state, state.topRows(n * golden.size("unit_dim")), alive};

    typename M::Cache cache;
    typename M::Scratch scratch;
    mixer.prepare(cache, scratch, rows);
    Matrix<double> q_tot(1, rows), evaluated(1, rows), dqs(n, rows);
    mixer.forward(p, in, q_tot, cache, scratch);
    compare("q_tot", q_tot, golden.matrix("q_tot").transpose());
    mixer.evaluate(p, in, evaluated, scratch);
    CHECK(evaluated == q_tot);
    check_attention(golden, mixer, cache, rows);
    if (golden.contains("regulariser"))
      compare("regulariser", Matrix<double>::Constant(1, 1, mixer.regulariser(cache)), golden.matrix("regulariser"));

    Vector<double> gradients = Vector<double>::Zero(layout.size());
    const Matrix<double> dq_tot = golden.matrix("grad.q_tot").transpose();
    mixer.backward(p, cache, in, dq_tot, gradients, dqs, scratch);
    compare("grad.agent_qs", dqs, golden.matrix("grad.agent_qs"));
    compare_gradients(golden, layout, gradients);
    check_idle_parameters(golden, layout);
  });
}

// --- optimisers ------------------------------------------------------------------------------------------------------

template <class F>
void with_optimizer(const Golden& golden, const std::string& name, F&& f) {
  const double lr = golden.number("lr");
  if (name == "adam") {
    f(Adam<double>({.lr = lr,
                    .beta1 = golden.number("beta1", 0.9),
                    .beta2 = golden.number("beta2", 0.999),
                    .eps = golden.number("adam_eps", 1e-8),
                    .weight_decay = golden.number("weight_decay", 0)}));
  } else if (name == "rmsprop") {
    f(RmsProp<double>({.lr = lr,
                       .alpha = golden.number("rmsprop_alpha", 0.99),
                       .eps = golden.number("rmsprop_eps", 1e-5),
                       .weight_decay = golden.number("weight_decay", 0)}));
  } else {
    FAIL("unknown optimiser '" << name << "'");
  }
}

void check_optimizer(Golden& golden) {
  with_optimizer(golden, golden.text("optimizer"), [&]<class O>(const O& optimizer) {
    Vector<double> p = golden.matrix("parameters");
    const Matrix<double> gradients = golden.matrix("gradients"), after = golden.matrix("after");
    typename O::State state;
    optimizer.prepare(state, p.size());
    for (Index k = 0; k < gradients.cols(); ++k) {
      optimizer.update(p, Vector<double>(gradients.col(k)), state);
      compare("after step " + std::to_string(k), p, after.col(k));
    }
  });
}

// --- q_learner -------------------------------------------------------------------------------------------------------

std::vector<Episode<double>> read_episodes(Golden& golden) {
  const Index episodes = golden.size("episodes"), steps = golden.size("max_steps"), n = golden.size("n_agents");
  const Index n_actions = golden.size("n_actions"), unit_dim = golden.size("unit_dim");
  const Matrix<double> obs = golden.matrix("obs"), state = golden.matrix("state");
  const auto available = golden.values<std::uint8_t>("available_actions");
  const auto actions = golden.values<std::int64_t>("actions");
  const auto rewards = golden.values<double>("reward");
  const auto terminated = golden.values<std::uint8_t>("terminated"), filled = golden.values<std::uint8_t>("filled");
  const auto mask = golden.values<double>("mask");
  std::vector<std::uint8_t> alive(filled.size() * static_cast<std::size_t>(n), 1);
  if (golden.contains("alive")) alive = golden.values<std::uint8_t>("alive");

  std::vector<Episode<double>> all;
  for (Index b = 0; b < episodes; ++b) {
    const Index first = b * (steps + 1);
    Index length = -1;
    for (Index t = 0; t <= steps; ++t) length += filled[static_cast<std::size_t>(first + t)];
    for (Index t = 0; t < steps; ++t) REQUIRE(mask[static_cast<std::size_t>(b * steps + t)] == (t < length ? 1 : 0));
    for (Index t = 0; t + 1 < length; ++t) REQUIRE(terminated[static_cast<std::size_t>(first + t)] == 0);
    Episode<double> e;
    e.resize(n, n_actions, golden.size("obs_dim"), golden.size("state_dim"), unit_dim, length);
    e.obs = obs.middleCols(first * n, n * (length + 1));
    e.state = state.middleCols(first, length + 1);
    e.units = e.state.topRows(n * unit_dim);
    e.available =
        Eigen::Map<const Matrix<std::uint8_t>>(available.data() + first * n * n_actions, n_actions, n * (length + 1));
    e.alive = Eigen::Map<const Matrix<std::uint8_t>>(alive.data() + first * n, n, length + 1);
    for (Index t = 0; t < length; ++t) {
      for (Index i = 0; i < n; ++i)
        e.actions(i, t) = static_cast<std::int32_t>(actions[static_cast<std::size_t>((first + t) * n + i)]);
      e.rewards(t) = rewards[static_cast<std::size_t>(first + t)];
    }
    e.terminated = terminated[static_cast<std::size_t>(first + length - 1)] != 0;
    e.check();
    all.push_back(e);
  }
  return all;
}

template <class A = RecurrentAgent<double>>
A agent_of(const Golden& golden, ParameterLayout& layout, const std::string& name = "agent") {
  return {layout,
          name,
          {.n_agents = golden.size("n_agents"),
           .n_actions = golden.size("n_actions"),
           .obs_shape = golden.size("obs_dim"),
           .hidden_dim = golden.size("hidden"),
           .use_layer_norm = golden.flag("layer_norm", false),
           .comm_rounds = golden.size("comm_rounds", 1)}};
}

QLearnerOptions learner_options(const Golden& golden) {
  return {.gamma = golden.number("gamma"),
          .td_lambda = golden.number("td_lambda"),
          .double_q = golden.size("double_q") != 0,
          .loss_scale = golden.number("loss_scale"),
          .grad_norm_clip = golden.number("grad_norm_clip"),
          .target_update = {TargetUpdate::Rule::every_updates, 1000000}};
}

EpisodeBatch<double> read_batch(Golden& golden) {
  const std::vector<Episode<double>> episodes = read_episodes(golden);
  std::vector<const Episode<double>*> pointers;
  for (const auto& e : episodes) pointers.push_back(&e);
  EpisodeBatch<double> batch;
  batch.assign(pointers);
  return batch;
}

/// Targets of the batch's transitions against stored ones of [episodes, max_steps, …].
void compare_targets(Golden& golden, const std::string& name, const EpisodeBatch<double>& batch,
                     ConstView<double> targets) {
  const Index max_steps = golden.size("max_steps");
  const Matrix<double> stored = golden.matrix(name);
  const Matrix<double> all = stored.reshaped(targets.rows(), golden.size("episodes") * max_steps);
  Matrix<double> want(all.rows(), batch.transitions.total());
  for (Index b = 0; b < batch.transitions.sequences(); ++b)
    for (Index t = 0; t < batch.transitions.length(b); ++t)
      want.col(batch.transitions.column(b, t)) = all.col(batch.order[static_cast<std::size_t>(b)] * max_steps + t);
  compare(name, targets, want);
}

/// The first gradient, then all updates, of what the file's parameters make of the objective.
template <class O>
void check_updates(Golden& golden, const ParameterLayout& layout, const O& objective) {
  const EpisodeBatch<double> batch = read_batch(golden);
  with_optimizer(golden, golden.text("optimizer"), [&]<class Optimizer_>(const Optimizer_& optimizer) {
    Learner<O, Optimizer_> learner(layout, objective, optimizer, Random(0));
    learner.state().parameters = golden.parameters(layout);
    learner.state().target = golden.parameters(layout, "target.");
    const Vector<double> first_gradient = learner.gradient(learner.state().parameters, learner.state().target, batch);
    compare_gradients(golden, layout, first_gradient);

    for (Index k = 0; k < golden.size("updates"); ++k) {
      const std::string step = "step" + std::to_string(k);
      const QLearnerStats stats = learner.update(batch);
      compare(step + ".loss", Matrix<double>::Constant(1, 1, stats.loss), golden.matrix(step + ".loss"));
      compare(step + ".grad_norm", Matrix<double>::Constant(1, 1, stats.grad_norm), golden.matrix(step + ".grad_norm"));
      compare_targets(golden, step + ".targets", batch, learner.targets());
    }
    for (const NamedBlock& b : layout.blocks())
      compare("after." + b.name, block(learner.state().parameters, b),
              golden.tensor("after." + b.name).weight<double>());
    check_idle_parameters(golden, layout);
  });
}

template <class A>
void check_q_learner_of(Golden& golden) {
  ParameterLayout layout;
  const A agent = agent_of<A>(golden, layout);
  with_mixer(golden, layout, [&]<class M>(const M& mixer) {
    check_updates(golden, layout, QObjective<A, M>(agent, mixer, learner_options(golden)));
  });
}

void check_q_learner(Golden& golden) {
  if (golden.has_text("comm_rounds")) return check_q_learner_of<TarmacAgent<double>>(golden);
  check_q_learner_of<RecurrentAgent<double>>(golden);
}

// --- qtran -----------------------------------------------------------------------------------------------------------

template <class Net>
void check_qtran_of(Golden& golden) {
  ParameterLayout layout;
  const RecurrentAgent<double> agent = agent_of(golden, layout);
  const AgentOptions& team = agent.options();
  const Net net(layout, "mixer", {team.n_agents, team.n_actions, team.hidden_dim, golden.size("state_dim")},
                {.mixing_embed_dim = golden.size("mixing_embed"), .hidden_value = golden.flag("hidden_value", false)});
  const QtranLossOptions weights{golden.number("opt_loss"), golden.number("nopt_min_loss")};
  check_updates(golden, layout,
                QtranObjective<RecurrentAgent<double>, Net>(agent, net, learner_options(golden), weights));
}

void check_qtran(Golden& golden) {
  const std::string& system = golden.text("system");
  if (system == "qtran_base") return check_qtran_of<QtranBase<double>>(golden);
  if (system == "qtran_alt") return check_qtran_of<QtranAlt<double>>(golden);
  FAIL("unknown system '" << system << "'");
}

// --- weighted_qmix ---------------------------------------------------------------------------------------------------

void check_weighted_qmix(Golden& golden) {
  ParameterLayout layout;
  const Index n = golden.size("n_agents"), state = golden.size("state_dim");
  const RecurrentAgent<double> agent = agent_of(golden, layout);
  const Qmix<double> mixer(
      layout, "mixer", n, state,
      {.mixing_embed_dim = golden.size("mixing_embed"), .hypernet_embed = golden.size("hypernet_embed")});
  const RecurrentAgent<double> central_agent = agent_of(golden, layout, "central_agent");
  const CentralMixer<double> central_mixer(layout, "central_mixer", n, state, {golden.size("central_mixing_embed")});
  const WeightedQmixOptions weighting{.hysteretic_qmix = golden.size("hysteretic_qmix") != 0,
                                      .w = golden.number("w"),
                                      .central_loss = golden.number("central_loss")};
  check_updates(golden, layout,
                WeightedQmixObjective(agent, mixer, central_agent, central_mixer, learner_options(golden), weighting));
}

// --- qplex -----------------------------------------------------------------------------------------------------------

void check_qplex(Golden& golden) {
  ParameterLayout layout;
  const RecurrentAgent<double> agent = agent_of(golden, layout);
  const Qplex<double> mixer(layout, "mixer", golden.size("n_agents"), golden.size("n_actions"),
                            golden.size("state_dim"),
                            {.num_kernel = golden.size("num_kernel"),
                             .hypernet_embed = golden.size("hypernet_embed"),
                             .adv_hypernet_embed = golden.size("adv_hypernet_embed")});
  check_updates(golden, layout, QObjective(agent, mixer, learner_options(golden)));
}

// --- coma, maac ------------------------------------------------------------------------------------------------------

/// All updates, after the gradient before the first of them has been compared. `policy_loss` is what the file calls it.
template <class Learner_>
void check_policy_updates(Golden& golden, const ParameterLayout& layout, const EpisodeBatch<double>& batch,
                          Learner_& learner, double epsilon, const std::string& policy_loss) {
  for (Index k = 0; k < golden.size("updates"); ++k) {
    const std::string step = "step" + std::to_string(k) + ".";
    const QLearnerStats stats = learner.update(batch, 0, epsilon);
    REQUIRE(stats.policy);
    for (const auto& [name, got] : {std::pair{std::string("loss"), stats.loss},
                                    {"grad_norm", stats.grad_norm},
                                    {policy_loss, stats.policy->loss},
                                    {"agent_grad_norm", stats.policy->grad_norm},
                                    {"advantage_mean", stats.policy->advantage_mean},
                                    {"pi_max", stats.policy->pi_max}})
      compare(step + name, Matrix<double>::Constant(1, 1, got), golden.matrix(step + name));
    compare_targets(golden, step + "targets", batch, learner.targets());
  }
  for (const NamedBlock& b : layout.blocks())
    compare("after." + b.name, block(learner.state().parameters, b), golden.tensor("after." + b.name).weight<double>());
}

void check_coma(Golden& golden) {
  ParameterLayout layout;
  const RecurrentAgent<double> agent = agent_of(golden, layout);
  const ComaCritic<double> critic(layout, "critic",
                                  {.n_agents = golden.size("n_agents"),
                                   .n_actions = golden.size("n_actions"),
                                   .obs_shape = golden.size("obs_dim"),
                                   .state_shape = golden.size("state_dim"),
                                   .hidden = golden.size("critic_hidden")});
  const ComaOptions options{.gamma = golden.number("gamma"),
                            .td_lambda = golden.number("td_lambda"),
                            .grad_norm_clip = golden.number("grad_norm_clip"),
                            .target_update = {TargetUpdate::Rule::every_updates, 1000000}};
  const double epsilon = golden.number("epsilon");
  const EpisodeBatch<double> batch = read_batch(golden);
  const std::span<const EpisodeBatch<double>> tiles(&batch, 1);
  with_optimizer(golden, golden.text("optimizer"), [&]<class Optimizer_>(const Optimizer_& optimizer) {
    ComaLearner<RecurrentAgent<double>, Optimizer_> learner(layout, agent, critic, optimizer, optimizer, options, 1);
    const Vector<double> p = learner.state().parameters = golden.parameters(layout);
    const Vector<double> target = learner.state().target = golden.parameters(layout, "target.");
    Vector<double> gradient = learner.policy_gradient(p, tiles, epsilon);
    gradient += learner.critic_gradient(p, target, tiles, batch.transitions.steps() - 1, epsilon);
    compare_gradients(golden, layout, gradient);
    check_policy_updates(golden, layout, batch, learner, epsilon, "coma_loss");
  });
}

void check_maac(Golden& golden) {
  ParameterLayout layout;
  const RecurrentAgent<double> agent = agent_of(golden, layout);
  const MaacCritic<double> critic(layout, "critic",
                                  {.n_agents = golden.size("n_agents"),
                                   .n_actions = golden.size("n_actions"),
                                   .obs_shape = golden.size("obs_dim"),
                                   .hidden = golden.size("critic_hidden"),
                                   .attend_heads = golden.size("attend_heads"),
                                   .attend_reg_coef = golden.number("attend_reg_coef"),
                                   .share_parameters = golden.size("share_parameters") != 0});
  const MaacOptions options{.gamma = golden.number("gamma"),
                            .reward_scale = golden.number("reward_scale"),
                            .grad_norm_clip = golden.number("grad_norm_clip"),
                            .policy_grad_norm_clip = golden.number("policy_grad_norm_clip"),
                            .target_update = {.rule = TargetUpdate::Rule::soft, .tau = golden.number("tau")}};
  const EpisodeBatch<double> batch = read_batch(golden);
  const std::span<const EpisodeBatch<double>> tiles(&batch, 1);
  with_optimizer(golden, golden.text("optimizer"), [&]<class Optimizer_>(const Optimizer_& optimizer) {
    MaacLearner<RecurrentAgent<double>, Optimizer_> learner(layout, agent, critic, optimizer, optimizer, options, 1);
    const Vector<double> p = learner.state().parameters = golden.parameters(layout);
    const Vector<double> target = learner.state().target = golden.parameters(layout, "target.");
    Vector<double> gradient = learner.policy_gradient(p, tiles);
    gradient += learner.critic_gradient(p, target, tiles);
    compare_gradients(golden, layout, gradient);
    check_policy_updates(golden, layout, batch, learner, 0, "policy_loss");
  });
}

void check(const std::filesystem::path& path) {
  Golden golden(path);
  REQUIRE(golden.text("format") == "golden-1");
  const std::string& name = golden.text("case");
  if (name == "gru_agent") {
    check_gru_agent(golden);
  } else if (name == "tarmac_agent") {
    check_tarmac_agent(golden);
  } else if (name == "mixer") {
    check_mixer(golden);
  } else if (name == "optimizer") {
    check_optimizer(golden);
  } else if (name == "q_learner") {
    check_q_learner(golden);
  } else if (name == "qtran") {
    check_qtran(golden);
  } else if (name == "weighted_qmix") {
    check_weighted_qmix(golden);
  } else if (name == "qplex") {
    check_qplex(golden);
  } else if (name == "coma") {
    check_coma(golden);
  } else if (name == "maac") {
    check_maac(golden);
  } else {
    FAIL("unknown case '" << name << "'");
  }
  golden.check_all_used();
}

}  // namespace

TEST_CASE("golden vectors of PyTorch") {
  const char* given = std::getenv("QATTEN_GOLDEN_DIR");
  const std::filesystem::path folder = given ? given : QATTEN_SOURCE_DIR "/tests/golden";
  INFO("folder " << folder);
  REQUIRE(std::filesystem::is_directory(folder));
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") files.insert(entry.path());
  REQUIRE(!files.empty());
  for (const auto& path : files) {
    DYNAMIC_SECTION(path.filename().string()) { check(path); }
  }
}
