#pragma once
// An environment behind a socket (docs/protocol.md), whatever becomes of it.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/remote/channel.hpp"
#include "qatten/environments/remote/messages.hpp"
#include "qatten/environments/remote/process.hpp"
#include "qatten/environments/remote/recording.hpp"

namespace qatten::inline QATTEN_ABI {

/// Where the environment is and how long it may take; times in seconds.
struct RemoteOptions {
  std::string endpoint{};              ///< unix:PATH or tcp:HOST:PORT of a server that runs already, or
  std::vector<std::string> command{};  ///< the command of a server to start for this environment alone
  std::string token{};                 ///< what the server demands, if it does
  bool allow_remote = false;           ///< an endpoint beyond this machine (needs a token)
  std::uint64_t seed = 0;              ///< for environments that can only be seeded when they are made
  double connect_timeout = 5;          ///< until the first sign of life, too; times 12 to start a server
  double handshake_timeout = 60;       ///< making the environment included
  double first_reset_timeout = 300;    ///< of a connection: StarCraft II starts here
  double reset_timeout = 60;
  double step_timeout = 60;
  double heartbeat = 2;  ///< signs of life during long calls; silence for 3.5 of them means dead
  int max_attempts = 5;  ///< failures in a row, at one reset, before it gives up
  std::string record{};  ///< a file for all traffic
  std::string log{};     ///< a file for the output of a started server
};

/// What ended episodes before their time.
enum class RemoteFault {
  environment,  ///< the server says that the environment failed
  silent,       ///< no sign of life
  slow,         ///< signs of life, but no answer in time
  lost,         ///< the connection was closed or reset, or could not be made
  malformed,    ///< an answer that breaks the protocol or its own layout
};

/// Since construction.
struct RemoteCounters {
  std::int64_t steps = 0;        ///< answered ones
  std::int64_t resets = 0;       ///< answered ones
  std::int64_t aborted = 0;      ///< episodes that a fault voided
  std::int64_t connections = 0;  ///< made, the first one included
  std::int64_t faults[5] = {};   ///< by RemoteFault: those that voided an episode and those during resets
  std::int64_t total_faults() const { return faults[0] + faults[1] + faults[2] + faults[3] + faults[4]; }
};

/// One connection to one environment. A fault voids the episode (`step` gives `aborted`), and the next reset connects
/// anew or restarts the server; what is aborted shows the last sound observation. Environments that share a context
/// progress together: `step_begin` all of them, then `step_end` each.
class RemoteEnvironment {
 public:
  /// Connects and agrees on the sizes. Throws when that fails.
  explicit RemoteEnvironment(RemoteOptions options, std::shared_ptr<asio::io_context> context = nullptr)
      : options_(std::move(options)), context_(context ? std::move(context) : std::make_shared<asio::io_context>()) {
    detail::require(options_.endpoint.empty() != options_.command.empty(), "RemoteEnvironment",
                    "expected either an endpoint or a command");
    detail::require(options_.max_attempts >= 1, "RemoteEnvironment", "max_attempts must be at least 1");
    if (!options_.record.empty()) recorder_ = std::make_unique<remote::Recorder>(options_.record);
    connect();
  }
  RemoteEnvironment(RemoteEnvironment&&) = default;
  RemoteEnvironment& operator=(RemoteEnvironment&&) = delete;
  ~RemoteEnvironment() { hang_up(); }

  EnvironmentInfo info() const { return welcome_.info; }
  /// What the server says of itself and of the environment.
  const remote::Welcome& welcome() const { return welcome_; }
  std::string description() const { return welcome_.environment + " " + welcome_.description; }
  const RemoteCounters& counters() const { return counters_; }
  /// What the last fault was, in words; empty if there has been none.
  const std::string& last_fault() const { return last_fault_; }

  /// Throws when the environment cannot be brought back.
  void reset(const Random& stream) {
    reset_begin(stream);
    reset_end();
  }

  void reset_begin(const Random& stream) {
    detail::require(phase_ != Phase::resetting && phase_ != Phase::stepping, "RemoteEnvironment::reset_begin",
                    "a call is under way");
    reset_ = remote::reset_request(stream);
    phase_ = Phase::resetting;
    sent_ = attempt([&] { send_reset(); });
  }

