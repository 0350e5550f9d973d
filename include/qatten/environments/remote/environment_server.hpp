#pragma once
// Serves C++ environments over the protocol (docs/protocol.md): one of them and one thread a connection.

#include <sys/stat.h>

#include <asio/system_error.hpp>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/remote/channel.hpp"
#include "qatten/environments/remote/messages.hpp"

namespace qatten::inline QATTEN_ABI {

namespace remote {

/// Any environment, behind one type.
class ServedEnvironment {
 public:
  virtual ~ServedEnvironment() = default;
  virtual EnvironmentInfo info() const = 0;
  virtual void reset(const Random& stream) = 0;
  virtual void observe(const Observation& to) const = 0;
  virtual StepResult step(std::span<const int> actions) = 0;
  virtual std::vector<std::string> metric_names() const = 0;
  virtual void metrics(std::vector<double>& to) const = 0;
};

template <Environment E>
class Served : public ServedEnvironment {
 public:
  explicit Served(std::unique_ptr<E> environment) : environment_(std::move(environment)) {}

  EnvironmentInfo info() const override { return environment_->info(); }
  void reset(const Random& stream) override { environment_->reset(stream); }
  void observe(const Observation& to) const override { std::as_const(*environment_).observe(to); }
  StepResult step(std::span<const int> actions) override { return environment_->step(actions); }
  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names;
    if constexpr (ReportsMetrics<E>)
      for (const Metric& m : environment_->metrics()) names.emplace_back(m.name);
    return names;
  }
  void metrics([[maybe_unused]] std::vector<double>& to) const override {
    to.clear();
    if constexpr (ReportsMetrics<E>)
      for (const Metric& m : environment_->metrics()) to.push_back(m.value);
  }

 private:
  std::unique_ptr<E> environment_;
};

/// Signs of life: while a call lasts, a BUSY every `period`.
class Heartbeat {
 public:
  Heartbeat(Channel& channel, double period)
      : channel_(channel), period_(duration(period)), thread_([this] { run(); }) {}
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  ~Heartbeat() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void begin(std::uint32_t session, std::uint32_t sequence) {
    const std::lock_guard lock(mutex_);
    busy_ = empty_frame(Type::busy, session, sequence);
    since_ = Clock::now();
  }

  /// Sends the answer, after which there are no more signs.
  void end(std::span<const std::byte> frame, Clock::time_point until) {
    const std::lock_guard lock(mutex_);
    busy_.clear();
    channel_.send(frame, until);
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, period_, [this] { return done_; })) {
      if (busy_.empty() || Clock::now() < since_ + period_) continue;
      try {
        channel_.send(busy_, Clock::now() + period_);
      } catch (const ConnectionLost&) {
        return;  // the thread that serves will notice
      }
    }
  }

  Channel& channel_;
  Clock::duration period_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Bytes busy_;
  Clock::time_point since_;
  bool done_ = false;
  std::thread thread_;  // last: it uses the others
};

/// Equal, in a time that tells nothing about where they differ.
inline bool same_token(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t k = 0; k < a.size(); ++k)
    difference |= static_cast<unsigned char>(a[k]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[k % b.size()]);
  return difference == 0;
}

}  // namespace remote

/// Times in seconds.
struct ServerOptions {
  std::string endpoint = "tcp:127.0.0.1:0";  ///< port 0: the system chooses
  std::string token{};                       ///< what clients must know; empty: nothing
  bool allow_remote = false;                 ///< listen beyond this machine (needs a token)
  std::string name = "an environment";       ///< what is served, for the handshake
  double handshake_timeout = 10;
  double idle_timeout = 900;  ///< silence of a client after which it is given up
  double send_timeout = 60;   ///< a client that does not take in its answer
  int max_connections = 256;
};

class EnvironmentServer {
 public:
  using Factory = std::function<std::unique_ptr<remote::ServedEnvironment>(std::uint64_t seed)>;

