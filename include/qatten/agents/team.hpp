#pragma once
// A team of agents that share one network, or have one each.
//
// One network reads all columns of the team. Networks of their own read every n_agents-th column: a view with a wider
// stride, no copy.

#include <string>
#include <vector>

#include "qatten/agents/agent.hpp"

namespace qatten::inline QATTEN_ABI {

/// `Network` is RecurrentNetwork or FeedForwardNetwork. Parameters: name.fc1.weight, … when shared (PyMARL),
/// name.agents.0.fc1.weight, … when not (EPyMARL).
template <class Network>
class Team {
 public:
  using Scalar = typename Network::Scalar;
  struct Cache {
    std::vector<typename Network::Cache> networks;
  };
  struct Scratch {
    std::vector<typename Network::Scratch> networks;
  };

  Team(ParameterLayout& layout, const std::string& name, const AgentOptions& options) : options_(options) {
    detail::require(
        options.n_agents >= 1 && options.n_actions >= 1 && options.obs_shape >= 1 && options.hidden_dim >= 1, "Team",
        "n_agents, n_actions, obs_shape and hidden_dim must be at least 1");
    if (options.share_parameters) {
      networks_.emplace_back(layout, name, options, options.n_agents, 0);
    } else {
      for (Index i = 0; i < options.n_agents; ++i)
        networks_.emplace_back(layout, name + ".agents." + std::to_string(i), options, 1, i);
    }
  }

  const AgentOptions& options() const { return options_; }

  void initialise(Vector<Scalar>& p, Random& random) const {
    for (const Network& network : networks_) network.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index columns, Index batch) const {
    cache.networks.resize(networks_.size());
    scratch.networks.resize(networks_.size());
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].prepare(cache.networks[k], scratch.networks[k], columns / stride(), batch / stride());
  }

  /// For `evaluate` and `step` alone.
  void prepare(Scratch& scratch, Index columns, Index batch) const {
    scratch.networks.resize(networks_.size());
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].prepare(scratch.networks[k], columns / stride(), batch / stride());
  }

  void forward(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
               View<Scalar> q, Cache& cache, Scratch& scratch) const {
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].forward(p, ragged, inputs(in, k), columns(h0, k), columns(q, k), cache.networks[k],
                           scratch.networks[k]);
  }

  void evaluate(const Vector<Scalar>& p, const Ragged& ragged, const AgentInputs<Scalar>& in, ConstView<Scalar> h0,
                View<Scalar> q, Scratch& scratch) const {
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].evaluate(p, ragged, inputs(in, k), columns(h0, k), columns(q, k), scratch.networks[k]);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const Ragged& ragged, const AgentInputs<Scalar>& in,
                ConstView<Scalar> h0, ConstView<Scalar> dq, Vector<Scalar>& gradients, View<Scalar> dobs,
                View<Scalar> dh0, Scratch& scratch, ConstView<Scalar> dhidden = {}) const {
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].backward(p, cache.networks[k], ragged, inputs(in, k), columns(h0, k), columns(dq, k), gradients,
                            columns(dobs, k), columns(dh0, k), scratch.networks[k], columns(dhidden, k));
  }

  template <class Memory>
  void hidden(const Memory& memory, View<Scalar> h) const {
    for (std::size_t k = 0; k < networks_.size(); ++k)
      columns(h, k) = networks_[k].hidden(memory.networks[k], h.cols() / stride());
  }

  void step(const Vector<Scalar>& p, const AgentInputs<Scalar>& in, View<Scalar> hidden, View<Scalar> q,
            Scratch& scratch) const {
    for (std::size_t k = 0; k < networks_.size(); ++k)
      networks_[k].step(p, inputs(in, k), columns(hidden, k), columns(q, k), scratch.networks[k]);
  }

 private:
  /// How far apart one network's columns lie.
  Index stride() const { return static_cast<Index>(networks_.size()); }

  template <class AnyView>
  AnyView columns(AnyView x, std::size_t k) const {
    return every(x, static_cast<Index>(k), stride());
  }
  AgentInputs<Scalar> inputs(const AgentInputs<Scalar>& in, std::size_t k) const {
    return {columns(in.obs, k), columns(in.last_actions, k)};
  }

  AgentOptions options_;
  std::vector<Network> networks_;
};

}  // namespace qatten::inline QATTEN_ABI
