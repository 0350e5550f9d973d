// Trains mixers on small games and shows what they learned beside what they can learn at best.
//
// The batch is the whole game: every joint action (or trajectory) once, which is what uniform exploration sees in the
// long run. So the result is exact enough to compare with projections.

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>

#include "games.hpp"
#include "qatten/agents/feed_forward.hpp"
#include "qatten/analysis/attention.hpp"
#include "qatten/analysis/igm.hpp"
#include "qatten/analysis/joint_table.hpp"
#include "qatten/analysis/monotonicity.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/optim/adam.hpp"
#include "terminal.hpp"

using namespace qatten;

namespace {

struct Options {
  std::vector<std::string> mixers{"vdn", "qmix", "qatten", "iql"};
  std::string game;
  int updates = 2000;
  double lr = 0.005;
  MixerOptions mixer;
  std::uint64_t seed = 1;
};

std::string action_names(Index index, Index n_agents, Index n_actions) {
  std::string text;
  for (const int a : joint_action(index, n_agents, n_actions)) text += static_cast<char>('A' + a);
  return text;
}

/// A joint table as a matrix: the first half of the agents by row, the others by column.
struct TableShape {
  explicit TableShape(const EnvironmentInfo& info)
      : rows(n_joint_actions(std::max<Index>(info.n_agents / 2, 1), info.n_actions)),
        cols(n_joint_actions(info.n_agents, info.n_actions) / rows) {
    for (Index r = 0; r < rows; ++r) row_names.push_back(action_names(r, info.n_agents / 2, info.n_actions));
    const Index others = info.n_agents - info.n_agents / 2;
    for (Index c = 0; c < cols; ++c) col_names.push_back(action_names(c, others, info.n_actions));
  }
  Matrix<double> operator()(const Vector<double>& table) const { return table.reshaped(cols, rows).transpose(); }

  Index rows, cols;
  std::vector<std::string> row_names, col_names;
};

/// One mixer trained on one game.
template <class M>
class Trained {
 public:
  using Agent = FeedForwardAgent<float>;

  Trained(const Game& game, ParameterLayout& layout, const Agent& agent, M mixer, const Options& options)
      : game_(game),
        learner_(layout, agent, std::move(mixer), Adam<float>(),
                 {.gamma = game.gamma, .target_update = {TargetUpdate::Rule::every_updates, 50}},
                 Random(options.seed, "parameters")) {
    std::vector<const Episode<float>*> episodes;
    for (const auto& e : game.episodes) episodes.push_back(&e);
    batch_.assign(episodes);
  }

  void train(const Options& options, const std::string& name, const Terminal& terminal) {
    for (int k = 1; k <= options.updates; ++k) {
      const double lr = options.lr * std::pow(0.01, double(k) / options.updates);
      learner_.set_optimizer(Adam<float>({.lr = lr}));
      const double loss = learner_.update(batch_).loss;
      terminal.progress(name, k, options.updates, loss);
    }
  }

  /// The agents' values (n_actions, n_agents) at a state of the game.
  Matrix<float> values(const State& state) const {
    const AgentOptions& o = learner_.agent().options();
    const Episode<float>& e = game_.episodes[state.episode];
    typename Agent::Scratch scratch;
    learner_.agent().prepare(scratch, o.n_agents, o.n_agents);
    Matrix<float> q(o.n_actions, o.n_agents), hidden(o.hidden_dim, o.n_agents);
    const ConstView<float> obs = e.obs.middleCols(state.step * o.n_agents, o.n_agents);
    learner_.agent().step(learner_.state().parameters, {obs}, hidden, q, scratch);
    return q;
  }

