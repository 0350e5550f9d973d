#pragma once
// Several environments behind sockets, played together: while one thinks, the others do too.

#include <memory>
#include <string>
#include <vector>

#include "qatten/agents/recurrent.hpp"
#include "qatten/environments/remote/remote_environment.hpp"
#include "qatten/replay/episode.hpp"
#include "qatten/training/exploration.hpp"

/// An episode that came to its end, and how it went.
struct Played {
  qatten::Episode<float> episode;
  std::vector<double> metrics;  ///< under the environments' names
};

class Players {
 public:
  using Agent = qatten::RecurrentAgent<float>;

  Players(const qatten::RemoteOptions& options, int count) : context_(std::make_shared<asio::io_context>()) {
    for (int k = 0; k < count; ++k) {
      qatten::RemoteOptions own = options;
      own.seed = options.seed + static_cast<std::uint64_t>(k);
      if (!own.record.empty() && k > 0) own.record += "." + std::to_string(k);
      seats_.push_back(std::make_unique<Seat>(own, context_));  // one after the other: starting StarCraft II is heavy
    }
  }

  qatten::EnvironmentInfo info() const { return seats_[0]->environment.info(); }
  const qatten::RemoteEnvironment& environment(std::size_t k) const { return seats_[k]->environment; }
  std::size_t size() const { return seats_.size(); }

  std::vector<std::string> metric_names() const { return seats_[0]->environment.welcome().metric_names; }

  std::int64_t aborted() const {
    std::int64_t sum = 0;
    for (const auto& seat : seats_) sum += seat->environment.counters().aborted;
    return sum;
  }

  /// Plays the episodes `first` … `first + count - 1` of `purpose`; episodes that an environment's failure voids are
  /// played again. `seconds` gets the time spent waiting for the environments.
  std::vector<Played> play(const Agent& agent, const qatten::Vector<float>& parameters, double epsilon,
                           std::uint64_t seed, const std::string& purpose, std::uint64_t first, std::size_t count,
                           double& seconds) {
    std::vector<Played> played(count);
    std::vector<std::size_t> waiting;
    for (std::size_t k = count; k-- > 0;) waiting.push_back(k);
    const auto stream = [&](const std::string& what, std::size_t k) {
      return qatten::Random(seed, purpose + " " + what, first + k);
    };
    for (std::vector<Seat*> playing;;) {
      std::vector<Seat*> starting;
      for (auto& seat : seats_) {
        if (seat->number >= 0 || waiting.empty()) continue;
        seat->number = static_cast<std::ptrdiff_t>(waiting.back());
        waiting.pop_back();
        seat->exploration = stream("exploration", static_cast<std::size_t>(seat->number));
        seat->prepare(agent);
        starting.push_back(seat.get());
      }
      const auto start = qatten::remote::Clock::now();
      for (Seat* seat : starting)
        seat->environment.reset_begin(stream("environment", static_cast<std::size_t>(seat->number)));
      for (Seat* seat : starting) seat->environment.reset_end();
      seconds += qatten::remote::Seconds(qatten::remote::Clock::now() - start).count();
      playing.insert(playing.end(), starting.begin(), starting.end());
      if (playing.empty()) return played;

      for (Seat* seat : playing) seat->decide(agent, parameters, epsilon);
      const auto step = qatten::remote::Clock::now();
      for (Seat* seat : playing) seat->environment.step_begin(seat->actions);
      for (Seat* seat : playing) seat->result = seat->environment.step_end();
      seconds += qatten::remote::Seconds(qatten::remote::Clock::now() - step).count();

      std::erase_if(playing, [&](Seat* seat) {
        const auto k = static_cast<std::size_t>(seat->number);
        if (seat->result.aborted)
          waiting.push_back(k);  // nothing of it counts
        else if (!seat->take_result())
          return false;
        else
          played[k] = seat->finish();
        seat->number = -1;
        return true;
      });
    }
  }

 private:
  struct Seat {
    Seat(const qatten::RemoteOptions& options, std::shared_ptr<asio::io_context> context)
        : environment(options, std::move(context)) {}

    void prepare(const Agent& agent) {
      const qatten::EnvironmentInfo info = environment.info();
      agent.prepare(scratch, info.n_agents, info.n_agents);
      hidden.setZero(agent.options().hidden_dim, info.n_agents);
      q.resize(info.n_actions, info.n_agents);
      record.resize(info.n_agents, info.n_actions, info.obs_shape, info.state_shape, info.unit_dim, info.episode_limit);
      last_actions.setConstant(1, info.n_agents, -1);
      actions.resize(static_cast<std::size_t>(info.n_agents));
      t = 0;
    }

    void observe() {
      const qatten::Index n = environment.info().n_agents, unit_dim = environment.info().unit_dim;
      environment.observe({record.obs.middleCols(t * n, n), record.state.col(t),
                           qatten::View<float>(record.units.data() + t * record.units.rows(), unit_dim, n, unit_dim),
                           record.available.middleCols(t * n, n), record.alive.col(t)});
    }

    void decide(const Agent& agent, const qatten::Vector<float>& parameters, double epsilon) {
      observe();
      const qatten::Index n = environment.info().n_agents;
      const qatten::ConstView<float> obs = record.obs.middleCols(t * n, n);
      agent.step(parameters, {obs, last_actions}, hidden, q, scratch);
      qatten::epsilon_greedy<float>(q, record.available.middleCols(t * n, n), epsilon, exploration, actions);
    }

    /// True at the end of the episode.
    bool take_result() {
      for (std::size_t i = 0; i < actions.size(); ++i) {
        const auto agent = static_cast<qatten::Index>(i);
        record.actions(agent, t) = last_actions(0, agent) = actions[i];
      }
      record.rewards(t++) = result.reward;
      record.terminated = result.terminated;
      return result.terminated || result.truncated;
    }

    Played finish() {
      observe();
      Played played{record.first(t), {}};
      for (const qatten::Metric& metric : environment.metrics()) played.metrics.push_back(metric.value);
      return played;
    }

    qatten::RemoteEnvironment environment;
    std::ptrdiff_t number = -1;  ///< which episode it plays; -1: none
    qatten::Index t = 0;
    qatten::Episode<float> record{};
    qatten::Matrix<float> hidden{}, q{};
    qatten::Matrix<std::int32_t> last_actions{};
    std::vector<int> actions{};
    qatten::StepResult result{};
    qatten::Random exploration{0};
    Agent::Scratch scratch{};
  };

  std::shared_ptr<asio::io_context> context_;
  std::vector<std::unique_ptr<Seat>> seats_;
};
