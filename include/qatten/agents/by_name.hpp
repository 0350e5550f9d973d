#pragma once
// A team chosen at run time by its agents' name: the one place where that happens.

#include <string>
#include <string_view>
#include <variant>

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar>
using AnyAgent = std::variant<RecurrentAgent<Scalar>, FeedForwardAgent<Scalar>, TarmacAgent<Scalar>>;

/// "rnn" (PyMARL; "n_rnn" is PyMARL2's name for the same), "ff" or "tarmac", its parameters laid out under "agent".
/// Throws for a name that is not known.
template <class Scalar>
AnyAgent<Scalar> make_agent(std::string_view name, ParameterLayout& layout, const AgentOptions& options) {
  if (name == "rnn" || name == "n_rnn") return RecurrentAgent<Scalar>(layout, "agent", options);
  if (name == "ff") return FeedForwardAgent<Scalar>(layout, "agent", options);
  if (name == "tarmac") return TarmacAgent<Scalar>(layout, "agent", options);
  throw Error("make_agent: no agent is named '" + std::string(name) + "'; known: rnn, n_rnn, ff, tarmac");
}

}  // namespace qatten::inline QATTEN_ABI