  void show(const std::string& name, Kind kind, const Terminal& terminal) const {
    std::printf("\n  %s\n", terminal.bold(name).c_str());
    const std::vector<Vector<double>> expected = game_.expected(kind);
    const std::vector<Matrix<double>> expected_alone = game_.expected_alone();
    std::vector<std::vector<int>> greedy;
    double mse = 0, best_mse = 0;
    bool igm = true;
    for (std::size_t s = 0; s < game_.states.size(); ++s) {
      const State& state = game_.states[s];
      const Matrix<float> q = values(state);
      greedy.push_back(greedy_actions(q));
      if (learner_.mixer().outputs() > 1) {
        if (s == 0 || game_.states.size() <= 3) show_values(state, q, expected_alone[s]);
        continue;
      }
      const Vector<double> table = joint_table_at(state, q);
      if (s == 0 || game_.states.size() <= 3) show_tables(state, table, expected[s]);
      mse += (table - state.payoff).squaredNorm() / double(table.size() * std::ssize(game_.states));
      if (expected[s].size() > 0)
        best_mse += (expected[s] - state.payoff).squaredNorm() / double(table.size() * std::ssize(game_.states));
      igm = igm && igm_at(state, q).holds;
    }
    std::string joint;
    for (std::size_t s = 0; s < greedy.size(); ++s)
      joint += (s > 0 ? ", then " : "") +
               action_names(joint_index(greedy[s], game_.info.n_actions), game_.info.n_agents, game_.info.n_actions);
    std::printf("    greedy %s: pays %g of at most %g\n", joint.c_str(), game_.play(greedy), game_.best);
    if (learner_.mixer().outputs() > 1) return;
    std::printf("    mean squared error %.4f, projection %.4f\n", mse, best_mse);
    show_checks(igm);
    show_attention();
  }

 private:
  ConstView<float> state_at(const State& s) const { return game_.episodes[s.episode].state.col(s.step); }
  ConstView<float> units_at(const State& s) const { return game_.episodes[s.episode].units.col(s.step); }

  Vector<double> joint_table_at(const State& s, const Matrix<float>& q) const {
    if constexpr (std::same_as<M, Independent<float>>)
      return {};
    else
      return joint_table(learner_.mixer(), learner_.state().parameters, q, state_at(s), units_at(s))
          .template cast<double>();
  }

  IgmReport igm_at(const State& s, const Matrix<float>& q) const {
    Random random(0);
    const std::function<void(ConstView<float>, View<float>)> value =
        MixerAtState<M>(learner_.mixer(), learner_.state().parameters, state_at(s), units_at(s));
    return check_igm(q, {}, value, random);
  }

  void show_tables(const State& state, const Vector<double>& table, const Vector<double>& expected) const {
    const TableShape shape(game_.info);
    if (!state.title.empty()) std::printf("    %s\n", state.title.c_str());
    std::vector<std::string> titles{"learned Q_tot"};
    std::vector<Matrix<double>> tables{shape(table)};
    if (expected.size() > 0) {
      titles.push_back("its projection");
      tables.push_back(shape(expected));
    }
    print_tables(titles, tables, shape.row_names, shape.col_names);
  }

  /// IQL has no joint value: each agent's values, beside the mean over what the others do.
  void show_values(const State& state, const Matrix<float>& q, const Matrix<double>& expected) const {
    if (!state.title.empty()) std::printf("    %s\n", state.title.c_str());
    std::vector<std::string> agents, actions;
    for (Index i = 0; i < q.cols(); ++i) agents.push_back(std::to_string(i + 1));
    for (Index a = 0; a < q.rows(); ++a) actions.push_back(action_names(a, 1, q.rows()));
    print_tables({"learned Q_i", "mean over others"}, {q.cast<double>().transpose(), expected.transpose()}, agents,
                 actions);
  }

  void show_checks(bool igm) const {
    if constexpr (!std::same_as<M, Independent<float>>) {
      Random random(0, "monotonicity");
      const MonotonicityReport report = check_monotonicity(
          learner_.mixer(), learner_.state().parameters,
          {.state_dim = game_.info.state_shape, .unit_dim = game_.info.unit_dim, .samples = 256, .search_steps = 20},
          random);
      std::printf("    IGM %s in every state; monotonic %s: %ld slopes, the smallest found is %.3g\n",
                  igm ? "holds" : "FAILS", report.violations == 0 && report.worst.slope >= 0 ? "yes" : "NO",
                  static_cast<long>(report.slopes), report.worst.slope);
    }
  }

  /// For each state and head, the share of its attention that each agent gets.
  void show_attention() const {
    if constexpr (requires(const typename M::Cache& c) { learner_.mixer().attention(c, Index{1}); }) {
      const Index n = game_.info.n_agents;
      typename M::Cache cache;
      typename M::Scratch scratch;
      learner_.mixer().prepare(cache, scratch, 1);
      const Matrix<float> qs = Matrix<float>::Zero(n, 1);
      Matrix<float> q_tot(1, 1);
      std::printf("    attention of each head\n");
      for (const State& state : game_.states) {
        learner_.mixer().forward(learner_.state().parameters, {qs, state_at(state), units_at(state)}, q_tot, cache,
                                 scratch);
        const ConstView<float> attention = learner_.mixer().attention(cache, 1);
        for (Index h = 0; h < learner_.mixer().options().n_head; ++h) {
          std::printf("      %-18s head %d", h == 0 ? state.title.c_str() : "", static_cast<int>(h + 1));
          for (Index i = 0; i < n; ++i) {
            const double share = double(attention(h * n + i, 0));
            std::printf("  %d %s%3.0f %%", static_cast<int>(i + 1), share_bar(share).c_str(), 100 * share);
          }
          std::printf("\n");
        }
      }
    }
  }

