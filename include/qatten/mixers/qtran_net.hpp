#pragma once
// A joint value and a state value over the same inputs, which is what QTRAN's losses compare with the sum of the
// agents' values (Son et al. 2019, arXiv 1905.05408). The joint value is QtranBaseJoint or QtranAltJoint.

#include <string>

#include "qatten/mixers/qtran_value.hpp"

namespace qatten::inline QATTEN_ABI {

/// Parameters: the joint value's, then QtranValue's.
///
///   forward    writes q (choices(), outputs() · R) and v (1, R); evaluate writes the same q
///   backward   from their gradients: adds to `gradients`, overwrites dhidden (hidden_dim, n_agents · R)
///
/// A joint value's own `forward` writes q, and its `backward` adds to `gradients` and to dhidden. `prepare` alone
/// allocates.
template <class Joint>
class QtranNet {
 public:
  using Scalar = typename Joint::Scalar;
  /// Whether it rates, beside a joint action, all that differ from it in one agent's action.
  static constexpr bool counterfactual = Joint::counterfactual;

  struct Cache {
    typename Joint::Cache joint;
    typename QtranValue<Scalar>::Cache value;
  };
  struct Scratch {
    typename Joint::Scratch joint;
    typename QtranValue<Scalar>::Scratch value;
    typename Joint::Cache cache;  ///< for `evaluate`
  };

  QtranNet(ParameterLayout& layout, const std::string& name, const QtranSizes& sizes,
           const QtranOptions& options = Joint::defaults)
      : joint_(layout, name, sizes, options), value_(layout, name, sizes, options) {}

  const QtranSizes& sizes() const { return joint_.sizes(); }
  Index outputs() const { return joint_.outputs(); }  ///< joint values of one joint action
  Index choices() const { return joint_.choices(); }  ///< joint actions that are rated along with it

  void initialise(Vector<Scalar>& p, Random& random) const {
    joint_.initialise(p, random);
    value_.initialise(p, random);
  }

  void prepare(Cache& cache, Scratch& scratch, Index rows) const {
    joint_.prepare(cache.joint, scratch.joint, rows);
    value_.prepare(cache.value, scratch.value, rows);
    typename Joint::Scratch unused;
    joint_.prepare(scratch.cache, unused, rows);
  }

  void forward(const Vector<Scalar>& p, const QtranInputs<Scalar>& in, View<Scalar> q, View<Scalar> v, Cache& cache,
               Scratch&) const {
    joint_.forward(p, in, q, cache.joint);
    value_.forward(p, in, v, cache.value);
  }

  void evaluate(const Vector<Scalar>& p, const QtranInputs<Scalar>& in, View<Scalar> q, Scratch& scratch) const {
    joint_.forward(p, in, q, scratch.cache);
  }

  void backward(const Vector<Scalar>& p, const Cache& cache, const QtranInputs<Scalar>& in, ConstView<Scalar> dq,
                ConstView<Scalar> dv, Vector<Scalar>& gradients, View<Scalar> dhidden, Scratch& scratch) const {
    value_.backward(p, cache.value, in, dv, gradients, dhidden, scratch.value);
    joint_.backward(p, cache.joint, in, dq, gradients, dhidden, scratch.joint);
  }

 private:
  Joint joint_;
  QtranValue<Scalar> value_;
};

}  // namespace qatten::inline QATTEN_ABI
