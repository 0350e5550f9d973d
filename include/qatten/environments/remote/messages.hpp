#pragma once
// The messages made of blocks: handshake, statistics, errors.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "qatten/environments/remote/layout.hpp"

namespace qatten::inline QATTEN_ABI::remote {

/// What the client opens with. It chooses nothing about the environment: that is the server's command line's to say.
struct Hello {
  std::uint8_t min_version = version_major, max_version = version_major;
  std::string token;       ///< empty: none
  std::uint64_t seed = 0;  ///< for environments that can only be seeded when they are made
  double heartbeat = 2;    ///< seconds between signs of life during long calls
  std::string name;
};

struct Welcome {
  EnvironmentInfo info;
  std::vector<std::string> metric_names;
  std::string environment;             ///< what is served
  std::string description = "{}";      ///< JSON: versions and arguments, for run folders
  std::vector<std::string> abilities;  ///< "seed": episodes follow the seeds of RESET; "save_replay"
  std::string name;                    ///< the server's
};

/// An ERROR of the other side.
struct Failure {
  ErrorCode code = ErrorCode::internal;
  bool fatal = true;  ///< the sender closes the connection
  std::string text;
};

using NamedNumbers = std::vector<std::pair<std::string, double>>;

inline void put_hello(Bytes& to, const Hello& hello) {
  const std::uint8_t versions[] = {hello.min_version, hello.max_version};
  put_block<std::uint8_t>(to, Field::versions, versions);
  if (!hello.token.empty()) {
    const auto* token = reinterpret_cast<const std::uint8_t*>(hello.token.data());
    put_block<std::uint8_t>(to, Field::token, std::span(token, hello.token.size()));
  }
  put_number(to, Field::seed, hello.seed);
  put_number(to, Field::heartbeat, hello.heartbeat);
  put_text(to, Field::name, hello.name);
}

/// Throws ProtocolError for a payload that is no HELLO, or one of versions that this library does not speak.
inline Hello read_hello(std::span<const std::byte> payload) {
  const Blocks blocks(payload);
  Hello hello;
  const auto versions = blocks.numbers<std::uint8_t>(Field::versions, 2);
  hello.min_version = versions[0];
  hello.max_version = versions[1];
  if (versions[0] > version_major || versions[1] < version_major)
    throw ProtocolError(ErrorCode::version, "HELLO: the client speaks versions " + std::to_string(versions[0]) + " … " +
                                                std::to_string(versions[1]) + ", the server only " +
                                                std::to_string(version_major));
  if (blocks.has(Field::token)) {
    const auto token = blocks.numbers<std::uint8_t>(Field::token);
    hello.token.assign(token.begin(), token.end());
  }
  hello.seed = blocks.number<std::uint64_t>(Field::seed);
  hello.heartbeat = blocks.number<double>(Field::heartbeat);
  if (!(hello.heartbeat >= 0.01 && hello.heartbeat <= 60))
    detail::bad_payload("HELLO: heartbeat is " + std::to_string(hello.heartbeat) + " s, expected 0.01 … 60");
  hello.name = blocks.text(Field::name);
  return hello;
}

inline void put_welcome(Bytes& to, const Welcome& welcome) {
  put_number(to, Field::version, version_major);
  const EnvironmentInfo& i = welcome.info;
  const Index sizes[] = {i.n_agents, i.n_actions, i.obs_shape, i.state_shape, i.unit_dim, i.episode_limit};
  std::vector<std::int32_t> narrow;
  for (const Index size : sizes) narrow.push_back(static_cast<std::int32_t>(size));
  put_block<std::int32_t>(to, Field::sizes, narrow);
  put_text(to, Field::metric_names, join_lines(welcome.metric_names));
  put_text(to, Field::environment, welcome.environment);
  put_text(to, Field::description, welcome.description);
  put_text(to, Field::abilities, join_lines(welcome.abilities));
  put_text(to, Field::name, welcome.name);
}

inline Welcome read_welcome(std::span<const std::byte> payload) {
  const Blocks blocks(payload);
  if (const auto version = blocks.number<std::uint8_t>(Field::version); version != version_major)
    throw ProtocolError(ErrorCode::version, "WELCOME: the server chose version " + std::to_string(version));
  const auto sizes = blocks.numbers<std::int32_t>(Field::sizes, 6);
  return {{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]},
          blocks.lines(Field::metric_names),
          blocks.text(Field::environment),
          blocks.text(Field::description),
          blocks.lines(Field::abilities),
          blocks.text(Field::name)};
}

inline void put_failure(Bytes& to, const Failure& failure) {
  put_number(to, Field::code, static_cast<std::uint16_t>(failure.code));
  put_number(to, Field::fatal, static_cast<std::uint8_t>(failure.fatal ? 1 : 0));
  put_text(to, Field::text, std::string_view(failure.text).substr(0, slack_bytes / 2));
}

inline Failure read_failure(std::span<const std::byte> payload) {
  const Blocks blocks(payload);
  return {static_cast<ErrorCode>(blocks.number<std::uint16_t>(Field::code)),
          blocks.number<std::uint8_t>(Field::fatal) != 0, blocks.text(Field::text)};
}

inline void put_stats(Bytes& to, const NamedNumbers& stats) {
  std::vector<std::string> names;
  std::vector<double> values;
  for (const auto& [name, value] : stats) {
    names.push_back(name);
    values.push_back(value);
  }
  put_text(to, Field::names, join_lines(names));
  put_block<double>(to, Field::values, values);
}

inline NamedNumbers read_stats(std::span<const std::byte> payload) {
  const Blocks blocks(payload);
  const std::vector<std::string> names = blocks.lines(Field::names);
  const std::vector<double> values = blocks.numbers<double>(Field::values, names.size());
  NamedNumbers stats;
  for (std::size_t k = 0; k < names.size(); ++k) stats.emplace_back(names[k], values[k]);
  return stats;
}

}  // namespace qatten::inline QATTEN_ABI::remote
