#pragma once
// A whole training state in one safetensors file, which any other reader of the format can open.
//
// Arrays and numbers are tensors, texts are metadata. Two more metadata strings: `qatten.checkpoint` is the version of
// these conventions, `qatten.checksum` the FNV-1a hash of all contents, so that damage is found even where the file is
// still well formed. (One damaged byte is always found, since each step of the hash is a bijection.)

#include <cstdint>
#include <filesystem>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "qatten/core/parameters.hpp"
#include "qatten/core/random.hpp"
#include "qatten/io/safetensors.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// One line per block: all that decides which number of a flat vector means what.
inline std::string describe(const ParameterLayout& layout) {
  std::ostringstream text;
  for (const NamedBlock& b : layout.blocks())
    text << b.name << ' ' << b.rows << 'x' << b.cols << " of rank " << b.rank << " at " << b.offset << ", stride "
         << b.stride << '\n';
  return text.str();
}

/// The first line in which two descriptions differ: "holds '…', expected '…'".
inline std::string first_difference(const std::string& got, const std::string& expected) {
  std::istringstream a(got), b(expected);
  std::string x, y;
  do {
    if (!std::getline(a, x)) x = "nothing more";
    if (!std::getline(b, y)) y = "nothing more";
  } while (x == y);
  return "holds " + quote(x) + ", expected " + quote(y);
}

}  // namespace detail

/// Named parts of a training state. What is put in as a T is got as a T, bit for bit; asking for another type throws.
/// A name that is missing on reading or put twice throws too.
class Checkpoint {
 public:
  static constexpr std::string_view version = "1";

  /// A number.
  template <class T>
  requires StorableNumber<T> || std::same_as<T, bool>
  void put(const std::string& name, T number) { file_.add(name, {}, std::span<const T>(&number, 1)); }

  /// A list of numbers.
  template <StorableNumber T>
  void put(const std::string& name, std::span<const T> numbers) {
    file_.add(name, {static_cast<Index>(numbers.size())}, numbers);
  }
  template <StorableNumber T>
  void put(const std::string& name, const std::vector<T>& numbers) {
    put(name, std::span<const T>(numbers));
  }
  template <StorableNumber T>
  void put(const std::string& name, const Vector<T>& numbers) {
    put(name, std::span<const T>(numbers.data(), static_cast<std::size_t>(numbers.size())));
  }

  /// Bytes, as they are: nothing is copied.
  void put(const std::string& name, std::vector<std::byte> bytes) {
    const auto size = static_cast<Index>(bytes.size());
    file_.add({name, DType::U8, {size}, std::move(bytes)});
  }

  /// A text in UTF-8. Names that begin with "qatten." are reserved.
  void put(const std::string& name, const std::string& text) {
    detail::require(!name.starts_with("qatten."), "Checkpoint::put",
                    "the name " + detail::quote(name) + " is reserved");
    detail::require(file_.metadata.emplace(name, text).second, "Checkpoint::put",
                    "the text " + detail::quote(name) + " is there already");
  }

  /// Where a random stream stands.
  void put(const std::string& name, const Random::State& state) {
    put(name, std::vector<std::uint64_t>{state.key[0], state.key[1], state.stream[0], state.stream[1], state.drawn});
  }

  /// Weights, or what else is laid out like them, with their layout: a network of other shapes will not take them.
  template <StorableFloat Scalar>
  void put(const std::string& name, const ParameterLayout& layout, const Vector<Scalar>& parameters) {
    detail::require(parameters.size() == layout.size(), "Checkpoint::put",
                    detail::quote(name) + " has " + std::to_string(parameters.size()) + " entries, its layout " +
                        std::to_string(layout.size()));
    put(name + ".layout", detail::describe(layout));
    put(name, parameters);
  }

  bool contains(const std::string& name) const { return file_.contains(name) || file_.metadata.contains(name); }

