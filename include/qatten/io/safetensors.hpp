#pragma once
// The safetensors format: named arrays and a few strings in one file.
//
//   8 bytes     little-endian length of the header
//   header      JSON: {"__metadata__": {key: string}, name: {"dtype": …, "shape": […], "data_offsets": [begin, end]}}
//   data        the arrays, row-major, little-endian, without gap or overlap
//
// Source: the format's description and its reference implementation (huggingface/safetensors, tensor.rs), with the same
// limits and the same files rejected. Where that is silent this reader is strict: keys that come twice or are unknown,
// a BOOL other than 0 and 1, and shapes whose product overflows in any order are errors too.

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/io/atomic_file.hpp"
#include "qatten/io/safetensors_header.hpp"
#include "qatten/io/stored_tensor.hpp"

namespace qatten::inline QATTEN_ABI {

/// The contents of a safetensors file, owned.
class SafeTensors {
 public:
  std::map<std::string, std::string> metadata;

  /// Reads a file. Throws for a file that cannot be read or is malformed, naming it and what is wrong. A malformed
  /// header is found before anything as large as the data is allocated.
  static SafeTensors load(const std::filesystem::path& path) {
    std::error_code error;
    const bool regular = std::filesystem::is_regular_file(path, error);
    detail::require(regular, "SafeTensors", path.string() + (error ? ": " + error.message() : " is not a file"));
    std::ifstream file(path, std::ios::binary);
    const std::uint64_t size = std::filesystem::file_size(path, error);
    detail::require(file && !error, "SafeTensors", path.string() + " cannot be opened");
    return SafeTensors(size, path.string(), [&](void* to, std::size_t bytes) {
      file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
      detail::require(bool(file), "SafeTensors", path.string() + " cannot be read to its end");
    });
  }

  /// Reads a file that lies in memory; errors call it `source`.
  static SafeTensors parse(std::span<const std::byte> file, const std::string& source = "memory") {
    return SafeTensors(file.size(), source, [&](void* to, std::size_t bytes) {
      if (bytes > 0) std::memcpy(to, file.data(), bytes);
      file = file.subspan(bytes);
    });
  }

  SafeTensors() = default;

  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.contains(name); }

  /// The tensor of that name. Throws when there is none.
  const StoredTensor& tensor(const std::string& name) const {
    const auto found = tensors_.find(name);
    detail::require(found != tensors_.end(), "SafeTensors::tensor",
                    source_ + " holds no tensor " + detail::quote(name));
    return found->second;
  }

  /// Copies row-major `values` of that shape in. Throws when the shape does not fit and when the name is taken.
  template <Storable T>
  void add(std::string name, Shape shape, std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    add({std::move(name), dtype_of<T>(), std::move(shape), {bytes.begin(), bytes.end()}});
  }

  /// Takes an array as it is, from another file for example. Throws likewise.
  void add(StoredTensor tensor) {
    constexpr std::string_view function = "SafeTensors::add";
    const std::string prefix = "tensor " + detail::quote(tensor.name);
    detail::require(tensor.name != detail::metadata_key && !contains(tensor.name), function,
                    prefix + " has a name that is taken");
    const auto bytes = detail::byte_size({tensor.shape.begin(), tensor.shape.end()}, tensor.dtype);
    detail::require(bytes == tensor.bytes.size() && tensor.shape.size() <= detail::max_rank, function,
                    prefix + " is given " + std::to_string(tensor.size()) + " elements for the shape " +
                        detail::to_string(tensor.shape));
    tensors_.emplace(tensor.name, std::move(tensor));
  }

  /// Writes the file, in place of an older one only when all is on the disk (`replace_file`). The same contents give
  /// the same bytes. Throws when it cannot be written and for text that is not UTF-8.
  void save(const std::filesystem::path& path) const {
    const std::string head = header();
    std::vector<std::span<const std::byte>> pieces{std::as_bytes(std::span(head))};
    for (const StoredTensor* tensor : file_order()) pieces.emplace_back(tensor->bytes);
    replace_file(path, pieces);
  }

