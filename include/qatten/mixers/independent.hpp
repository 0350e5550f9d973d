#pragma once
// Independent Q-learning (Tan 1993; IQL in PyMARL, where its mixer is none): every agent keeps the value of its own.

#include "qatten/mixers/mixer.hpp"

namespace qatten::inline QATTEN_ABI {

/// Passes agent_qs (n_agents, R) on as n_agents outputs; no parameters. Promises nothing: there is no joint value.
template <class Scalar_>
class Independent {
 public:
  using Scalar = Scalar_;
  struct Cache {};
  struct Scratch {};

  explicit Independent(Index n_agents) : n_agents_(n_agents) {}

  Index n_agents() const { return n_agents_; }
  Index outputs() const { return n_agents_; }
  MixerPromises promises() const { return {}; }

  void initialise(Vector<Scalar>&, Random&) const {}
  void prepare(Cache&, Scratch&, Index) const {}

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> qs, Cache&,
               Scratch& scratch) const {
    evaluate(p, in, qs, scratch);
  }

  void evaluate(const Vector<Scalar>&, const MixerInputs<Scalar>& in, View<Scalar> qs, Scratch&) const {
    detail::check_shape("Independent", "agent_qs", in.agent_qs, n_agents_, -1);
    detail::check_shape("Independent", "qs", qs, n_agents_, in.agent_qs.cols());
    qs = in.agent_qs;
  }

  void backward(const Vector<Scalar>&, const Cache&, const MixerInputs<Scalar>&, ConstView<Scalar> dqs, Vector<Scalar>&,
                View<Scalar> dagent_qs, Scratch&) const {
    detail::check_shape("Independent", "dagent_qs", dagent_qs, n_agents_, dqs.cols());
    dagent_qs = dqs;
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  Index n_agents_;
};

static_assert(Mixer<Independent<float>>);

}  // namespace qatten::inline QATTEN_ABI
