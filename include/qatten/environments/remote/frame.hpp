#pragma once
// Frames of the protocol qenv/1 (docs/protocol.md): a header of 32 bytes and a payload, everything little-endian.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qatten/core/error.hpp"
#include "qatten/environments/remote/crc32.hpp"

namespace qatten::inline QATTEN_ABI::remote {

static_assert(std::endian::native == std::endian::little, "qatten's remote environments need a little-endian machine");

inline constexpr std::uint32_t magic = 0x564E4551;  ///< the bytes "QENV"
inline constexpr std::uint8_t version_major = 1;
inline constexpr std::uint8_t version_minor = 0;

/// Bytes of payload that either side accepts before the handshake, and beyond the fixed layout after it.
inline constexpr std::size_t slack_bytes = std::size_t{64} << 10;
/// No payload is larger, whatever the environment.
inline constexpr std::size_t max_payload_bytes = std::size_t{64} << 20;

enum class Type : std::uint16_t {
  hello = 1,
  welcome = 2,
  reset = 3,
  step = 4,
  result = 5,
  stats = 6,
  stats_result = 7,
  save_replay = 8,
  replay_saved = 9,
  ping = 10,
  pong = 11,
  busy = 12,
  close = 13,
  bye = 14,
  error = 15,
};

enum class ErrorCode : std::uint16_t {
  bad_frame = 1,           ///< magic, flags, checksum or a reserved field
  version = 2,             ///< no version in common
  token = 3,               ///< missing or wrong
  too_large = 4,           ///< payload beyond what this side accepts
  bad_state = 5,           ///< unknown type, or one that does not fit now
  bad_payload = 6,         ///< sizes or values that do not fit the agreed layout
  unavailable_action = 7,  ///< the only one that is not fatal: nothing was done, the episode goes on
  construction = 8,        ///< the environment could not be made
  environment_dead = 9,    ///< it failed, and rebuilding it failed too
  timeout = 10,
  shutting_down = 11,
  internal = 12,
};

/// What breaks the protocol, with the code that the other side should be told.
class ProtocolError : public Error {
 public:
  ProtocolError(ErrorCode code, const std::string& message) : Error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

struct FrameHeader {
  std::uint32_t magic = remote::magic;
  std::uint8_t major = version_major;
  std::uint8_t minor = version_minor;
  std::uint16_t type = 0;
  std::uint32_t session = 0;
  std::uint32_t sequence = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t flags = 0;
  std::uint32_t crc32 = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(FrameHeader) == 32);

/// A received frame; its payload lies in the decoder's memory until the decoder is used again.
struct Frame {
  Type type{};
  std::uint32_t session = 0;
  std::uint32_t sequence = 0;
  std::span<const std::byte> payload;
};

using Bytes = std::vector<std::byte>;

namespace detail {

using qatten::detail::crc32;
using qatten::detail::require;

inline std::size_t round_up_8(std::size_t n) { return (n + 7) / 8 * 8; }

/// The checksum of a frame: its own field counts as zero.
inline std::uint32_t frame_checksum(FrameHeader header, std::span<const std::byte> payload) {
  header.crc32 = 0;
  return crc32(payload, crc32(std::as_bytes(std::span(&header, 1))));
}

}  // namespace detail

/// Starts a frame in `frame`: room for the header, to be followed by the payload and `finish_frame`.
inline void start_frame(Bytes& frame) { frame.assign(sizeof(FrameHeader), std::byte{0}); }

/// Writes the header of a frame whose payload is complete, padded to a multiple of 8 bytes.
inline void finish_frame(Bytes& frame, Type type, std::uint32_t session, std::uint32_t sequence) {
  frame.resize(detail::round_up_8(frame.size()), std::byte{0});
  const std::span<const std::byte> payload = std::span(frame).subspan(sizeof(FrameHeader));
  FrameHeader header{.type = static_cast<std::uint16_t>(type),
                     .session = session,
                     .sequence = sequence,
                     .payload_bytes = static_cast<std::uint32_t>(payload.size())};
  header.crc32 = detail::frame_checksum(header, payload);
  std::memcpy(frame.data(), &header, sizeof header);
}

/// A frame without payload.
inline Bytes empty_frame(Type type, std::uint32_t session, std::uint32_t sequence) {
  Bytes frame;
  start_frame(frame);
  finish_frame(frame, type, session, sequence);
  return frame;
}

/// Cuts a stream of bytes, however it arrives, into frames. Holds one frame's worth of memory, never more than the
/// limit allows, and asks for it only after the header has proved sound.
class FrameDecoder {
 public:
  /// The largest payload that is accepted from now on.
  void set_limit(std::size_t bytes) { limit_ = std::min(bytes, max_payload_bytes); }