  void reset_end() {
    detail::require(phase_ == Phase::resetting, "RemoteEnvironment::reset_end", "expected reset_begin before it");
    for (int attempts = 1; !(sent_ && attempt([&] { receive_reset(); })); ++attempts) {
      if (attempts >= options_.max_attempts) {
        phase_ = Phase::over;
        throw Error("RemoteEnvironment::reset: gave up after " + std::to_string(options_.max_attempts) +
                    " attempts; the last failed with: " + last_fault_);
      }
      std::this_thread::sleep_for(remote::Seconds(0.01 * double(1 << std::min(attempts, 8))));
      sent_ = attempt([&] { send_reset(); });
    }
    ++counters_.resets;
    phase_ = Phase::running;
  }

  void observe(const Observation& o) const { result_->copy_to(o); }

  /// Throws, with the episode as it was, for an action that is not available.
  StepResult step(std::span<const int> actions) {
    step_begin(actions);
    return step_end();
  }

  void step_begin(std::span<const int> actions) {
    detail::require(phase_ == Phase::running, "RemoteEnvironment::step_begin", "expected a reset before it");
    check_actions(actions);
    phase_ = Phase::stepping;
    sent_ = attempt([&] { send(remote::Type::step, [&](remote::Bytes& to) { remote::put_step(to, actions); }); });
  }

  StepResult step_end() {
    detail::require(phase_ == Phase::stepping, "RemoteEnvironment::step_end", "expected step_begin before it");
    const std::uint32_t steps = result_->step;
    const bool sound = sent_ && attempt([&] {
                         receive_result(options_.step_timeout, steps + 1);
                         ++counters_.steps;
                       });
    StepResult& outcome = result_->outcome;
    if (!sound) outcome = {.aborted = true};
    counters_.aborted += outcome.aborted;
    phase_ = outcome.terminated || outcome.truncated || outcome.aborted ? Phase::over : Phase::running;
    update_metrics();
    return outcome;
  }

  /// As of the last reset or step, under the names that the server gave in the handshake.
  std::span<const Metric> metrics() const { return metrics_; }

  /// The environment's own statistics (SMAC's get_stats). Throws on a fault, which ends the episode; likewise below.
  remote::NamedNumbers stats() { return remote::read_stats(ask(remote::Type::stats, remote::Type::stats_result)); }

  /// Has the environment save a replay; where, says the server.
  std::string save_replay() {
    const remote::Bytes answer = ask(remote::Type::save_replay, remote::Type::replay_saved);
    return remote::Blocks(answer).text(remote::Field::path);
  }

  /// Seconds for the shortest way to the server and back.
  double ping() {
    const auto start = remote::Clock::now();
    ask(remote::Type::ping, remote::Type::pong);
    return remote::Seconds(remote::Clock::now() - start).count();
  }

 private:
  enum class Phase { over, resetting, running, stepping };

  /// A fault on its way to `attempt`. After an environment's own fault, which the server repairs at the next reset, the
  /// connection is still `usable`.
  struct Fault : Error {
    Fault(RemoteFault k, bool u, const std::string& message) : Error(message), kind(k), usable(u) {}
    RemoteFault kind;
    bool usable;
  };

  /// Calls f; false when a fault ended it. The fault is counted and the connection, unless still usable, dropped.
  template <class F>
  bool attempt(F&& f) {
    try {
      f();
      return true;
    } catch (const Fault& fault) {
      count(fault.kind, fault.what());
      if (!fault.usable) drop();
    } catch (const remote::ProtocolError& error) {
      count(RemoteFault::malformed, error.what());
      drop();
    } catch (const remote::ConnectionLost& error) {
      count(RemoteFault::lost, error.what());
      drop();
    } catch (...) {
      drop();
      phase_ = Phase::over;
      throw;
    }
    return false;
  }

  void count(RemoteFault kind, const std::string& what) {
    ++counters_.faults[static_cast<int>(kind)];
    last_fault_ = what + server_words();
  }

  std::string server_words() const {
    const std::string words = server_ ? server_->last_words() : "";
    return words.empty() ? "" : "\nThe server wrote:\n" + words;
  }

  void drop() {
    if (channel_) record(remote::Event::closed);
    channel_.reset();
    if (server_) server_->kill();
    server_.reset();
  }

  void connect() {
    using remote::Clock;
    const auto until = [](double seconds) { return Clock::now() + remote::duration(seconds); };
    first_reset_ = true;
    sequence_ = 0;
    session_ = 0;
    remote::Endpoint endpoint;
    if (options_.command.empty()) {
      endpoint = remote::parse_endpoint(options_.endpoint);
      remote::check_reach("RemoteEnvironment", endpoint, options_.allow_remote, options_.token);
    } else {
      server_ =
          std::make_unique<remote::ServerProcess>(options_.command, options_.log, until(12 * options_.connect_timeout));
      endpoint = server_->endpoint();
    }
    channel_.emplace(context_, remote::connect(*context_, endpoint, until(options_.connect_timeout)));
    if (recorder_)
      channel_->set_tap([recorder = recorder_.get()](auto bytes) { recorder->add(remote::Event::received, bytes); });
    record(remote::Event::opened);
    try {
      shake_hands();
    } catch (const remote::ConnectionLost& error) {
      throw remote::ConnectionLost(error.what() + server_words());
    }
    ++counters_.connections;
  }

