#pragma once
// Tagged blocks: the parts of a payload that have no fixed layout. Each is
//
//   u16 field, u8 dtype, u8 ndim, u32 bytes of data, u32 dims[ndim], zeros to a multiple of 8, data, zeros likewise
//
// A reader takes the fields that it knows, in any order, and skips the others.

#include <map>
#include <string>
#include <string_view>

#include "qatten/environments/remote/frame.hpp"

namespace qatten::inline QATTEN_ABI::remote {

enum class Field : std::uint16_t {
  versions = 1,       ///< u8[2]: lowest and highest major version that the client speaks
  token = 2,          ///< u8[n]
  seed = 3,           ///< u64
  heartbeat = 4,      ///< f64, seconds
  name = 5,           ///< utf-8: which program, which version
  version = 6,        ///< u8: the version that the server chose
  sizes = 10,         ///< i32[6]: n_agents, n_actions, obs_shape, state_shape, unit_dim, episode_limit
  metric_names = 11,  ///< utf-8, one a line
  environment = 12,   ///< utf-8
  description = 13,   ///< utf-8: JSON for people and run folders
  abilities = 14,     ///< utf-8, one a line: "seed", "save_replay"
  code = 20,          ///< u16: ErrorCode
  text = 21,          ///< utf-8
  fatal = 22,         ///< u8: 1 when the sender closes the connection
  names = 30,         ///< utf-8, one a line
  values = 31,        ///< f64, one for each name
  path = 32,          ///< utf-8
};

enum class Dtype : std::uint8_t { u8 = 1, i32 = 2, i64 = 3, f32 = 4, f64 = 5, utf8 = 6, boolean = 7, u16 = 8, u64 = 9 };

namespace detail {

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<std::uint8_t> : std::integral_constant<Dtype, Dtype::u8> {};
template <>
struct DtypeOf<std::int32_t> : std::integral_constant<Dtype, Dtype::i32> {};
template <>
struct DtypeOf<double> : std::integral_constant<Dtype, Dtype::f64> {};
template <>
struct DtypeOf<char> : std::integral_constant<Dtype, Dtype::utf8> {};
template <>
struct DtypeOf<std::uint16_t> : std::integral_constant<Dtype, Dtype::u16> {};
template <>
struct DtypeOf<std::uint64_t> : std::integral_constant<Dtype, Dtype::u64> {};

/// Bytes of one element; 0 for a dtype that does not exist.
inline std::size_t element_bytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::u8:
    case Dtype::utf8:
    case Dtype::boolean:
      return 1;
    case Dtype::u16:
      return 2;
    case Dtype::i32:
    case Dtype::f32:
      return 4;
    case Dtype::i64:
    case Dtype::f64:
    case Dtype::u64:
      return 8;
  }
  return 0;
}

inline constexpr std::size_t block_header_bytes = 8;
inline constexpr std::size_t max_dimensions = 4;

template <class T>
void append(Bytes& to, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline void pad(Bytes& to) { to.resize(round_up_8(to.size()), std::byte{0}); }

}  // namespace detail

/// Appends a block with a vector of numbers (or characters) to a payload that ends on a multiple of 8 bytes.
template <class T>
void put_block(Bytes& to, Field field, std::span<const T> values) {
  detail::append(to, static_cast<std::uint16_t>(field));
  detail::append(to, static_cast<std::uint8_t>(detail::DtypeOf<T>::value));
  detail::append(to, std::uint8_t{1});
  detail::append(to, static_cast<std::uint32_t>(values.size_bytes()));
  detail::append(to, static_cast<std::uint32_t>(values.size()));
  detail::pad(to);
  const auto bytes = std::as_bytes(values);
  to.insert(to.end(), bytes.begin(), bytes.end());
  detail::pad(to);
}

template <class T>
void put_number(Bytes& to, Field field, T value) {
  put_block<T>(to, field, std::span<const T>(&value, 1));
}

inline void put_text(Bytes& to, Field field, std::string_view text) {
  put_block<char>(to, field, std::span<const char>(text.data(), text.size()));
}

