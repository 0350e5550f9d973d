#pragma once
// Where a server listens: unix:PATH or tcp:HOST:PORT.

#include <sys/un.h>

#include <asio/error_code.hpp>
#include <asio/ip/address.hpp>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI::remote {

struct Endpoint {
  enum class Kind { unix_socket, tcp };
  Kind kind = Kind::unix_socket;
  std::string host;  ///< of tcp: a numeric address
  std::uint16_t port = 0;
  std::string path;  ///< of unix_socket

  std::string text() const {
    if (kind == Kind::unix_socket) return "unix:" + path;
    return "tcp:" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
  }
  bool operator==(const Endpoint&) const = default;
};

/// Throws for text that is neither; host names other than `localhost` are not looked up.
inline Endpoint parse_endpoint(std::string_view text) {
  const auto fail = [&](const std::string& expected) -> Endpoint {
    throw Error("parse_endpoint: got '" + std::string(text) + "', expected " + expected);
  };
  if (text.starts_with("unix:")) {
    const std::string path(text.substr(5));
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
      return fail("unix:PATH with a path of 1 … " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
    return {.kind = Endpoint::Kind::unix_socket, .host = {}, .path = path};
  }
  if (!text.starts_with("tcp:")) return fail("unix:PATH or tcp:HOST:PORT");
  const std::size_t colon = text.rfind(':');
  std::string host(colon > 4 ? text.substr(4, colon - 4) : "");
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  asio::error_code bad_address;
  asio::ip::make_address(host, bad_address);
  if (error != std::errc() || end != digits.data() + digits.size() || bad_address)
    return fail("tcp:HOST:PORT with a numeric address (or localhost) and a port of 0 … 65535");
  return {.kind = Endpoint::Kind::tcp, .host = host, .port = port, .path = {}};
}

/// Throws unless the endpoint is on this machine, or what lies beyond it was asked for and is guarded by a token.
inline void check_reach(std::string_view function, const Endpoint& endpoint, bool allow_remote,
                        const std::string& token) {
  if (endpoint.kind == Endpoint::Kind::unix_socket || asio::ip::make_address(endpoint.host).is_loopback()) return;
  qatten::detail::require(allow_remote, function,
                          endpoint.text() + " is not on this machine, expected allow_remote to be set");
  qatten::detail::require(!token.empty(), function, endpoint.text() + " is not on this machine, expected a token");
}

}  // namespace qatten::inline QATTEN_ABI::remote
