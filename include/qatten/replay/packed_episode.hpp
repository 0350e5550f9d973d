#pragma once
// An episode as replay keeps it: nothing that can be derived, and no more bits than a thing has.
//
//   obs, state, units   floats, or half precision by choice; without the one-hots of last actions that a state ends
//                       with (SMAC's: most of it, with many agents), and without units that are the top of the state
//   available, alive    a bit each
//   actions             a byte each, two where there are more than 256
//
// Whether state and units repeat something is found out by comparing when the episode is packed, so that unpacking
// gives the very episode back (with half precision: rounded).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "qatten/replay/episode.hpp"

namespace qatten::inline QATTEN_ABI {

/// In what observations, states and units are kept: half has 11 bits, and holds up to 65504.
enum class Precision : std::uint8_t { single, half };

class PackedEpisode {
 public:
  /// What the bytes mean.
  struct Header {
    EpisodeShape shape;
    Precision precision = Precision::single;
    bool terminated = false;
    bool units_in_state = false;  ///< units are the first rows of the state
    Index last_actions_at = -1;   ///< the first row of the state's last actions, one-hot, agent by agent; −1: none

    bool operator==(const Header&) const = default;
  };

  PackedEpisode() = default;

  /// Throws when the episode is inconsistent (`Episode::check`) or has more than 65536 actions.
  template <class Scalar>
  PackedEpisode(const Episode<Scalar>& e, Precision precision) {
    e.check();
    header_ = {.shape = e.shape(), .precision = precision, .terminated = e.terminated};
    detail::require(header_.shape.n_actions <= 65536, "PackedEpisode", "there are more than 65536 actions");
    header_.units_in_state = units_in_state(e);
    header_.last_actions_at = last_actions_at(e);
    allocate();
    visit(*this, const_cast<Episode<Scalar>&>(e), Write());
  }

  /// From what `header()` and `bytes()` of another gave; throws when they do not fit together.
  PackedEpisode(const Header& header, std::span<const std::byte> bytes) : header_(header) {
    const auto& s = header.shape;
    for (const Index size : {s.n_agents, s.n_actions, s.obs_shape, s.length})
      detail::require(size >= 1 && size < (Index{1} << 24), "PackedEpisode", "a shape is out of range");
    for (const Index size : {s.state_shape, s.unit_dim})
      detail::require(size >= 0 && size < (Index{1} << 24), "PackedEpisode", "a shape is out of range");
    detail::require(!header.units_in_state || s.n_agents * s.unit_dim <= s.state_shape, "PackedEpisode",
                    "the units do not fit into the state");
    detail::require(header.last_actions_at == -1 || (header.last_actions_at >= 0 && s.n_actions <= 65536 &&
                                                     header.last_actions_at <= s.state_shape - one_hots(s)),
                    "PackedEpisode", "the last actions do not fit into the state");
    const std::string found = "there are " + std::to_string(bytes.size()) + " bytes, expected ";
    // First as doubles: sizes of a damaged header may multiply to more than an Index holds.
    detail::require(packed_size<double>() <= double(bytes.size()), "PackedEpisode", found + "more");
    allocate();
    detail::require(bytes.size() == size_, "PackedEpisode", found + std::to_string(size_));
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
    Episode<float> e;
    unpack(e);
    e.check();
  }

  const Header& header() const { return header_; }
  const EpisodeShape& shape() const { return header_.shape; }
  Index length() const { return header_.shape.length; }
  Index n_agents() const { return header_.shape.n_agents; }
  std::span<const std::byte> content() const { return {bytes_.get(), size_}; }

  /// Memory it takes, in bytes.
  std::size_t bytes() const { return sizeof(*this) + size_; }

  /// Allocates only when `e` grows.
  template <class Scalar>
  void unpack(Episode<Scalar>& e) const {
    e.resize(header_.shape);
    e.terminated = header_.terminated;
    visit(*this, e, Read());
    if (header_.last_actions_at >= 0) restore_last_actions(e);
    if (header_.units_in_state) e.units = e.state.topRows(e.units.rows());
  }

 private:
  template <class Scalar>
  void restore_last_actions(Episode<Scalar>& e) const {
    const EpisodeShape& s = header_.shape;
    detail::require(e.actions.minCoeff() >= 0 && e.actions.maxCoeff() < s.n_actions, "PackedEpisode",
                    "an action is out of range");
    auto one_hot = e.state.middleRows(header_.last_actions_at, one_hots(s));
    one_hot.setZero();
    for (Index t = 1; t <= s.length; ++t)
      for (Index i = 0; i < s.n_agents; ++i) one_hot(i * s.n_actions + e.actions(i, t - 1), t) = Scalar(1);
  }