  void shake_hands() {
    remote::Hello hello{.token = options_.token,
                        .seed = options_.seed,
                        .heartbeat = options_.heartbeat,
                        .name = "qatten " + std::to_string(QATTEN_VERSION_MAJOR) + "." +
                                std::to_string(QATTEN_VERSION_MINOR) + "." + std::to_string(QATTEN_VERSION_PATCH)};
    send(remote::Type::hello, [&](remote::Bytes& to) { remote::put_hello(to, hello); });
    const remote::Frame frame = receive(remote::Type::welcome, options_.handshake_timeout);
    remote::Welcome welcome = remote::read_welcome(frame.payload);
    const remote::Layout layout(welcome.info, welcome.metric_names.size());
    session_ = frame.session;
    channel_->set_limit(layout.result_bytes + remote::slack_bytes);
    if (!result_) {
      welcome_ = std::move(welcome);
      result_.emplace(layout);
      update_metrics();
    } else if (welcome.info != welcome_.info || welcome.metric_names != welcome_.metric_names) {
      throw Error("RemoteEnvironment: after reconnecting the server offers another environment than before: " +
                  welcome.environment + ", expected " + welcome_.environment);
    }
  }

  void send_reset() {
    if (!channel_) connect();
    send(remote::Type::reset, [&](remote::Bytes& to) { remote::put_reset(to, reset_); });
  }

  void receive_reset() {
    receive_result(first_reset_ ? options_.first_reset_timeout : options_.reset_timeout, 0);
    if (result_->outcome.aborted) throw Fault(RemoteFault::environment, true, environment_failed());
    if (result_->outcome.terminated || result_->outcome.truncated)
      throw remote::ProtocolError(remote::ErrorCode::bad_payload, "the episode ended with its reset");
    first_reset_ = false;
    update_metrics();
  }

  void receive_result(double timeout, std::uint32_t step) {
    const remote::Frame frame = receive(remote::Type::result, timeout);
    result_->read(frame.payload);
    if (result_->outcome.aborted) {
      if (step > 0) count(RemoteFault::environment, environment_failed());
      return;
    }
    if (result_->step != step)
      throw remote::ProtocolError(remote::ErrorCode::bad_payload, "RESULT is of step " + std::to_string(result_->step) +
                                                                      ", expected " + std::to_string(step));
  }

  std::string environment_failed() const { return "the environment failed: " + result_->text; }

  /// Sends a frame whose payload `put` writes.
  template <class Put>
  void send(remote::Type type, Put&& put) {
    if (!channel_) throw remote::ConnectionLost("not connected");
    remote::start_frame(frame_);
    put(frame_);
    remote::finish_frame(frame_, type, session_, ++sequence_);
    if (recorder_) record_sent(type);
    channel_->send(frame_, remote::Clock::now() + remote::duration(options_.connect_timeout));
    asked_ = remote::Clock::now();
  }

  /// The answer to the last frame sent.
  remote::Frame receive(remote::Type type, double timeout) {
    if (!channel_) throw remote::ConnectionLost("not connected");
    const auto deadline = asked_ + remote::duration(timeout), start = remote::Clock::now();
    // Before the handshake nobody may have read our HELLO yet, nor know of the heartbeat.
    const double patience = std::max(3.5 * options_.heartbeat, session_ == 0 ? options_.connect_timeout : 0);
    const auto silence = remote::duration(patience);
    for (;;) {
      // Time in which nobody listened is no silence.
      const auto dead = std::max(channel_->heard(), start) + silence;
      const std::optional<remote::Frame> frame = channel_->receive(std::min(deadline, dead));
      const auto now = remote::Clock::now();
      if (!frame) {
        if (now >= deadline)
          throw Fault(RemoteFault::slow, false,
                      "no answer after " + std::to_string(timeout) + " s, though the server lives");
        if (now >= std::max(channel_->heard(), start) + silence)
          throw Fault(RemoteFault::silent, false, "no sign of life for " + std::to_string(patience) + " s");
        continue;
      }
      if (frame->type == remote::Type::busy) continue;
      return checked(*frame, type);
    }
  }