  /// The bytes that `save` writes.
  std::vector<std::byte> serialize() const {
    const std::string head = header();
    const auto head_bytes = std::as_bytes(std::span(head));
    std::vector<std::byte> file(head_bytes.begin(), head_bytes.end());
    for (const StoredTensor* tensor : file_order()) file.insert(file.end(), tensor->bytes.begin(), tensor->bytes.end());
    return file;
  }

 private:
  /// `read(to, n)` delivers the next n bytes of a file of `size` bytes.
  SafeTensors(std::uint64_t size, const std::string& source, const std::function<void(void*, std::size_t)>& read)
      : source_(source) {
    const auto check = [&](bool condition, const std::string& message) {
      detail::require(condition, "SafeTensors", source + ": " + message);
    };
    std::uint64_t length = 0;
    check(size >= sizeof length, "the file has " + std::to_string(size) + " bytes, expected at least 8");
    read(&length, sizeof length);
    check(length <= detail::max_header_bytes, "the header claims " + std::to_string(length) +
                                                  " bytes, expected at most " +
                                                  std::to_string(detail::max_header_bytes));
    check(length <= size - sizeof length, "the header claims " + std::to_string(length) + " bytes, but only " +
                                              std::to_string(size - sizeof length) + " follow");
    std::string text(length, ' ');
    read(text.data(), text.size());
    detail::HeaderReader header(text, source);
    detail::check_entries(header, size - sizeof length - length);
    metadata = std::move(header.metadata);
    read_tensors(header, read);
  }

  void read_tensors(const detail::HeaderReader& header, const std::function<void(void*, std::size_t)>& read) {
    std::map<std::pair<std::uint64_t, std::string>, const detail::TensorEntry*> by_offset;
    for (const auto& [name, entry] : header.tensors) by_offset[{(*entry.data_offsets)[0], name}] = &entry;
    for (const auto& [key, entry] : by_offset) {
      const auto size = static_cast<std::size_t>((*entry->data_offsets)[1] - key.first);
      StoredTensor tensor{key.second, *entry->dtype, {entry->shape->begin(), entry->shape->end()}, {}};
      tensor.bytes.resize(size);
      read(tensor.bytes.data(), size);
      tensors_.emplace(key.second, std::move(tensor));
    }
  }

  /// Wider elements first, as the reference implementation writes them: every array is then aligned to its elements.
  std::vector<const StoredTensor*> file_order() const {
    std::vector<const StoredTensor*> order;
    for (const auto& [name, tensor] : tensors_) order.push_back(&tensor);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return size_of(a->dtype) > size_of(b->dtype); });
    return order;
  }

  /// Length and JSON, padded with spaces so that the data begin at a multiple of 8.
  std::string header() const try {
    std::string text = "{";
    if (!metadata.empty()) text += nlohmann::json(detail::metadata_key).dump() + ":" + nlohmann::json(metadata).dump();
    std::size_t offset = 0;
    for (const StoredTensor* tensor : file_order()) {
      const std::size_t end = offset + tensor->bytes.size();
      const nlohmann::json entry{
          {"dtype", name_of(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
      text += (text.size() > 1 ? "," : "") + nlohmann::json(tensor->name).dump() + ":" + entry.dump();
      offset = end;
    }
    text += "}";
    text.append((8 - text.size() % 8) % 8, ' ');
    detail::require(text.size() <= detail::max_header_bytes, "SafeTensors::save",
                    "the header needs " + std::to_string(text.size()) + " bytes, the format allows " +
                        std::to_string(detail::max_header_bytes));
    const std::uint64_t length = text.size();
    std::string prefix(sizeof length, '\0');
    std::memcpy(prefix.data(), &length, sizeof length);
    return prefix + text;
  } catch (const nlohmann::json::exception&) {
    throw Error("SafeTensors::save: a name or a metadata string is not UTF-8");
  }

  std::string source_ = "memory";
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace qatten::inline QATTEN_ABI
