#pragma once
// Everything that either side decodes, from bytes that may be anything. Used by the fuzzers and by the test that
// replays their corpus. Nothing but ProtocolError may come out.

#include <cstring>

#include "qatten/environments/remote/messages.hpp"

namespace qatten_test {

using namespace qatten;

/// Feeds the bytes in pieces of the size that the first one says; `use` sees every frame that passes.
template <class Use>
void decode(std::span<const std::byte> bytes, std::size_t limit, Use&& use) {
  if (bytes.empty()) return;
  const std::size_t piece = std::to_integer<std::size_t>(bytes[0]) + 1;
  bytes = bytes.subspan(1);
  remote::FrameDecoder decoder;
  decoder.set_limit(limit);
  try {
    while (!bytes.empty()) {
      const std::span<std::byte> space = decoder.space();
      if (space.size() > sizeof(remote::FrameHeader) + limit + 2 * 4096) throw std::logic_error("beyond the limit");
      const std::size_t count = std::min({space.size(), bytes.size(), piece});
      std::memcpy(space.data(), bytes.data(), count);
      decoder.received(count);
      bytes = bytes.subspan(count);
      while (const auto frame = decoder.next()) use(*frame);
    }
  } catch (const remote::ProtocolError&) {
  }
}

/// The payload alone, past the checksum that random bytes never match: the first byte picks the reader.
template <class Read>
void decode_payload(Read&& read) {
  try {
    read();
  } catch (const remote::ProtocolError&) {
  }
}

inline const remote::Layout& fuzzed_layout() {
  static const remote::Layout layout(
      {.n_agents = 2, .n_actions = 3, .obs_shape = 3, .state_shape = 5, .unit_dim = 1, .episode_limit = 10}, 2);
  return layout;
}

/// What a server sends.
inline void decode_as_client(std::span<const std::byte> bytes) {
  static remote::Result result(fuzzed_layout());
  const auto read = [](unsigned which, std::span<const std::byte> payload) {
    switch (which) {
      case 0: {
        const remote::Welcome welcome = remote::read_welcome(payload);
        remote::Layout(welcome.info, welcome.metric_names.size());
        return;
      }
      case 1:
        return result.read(payload);
      case 2:
        return (void)remote::read_stats(payload);
      case 3:
        return (void)remote::Blocks(payload).text(remote::Field::path);
      default:
        return (void)remote::read_failure(payload);
    }
  };
  if (bytes.empty()) return;
  const unsigned which = std::to_integer<unsigned>(bytes[0]) % 6;
  if (which < 5) return decode_payload([&] { read(which, bytes.subspan(1)); });
  decode(bytes.subspan(1), 4096, [&](const remote::Frame& frame) {
    using remote::Type;
    read(frame.type == Type::welcome        ? 0
         : frame.type == Type::result       ? 1
         : frame.type == Type::stats_result ? 2
         : frame.type == Type::replay_saved ? 3
                                            : 4,
         frame.payload);
  });
}

/// What a client sends.
inline void decode_as_server(std::span<const std::byte> bytes) {
  const auto read = [](unsigned which, std::span<const std::byte> payload) {
    int actions[2];
    switch (which) {
      case 0:
        return (void)remote::read_hello(payload);
      case 1:
        return (void)remote::read_reset(payload);
      default:
        return remote::read_step(fuzzed_layout(), payload, actions);
    }
  };
  if (bytes.empty()) return;
  const unsigned which = std::to_integer<unsigned>(bytes[0]) % 4;
  if (which < 3) return decode_payload([&] { read(which, bytes.subspan(1)); });
  decode(bytes.subspan(1), 4096, [&](const remote::Frame& frame) {
    read(frame.type == remote::Type::hello ? 0 : frame.type == remote::Type::reset ? 1 : 2, frame.payload);
  });
}

}  // namespace qatten_test
