// Trains and evaluates a team on an environment behind a socket: StarCraft's challenge (docs/smac.md says what to
// install), anything else of that kind, or with --mock a stand-in that needs nothing.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "players.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "qatten/replay/episode_buffer.hpp"

using namespace qatten;

namespace {

struct Options {
  bool mock = false;
  std::string env = "smac.env:StarCraft2Env", map = "3m", endpoint, python = "python3", token, record, log;
  std::string server = std::string(QATTEN_SOURCE_DIR) + "/python/qatten_env_server.py";
  std::vector<std::string> args, server_options;
  std::string mixer = "qatten";
  int n_envs = 4, episodes = 2000, test_interval = 200, test_nepisode = 32, batch_size = 32;
  std::int64_t epsilon_anneal_time = 50'000;
  double lr = 0.0005;
  std::uint64_t seed = 1;
};

RemoteOptions remote_options(const Options& o) {
  RemoteOptions remote{.token = o.token, .seed = o.seed, .record = o.record, .log = o.log};
  if (!o.endpoint.empty()) {
    remote.endpoint = o.endpoint;
    remote.allow_remote = !o.token.empty();
    return remote;
  }
  const std::string env = o.mock ? "mock_smac:MockSmac" : o.env;
  remote.command = {o.python, o.server, "--env", env};
  if (!o.map.empty()) remote.command.insert(remote.command.end(), {"--arg", "map_name=" + o.map});
  for (const std::string& arg : o.args) remote.command.insert(remote.command.end(), {"--arg", arg});
  remote.command.insert(remote.command.end(), o.server_options.begin(), o.server_options.end());
  return remote;
}

struct Evaluation {
  double return_mean = 0, length_mean = 0;
  std::vector<double> metrics;
};

Evaluation mean(const std::vector<Played>& played) {
  Evaluation e{.metrics = std::vector<double>(played[0].metrics.size())};
  const double share = 1 / double(played.size());
  for (const Played& p : played) {
    e.return_mean += share * double(p.episode.rewards.sum());
    e.length_mean += share * double(p.episode.length());
    for (std::size_t k = 0; k < e.metrics.size(); ++k) e.metrics[k] += share * p.metrics[k];
  }
  return e;
}

void print_evaluation(const Evaluation& e, const std::vector<std::string>& names) {
  std::printf("  test_return_mean %.3f  test_ep_length_mean %.1f", e.return_mean, e.length_mean);
  for (std::size_t k = 0; k < names.size(); ++k) std::printf("  test_%s_mean %.3f", names[k].c_str(), e.metrics[k]);
  std::printf("\n");
  std::fflush(stdout);
}

template <class M>
void train(const Options& o, Players& players, ParameterLayout& layout, const Players::Agent& agent, M mixer) {
  QLearner learner(layout, agent, std::move(mixer), RmsProp<float>({.lr = o.lr}),
                   {.target_update = {TargetUpdate::Rule::every_episodes, 200}}, Random(o.seed, "parameters"));
  EpisodeBuffer<float> buffer(5000, std::size_t{2} << 30);
  EpisodeBatch<float> batch;
  Random sampling(o.seed, "replay");
  const EpsilonSchedule epsilon{.anneal_time = o.epsilon_anneal_time};
  std::int64_t t_env = 0;
  double environments = 0;
  const auto begin = remote::Clock::now();
  for (int episode = 0, evaluated = -1; episode < o.episodes;) {
    if (episode / o.test_interval != evaluated) {
      evaluated = episode / o.test_interval;
      double ignored = 0;
      print_evaluation(mean(players.play(agent, learner.state().parameters, 0, o.seed, "test",
                                         static_cast<std::uint64_t>(episode), std::size_t(o.test_nepisode), ignored)),
                       players.metric_names());
    }
    const double now = epsilon(t_env);
    auto played = players.play(agent, learner.state().parameters, now, o.seed, "train",
                               static_cast<std::uint64_t>(episode), players.size(), environments);
    QLearnerStats stats;
    for (Played& p : played) {
      t_env += p.episode.length();
      ++episode;
      buffer.add(std::move(p.episode));
      if (buffer.size() < o.batch_size) continue;
      batch.assign<float>(buffer.sample(o.batch_size, sampling));
      stats = learner.update(batch, episode);
    }
    if (episode / o.test_interval == evaluated) continue;
    const double seconds = remote::Seconds(remote::Clock::now() - begin).count();
    std::printf(
        "episode %d  t_env %lld  steps/s %.0f  waiting for environments %.0f %%  epsilon %.2f  loss %.4f"
        "  episodes_aborted %lld\n",
        episode, static_cast<long long>(t_env), double(t_env) / seconds, 100 * environments / seconds, now, stats.loss,
        static_cast<long long>(players.aborted()));
  }
}

int run(const Options& o) {
  Players players(remote_options(o), o.n_envs);
  const EnvironmentInfo info = players.info();
  std::printf("%s: %d agents, %d actions, obs %d, state %d, units %d, at most %d steps\n",
              players.environment(0).welcome().environment.c_str(), int(info.n_agents), int(info.n_actions),
              int(info.obs_shape), int(info.state_shape), int(info.unit_dim), int(info.episode_limit));
  ParameterLayout layout;
  const Players::Agent agent(
      layout, "agent",
      {.n_agents = info.n_agents, .n_actions = info.n_actions, .obs_shape = info.obs_shape, .hidden_dim = 64});
  std::visit([&](auto mixer) { train(o, players, layout, agent, std::move(mixer)); },
             make_mixer<float>(o.mixer, layout, info.n_agents, info.state_shape, info.unit_dim));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a team on SMAC, or any other environment, behind a socket");
  app.option_defaults()->always_capture_default();
  app.add_flag("--mock", o.mock, "a stand-in for SMAC that needs no StarCraft II");
  app.add_option("--env", o.env, "MODULE:CLASS of the environment");
  app.add_option("--map", o.map, "its argument map_name; empty: none");
  app.add_option("--arg", o.args, "more arguments, NAME=VALUE");
  app.add_option("--server-option", o.server_options, "more options for the server, as --server-option=--metrics=x");
  app.add_option("--endpoint", o.endpoint,
                 "a server that runs already, unix:PATH or tcp:HOST:PORT; QATTEN_TOKEN holds its token");
  app.add_option("--python", o.python, "the Python that has the environment");
  app.add_option("--server", o.server, "qatten_env_server.py");
  app.add_option("--record", o.record, "a file for all traffic");
  app.add_option("--log", o.log, "a file for the output of the servers");
  app.add_option("--mixer", o.mixer, "iql, vdn, qmix, qatten, qatten-pymarl2, qlinear");
  app.add_option("--envs", o.n_envs, "environments side by side")->check(CLI::PositiveNumber);
  app.add_option("--episodes", o.episodes, "to train for");
  app.add_option("--test-interval", o.test_interval, "episodes between evaluations")->check(CLI::PositiveNumber);
  app.add_option("--test-nepisode", o.test_nepisode, "greedy episodes each")->check(CLI::PositiveNumber);
  app.add_option("--batch-size", o.batch_size, "episodes an update")->check(CLI::PositiveNumber);
  app.add_option("--epsilon-anneal-time", o.epsilon_anneal_time, "steps");
  app.add_option("--lr", o.lr, "of RMSprop");
  app.add_option("--seed", o.seed, "");
  CLI11_PARSE(app, argc, argv);
  if (const char* token = std::getenv("QATTEN_TOKEN")) o.token = token;  // never an argument, which others can see
  try {
    return run(o);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