  /// What `put` took: T is a number, std::vector or Vector of numbers, std::string or Random::State.
  template <class T>
  T get(const std::string& name) const {
    if constexpr (std::same_as<T, std::string>) {
      const auto text = file_.metadata.find(name);
      detail::require(text != file_.metadata.end(), "Checkpoint::get", "there is no text " + detail::quote(name));
      return text->second;
    } else if constexpr (std::same_as<T, Random::State>) {
      const auto words = get<std::vector<std::uint64_t>>(name);
      detail::require(words.size() == 5, "Checkpoint::get", detail::quote(name) + " is not the state of a stream");
      const auto half = [&](std::size_t i) { return static_cast<std::uint32_t>(words[i]); };
      return {{half(0), half(1)}, {half(2), half(3)}, words[4]};
    } else if constexpr (std::same_as<T, bool>) {
      return find(name, DType::BOOL, 0).template value<std::uint8_t>() != 0;
    } else if constexpr (StorableNumber<T>) {
      return find(name, dtype_of<T>(), 0).template value<T>();
    } else {
      const StoredTensor& tensor = find(name, dtype_of<typename T::value_type>(), 1);
      T numbers;
      numbers.resize(static_cast<decltype(numbers.size())>(tensor.size()));
      tensor.copy_to(numbers.data());
      return numbers;
    }
  }

  /// Bytes, where they lie.
  std::span<const std::byte> bytes(const std::string& name) const { return find(name, DType::U8, 1).bytes; }

  /// Weights that were put with a layout. Throws, naming the first block that differs, unless that was this one.
  template <StorableFloat Scalar>
  Vector<Scalar> get(const std::string& name, const ParameterLayout& layout) const {
    const std::string got = get<std::string>(name + ".layout"), expected = detail::describe(layout);
    if (got != expected)
      throw Error("Checkpoint::get: the layout of " + detail::quote(name) + " " +
                  detail::first_difference(got, expected));
    auto parameters = get<Vector<Scalar>>(name);
    detail::require(parameters.size() == layout.size(), "Checkpoint::get",
                    detail::quote(name) + " has another size than its layout");
    return parameters;
  }

  /// Writes the file in place of an older one, which survives every failure (`replace_file`).
  void save(const std::filesystem::path& path) {
    file_.metadata[version_key] = version;
    file_.metadata[checksum_key] = std::to_string(checksum());
    file_.save(path);
  }

  /// Reads a file back. Throws when it is no checkpoint, of another version or damaged.
  static Checkpoint load(const std::filesystem::path& path) {
    const auto check = [&](bool condition, const std::string& message) {
      detail::require(condition, "Checkpoint::load", path.string() + " " + message);
    };
    Checkpoint checkpoint;
    checkpoint.file_ = SafeTensors::load(path);
    auto& metadata = checkpoint.file_.metadata;
    check(metadata.contains(version_key), "is not a checkpoint");
    check(metadata[version_key] == version,
          "is a checkpoint of version " + detail::quote(metadata[version_key]) + ", expected " + std::string(version));
    check(metadata[checksum_key] == std::to_string(checkpoint.checksum()),
          "is damaged: its contents do not have the checksum it states");
    return checkpoint;
  }

 private:
  inline static const std::string version_key = "qatten.checkpoint";
  inline static const std::string checksum_key = "qatten.checksum";

  const StoredTensor& find(const std::string& name, DType dtype, std::size_t rank) const {
    const StoredTensor& tensor = file_.tensor(name);
    detail::require(tensor.dtype == dtype && tensor.shape.size() == rank, "Checkpoint::get",
                    detail::quote(name) + " is " + std::string(name_of(tensor.dtype)) + " " +
                        detail::to_string(tensor.shape) + ", expected " + std::string(name_of(dtype)) +
                        (rank == 0 ? " []" : " [n]"));
    return tensor;
  }

  std::uint64_t checksum() const {
    std::string all;
    const auto add = [&](std::string_view text) { all.append(std::to_string(text.size())).append(":").append(text); };
    for (const auto& [key, text] : file_.metadata) {
      if (key == checksum_key) continue;
      add(key);
      add(text);
    }
    for (const auto& [name, tensor] : file_.tensors()) {
      add(name);
      add(name_of(tensor.dtype));
      add(detail::to_string(tensor.shape));
      const auto* bytes = reinterpret_cast<const char*>(tensor.bytes.data());
      add(std::to_string(detail::hash({bytes, tensor.bytes.size()})));
    }
    return detail::hash(all);
  }

  SafeTensors file_;
};

}  // namespace qatten::inline QATTEN_ABI
