#pragma once
// The element types of the safetensors format and the C++ types that hold them.

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "qatten/core/view.hpp"

namespace qatten::inline QATTEN_ABI {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian, and so is this reader");
static_assert(std::numeric_limits<float>::is_iec559 && std::numeric_limits<double>::is_iec559);

/// An element type, under the format's own name.
enum class DType { BOOL, U8, I8, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64 };

namespace detail {

struct DTypeFacts {
  std::string_view name;
  Index size;  ///< bytes of one element
};

inline constexpr std::array<DTypeFacts, 13> dtype_facts{{{"BOOL", 1},
                                                         {"U8", 1},
                                                         {"I8", 1},
                                                         {"U16", 2},
                                                         {"I16", 2},
                                                         {"F16", 2},
                                                         {"BF16", 2},
                                                         {"U32", 4},
                                                         {"I32", 4},
                                                         {"F32", 4},
                                                         {"U64", 8},
                                                         {"I64", 8},
                                                         {"F64", 8}}};

}  // namespace detail

constexpr std::string_view name_of(DType d) { return detail::dtype_facts[static_cast<std::size_t>(d)].name; }

/// Bytes of one element.
constexpr Index size_of(DType d) { return detail::dtype_facts[static_cast<std::size_t>(d)].size; }

/// The type of that name, if there is one.
constexpr std::optional<DType> find_dtype(std::string_view name) {
  for (std::size_t d = 0; d < detail::dtype_facts.size(); ++d)
    if (detail::dtype_facts[d].name == name) return static_cast<DType>(d);
  return std::nullopt;
}

/// Whole numbers of 8 to 64 bits. Characters are text, not numbers.
template <class T>
concept StorableInteger = std::integral<T> && sizeof(T) <= 8 && !std::same_as<T, bool> && !std::same_as<T, char> &&
                          !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                          !std::same_as<T, char32_t>;

template <class T>
concept StorableFloat = std::same_as<T, float> || std::same_as<T, double>;

/// What tensors can be read into.
template <class T>
concept StorableNumber = StorableInteger<T> || StorableFloat<T>;

/// What tensors can be written from.
template <class T>
concept Storable =
    StorableNumber<T> || std::same_as<T, bool> || std::same_as<T, Eigen::half> || std::same_as<T, Eigen::bfloat16>;

/// The element type that holds a T bit for bit.
template <Storable T>
constexpr DType dtype_of() {
  if constexpr (std::same_as<T, bool>) return DType::BOOL;
  if constexpr (std::same_as<T, Eigen::half>) return DType::F16;
  if constexpr (std::same_as<T, Eigen::bfloat16>) return DType::BF16;
  if constexpr (StorableFloat<T>) return sizeof(T) == 4 ? DType::F32 : DType::F64;
  if constexpr (StorableInteger<T>) {
    constexpr bool is_signed = std::is_signed_v<T>;
    switch (sizeof(T)) {
      case 1:
        return is_signed ? DType::I8 : DType::U8;
      case 2:
        return is_signed ? DType::I16 : DType::U16;
      case 4:
        return is_signed ? DType::I32 : DType::U32;
      default:
        return is_signed ? DType::I64 : DType::U64;
    }
  }
}

namespace detail {

/// f(T{}) with the C++ type T of `d`; a BOOL is a byte.
template <class F>
void visit_dtype(DType d, F&& f) {
  switch (d) {
    case DType::BOOL:
    case DType::U8:
      return f(std::uint8_t{});
    case DType::I8:
      return f(std::int8_t{});
    case DType::U16:
      return f(std::uint16_t{});
    case DType::I16:
      return f(std::int16_t{});
    case DType::F16:
      return f(Eigen::half{});
    case DType::BF16:
      return f(Eigen::bfloat16{});
    case DType::U32:
      return f(std::uint32_t{});
    case DType::I32:
      return f(std::int32_t{});
    case DType::F32:
      return f(float{});
    case DType::U64:
      return f(std::uint64_t{});
    case DType::I64:
      return f(std::int64_t{});
    case DType::F64:
      return f(double{});
  }
}

}  // namespace detail
}  // namespace qatten::inline QATTEN_ABI
