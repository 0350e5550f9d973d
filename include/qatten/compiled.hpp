#pragma once
// What most programs use, compiled once: link qatten::compiled, which defines QATTEN_COMPILED, and include qatten.hpp.
// The classes below are then instantiated in the library instead of in each of your files. Everything else, such as a
// mixer of your own, is instantiated where it is used, as ever.

#include "qatten/agents/feed_forward.hpp"
#include "qatten/agents/recurrent.hpp"
#include "qatten/agents/tarmac.hpp"
#include "qatten/learners/q_learner.hpp"
#include "qatten/mixers/by_name.hpp"
#include "qatten/nn/mlp.hpp"
#include "qatten/optim/adam.hpp"
#include "qatten/optim/rmsprop.hpp"
#include "qatten/replay/tiled_batch.hpp"

// What is listed are declarations: they cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define QATTEN_INSTANTIATE_OBJECTIVES(prefix, S, Agent_)    \
  prefix template class QObjective<Agent_, Independent<S>>; \
  prefix template class QObjective<Agent_, Vdn<S>>;         \
  prefix template class QObjective<Agent_, Qmix<S>>;        \
  prefix template class QObjective<Agent_, Qatten<S>>;      \
  prefix template class QObjective<Agent_, Qlinear<S>>;

#define QATTEN_INSTANTIATE_LEARNERS(prefix, S, Agent_, Optimizer_)               \
  prefix template class Learner<QObjective<Agent_, Independent<S>>, Optimizer_>; \
  prefix template class Learner<QObjective<Agent_, Vdn<S>>, Optimizer_>;         \
  prefix template class Learner<QObjective<Agent_, Qmix<S>>, Optimizer_>;        \
  prefix template class Learner<QObjective<Agent_, Qatten<S>>, Optimizer_>;      \
  prefix template class Learner<QObjective<Agent_, Qlinear<S>>, Optimizer_>;

#define QATTEN_INSTANTIATE(prefix, S)                                   \
  prefix template class detail::Gemm<S>;                                \
  prefix template class Linear<S>;                                      \
  prefix template class Mlp<S>;                                         \
  prefix template class LayerNorm<S>;                                   \
  prefix template class GruCell<S>;                                     \
  prefix template class Gru<S>;                                         \
  prefix template class Hypernetwork<S>;                                \
  prefix template class StateAttention<S>;                              \
  prefix template class InputLayer<S>;                                  \
  prefix template class RecurrentNetwork<S>;                            \
  prefix template class FeedForwardNetwork<S>;                          \
  prefix template class Team<RecurrentNetwork<S>>;                      \
  prefix template class Team<FeedForwardNetwork<S>>;                    \
  prefix template class Messages<S>;                                    \
  prefix template class TarmacAgent<S>;                                 \
  prefix template class Independent<S>;                                 \
  prefix template class Vdn<S>;                                         \
  prefix template class Qmix<S>;                                        \
  prefix template class Qatten<S>;                                      \
  prefix template class Qlinear<S>;                                     \
  prefix template class Adam<S>;                                        \
  prefix template class RmsProp<S>;                                     \
  prefix template class TiledBatch<S>;                                  \
  QATTEN_INSTANTIATE_OBJECTIVES(prefix, S, RecurrentAgent<S>)           \
  QATTEN_INSTANTIATE_OBJECTIVES(prefix, S, FeedForwardAgent<S>)         \
  QATTEN_INSTANTIATE_LEARNERS(prefix, S, RecurrentAgent<S>, Adam<S>)    \
  QATTEN_INSTANTIATE_LEARNERS(prefix, S, RecurrentAgent<S>, RmsProp<S>) \
  QATTEN_INSTANTIATE_LEARNERS(prefix, S, FeedForwardAgent<S>, Adam<S>)

// NOLINTEND(bugprone-macro-parentheses)

#ifndef QATTEN_COMPILING
namespace qatten::inline QATTEN_ABI {

QATTEN_INSTANTIATE(extern, float)
QATTEN_INSTANTIATE(extern, double)

}  // namespace qatten::inline QATTEN_ABI
#endif
