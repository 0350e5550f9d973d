// Backward through whole teams over ragged sequences, with every option.

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "support/agent_options.hpp"

using namespace qatten;
using namespace qatten::testing;

namespace {

template <template <class> class Agent>
void check_agent(const AgentOptions& options, bool with_h0) {
  ParameterLayout layout;
  const Agent<double> agent(layout, "agent", options);
  const Ragged ragged(std::vector<Index>{4, 3, 1});
  const Index columns = ragged.total() * options.n_agents, batch = ragged.sequences() * options.n_agents;
  const Block obs = layout.add("obs", options.obs_shape, columns);
  const Block h0 = layout.add("h0", options.hidden_dim, with_h0 ? batch : 0);
  Random random(1);
  const Vector<double> p = 0.7 * random_matrix<double>(layout.size(), 1, random);
  const Matrix<double> dq = random_matrix<double>(options.n_actions, columns, random);
  const Matrix<double> dhidden = random_matrix<double>(options.hidden_dim, columns, random);  // the loss reads h too
  const Matrix<std::int32_t> last_actions = random_last_actions(options, ragged, random);

  typename Agent<double>::Cache cache;
  typename Agent<double>::Scratch scratch;
  agent.prepare(cache, scratch, columns + 2 * options.n_agents, batch + options.n_agents);
  Matrix<double> q(options.n_actions, columns);
  const AgentInputs<double> in{block(p, obs), last_actions};
  agent.forward(p, ragged, in, block(p, h0), q, cache, scratch);
  const Vector<double> gradient = gradient_of(layout, {obs, h0}, [&](Vector<double>& g) {
    agent.backward(p, cache, ragged, in, block(p, h0), dq, g, block(g, obs), block(g, h0), scratch, dhidden);
  });
  const auto loss = [&]<class S>(const Vector<S>& x) {
    ParameterLayout same_layout;
    const Agent<S> copy(same_layout, "agent", options);
    typename Agent<S>::Scratch memory;
    copy.prepare(memory, columns, batch);
    Matrix<S> out(options.n_actions, columns), hidden(options.hidden_dim, columns);
    copy.evaluate(x, ragged, {block(x, obs), last_actions}, block(x, h0), out, memory);
    copy.hidden(memory, hidden);
    return weighted_sum(dq, out) + weighted_sum(dhidden, hidden);
  };
  if (with_h0) {
    check_by_duals(layout, p, gradient, loss);
  } else {
    check_twice(layout, p, gradient, loss);
  }

  Vector<double> without_inputs = Vector<double>::Zero(layout.size());
  agent.backward(p, cache, ragged, in, block(p, h0), dq, without_inputs, {}, {}, scratch, dhidden);
  CHECK(same(without_inputs.head(obs.offset), gradient.head(obs.offset)));
}

}  // namespace

TEST_CASE("gradients of recurrent teams through time, with every option") {
  for (const AgentOptions& options : agent_options(true)) {
    for (const bool with_h0 : {true, false}) {
      INFO(description(options) << (with_h0 ? ", h0" : ""));
      check_agent<RecurrentAgent>(options, with_h0);
    }
  }
}

TEST_CASE("gradients of teams that send messages, through time and rounds, with every option") {
  for (const AgentOptions& options : tarmac_options()) {
    const bool with_h0 = options.obs_last_action != options.obs_agent_id;
    INFO(description(options) << (with_h0 ? ", h0" : ""));
    check_agent<TarmacAgent>(options, with_h0);
  }
}

TEST_CASE("gradients of feed-forward teams, with every option") {
  for (const AgentOptions& options : agent_options(false)) {
    INFO(description(options));
    check_agent<FeedForwardAgent>(options, false);
  }
}