  /// Listens from here on, serves from `start` or `run` on. `make(seed)` makes an environment for each connection, and
  /// again after one has failed; it is called from several threads. Throws when the endpoint cannot be had.
  template <class Make>
  EnvironmentServer(ServerOptions options, Make make)
      : options_(std::move(options)), make_([make = std::move(make)](std::uint64_t seed) {
          auto environment = make(seed);
          using E = typename decltype(environment)::element_type;
          return std::make_unique<remote::Served<E>>(std::move(environment));
        }) {
    listen();
  }
  EnvironmentServer(const EnvironmentServer&) = delete;
  EnvironmentServer& operator=(const EnvironmentServer&) = delete;
  ~EnvironmentServer() {
    stop();
    if (endpoint_.kind == remote::Endpoint::Kind::unix_socket) ::unlink(endpoint_.path.c_str());
  }

  const remote::Endpoint& endpoint() const { return endpoint_; }

  /// Serves on a thread of its own.
  void start() {
    detail::require(!acceptor_thread_.joinable(), "EnvironmentServer::start", "it has been started");
    acceptor_thread_ = std::thread([this] { run(); });
  }

  /// Serves until `stop`, which another thread or a signal handler's thread calls.
  void run() {
    while (!stopping_) {
      sweep();
      std::optional<remote::Socket> socket = accept();
      if (!socket) continue;
      if (std::ssize(connections_) >= options_.max_connections) continue;  // closes it
      connections_.emplace_back();
      Connection& connection = connections_.back();
      try {
        connection.thread = std::thread([this, &connection, s = std::move(*socket)]() mutable {
          serve(std::move(s));
          connection.done = true;
        });
      } catch (const std::system_error&) {  // no more threads: the client is turned away
        connections_.pop_back();
      }
    }
  }

  /// Ends `run` and every connection; returns when their threads have ended, which takes as long as a step.
  void stop() {
    stopping_ = true;
    if (acceptor_thread_.joinable()) acceptor_thread_.join();
    for (Connection& connection : connections_) connection.thread.join();
    connections_.clear();
  }

 private:
  using Clock = remote::Clock;
  static constexpr double tick = 0.05;  ///< how late `stop` may be noticed

  struct Connection {
    std::thread thread;
    std::atomic<bool> done = false;
  };

  /// What a connection knows of its environment.
  struct Session {
    explicit Session(const remote::Layout& l, std::uint64_t s)
        : layout(l), result(l), actions(static_cast<std::size_t>(l.info.n_agents)), seed(s) {}
    remote::Layout layout;
    remote::Result result;
    std::vector<int> actions;
    std::uint64_t seed;
    std::unique_ptr<remote::ServedEnvironment> environment{};  ///< none after it failed
    bool running = false;
    std::optional<Random::State> untouched{};  ///< the stream of a reset that no step has followed
  };

  void listen() {
    using namespace remote;
    const Endpoint wanted = parse_endpoint(options_.endpoint);
    check_reach("EnvironmentServer", wanted, options_.allow_remote, options_.token);
    try {
      if (wanted.kind == Endpoint::Kind::unix_socket) {
        remove_stale_socket(wanted.path);
        unix_acceptor_.emplace(context_);
        unix_acceptor_->open();
        const mode_t mask = ::umask(0177);  // the socket is ours alone
        asio::error_code error;
        unix_acceptor_->bind(wanted.path, error);
        ::umask(mask);
        if (error) throw asio::system_error(error);
        unix_acceptor_->listen();
        unix_acceptor_->non_blocking(true);
        endpoint_ = wanted;
      } else {
        tcp_acceptor_.emplace(context_, asio::ip::tcp::endpoint(asio::ip::make_address(wanted.host), wanted.port));
        tcp_acceptor_->non_blocking(true);
        endpoint_ = {.kind = Endpoint::Kind::tcp,
                     .host = wanted.host,
                     .port = tcp_acceptor_->local_endpoint().port(),
                     .path = {}};
      }
    } catch (const asio::system_error& error) {
      throw Error("EnvironmentServer: cannot listen on " + wanted.text() + ": " + error.code().message());
    }
  }

  static void remove_stale_socket(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  }

