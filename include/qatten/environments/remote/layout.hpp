#pragma once
// The payloads with a fixed layout, which follows from the sizes agreed in the handshake. Numbers that do not fill a
// multiple of 8 bytes are followed by zeros.
//
//   RESET    u64 seed · u32 key[2] · u32 stream[2] · u64 drawn
//   STEP     i32 actions[A]
//   RESULT   u32 step · u32 flags · f32 reward · u32 0 · f64 metrics[M] · f32 obs[A][O] · f32 state[S]
//            · f32 units[A][U] · u8 available[A][N] · u8 alive[A] · blocks

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "qatten/environments/environment.hpp"
#include "qatten/environments/remote/blocks.hpp"

namespace qatten::inline QATTEN_ABI::remote {

/// Where everything lies in the fixed layouts, in bytes from the start of the payload.
struct Layout {
  /// Throws ProtocolError for sizes that no environment has, or whose result would exceed `max_payload_bytes`.
  Layout(const EnvironmentInfo& environment, std::size_t n_metrics) : info(environment), metrics_count(n_metrics) {
    check_sizes();
    const auto take = [this](std::size_t count, std::size_t element) {
      const std::size_t at = result_bytes;
      result_bytes = detail::round_up_8(at + count * element);
      return at;
    };
    const auto n = static_cast<std::size_t>(info.n_agents);
    take(16, 1);
    metrics = take(metrics_count, 8);
    obs = take(n * static_cast<std::size_t>(info.obs_shape), 4);
    state = take(static_cast<std::size_t>(info.state_shape), 4);
    units = take(n * static_cast<std::size_t>(info.unit_dim), 4);
    available = take(n * static_cast<std::size_t>(info.n_actions), 1);
    alive = take(n, 1);
    if (result_bytes > max_payload_bytes - slack_bytes)
      throw ProtocolError(ErrorCode::bad_payload, "layout: a result takes " + std::to_string(result_bytes) +
                                                      " bytes, more than a frame may hold");
    step_bytes = detail::round_up_8(n * 4);
  }

  EnvironmentInfo info;
  std::size_t metrics_count;
  std::size_t metrics = 0, obs = 0, state = 0, units = 0, available = 0, alive = 0;
  std::size_t result_bytes = 0;  ///< without the blocks at its end
  std::size_t step_bytes = 0;
  static constexpr std::size_t reset_bytes = 32;

 private:
  /// Bounds that keep every product far from overflow.
  void check_sizes() const {
    const auto check = [](const char* name, Index size, Index least, Index most) {
      if (size < least || size > most)
        throw ProtocolError(ErrorCode::bad_payload, "layout: " + std::string(name) + " is " + std::to_string(size) +
                                                        ", expected " + std::to_string(least) + " … " +
                                                        std::to_string(most));
    };
    check("n_agents", info.n_agents, 1, 1 << 16);
    check("n_actions", info.n_actions, 1, 1 << 20);
    check("obs_shape", info.obs_shape, 1, 1 << 24);
    check("state_shape", info.state_shape, 0, 1 << 24);
    check("unit_dim", info.unit_dim, 0, 1 << 24);
    check("episode_limit", info.episode_limit, 1, 1 << 30);
    check("the number of metrics", static_cast<Index>(metrics_count), 0, 4096);
  }
};

namespace detail {

/// Reads a number that may lie at any address.
template <class T>
T load(std::span<const std::byte> from, std::size_t offset) {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}

template <class T>
void store(std::span<std::byte> to, std::size_t offset, const T& value) {
  std::memcpy(to.data() + offset, &value, sizeof value);
}

[[noreturn]] inline void bad_payload(const std::string& message) {
  throw ProtocolError(ErrorCode::bad_payload, message);
}

}  // namespace detail

/// A RESET: how the episode's chance is named, for those who have the generator (the stream) and for those who have
/// another (the seed, drawn from the stream).
struct ResetRequest {
  std::uint64_t seed = 0;
  Random::State stream;
};

inline ResetRequest reset_request(const Random& stream) {
  Random copy = stream;
  const std::uint64_t high = copy.bits();
  return {(high << 32) | copy.bits(), stream.state()};
}

inline void put_reset(Bytes& to, const ResetRequest& reset) {
  detail::append(to, reset.seed);
  for (const std::uint32_t x : reset.stream.key) detail::append(to, x);
  for (const std::uint32_t x : reset.stream.stream) detail::append(to, x);
  detail::append(to, reset.stream.drawn);
}

inline ResetRequest read_reset(std::span<const std::byte> payload) {
  if (payload.size() != Layout::reset_bytes)
    detail::bad_payload("RESET has " + std::to_string(payload.size()) + " bytes, expected " +
                        std::to_string(Layout::reset_bytes));
  using detail::load;
  return {load<std::uint64_t>(payload, 0),
          {{load<std::uint32_t>(payload, 8), load<std::uint32_t>(payload, 12)},
           {load<std::uint32_t>(payload, 16), load<std::uint32_t>(payload, 20)},
           load<std::uint64_t>(payload, 24)}};
}

inline void put_step(Bytes& to, std::span<const int> actions) {
  for (const int action : actions) detail::append(to, static_cast<std::int32_t>(action));
  detail::pad(to);
}

/// The actions, not yet held against what is available.
inline void read_step(const Layout& layout, std::span<const std::byte> payload, std::span<int> actions) {
  if (payload.size() != layout.step_bytes)
    detail::bad_payload("STEP has " + std::to_string(payload.size()) + " bytes, expected " +
                        std::to_string(layout.step_bytes));
  for (std::size_t i = 0; i < actions.size(); ++i) actions[i] = detail::load<std::int32_t>(payload, 4 * i);
}

/// The fixed part of a RESULT in memory of its own: what an environment showed after a reset or a step.
class Result {
 public:
  explicit Result(const Layout& layout) : layout_(layout), matrices_(layout.info), arriving_(layout.info) {}

