#pragma once
// A learner whose agent and objective are not known: what acts, collects and stores is compiled once for all of them.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "qatten/learners/learner.hpp"
#include "qatten/optim/by_name.hpp"

namespace qatten::inline QATTEN_ABI {

/// A `Learner::State`, or an `ActorCritic::State`, of any learner.
template <class Scalar>
struct LearnerState {
  Vector<Scalar> parameters;
  Vector<Scalar> target;
  typename AnyOptimizer<Scalar>::State optimizer;
  std::int64_t updates = 0;
  std::int64_t last_target_episode = 0;
  std::optional<CriticState<typename AnyOptimizer<Scalar>::State>> critic{};  ///< of learners that have one
};

template <class Scalar>
class AnyLearner {
 public:
  virtual ~AnyLearner() = default;

  virtual const ParameterLayout& layout() const = 0;
  virtual AgentOptions team() const = 0;

  /// Acting: one step of up to `teams` teams at once, as `Agent::step`, with the parameters of now. `prepare` first;
  /// it alone allocates.
  virtual void prepare(Index teams) = 0;
  virtual void step(const AgentInputs<Scalar>& inputs, View<Scalar> hidden, View<Scalar> q) = 0;
  /// Whether what `step` gives are logits of a policy, to be drawn from, rather than values.
  virtual bool learns_policy() const = 0;

  /// As in Learner, ComaLearner and MaacLearner; `epsilon` is the exploration that the episodes were played with.
  virtual void set_threads(const Threads* threads) = 0;
  virtual QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes, double epsilon) = 0;
  virtual std::int64_t updates() const = 0;
  /// The largest |Q_tot| of the last batch.
  virtual Scalar largest_q() const = 0;

  virtual LearnerState<Scalar> state() const = 0;
  /// Goes on from a state of a learner with the same layout and optimiser; throws for another. To begin with learned
  /// parameters alone, put them into the `parameters` and `target` of the `state()` of a new one.
  virtual void restore(LearnerState<Scalar> state) = 0;
};

/// `Learner_` is a QLearner, any other Learner, a ComaLearner or a MaacLearner, whose optimiser is AnyOptimizer.
template <class Learner_>
class LearnerOf final : public AnyLearner<typename Learner_::Scalar> {
 public:
  using Scalar = typename Learner_::Scalar;

  /// The learner's constructor takes the layout and `arguments`.
  template <class... Arguments>
  explicit LearnerOf(ParameterLayout layout, Arguments&&... arguments)
      : layout_(std::move(layout)), learner_(layout_, std::forward<Arguments>(arguments)...) {}

  Learner_& learner() { return learner_; }

  const ParameterLayout& layout() const override { return layout_; }
  AgentOptions team() const override { return learner_.agent().options(); }

  void prepare(Index teams) override {
    const Index columns = teams * team().n_agents;
    learner_.agent().prepare(scratch_, columns, columns);
  }
  void step(const AgentInputs<Scalar>& inputs, View<Scalar> hidden, View<Scalar> q) override {
    learner_.agent().step(learner_.state().parameters, inputs, hidden, q, scratch_);
  }

  bool learns_policy() const override { return has_critic; }

  void set_threads(const Threads* threads) override { learner_.set_threads(threads); }
  QLearnerStats update(std::span<const EpisodeBatch<Scalar>> tiles, std::int64_t episodes, double epsilon) override {
    tiles_ = tiles.size();
    if constexpr (has_critic) {
      return learner_.update(tiles, episodes, epsilon);
    } else {
      return learner_.update(tiles, episodes);
    }
  }
  std::int64_t updates() const override { return learner_.state().updates; }
  Scalar largest_q() const override {
    Scalar largest(0);
    for (std::size_t k = 0; k < tiles_; ++k) largest = std::max(largest, learner_.q_tot(k).cwiseAbs().maxCoeff());
    return largest;
  }

  LearnerState<Scalar> state() const override {
    const auto& s = learner_.state();
    LearnerState<Scalar> state{s.parameters, s.target, s.optimizer, s.updates, s.last_target_episode};
    if constexpr (has_critic) state.critic = s.critic;
    return state;
  }
  void restore(LearnerState<Scalar> state) override {
    detail::check_shape("LearnerOf::restore", "parameters", state.parameters, layout_.size(), 1);
    detail::check_shape("LearnerOf::restore", "target", state.target, layout_.size(), 1);
    detail::require(
        state.critic.has_value() == has_critic, "LearnerOf::restore",
        has_critic ? "the state is of a learner without a critic" : "the state is of a learner with a critic");
    detail::require(state.optimizer.index() == learner_.state().optimizer.index(), "LearnerOf::restore",
                    "the state is of a learner with another optimiser");
    auto& s = learner_.state();
    s.parameters = std::move(state.parameters);
    s.target = std::move(state.target);
    s.optimizer = std::move(state.optimizer);
    s.updates = state.updates;
    s.last_target_episode = state.last_target_episode;
    if constexpr (has_critic) s.critic = std::move(*state.critic);
  }

 private:
  static constexpr bool has_critic = requires(Learner_ & learner) { learner.state().critic; };

  ParameterLayout layout_;
  Learner_ learner_;
  std::size_t tiles_ = 0;  ///< of the last batch
  typename std::remove_cvref_t<decltype(std::declval<Learner_>().agent())>::Scratch scratch_;
};

}  // namespace qatten::inline QATTEN_ABI