  /// A connection, if one comes within a tick.
  std::optional<remote::Socket> accept() {
    pollfd descriptor{unix_acceptor_ ? unix_acceptor_->native_handle() : tcp_acceptor_->native_handle(), POLLIN, 0};
    if (::poll(&descriptor, 1, static_cast<int>(1000 * tick)) <= 0) return {};
    asio::error_code error;
    if (unix_acceptor_) {
      asio::local::stream_protocol::socket socket = unix_acceptor_->accept(error);
      if (!error) return remote::Socket(std::move(socket));
    } else {
      asio::ip::tcp::socket socket = tcp_acceptor_->accept(error);
      if (!error) return remote::Socket(std::move(socket));
    }
    return {};
  }

  void sweep() {
    connections_.remove_if([](Connection& connection) {
      if (!connection.done) return false;
      connection.thread.join();
      return true;
    });
  }

  /// One connection from handshake to end. Nothing escapes: what the client should know it is told.
  void serve(remote::Socket accepted) {
    using namespace remote;
    auto context = std::make_shared<asio::io_context>();
    try {
      // The accepted socket belongs to the acceptor's context; this connection runs its own.
      const auto protocol = accepted.local_endpoint().protocol();
      Socket socket(*context, protocol, accepted.release());
      Channel channel(context, std::move(socket));
      std::uint32_t session = 0, sequence = 0;
      const auto tell = [&](ErrorCode code, const std::string& text) {
        Bytes frame;
        start_frame(frame);
        put_failure(frame, {code, true, text});
        finish_frame(frame, Type::error, session, sequence);
        channel.send(frame, Clock::now() + duration(1));
      };
      try {
        serve(channel, session, sequence);
      } catch (const ProtocolError& error) {
        tell(error.code(), error.what());
      } catch (const ConnectionLost&) {
      } catch (const std::exception& error) {
        tell(ErrorCode::internal, error.what());
      }
    } catch (const std::exception&) {
      // The client is gone: there is nobody to tell.
    }
  }

  void serve(remote::Channel& channel, std::uint32_t& session, std::uint32_t& sequence) {
    using namespace remote;
    std::optional<Frame> frame = next(channel, options_.handshake_timeout);
    if (!frame) throw ProtocolError(stopping_ ? ErrorCode::shutting_down : ErrorCode::timeout, "no HELLO in time");
    if (frame->type != Type::hello) throw ProtocolError(ErrorCode::bad_state, "expected HELLO first");
    sequence = frame->sequence;
    const Hello hello = read_hello(frame->payload);
    if (!options_.token.empty() && !same_token(options_.token, hello.token))
      throw ProtocolError(ErrorCode::token, hello.token.empty() ? "this server demands a token" : "the token is wrong");
    session = next_session_++;
    Heartbeat heartbeat(channel, hello.heartbeat);
    heartbeat.begin(session, sequence);
    std::unique_ptr<ServedEnvironment> environment = construct(hello.seed);
    const Layout layout(environment->info(), environment->metric_names().size());
    channel.set_limit(std::max(layout.step_bytes, slack_bytes));
    Session s(layout, hello.seed);
    s.environment = std::move(environment);
    Bytes answer;
    start_frame(answer);
    put_welcome(answer, {.info = layout.info,
                         .metric_names = s.environment->metric_names(),
                         .environment = options_.name,
                         .abilities = {"seed"},
                         .name = "qatten C++"});
    finish_frame(answer, Type::welcome, session, sequence);
    heartbeat.end(answer, Clock::now() + duration(options_.send_timeout));

    while ((frame = next(channel, options_.idle_timeout))) {
      if (frame->session != session) throw ProtocolError(ErrorCode::bad_state, "the session is another one's");
      if (frame->sequence != sequence + 1) throw ProtocolError(ErrorCode::bad_state, "the sequence has a gap");
      sequence = frame->sequence;
      heartbeat.begin(session, sequence);
      start_frame(answer);
      const Type type = reply(s, *frame, answer);
      finish_frame(answer, type, session, sequence);
      heartbeat.end(answer, Clock::now() + duration(options_.send_timeout));
      if (type == Type::bye) return;
    }
    throw ProtocolError(stopping_ ? ErrorCode::shutting_down : ErrorCode::timeout, "the server ends the connection");
  }

  /// The next frame; nothing when none comes in time or the server stops.
  std::optional<remote::Frame> next(remote::Channel& channel, double timeout) {
    const auto until = Clock::now() + remote::duration(timeout);
    while (!stopping_ && Clock::now() < until)
      if (auto frame = channel.receive(std::min(until, Clock::now() + remote::duration(tick)))) return frame;
    return {};
  }

