#pragma once
// Random streams that are the same with every standard library.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011): the k-th block of a stream is a bijection of the counter k under the
// stream's key, so a stream is named rather than passed around, and its whole state is (key, counter).

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// Ten rounds of Philox4x32.
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(a)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

/// FNV-1a, to turn a stream's purpose into a number.
inline std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xCBF29CE484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return h;
}

}  // namespace detail

/// The stream named by (seed, purpose, index). Two names give independent streams; one name gives the same numbers on
/// every machine (`normal` up to the last digit of the platform's logarithm and cosine).
class Random {
 public:
  /// All that a stream is, for checkpoints.
  struct State {
    std::array<std::uint32_t, 2> key{};
    std::array<std::uint32_t, 2> stream{};
    std::uint64_t drawn = 0;  ///< 32-bit words taken so far

    bool operator==(const State&) const = default;
  };

  explicit Random(std::uint64_t seed, std::string_view purpose = "", std::uint64_t index = 0) {
    const std::uint64_t name = detail::hash(purpose) + 0x9E3779B97F4A7C15 * index;
    state_.key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    state_.stream = {static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(name >> 32)};
  }
  explicit Random(const State& state) : state_(state) {
    if (state_.drawn % 4 != 0) refill();
  }

  const State& state() const { return state_; }

  /// 32 random bits.
  std::uint32_t bits() {
    if (state_.drawn % 4 == 0) refill();
    return words_[state_.drawn++ % 4];
  }

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() {
    const std::uint64_t high = bits() >> 5, low = bits() >> 6;
    return static_cast<double>((high << 26) | low) * 0x1p-53;
  }

  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Uniform in 0 … n - 1, without bias (Lemire 2019). n in 1 … 2^31.
  Index integer(Index n) {
    eigen_assert(n >= 1 && n <= (Index{1} << 31));
    const auto range = static_cast<std::uint32_t>(n);
    std::uint64_t product = std::uint64_t{bits()} * range;
    const std::uint32_t threshold = (0u - range) % range;
    while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{bits()} * range;
    return static_cast<Index>(product >> 32);
  }

  /// Standard normal (Box and Muller 1958; one of the pair is discarded so that the state stays (key, counter)).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  void refill() {
    const std::uint64_t k = state_.drawn / 4;
    words_ = detail::philox(
        {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(k >> 32), state_.stream[0], state_.stream[1]},
        state_.key);
  }

  State state_;
  std::array<std::uint32_t, 4> words_{};
};

}  // namespace qatten::inline QATTEN_ABI