  const Game& game_;
  EpisodeBatch<float> batch_;
  QLearner<Agent, M, Adam<float>> learner_;
};

/// Lays the network out, trains, shows. Returns the seconds that training took.
double run(const Game& game, const std::string& name, const Options& options, const Terminal& terminal) {
  ParameterLayout layout;
  const FeedForwardAgent<float> agent(layout, "agent",
                                      {.n_agents = game.info.n_agents,
                                       .n_actions = game.info.n_actions,
                                       .obs_shape = game.info.obs_shape,
                                       .obs_last_action = false,
                                       .hidden_dim = 32});
  const auto mixer =
      make_mixer<float>(name, layout, game.info.n_agents, game.info.state_shape, game.info.unit_dim, options.mixer);
  return std::visit(
      [&]<class M>(const M& m) {
        const auto start = std::chrono::steady_clock::now();
        Trained<M> trained(game, layout, agent, m, options);
        trained.train(options, name, terminal);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        trained.show(name, kind_of(name), terminal);
        return seconds.count();
      },
      mixer);
}

MatrixGame game_from(const std::string& text) {
  if (text.find(',') != std::string::npos) return matrix_game_from_text(text);
  if (std::filesystem::exists(text)) return matrix_game_from_file(text);
  return named_game(text);
}

std::vector<Game> games(const Options& options) {
  if (options.game == "two-step") return {two_step()};
  if (options.game == "spotlight") return {spotlight()};
  if (!options.game.empty()) return {one_shot(options.game, "a one-shot game", game_from(options.game))};
  return {one_shot("QTRAN's matrix", "one step, no state: the best joint action hides behind a wall of -12",
                   named_game("qtran")),
          two_step(), spotlight()};
}

void show_payoffs(const Game& game) {
  const TableShape shape(game.info);
  std::vector<std::string> titles;
  std::vector<Matrix<double>> tables;
  for (const State& state : game.states) {
    titles.push_back(state.title.empty() ? "payoff" : state.title);
    tables.push_back(shape(state.payoff));
    if (tables.size() == 3) break;
  }
  if (shape.cols > 3) titles.resize(1), tables.resize(1);
  print_tables(titles, tables, shape.row_names, shape.col_names);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.mixer.qatten.attend_reg_coef = 0.001;  // the authors' setting for MMM2: 0.01 holds the attention back here
  bool brief = false, list = false;
  CLI::App app{"Trains mixers on small games and compares what they learn with exact projections."};
  app.add_option("--game", options.game,
                 "two-step, spotlight, a matrix game by name (--list), a payoff such as \"8,-12;-12,0\", or a file");
  app.add_option("--mixer", options.mixers, "one or more of iql, vdn, qmix, qatten, qatten-pymarl2, qlinear")
      ->delimiter(',');
  app.add_option("--updates", options.updates, "gradient steps for each")->check(CLI::Range(1, 1000000));
  app.add_option("--lr", options.lr, "learning rate at the start; it falls to a hundredth")->check(CLI::PositiveNumber);
  app.add_option("--attend_reg_coef", options.mixer.qatten.attend_reg_coef, "Qatten's attention regulariser")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the initial parameters");
  app.add_flag("--brief", brief, "a tenth of the updates: to see that it runs");
  app.add_flag("--list", list, "the matrix games that have a name");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const NamedGame& game : named_games())
      std::printf("  %-26s %s\n", game.name.c_str(), game.description.c_str());
    return 0;
  }
  if (brief) options.updates = std::max(options.updates / 10, 1);

  try {
    const Terminal terminal;
    double seconds = 0;
    for (const Game& game : games(options)) {
      std::printf("\n%s\n%s\n\n", terminal.bold(game.title).c_str(), terminal.dim(game.about).c_str());
      show_payoffs(game);
      std::printf("\n");
      for (const std::string& mixer : options.mixers) seconds += run(game, mixer, options, terminal);
    }
    std::printf("\nTrained in %.1f s.\n", seconds);
  } catch (const Error& error) {
    std::fprintf(stderr, "matrix_game: %s\n", error.what());
    return 1;
  }
  return 0;
}