  remote::Frame checked(const remote::Frame& frame, remote::Type type) const {
    if (frame.type == remote::Type::error) refuse(remote::read_failure(frame.payload));
    if (frame.type != type)
      throw remote::ProtocolError(remote::ErrorCode::bad_state,
                                  "got a frame of type " + std::to_string(static_cast<int>(frame.type)) +
                                      ", expected " + std::to_string(static_cast<int>(type)));
    if (frame.sequence != sequence_ || (session_ != 0 && frame.session != session_))
      throw remote::ProtocolError(remote::ErrorCode::bad_state, "got the answer to another request");
    return frame;
  }

  /// What the server refuses for good is the user's to know, the rest a fault.
  [[noreturn]] void refuse(const remote::Failure& failure) const {
    using remote::ErrorCode;
    const std::string message = "the server says: " + failure.text;
    const bool never_made = failure.code == ErrorCode::construction && !result_;
    if (never_made || failure.code == ErrorCode::version || failure.code == ErrorCode::token)
      throw Error("RemoteEnvironment: " + message + server_words());
    const bool dead = failure.code == ErrorCode::construction || failure.code == ErrorCode::environment_dead;
    throw Fault(dead ? RemoteFault::environment : RemoteFault::malformed, false, message);
  }

  /// A request without payload; the payload of its answer.
  remote::Bytes ask(remote::Type request, remote::Type answer) {
    detail::require(phase_ == Phase::over || phase_ == Phase::running, "RemoteEnvironment::ask", "a call is under way");
    remote::Bytes payload;
    const bool sound = attempt([&] {
      send(request, [](remote::Bytes&) {});
      const remote::Frame frame = receive(answer, options_.step_timeout);
      payload.assign(frame.payload.begin(), frame.payload.end());
    });
    if (!sound) {
      phase_ = Phase::over;
      throw Error("RemoteEnvironment: " + last_fault_);
    }
    return payload;
  }

  void check_actions(std::span<const int> actions) const {
    const auto available = result_->available();
    detail::require(static_cast<Index>(actions.size()) == available.cols(), "RemoteEnvironment::step",
                    "got " + std::to_string(actions.size()) + " actions, expected " + std::to_string(available.cols()));
    for (Index i = 0; i < available.cols(); ++i) {
      const int action = actions[static_cast<std::size_t>(i)];
      detail::require(
          action >= 0 && action < available.rows() && available(action, i) != 0, "RemoteEnvironment::step",
          "agent " + std::to_string(i) + " chose action " + std::to_string(action) + ", which is not available");
    }
  }

  void update_metrics() {
    metrics_.clear();
    for (std::size_t k = 0; k < welcome_.metric_names.size(); ++k)
      metrics_.push_back({welcome_.metric_names[k], k < result_->metrics.size() ? result_->metrics[k] : 0});
  }

  void record(remote::Event event) {
    if (recorder_) recorder_->add(event);
  }

  void record_sent(remote::Type type) {
    if (type != remote::Type::hello) return recorder_->add(remote::Event::sent, frame_);
    remote::Bytes without_token;
    remote::start_frame(without_token);
    remote::put_hello(without_token, {.token = {}, .seed = options_.seed, .heartbeat = options_.heartbeat, .name = {}});
    remote::finish_frame(without_token, type, session_, sequence_);
    recorder_->add(remote::Event::sent, without_token);
  }

  /// Says goodbye, but does not wait for an answer.
  void hang_up() {
    if (!channel_) return;
    try {
      send(remote::Type::close, [](remote::Bytes&) {});
      record(remote::Event::closed);
    } catch (const std::exception&) {
      // It is gone already.
    }
  }

  RemoteOptions options_;
  std::shared_ptr<asio::io_context> context_;
  std::unique_ptr<remote::Recorder> recorder_;
  std::unique_ptr<remote::ServerProcess> server_;
  std::optional<remote::Channel> channel_;
  remote::Welcome welcome_;
  std::optional<remote::Result> result_;
  std::vector<Metric> metrics_;  ///< names of welcome_
  remote::Bytes frame_;
  remote::ResetRequest reset_;
  remote::Clock::time_point asked_;
  std::uint32_t session_ = 0, sequence_ = 0;
  Phase phase_ = Phase::over;
  bool first_reset_ = true;
  bool sent_ = false;  ///< the request of the call under way
  RemoteCounters counters_;
  std::string last_fault_;
};
static_assert(ReportsMetrics<RemoteEnvironment>);

}  // namespace qatten::inline QATTEN_ABI