  /// Where the next bytes of the stream go: at least one byte. Ends the validity of frames handed out before.
  std::span<std::byte> space() {
    if (begin_ > 0) {
      std::copy(buffer_.begin() + begin_, buffer_.begin() + end_, buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    const std::size_t needed = std::max(first_frame_bytes(), static_cast<std::size_t>(end_)) + read_ahead;
    if (buffer_.size() < needed) buffer_.resize(needed);
    return std::span(buffer_).subspan(static_cast<std::size_t>(end_));
  }

  /// `count` bytes have been put there.
  void received(std::size_t count) { end_ += static_cast<std::ptrdiff_t>(count); }

  /// The next frame if all of it has arrived. Throws ProtocolError for one that cannot be right; the stream is of no
  /// use after that.
  std::optional<Frame> next() {
    if (available() < sizeof(FrameHeader)) return {};
    const FrameHeader header = peek();
    check(header);
    const std::size_t size = sizeof header + header.payload_bytes;
    if (available() < size) return {};
    const auto payload = std::span<const std::byte>(buffer_).subspan(static_cast<std::size_t>(begin_) + sizeof header,
                                                                     size - sizeof header);
    if (detail::frame_checksum(header, payload) != header.crc32)
      throw ProtocolError(ErrorCode::bad_frame, "frame: the checksum does not match: the frame was damaged");
    begin_ += static_cast<std::ptrdiff_t>(size);
    return Frame{static_cast<Type>(header.type), header.session, header.sequence, payload};
  }

  /// No frame has begun: the other side may close here.
  bool between_frames() const { return available() == 0; }

 private:
  static constexpr std::size_t read_ahead = 4096;

  std::size_t available() const { return static_cast<std::size_t>(end_ - begin_); }

  FrameHeader peek() const {
    FrameHeader header;
    std::memcpy(&header, buffer_.data() + begin_, sizeof header);
    return header;
  }

  /// Bytes of the frame at the start of the buffer, as far as known and never beyond the limit.
  std::size_t first_frame_bytes() const {
    if (available() < sizeof(FrameHeader)) return sizeof(FrameHeader);
    return sizeof(FrameHeader) + std::min<std::size_t>(peek().payload_bytes, limit_);
  }

  void check(const FrameHeader& header) const {
    const auto fail = [](ErrorCode code, const std::string& message) {
      throw ProtocolError(code, "frame: " + message);
    };
    if (header.magic == 0x51454E56) fail(ErrorCode::bad_frame, "the other side is big-endian, expected little-endian");
    if (header.magic != magic) fail(ErrorCode::bad_frame, "got no QENV magic: the other side speaks something else");
    if (header.major != version_major)
      fail(ErrorCode::version,
           "got version " + std::to_string(header.major) + ", expected " + std::to_string(version_major));
    if (header.flags != 0 || header.reserved != 0) fail(ErrorCode::bad_frame, "a reserved field is not zero");
    if (header.payload_bytes % 8 != 0) fail(ErrorCode::bad_frame, "the payload is not a multiple of 8 bytes");
    if (header.payload_bytes > limit_)
      fail(ErrorCode::too_large, "got a payload of " + std::to_string(header.payload_bytes) +
                                     " bytes, expected at most " + std::to_string(limit_));
  }

  std::size_t limit_ = slack_bytes;
  Bytes buffer_;
  std::ptrdiff_t begin_ = 0, end_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI::remote
