#pragma once
// The JSON header of a safetensors file: read event by event, so that nothing is kept that the format does not know and
// no nesting costs more than the first bracket that should not be there.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "qatten/io/stored_tensor.hpp"

namespace qatten::inline QATTEN_ABI {
namespace detail {

inline constexpr std::string_view metadata_key = "__metadata__";
inline constexpr std::uint64_t max_header_bytes = 100'000'000;  // as in the reference implementation
inline constexpr std::size_t max_rank = 64;

/// What the header says of one tensor.
struct TensorEntry {
  std::optional<DType> dtype;
  std::optional<std::vector<std::uint64_t>> shape;
  std::optional<std::vector<std::uint64_t>> data_offsets;  ///< begin and end within the data
};

/// The bytes of an array, or nothing where 63 bits do not hold them. An empty dimension does not excuse the others, so
/// that every partial product is safe too.
inline std::optional<std::uint64_t> byte_size(const std::vector<std::uint64_t>& shape, DType dtype) {
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  auto product = static_cast<std::uint64_t>(size_of(dtype));
  for (const std::uint64_t d : shape) {
    if (d > limit / product) return std::nullopt;
    product *= std::max<std::uint64_t>(d, 1);
  }
  return std::find(shape.begin(), shape.end(), 0u) == shape.end() ? product : 0;
}

/// Collects a header and throws `source: what is wrong` at the first thing that does not belong there.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  /// `text` is the whole header, padding included.
  HeaderReader(std::string_view text, const std::string& source) : source_(source) {
    if (text.empty() || text.front() != '{') fail("the header does not begin with '{'");
    // The JSON library takes a zero byte for the end of the text.
    if (text.find('\0') != text.npos) fail("the header holds a zero byte");
    nlohmann::json::sax_parse(text.begin(), text.end(), this);
  }

  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorEntry> tensors;

  [[noreturn]] void fail(const std::string& message) const { throw Error("SafeTensors: " + source_ + ": " + message); }

  bool start_object(std::size_t) override {
    if (depth_ >= 2) unexpected("an object");
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1 && !in_metadata() && !(entry().dtype && entry().shape && entry().data_offsets))
      fail("tensor " + quote(name_) + " lacks its dtype, shape or data_offsets");
    return true;
  }

  bool key(std::string& k) override {
    if (depth_ == 1) {
      name_ = k;
      const bool is_new = in_metadata() ? !std::exchange(metadata_seen_, true) : tensors.try_emplace(k).second;
      if (!is_new) fail("the key " + quote(k) + " appears twice");
      return true;
    }
    field_ = k;
    if (in_metadata() ? metadata.contains(k) : has_field()) fail(where() + " appears twice");
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata()) {
      metadata.emplace(field_, text);
    } else if (depth_ == 2 && field_ == "dtype") {
      entry().dtype = find_dtype(text);
      if (!entry().dtype) fail("the dtype of tensor " + quote(name_) + " is " + quote(text) + ", which is unknown");
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata() || field_ == "dtype") unexpected("a list");
    (field_ == "shape" ? entry().shape : entry().data_offsets).emplace();
    ++depth_;
    return true;
  }

  bool end_array() override {
    --depth_;
    if (field_ == "data_offsets" && entry().data_offsets->size() != 2) fail(where() + " holds too short a list");
    return true;
  }

  bool number_unsigned(std::uint64_t n) override {
    if (depth_ != 3) unexpected("a number");
    auto& list = field_ == "shape" ? *entry().shape : *entry().data_offsets;
    if (list.size() == (field_ == "shape" ? max_rank : 2)) fail(where() + " holds too long a list");
    list.push_back(n);
    return true;
  }

  bool number_integer(std::int64_t) override { unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { unexpected("a number that is no 64-bit integer"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool null() override { unexpected("null"); }
  bool binary(nlohmann::json::binary_t&) override { unexpected("binary"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail("the header is not JSON in UTF-8, from byte " + std::to_string(position) + " of it on");
  }

 private:
  bool in_metadata() const { return name_ == metadata_key; }
  TensorEntry& entry() { return tensors.find(name_)->second; }

  /// Whether the tensor's field has come before. Throws for a field that the format does not know.
  bool has_field() {
    if (field_ == "dtype") return entry().dtype.has_value();
    if (field_ == "shape") return entry().shape.has_value();
    if (field_ == "data_offsets") return entry().data_offsets.has_value();
    fail(where() + " is unknown, expected dtype, shape and data_offsets");
  }

  std::string where() const {
    return depth_ == 1 ? "the value of " + quote(name_) : "the key " + quote(field_) + " of " + quote(name_);
  }

  [[noreturn]] void unexpected(const std::string& got) const {
    const bool list = depth_ == 2 && !in_metadata() && field_ != "dtype";
    const std::string expected = depth_ == 1   ? "an object"
                                 : depth_ == 3 ? "whole numbers from 0 on"
                                 : list        ? "a list of numbers"
                                               : "a string";
    fail(where() + (depth_ == 3 ? " lists " : " holds ") + got + ", expected " + expected);
  }

  const std::string& source_;
  int depth_ = 0;
  bool metadata_seen_ = false;
  std::string name_;   ///< the key of the outer object that was read last
  std::string field_;  ///< the key of the inner object that was read last
};

/// Throws unless the arrays fill `data_bytes` without gap or overlap and are as long as their shapes say.
inline void check_entries(const HeaderReader& header, std::uint64_t data_bytes) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, const std::string*>> extents;
  for (const auto& [name, entry] : header.tensors) {
    const std::uint64_t begin = (*entry.data_offsets)[0], end = (*entry.data_offsets)[1];
    const std::string range = "tensor " + quote(name) + " lies at bytes " + std::to_string(begin) + " to " +
                              std::to_string(end) + " of the data, ";
    if (begin > end) header.fail(range + "which end before they begin");
    if (end > data_bytes) header.fail(range + "but there are only " + std::to_string(data_bytes));
    const auto bytes = byte_size(*entry.shape, *entry.dtype);
    if (!bytes) header.fail("the shape of tensor " + quote(name) + " overflows 63 bits");
    if (*bytes != end - begin) header.fail(range + "but its shape and dtype need " + std::to_string(*bytes) + " bytes");
    extents.emplace_back(begin, end, &name);
  }
  std::sort(extents.begin(), extents.end());
  std::uint64_t covered = 0;
  for (const auto& [begin, end, name] : extents) {
    if (begin != covered)
      header.fail("tensor " + quote(*name) + " begins at byte " + std::to_string(begin) + " of the data, which " +
                  (begin < covered ? "overlaps the tensor before it" : "leaves a hole") + ", expected " +
                  std::to_string(covered));
    covered = end;
  }
  if (covered != data_bytes)
    header.fail(std::to_string(data_bytes - covered) + " bytes follow the last tensor, expected none");
}

}  // namespace detail
}  // namespace qatten::inline QATTEN_ABI
