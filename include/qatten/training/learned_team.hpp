#pragma once
// A team as a training left it, one decision at a time: what it does, and what its mixer makes of it.

#include <algorithm>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "qatten/agents/by_name.hpp"
#include "qatten/environments/skirmish/thoughts.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/training/networks.hpp"
#include "qatten/training/rollout.hpp"

namespace qatten::inline QATTEN_ABI {

/// A policy for a `Rollout`: greedy, as a training's evaluations are with evaluation_epsilon 0. Every name that `mixer`
/// may have can act; what it thinks is
///
///   q of the chosen actions       where values are learned, not a policy (coma, maac)
///   q_tot                         with a mixer that `make_mixer` knows, but for iql, which has none
///   attention, head weights, c    with Qatten, c where it has one
template <class Scalar>
class LearnedTeam {
 public:
  /// The parameters of a learner that `make_learner` made of these options and sizes. Throws when there are too few,
  /// or, where `make_mixer` knows the mixer, not as many as it has. Nothing is allocated after the first decision.
  LearnedTeam(const TrainingOptions& options, const EnvironmentInfo& info, Vector<Scalar> parameters)
      : parameters_(std::move(parameters)), policy_(make_policy(layout_, options, info)), chosen_(info.n_agents, 1) {
    const auto& names = mixer_names();
    const bool mixes =
        std::any_of(names.begin(), names.end(), [&](const auto& name) { return name.first == options.mixer; });
    if (mixes)
      think_ = std::visit([](const auto& mixer) { return thinker(mixer); },
                          make_mixer<Scalar>(options.mixer, layout_, info.n_agents, info.state_shape, info.unit_dim,
                                             mixer_options(options)));
    if (options.mixer != "coma" && options.mixer != "maac") thoughts_.q.resize(info.n_agents);
    detail::require(mixes ? parameters_.size() == layout_.size() : parameters_.size() >= layout_.size(), "LearnedTeam",
                    "got " + std::to_string(parameters_.size()) + " parameters, but " + options.agent + " agents and " +
                        options.mixer + " have " + std::to_string(layout_.size()) + (mixes ? "" : " and more"));
  }

  void operator()(const Decision& d) {
    std::visit([&](auto& policy) { act(policy, d); }, policy_);
    if (thoughts_.q.size() > 0) thoughts_.q = chosen_.template cast<float>();
    if (think_) think_(*this, d.observation);
  }

  /// Of the last decision.
  const skirmish::Thoughts& thoughts() const { return thoughts_; }

 private:
  template <class Agent>
  struct PoliciesOf;
  template <class... Agents>
  struct PoliciesOf<std::variant<Agents...>> {
    using type = std::variant<EpsilonGreedyPolicy<Agents>...>;
  };
  using Policy = typename PoliciesOf<AnyAgent<Scalar>>::type;
  using Think = std::function<void(LearnedTeam&, const Observation&)>;

  static Policy make_policy(ParameterLayout& layout, const TrainingOptions& options, const EnvironmentInfo& info) {
    return std::visit([](const auto& agent) -> Policy { return EpsilonGreedyPolicy(agent); },
                      make_agent<Scalar>(options.agent, layout, agent_options(options, info)));
  }

  template <class P>
  void act(P& policy, const Decision& d) {
    policy.set(parameters_, 0, random_);
    policy(d);
    for (Index i = 0; i < chosen_.rows(); ++i) chosen_(i, 0) = policy.q()(d.actions[static_cast<std::size_t>(i)], i);
  }

  /// Evaluates the mixer for one sample, and keeps what it shows.
  template <class M>
  static Think thinker(const M& mixer) {
    if (mixer.outputs() != 1) return {};
    typename M::Cache cache;
    typename M::Scratch prepared;
    mixer.prepare(cache, prepared, 1);
    return [mixer, scratch = std::move(prepared)](LearnedTeam& team, const Observation& o) mutable {
      team.state_ = o.state.template cast<Scalar>();
      team.units_ = o.units.reshaped().template cast<Scalar>();
      mixer.evaluate(team.parameters_, {team.chosen_, team.state_, team.units_, o.alive}, team.q_tot_, scratch);
      team.thoughts_.q_tot = team.q_tot_.template cast<float>();
      if constexpr (std::is_same_v<M, Qatten<Scalar>>) tell(mixer, scratch, team.thoughts_);
    };
  }

  static void tell(const Qatten<Scalar>& mixer, const typename Qatten<Scalar>::Scratch& s, skirmish::Thoughts& told) {
    const Index n = mixer.n_agents(), heads = mixer.options().n_head;
    told.attention = mixer.attention(s, 1).reshaped(n, heads).template cast<float>();
    told.head_weights = mixer.head_weights(s, 1).template cast<float>();
    if (mixer.options().state_bias) told.c = mixer.state_value(s, 1).template cast<float>();
  }

  ParameterLayout layout_;
  Vector<Scalar> parameters_;
  Policy policy_;
  Think think_;
  Random random_{0};       // no chance is left at ε = 0
  Matrix<Scalar> chosen_;  ///< the values of the chosen actions (n_agents, 1)
  Matrix<Scalar> state_, units_, q_tot_ = Matrix<Scalar>(1, 1);
  skirmish::Thoughts thoughts_;
};

}  // namespace qatten::inline QATTEN_ABI
