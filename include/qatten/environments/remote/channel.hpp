#pragma once
// One connection: frames out in a single write each, frames in as they arrive, every wait with an end.

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "qatten/environments/remote/endpoint.hpp"
#include "qatten/environments/remote/frame.hpp"

namespace qatten::inline QATTEN_ABI::remote {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Socket = asio::generic::stream_protocol::socket;

inline Clock::duration duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
}

/// The connection is gone: closed, reset, or never made.
class ConnectionLost : public Error {
 public:
  using Error::Error;
};

/// Sends from any thread that holds the caller's lock; receives on the thread that runs the context. Channels that
/// share a context make progress together, whichever of them is waited for.
class Channel {
 public:
  Channel(std::shared_ptr<asio::io_context> context, Socket socket)
      : context_(std::move(context)), state_(std::make_shared<State>(std::move(socket))) {
    state_->socket.non_blocking(true);
    ::fcntl(state_->socket.native_handle(), F_SETFD, FD_CLOEXEC);  // or servers would hold each other's connections
    asio::error_code ignored;                                      // not TCP: nothing to set
    state_->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    state_->heard = Clock::now();
  }
  Channel(Channel&&) = default;
  Channel& operator=(Channel&&) = delete;
  ~Channel() {
    if (!state_) return;
    asio::error_code ignored;
    state_->socket.close(ignored);  // a read that is under way ends, and keeps the state until then
  }

  void set_limit(std::size_t payload_bytes) { state_->decoder.set_limit(payload_bytes); }

  /// Called with all bytes as they arrive, sound or not.
  void set_tap(std::function<void(std::span<const std::byte>)> tap) { state_->tap = std::move(tap); }

  /// Writes a whole frame. Throws ConnectionLost, also when the other side does not take it in before `until`.
  void send(std::span<const std::byte> frame, Clock::time_point until) {
    while (!frame.empty()) {
      asio::error_code error;
      const std::size_t written = state_->socket.write_some(asio::buffer(frame.data(), frame.size()), error);
      frame = frame.subspan(written);
      if (error == asio::error::would_block || error == asio::error::try_again)
        wait_writable(until);
      else if (error && error != asio::error::interrupted)
        throw ConnectionLost("send: " + error.message());
    }
  }

  /// The next frame, or nothing when none is complete by `until`; it is valid until the next call. Throws ProtocolError
  /// for a broken frame and ConnectionLost.
  std::optional<Frame> receive(Clock::time_point until) {
    for (;;) {
      if (std::optional<Frame> frame = state_->decoder.next()) return frame;
      if (state_->error) throw ConnectionLost(why_lost());
      if (!state_->reading) read(state_);
      if (context_->stopped()) context_->restart();
      if (Clock::now() < until)
        context_->run_one_until(until);
      else if (context_->poll_one() == 0)
        return {};
    }
  }

  /// When bytes arrived last.
  Clock::time_point heard() const { return state_->heard; }

 private:
  struct State {
    explicit State(Socket s) : socket(std::move(s)) {}
    Socket socket;
    FrameDecoder decoder;
    std::function<void(std::span<const std::byte>)> tap;
    asio::error_code error;
    Clock::time_point heard;
    bool reading = false;
  };

  static void read(const std::shared_ptr<State>& state) {
    const std::span<std::byte> space = state->decoder.space();
    state->reading = true;
    state->socket.async_read_some(asio::buffer(space.data(), space.size()),
                                  [state, space](const asio::error_code& error, std::size_t count) {
                                    state->reading = false;
                                    state->error = error;
                                    if (count == 0) return;
                                    state->heard = Clock::now();
                                    state->decoder.received(count);
                                    if (state->tap) state->tap(space.first(count));
                                  });
  }

  std::string why_lost() const {
    if (state_->error != asio::error::eof) return "receive: " + state_->error.message();
    return state_->decoder.between_frames() ? "receive: the other side closed the connection"
                                            : "receive: the other side closed the connection in the middle of a frame";
  }

  void wait_writable(Clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd descriptor{state_->socket.native_handle(), POLLOUT, 0};
    if (left <= 0 || ::poll(&descriptor, 1, static_cast<int>(std::min<long>(left, 1 << 30))) == 0)
      throw ConnectionLost("send: the other side does not take in what is sent");
  }

  std::shared_ptr<asio::io_context> context_;
  std::shared_ptr<State> state_;
};

inline asio::generic::stream_protocol::endpoint native(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::unix_socket) return asio::local::stream_protocol::endpoint(endpoint.path);
  return asio::ip::tcp::endpoint(asio::ip::make_address(endpoint.host), endpoint.port);
}

/// Connects, or throws ConnectionLost by `until`.
inline Socket connect(asio::io_context& context, const Endpoint& endpoint, Clock::time_point until) {
  // What the handler writes to outlives this call, which may give up before it runs.
  struct Attempt {
    explicit Attempt(asio::io_context& c) : socket(c) {}
    Socket socket;
    asio::error_code error = asio::error::would_block;
  };
  const auto attempt = std::make_shared<Attempt>(context);
  attempt->socket.async_connect(native(endpoint), [attempt](const asio::error_code& e) { attempt->error = e; });
  while (attempt->error == asio::error::would_block && Clock::now() < until) {
    if (context.stopped()) context.restart();
    context.run_one_until(until);
  }
  if (attempt->error == asio::error::would_block) {
    attempt->socket.close();
    throw ConnectionLost("connect: " + endpoint.text() + " does not answer");
  }
  if (attempt->error) throw ConnectionLost("connect: " + endpoint.text() + ": " + attempt->error.message());
  return std::move(attempt->socket);
}

}  // namespace qatten::inline QATTEN_ABI::remote
