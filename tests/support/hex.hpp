#pragma once
// Bytes as text, in groups of four.

#include <cctype>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qatten::testing {

inline std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::size_t k = 0; k < bytes.size(); ++k) {
    if (k > 0 && k % 4 == 0) text += ' ';
    const auto value = std::to_integer<unsigned>(bytes[k]);
    text += "0123456789abcdef"[value / 16];
    text += "0123456789abcdef"[value % 16];
  }
  return text;
}

inline std::vector<std::byte> from_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  unsigned value = 0;
  int digits = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    value = value * 16 + static_cast<unsigned>(std::isdigit(c) ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) bytes.push_back(static_cast<std::byte>(value & 0xFF));
  }
  return bytes;
}

}  // namespace qatten::testing