  std::unique_ptr<remote::ServedEnvironment> construct(std::uint64_t seed) {
    try {
      return make_(seed);
    } catch (const std::exception& error) {
      throw remote::ProtocolError(remote::ErrorCode::construction,
                                  "the environment could not be made: " + std::string(error.what()));
    }
  }

  /// Does what the frame asks and writes the payload of the answer, whose type it returns.
  remote::Type reply(Session& s, const remote::Frame& frame, remote::Bytes& answer) {
    using namespace remote;
    switch (frame.type) {
      case Type::reset:
        reset(s, read_reset(frame.payload));
        s.result.put(answer);
        return Type::result;
      case Type::step:
        if (!s.running) throw ProtocolError(ErrorCode::bad_state, "STEP without a RESET before it");
        read_step(s.layout, frame.payload, s.actions);
        if (const std::string problem = unavailable(s); !problem.empty()) {
          put_failure(answer, {ErrorCode::unavailable_action, false, problem});
          return Type::error;
        }
        step(s);
        s.result.put(answer);
        return Type::result;
      case Type::stats:
        put_stats(answer, {});
        return Type::stats_result;
      case Type::ping:
        return Type::pong;
      case Type::close:
        return Type::bye;
      default:
        throw ProtocolError(ErrorCode::bad_state,
                            "frames of type " + std::to_string(static_cast<int>(frame.type)) + " are not served here");
    }
  }

  /// A reset of what was reset already, and not touched since, is answered from memory.
  void reset(Session& s, const remote::ResetRequest& request) {
    if (s.untouched == request.stream) return;
    if (!s.environment) s.environment = construct(s.seed);
    s.running = guarded(s, [&] {
      s.environment->reset(Random(request.stream));
      s.result.outcome = {};
      s.result.step = 0;
      look(s);
    });
    s.untouched = s.running ? std::optional(request.stream) : std::nullopt;
  }

  void step(Session& s) {
    s.untouched.reset();
    s.running = guarded(s, [&] {
      s.result.outcome = s.environment->step(s.actions);
      ++s.result.step;
      if (s.result.outcome.aborted) throw Error("the environment aborted the episode");
      const bool ended = s.result.outcome.terminated || s.result.outcome.truncated;
      if (!ended && s.result.step >= static_cast<std::uint64_t>(s.layout.info.episode_limit))
        s.result.outcome.truncated = true;
      look(s);
    });
    if (s.result.outcome.terminated || s.result.outcome.truncated) s.running = false;
  }

  /// What the environment throws voids its episode, and the environment is made anew for the next.
  template <class F>
  bool guarded(Session& s, F&& f) {
    try {
      f();
      s.result.text.clear();
      return true;
    } catch (const std::exception& error) {
      s.result.outcome = {.aborted = true};
      s.result.text = std::string(error.what()).substr(0, 4096);
      s.environment.reset();
      return false;
    }
  }

  static void look(Session& s) {
    s.environment->observe(s.result.clear());
    s.environment->metrics(s.result.metrics);
    detail::require(s.result.metrics.size() == s.layout.metrics_count, "EnvironmentServer",
                    "the environment's metrics have changed their number");
  }

  /// Empty when every action may be taken.
  static std::string unavailable(const Session& s) {
    const auto available = s.result.available();
    for (Index i = 0; i < available.cols(); ++i) {
      const int action = s.actions[static_cast<std::size_t>(i)];
      if (action < 0 || action >= available.rows() || available(action, i) == 0)
        return "agent " + std::to_string(i) + " chose action " + std::to_string(action) + ", which is not available";
    }
    return {};
  }

  ServerOptions options_;
  Factory make_;
  asio::io_context context_;
  std::optional<asio::local::stream_protocol::acceptor> unix_acceptor_;
  std::optional<asio::ip::tcp::acceptor> tcp_acceptor_;
  remote::Endpoint endpoint_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint32_t> next_session_ = 1;
  std::list<Connection> connections_;
  std::thread acceptor_thread_;
};

}  // namespace qatten::inline QATTEN_ABI
