// The whole loss: agents over ragged sequences with masked actions, through the mixer, to λ-returns. Every named
// parameter against dual numbers.

#include <functional>
#include <memory>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/optim/adam.hpp"
#include "support/agent_options.hpp"
#include "support/episodes.hpp"
#include "support/mixer_cases.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

const EpisodeSizes sizes{.n_agents = 2, .n_actions = 3, .obs_shape = 3, .state_shape = 4, .unit_dim = 2};

/// A learner with the mixer's type forgotten. `make` gives a variant of mixers.
template <class Scalar, template <class> class Agent>
class Learner {
 public:
  template <class Make>
  Learner(const AgentOptions& agent_options, const Make& make, const QLearnerOptions& options) {
    const Agent<Scalar> agent(layout, "agent", agent_options);
    std::visit(
        [&]<class M>(const M& mixer) {
          auto learner = std::make_shared<QLearner<Agent<Scalar>, M, Adam<Scalar>>>(layout, agent, mixer,
                                                                                    Adam<Scalar>(), options, Random(0));
          loss = [learner](const auto& p, const auto& target, const auto& batch) {
            return learner->loss(p, target, batch);
          };
          if constexpr (std::is_same_v<Scalar, double>)
            gradient = [learner](const auto& p, const auto& target, const auto& batch) {
              return learner->gradient(p, target, batch);
            };
        },
        make(layout, Scalar()));
  }

  ParameterLayout layout;
  std::function<Scalar(const Vector<Scalar>&, const Vector<Scalar>&, const EpisodeBatch<Scalar>&)> loss;
  std::function<Vector<Scalar>(const Vector<Scalar>&, const Vector<Scalar>&, const EpisodeBatch<Scalar>&)> gradient;
};

template <template <class> class Agent, class Make>
void check(AgentOptions agent_options, const Make& make, const QLearnerOptions& options) {
  INFO(description(agent_options) << (options.double_q ? ", double Q" : "") << ", lambda " << options.td_lambda);
  agent_options.hidden_dim = 3;
  using D = Dual<double>;
  Learner<double, Agent> learner(agent_options, make, options);
  Learner<D, Agent> dual(agent_options, make, options);
  Random random(1);
  const auto episodes = random_episodes<double>({3, 5, 1, 3}, random, sizes);
  const Vector<double> p = 0.8 * random_matrix<double>(learner.layout.size(), 1, random);
  const Vector<double> target = 0.8 * random_matrix<double>(learner.layout.size(), 1, random);
  const auto batch = batch_of<double>(episodes);
  const auto dual_batch = batch_of<D>(episodes);
  const Vector<D> dual_target = target.cast<D>();
  const Vector<double> gradient = learner.gradient(p, target, batch);
  check_by_duals(learner.layout, p, gradient,
                 [&](const Vector<D>& q) { return dual.loss(q, dual_target, dual_batch); });
  CHECK(gradient.norm() > 1e-3);
  CHECK(same(learner.gradient(p, target, batch), gradient));  // nothing is left over from the first time
}

QLearnerOptions options(bool double_q, double td_lambda) {
  return {.gamma = 0.9, .td_lambda = td_lambda, .double_q = double_q, .loss_scale = double_q ? 0.5 : 1};
}

}  // namespace

TEST_CASE("the whole loss's gradient for every mixer and option, over recurrent teams") {
  const std::vector<AgentOptions> teams = agent_options(true);
  std::size_t k = 0;
  for (const MixerCase& c : mixer_cases()) {  // each with two of the sixteen kinds of teams, another pair each time
    INFO(c.name);
    const auto make = [&]<class S>(ParameterLayout& layout, S) {
      return make_mixer<S>(c, layout, sizes.n_agents, sizes.state_shape, sizes.unit_dim);
    };
    check<RecurrentAgent>(teams[k++ % 16], make, options(true, 0.6));
    check<RecurrentAgent>(teams[(k + 8) % 16], make, options(false, 0));
  }
}

const auto make_qatten = []<class S>(ParameterLayout& layout, S) {
  return std::variant<Qatten<S>>(
      std::in_place_index<0>, layout, "mixer", sizes.n_agents, sizes.state_shape, sizes.unit_dim,
      QattenOptions{.n_head = 2, .embed = 3, .query_hidden = 4, .value_hidden = 2, .attend_reg_coef = 0.3});
};

TEST_CASE("the whole loss's gradient for every kind of feed-forward team") {
  for (const AgentOptions& team : agent_options(false)) {
    check<FeedForwardAgent>(team, make_qatten, options(true, 0));
    check<FeedForwardAgent>(team, make_qatten, options(false, 1));
  }
}

TEST_CASE("the whole loss's gradient for every kind of team that sends messages") {
  const auto make_vdn = []<class S>(ParameterLayout&, S) { return std::variant<Vdn<S>>(Vdn<S>(sizes.n_agents)); };
  for (AgentOptions team : tarmac_options()) {
    team.n_agents = sizes.n_agents;
    check<TarmacAgent>(team, make_vdn, options(true, 0.6));
    check<TarmacAgent>(team, make_qatten, options(false, 0));
  }
}