  std::uint32_t step = 0;
  StepResult outcome;
  std::vector<double> metrics;  ///< as many as the layout has
  std::string text;             ///< what failed, when outcome.aborted

  /// Views to write to, filled as `Observation` says.
  Observation clear() {
    matrices_.obs.setZero();
    matrices_.state.setZero();
    matrices_.units.setZero();
    matrices_.available.setOnes();
    matrices_.alive.setOnes();
    return {matrices_.obs, matrices_.state, matrices_.units, matrices_.available, matrices_.alive};
  }

  void copy_to(const Observation& to) const {
    View<float>(to.obs) = matrices_.obs;
    View<float>(to.state) = matrices_.state;
    View<float>(to.units) = matrices_.units;
    View<std::uint8_t>(to.available) = matrices_.available;
    View<std::uint8_t>(to.alive) = matrices_.alive;
  }

  ConstView<std::uint8_t> available() const { return matrices_.available; }

  void put(Bytes& to) const {
    const std::size_t start = to.size();
    to.resize(start + layout_.result_bytes, std::byte{0});
    const std::span<std::byte> payload = std::span(to).subspan(start);
    detail::store(payload, 0, step);
    detail::store(payload, 4, flags());
    detail::store(payload, 8, outcome.reward);
    if (const std::size_t n = std::min(metrics.size(), layout_.metrics_count); n > 0)
      std::memcpy(payload.data() + layout_.metrics, metrics.data(), 8 * n);
    for_each_matrix(matrices_, [&](auto& matrix, std::size_t offset) {
      if (matrix.size() > 0) std::memcpy(payload.data() + offset, matrix.data(), bytes_of(matrix));
    });
    if (!text.empty()) put_text(to, Field::text, text);
  }

  /// Reads and checks everything: what passes is an observation to learn from, or aborted. Throws ProtocolError.
  /// Matrices change only when all is sound.
  void read(std::span<const std::byte> payload) {
    if (payload.size() < layout_.result_bytes)
      detail::bad_payload("RESULT has " + std::to_string(payload.size()) + " bytes, expected " +
                          std::to_string(layout_.result_bytes));
    const Blocks tail(payload.subspan(layout_.result_bytes));
    text = tail.has(Field::text) ? tail.text(Field::text) : "";
    step = detail::load<std::uint32_t>(payload, 0);
    read_outcome(payload);
    metrics.resize(layout_.metrics_count);
    if (!metrics.empty()) std::memcpy(metrics.data(), payload.data() + layout_.metrics, 8 * metrics.size());
    if (outcome.aborted) return;
    for_each_matrix(arriving_, [&](auto& matrix, std::size_t offset) {
      if (matrix.size() > 0) std::memcpy(matrix.data(), payload.data() + offset, bytes_of(matrix));
    });
    check(arriving_);
    std::swap(matrices_, arriving_);
  }

 private:
  struct Matrices {
    explicit Matrices(const EnvironmentInfo& info)
        : obs(info.obs_shape, info.n_agents),
          state(info.state_shape, 1),
          units(info.unit_dim, info.n_agents),
          available(info.n_actions, info.n_agents),
          alive(info.n_agents, 1) {}
    Matrix<float> obs, state, units;
    Matrix<std::uint8_t> available, alive;
  };

  enum Flag : std::uint32_t { terminated = 1, truncated = 2, aborted = 4 };

  template <class Matrix_>
  static std::size_t bytes_of(const Matrix_& matrix) {
    return static_cast<std::size_t>(matrix.size()) * sizeof(typename Matrix_::Scalar);
  }

  template <class M, class F>
  void for_each_matrix(M& m, F&& f) const {
    f(m.obs, layout_.obs);
    f(m.state, layout_.state);
    f(m.units, layout_.units);
    f(m.available, layout_.available);
    f(m.alive, layout_.alive);
  }

  std::uint32_t flags() const {
    return (outcome.terminated ? terminated : 0u) | (outcome.truncated ? truncated : 0u) |
           (outcome.aborted ? aborted : 0u);
  }

  void read_outcome(std::span<const std::byte> payload) {
    const auto flags = detail::load<std::uint32_t>(payload, 4);
    if (flags > (terminated | truncated | aborted)) detail::bad_payload("RESULT has unknown flags");
    outcome = {detail::load<float>(payload, 8), (flags & terminated) != 0, (flags & truncated) != 0,
               (flags & aborted) != 0};
    if (outcome.terminated && outcome.truncated) detail::bad_payload("RESULT is both terminated and truncated");
    if (!std::isfinite(outcome.reward)) detail::bad_payload("RESULT has a reward that is not finite");
  }

  static void check(const Matrices& m) {
    const auto finite = [](const char* name, const Matrix<float>& matrix) {
      if (!matrix.allFinite()) detail::bad_payload("RESULT has a number that is not finite in " + std::string(name));
    };
    finite("obs", m.obs);
    finite("state", m.state);
    finite("units", m.units);
    if ((m.available.array() > 1).any() || (m.alive.array() > 1).any())
      detail::bad_payload("RESULT has a flag that is neither 0 nor 1");
    for (Index i = 0; i < m.available.cols(); ++i)
      if ((m.available.col(i).array() == 0).all())
        detail::bad_payload("RESULT leaves agent " + std::to_string(i) + " no available action");
  }

  Layout layout_;
  Matrices matrices_, arriving_;
};

}  // namespace qatten::inline QATTEN_ABI::remote