  /// Writes to, or reads from, the bytes one after the other.
  struct Write {
    template <class Stored, class Scalar>
    static void numbers(std::byte*& at, Scalar* x, Index count) {
      for (Index k = 0; k < count; ++k, at += sizeof(Stored)) {
        const auto value = static_cast<Stored>(x[k]);
        std::memcpy(at, &value, sizeof(Stored));
      }
    }
    static void bits(std::byte* at, std::uint8_t* x, Index count) {
      std::fill_n(at, (count + 7) / 8, std::byte{0});
      for (Index k = 0; k < count; ++k)
        if (x[k] != 0) at[k / 8] |= std::byte{1} << (k % 8);
    }
  };
  struct Read {
    template <class Stored, class Scalar>
    static void numbers(std::byte*& at, Scalar* x, Index count) {
      for (Index k = 0; k < count; ++k, at += sizeof(Stored)) {
        Stored value;
        std::memcpy(&value, at, sizeof(Stored));
        x[k] = static_cast<Scalar>(value);
      }
    }
    static void bits(std::byte* at, std::uint8_t* x, Index count) {
      for (Index k = 0; k < count; ++k) x[k] = static_cast<std::uint8_t>(at[k / 8] >> (k % 8)) & 1;
    }
  };

  /// All parts in their order.
  template <class Scalar, class Move>
  static void visit(const PackedEpisode& p, Episode<Scalar>& e, Move move) {
    std::byte* at = p.bytes_.get();
    const Header& h = p.header_;
    const auto reals = [&]<class Stored>(Stored) {
      for (Index t = 0; t <= h.shape.length; ++t) {
        Scalar* const state = e.state.col(t).data();
        const Index first = h.last_actions_at < 0 ? h.shape.state_shape : h.last_actions_at;
        const Index rest = h.last_actions_at < 0 ? h.shape.state_shape : first + one_hots(h.shape);
        move.template numbers<Stored>(at, state, first);
        move.template numbers<Stored>(at, state + rest, h.shape.state_shape - rest);
      }
      move.template numbers<Stored>(at, e.obs.data(), e.obs.size());
      if (!h.units_in_state) move.template numbers<Stored>(at, e.units.data(), e.units.size());
    };
    move.template numbers<float>(at, e.rewards.data(), e.rewards.size());
    if (h.precision == Precision::half)
      reals(Eigen::half());
    else
      reals(float());
    if (h.shape.n_actions <= 256)
      move.template numbers<std::uint8_t>(at, e.actions.data(), e.actions.size());
    else
      move.template numbers<std::uint16_t>(at, e.actions.data(), e.actions.size());
    move.bits(at, e.available.data(), e.available.size());
    at += (e.available.size() + 7) / 8;
    move.bits(at, e.alive.data(), e.alive.size());
  }

  static Index one_hots(const EpisodeShape& s) { return s.n_agents * s.n_actions; }

  /// In bytes; a double may be less by two.
  template <class Number>
  Number packed_size() const {
    const EpisodeShape& s = header_.shape;
    const auto observations = static_cast<Number>(s.length + 1), n = static_cast<Number>(s.n_agents);
    const Index state = s.state_shape - (header_.last_actions_at < 0 ? 0 : one_hots(s));
    const Index agent = s.obs_shape + (header_.units_in_state ? 0 : s.unit_dim);
    const Number reals = observations * (static_cast<Number>(state) + n * static_cast<Number>(agent));
    const Number bits = observations * n * static_cast<Number>(s.n_actions), lives = observations * n;
    const Number number = header_.precision == Precision::half ? 2 : 4, action = s.n_actions <= 256 ? 1 : 2;
    return 4 * static_cast<Number>(s.length) + reals * number + n * static_cast<Number>(s.length) * action +
           in_bytes(bits) + in_bytes(lives);
  }
  static Index in_bytes(Index bits) { return (bits + 7) / 8; }
  static double in_bytes(double bits) { return bits / 8; }

  void allocate() {
    size_ = static_cast<std::size_t>(packed_size<Index>());
    bytes_ = std::make_unique<std::byte[]>(size_);
  }

  template <class Scalar>
  static bool units_in_state(const Episode<Scalar>& e) {
    return e.units.rows() > 0 && e.units.rows() <= e.state.rows() && e.units == e.state.topRows(e.units.rows());
  }

  /// At the end of the state, or before one last entry (SMAC's time step).
  template <class Scalar>
  static Index last_actions_at(const Episode<Scalar>& e) {
    const EpisodeShape s = e.shape();
    for (const Index behind : {0, 1}) {
      const Index at = s.state_shape - behind - one_hots(s);
      if (at >= 0 && has_last_actions(e, at)) return at;
    }
    return -1;
  }

  template <class Scalar>
  static bool has_last_actions(const Episode<Scalar>& e, Index at) {
    const EpisodeShape s = e.shape();
    for (Index t = 0; t <= s.length; ++t)
      for (Index i = 0; i < s.n_agents; ++i)
        for (Index a = 0; a < s.n_actions; ++a)
          if (e.state(at + i * s.n_actions + a, t) != Scalar(t > 0 && e.actions(i, t - 1) == a ? 1 : 0)) return false;
    return true;
  }

  Header header_;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace qatten::inline QATTEN_ABI