/// The blocks of a payload, each checked when read. Views into the payload: keep it while these are in use.
class Blocks {
 public:
  /// Throws ProtocolError unless `payload` is blocks from end to end, no field twice.
  explicit Blocks(std::span<const std::byte> payload) {
    while (!payload.empty()) {
      require(payload.size() >= detail::block_header_bytes, "cut off in a header");
      const auto field = read<std::uint16_t>(payload, 0);
      const Block block = parse(payload);
      require(blocks_.emplace(static_cast<Field>(field), block).second,
              "field " + std::to_string(field) + " comes twice");
    }
  }

  bool has(Field field) const { return blocks_.contains(field); }

  /// Exactly one number of type T, finite. Throws ProtocolError when there is none.
  template <class T>
  T number(Field field) const {
    return numbers<T>(field, 1)[0];
  }

  /// Exactly `count` numbers of type T.
  template <class T>
  std::vector<T> numbers(Field field, std::size_t count) const {
    std::vector<T> values = numbers<T>(field);
    require(values.size() == count,
            name(field) + " has " + std::to_string(values.size()) + " numbers, expected " + std::to_string(count));
    return values;
  }

  template <class T>
  std::vector<T> numbers(Field field) const {
    const Block& block = at(field, detail::DtypeOf<T>::value);
    std::vector<T> values(block.data.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), block.data.data(), block.data.size());
    return values;
  }

  std::string text(Field field) const {
    const Block& block = at(field, Dtype::utf8);
    return {reinterpret_cast<const char*>(block.data.data()), block.data.size()};
  }

  /// The lines of a text; none when it is empty.
  std::vector<std::string> lines(Field field) const {
    std::vector<std::string> result;
    std::string rest = text(field);
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      result.push_back(rest.substr(0, end));
      rest = end == std::string::npos ? "" : rest.substr(end + 1);
    }
    return result;
  }

 private:
  struct Block {
    Dtype dtype{};
    std::span<const std::byte> data;
  };

  static void require(bool condition, const std::string& message) {
    if (!condition) throw ProtocolError(ErrorCode::bad_payload, "blocks: " + message);
  }

  static std::string name(Field field) { return "field " + std::to_string(static_cast<unsigned>(field)); }

  template <class T>
  static T read(std::span<const std::byte> from, std::size_t offset) {
    T value;
    std::memcpy(&value, from.data() + offset, sizeof value);
    return value;
  }

  /// Takes one block off the front.
  static Block parse(std::span<const std::byte>& payload) {
    const auto dtype = static_cast<Dtype>(read<std::uint8_t>(payload, 2));
    const std::size_t dimensions = read<std::uint8_t>(payload, 3), bytes = read<std::uint32_t>(payload, 4);
    const std::size_t element = detail::element_bytes(dtype);
    require(element > 0, "dtype " + std::to_string(static_cast<unsigned>(dtype)) + " does not exist");
    require(dimensions <= detail::max_dimensions, std::to_string(dimensions) + " dimensions, expected at most 4");
    const std::size_t start = detail::round_up_8(detail::block_header_bytes + 4 * dimensions);
    const std::size_t end = detail::round_up_8(start + bytes);
    require(payload.size() >= end, "cut off in a block");
    std::size_t expected = element;  // cannot overflow: every factor is bounded by the payload before the next comes
    for (std::size_t d = 0; d < dimensions; ++d) {
      expected *= read<std::uint32_t>(payload, detail::block_header_bytes + 4 * d);
      require(expected <= bytes, "the dimensions ask for more than the block holds");
    }
    require(expected == bytes, "the dimensions do not match the bytes");
    const Block block{dtype, payload.subspan(start, bytes)};
    payload = payload.subspan(end);
    return block;
  }

  const Block& at(Field field, Dtype dtype) const {
    const auto found = blocks_.find(field);
    require(found != blocks_.end(), name(field) + " is missing");
    require(found->second.dtype == dtype, name(field) + " has another dtype than expected");
    return found->second;
  }

  std::map<Field, Block> blocks_;
};

/// The opposite of `Blocks::lines`.
inline std::string join_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace qatten::inline QATTEN_ABI::remote
