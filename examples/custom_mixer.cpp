// A mixer of one's own, and the checks that say whether it keeps its promises.
//
//   Q_tot = log Σ_i exp Q_i      a soft maximum: monotonic, so its greedy actions agree with the agents'
//
// Backward, with g = ∂L/∂Q_tot:   ∂Q_i = g softmax(Q)_i

#include <iostream>

#include "qatten/analysis/igm.hpp"
#include "qatten/analysis/monotonicity.hpp"
#include "qatten/mixers/mixer.hpp"
#include "qatten/nn/softmax.hpp"

using namespace qatten;

template <class Scalar_>
class SoftMaximum {
 public:
  using Scalar = Scalar_;
  struct Cache {
    Matrix<Scalar> weights;  ///< softmax(Q) (n_agents, R)
  };
  struct Scratch {};

  explicit SoftMaximum(Index n_agents) : n_agents_(n_agents) {}

  Index n_agents() const { return n_agents_; }
  Index outputs() const { return 1; }
  MixerPromises promises() const { return {.monotonic = true, .igm = true}; }

  void initialise(Vector<Scalar>&, Random&) const {}  // no parameters
  void prepare(Cache& cache, Scratch&, Index rows) const { cache.weights.resize(n_agents_, rows); }

  void forward(const Vector<Scalar>& p, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Cache& cache,
               Scratch& scratch) const {
    evaluate(p, in, q_tot, scratch);
    View<Scalar> weights = cache.weights.leftCols(in.agent_qs.cols());
    weights = in.agent_qs;
    softmax(weights);
  }

  void evaluate(const Vector<Scalar>&, const MixerInputs<Scalar>& in, View<Scalar> q_tot, Scratch&) const {
    using std::log;
    for (Index r = 0; r < q_tot.cols(); ++r) {
      const Scalar top = in.agent_qs.col(r).maxCoeff();
      q_tot(0, r) = top + log((in.agent_qs.col(r).array() - top).exp().sum());
    }
  }

  void backward(const Vector<Scalar>&, const Cache& cache, const MixerInputs<Scalar>& in, ConstView<Scalar> dq_tot,
                Vector<Scalar>&, View<Scalar> dagent_qs, Scratch&) const {
    for (Index r = 0; r < in.agent_qs.cols(); ++r) dagent_qs.col(r) = dq_tot(0, r) * cache.weights.col(r);
  }

  Scalar regulariser(const Cache&) const { return Scalar(0); }

 private:
  Index n_agents_;
};
static_assert(Mixer<SoftMaximum<double>>);

int main() {
  const SoftMaximum<double> mixer(3);
  const Vector<double> parameters;
  Random random(0);
  std::cout << to_string(check_monotonicity(mixer, parameters, {.samples = 256}, random));
  const Matrix<double> q = Matrix<double>::Random(4, 3);  // 4 actions, 3 agents
  std::cout << to_string(check_igm(q, {}, MixerAtState(mixer, parameters), random));
}
