#pragma once
// Every mixer with every option: a test that goes through this table covers an option as soon as it has a line here.

#include <concepts>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "qatten/mixers/by_name.hpp"
#include "support/numbers.hpp"

namespace qatten::testing {

struct IndependentOptions {};
struct VdnOptions {};

struct MixerCase {
  std::string name;
  std::variant<IndependentOptions, VdnOptions, QmixOptions, QattenOptions, QlinearOptions> options;
};

inline std::vector<MixerCase> mixer_cases() {
  std::vector<MixerCase> cases = {{"iql", IndependentOptions()}, {"vdn", VdnOptions()}};
  for (const Index hidden : {0, 4})
    for (const auto& [positive, name] : {std::pair{Positive::abs, "abs"},
                                         {Positive::softplus, "softplus"},
                                         {Positive::square, "square"},
                                         {Positive::none, "none"}})
      cases.push_back({"qmix, " + std::string(hidden ? "2 layers, " : "1 layer, ") + name,
                       QmixOptions{.mixing_embed_dim = 3, .hypernet_embed = hidden, .positive = positive}});

  const auto qatten = [&](const std::string& name, QattenOptions o, auto&& change) {
    o.n_head = 2;
    o.embed = 3;
    o.query_hidden = 4;
    o.head_hidden = 3;
    o.value_hidden = 2;
    if (o.attend_reg_coef != 0) o.attend_reg_coef = 0.3;
    change(o);
    cases.push_back({"qatten, " + name, o});
  };
  using O = QattenOptions;
  const O authors = O::authors(), pymarl2 = O::pymarl2();
  qatten("authors", authors, [](O&) {});
  qatten("authors, weighted", authors, [](O& o) { o.weighted_head = true; });
  qatten("authors, weighted, nonlinear", authors, [](O& o) { o.weighted_head = o.nonlinear = true; });
  qatten("authors, mask_dead", authors, [](O& o) { o.mask_dead = true; });
  qatten("authors, mask_dead, nonlinear, key bias", authors,
         [](O& o) { o.mask_dead = o.nonlinear = o.key_bias = true; });
  qatten("authors, one-layer query", authors, [](O& o) { o.query_hidden = 0; });
  qatten("authors, all nets one layer, weighted, biases", authors, [](O& o) {
    o.query_hidden = o.head_hidden = 0;
    o.weighted_head = o.query_bias = o.key_bias = true;
  });
  qatten("authors, no state bias", authors, [](O& o) { o.state_bias = false; });
  qatten("authors, one-layer query, no state bias", authors, [](O& o) {
    o.query_hidden = 0;
    o.state_bias = false;
    o.weighted_head = true;
  });
  qatten("authors, no regulariser", authors, [](O& o) { o.attend_reg_coef = 0; });
  qatten("authors, one head", authors, [](O& o) { o.n_head = 1; });
  qatten("pymarl2", pymarl2, [](O&) {});
  qatten("pymarl2, unweighted", pymarl2, [](O& o) { o.weighted_head = false; });
  qatten("pymarl2, regulariser", pymarl2, [](O& o) { o.attend_reg_coef = 0.3; });
  qatten("pymarl2, mask_dead", pymarl2, [](O& o) { o.mask_dead = true; });
  qatten("pymarl2, nonlinear", pymarl2, [](O& o) { o.nonlinear = true; });

  cases.push_back({"qlinear", QlinearOptions{.hidden = 4, .value_hidden = 3}});
  return cases;
}

template <class Scalar>
AnyMixer<Scalar> make_mixer(const MixerCase& c, ParameterLayout& layout, Index n_agents, Index state_dim,
                            Index unit_dim) {
  struct Make {
    ParameterLayout& layout;
    Index n, state, unit;
    AnyMixer<Scalar> operator()(const IndependentOptions&) const { return Independent<Scalar>(n); }
    AnyMixer<Scalar> operator()(const VdnOptions&) const { return Vdn<Scalar>(n); }
    AnyMixer<Scalar> operator()(const QmixOptions& o) const { return Qmix<Scalar>(layout, "mixer", n, state, o); }
    AnyMixer<Scalar> operator()(const QattenOptions& o) const {
      return Qatten<Scalar>(layout, "mixer", n, state, unit, o);
    }
    AnyMixer<Scalar> operator()(const QlinearOptions& o) const {
      return Qlinear<Scalar>(layout, "mixer", n, state, unit, o);
    }
  };
  return std::visit(Make{layout, n_agents, state_dim, unit_dim}, c.options);
}

/// A mixer and its memory behind one type, so that a test of all mixers is compiled once.
template <class Scalar>
class MixerUnderTest {
 public:
  using In = MixerInputs<Scalar>;

  virtual ~MixerUnderTest() = default;
  virtual std::unique_ptr<MixerUnderTest> copy() const = 0;  ///< of the mixer, with fresh memory
  virtual Index outputs() const = 0;
  virtual bool reads_units() const = 0;
  virtual MixerPromises promises() const = 0;
  virtual Scalar regulariser() const = 0;
  virtual void initialise(Vector<Scalar>& p, Random& random) const = 0;
  virtual void prepare(Index rows) = 0;
  virtual void forward(const Vector<Scalar>& p, const In& in, View<Scalar> q_tot) = 0;
  virtual void evaluate(const Vector<Scalar>& p, const In& in, View<Scalar> q_tot) = 0;
  virtual void backward(const Vector<Scalar>& p, const In& in, ConstView<Scalar> dq_tot, Vector<Scalar>& gradients,
                        View<Scalar> dagent_qs) = 0;
};

template <class M>
class WrappedMixer : public MixerUnderTest<typename M::Scalar> {
 public:
  using Scalar = typename M::Scalar;
  using In = MixerInputs<Scalar>;

  explicit WrappedMixer(const M& mixer) : mixer_(mixer) {}

  std::unique_ptr<MixerUnderTest<Scalar>> copy() const override { return std::make_unique<WrappedMixer>(mixer_); }
  Index outputs() const override { return mixer_.outputs(); }
  bool reads_units() const override {
    return requires { mixer_.unit_dim(); };
  }
  MixerPromises promises() const override { return mixer_.promises(); }
  Scalar regulariser() const override { return mixer_.regulariser(cache_); }
  void initialise(Vector<Scalar>& p, Random& random) const override { mixer_.initialise(p, random); }
  void prepare(Index rows) override { mixer_.prepare(cache_, scratch_, rows); }
  void forward(const Vector<Scalar>& p, const In& in, View<Scalar> q_tot) override {
    mixer_.forward(p, in, q_tot, cache_, scratch_);
  }
  void evaluate(const Vector<Scalar>& p, const In& in, View<Scalar> q_tot) override {
    mixer_.evaluate(p, in, q_tot, scratch_);
  }
  void backward(const Vector<Scalar>& p, const In& in, ConstView<Scalar> dq_tot, Vector<Scalar>& gradients,
                View<Scalar> dagent_qs) override {
    if constexpr (std::floating_point<Scalar>)  // a dual number needs no backward
      mixer_.backward(p, cache_, in, dq_tot, gradients, dagent_qs, scratch_);
  }

 private:
  M mixer_;
  typename M::Cache cache_;
  typename M::Scratch scratch_;
};

template <class Scalar>
std::unique_ptr<MixerUnderTest<Scalar>> mixer_under_test(const MixerCase& c, ParameterLayout& layout, Index n_agents,
                                                         Index state_dim, Index unit_dim) {
  return std::visit(
      []<class M>(const M& mixer) -> std::unique_ptr<MixerUnderTest<Scalar>> {
        return std::make_unique<WrappedMixer<M>>(mixer);
      },
      make_mixer<Scalar>(c, layout, n_agents, state_dim, unit_dim));
}

/// What a mixer reads: random values, states and units, some agents dead (in the last of several rows all).
template <class Scalar>
struct MixerData {
  MixerData(Index n_agents, Index state_dim, Index unit_dim, Index rows, Random& random)
      : qs(random_matrix<Scalar>(n_agents, rows, random)),
        state(random_matrix<Scalar>(state_dim, rows, random)),
        units(random_matrix<Scalar>(unit_dim * n_agents, rows, random)),
        alive(Matrix<std::uint8_t>::Ones(n_agents, rows)) {
    for (Index r = 0; r < rows; ++r) alive(r % n_agents, r) = r % 2 == 0;
    if (rows > 1) alive.col(rows - 1).setZero();
  }
  MixerInputs<Scalar> inputs() const { return {qs, state, units, alive}; }
  MixerInputs<Scalar> inputs(ConstView<Scalar> other_qs) const { return {other_qs, state, units, alive}; }

  Matrix<Scalar> qs, state, units;
  Matrix<std::uint8_t> alive;
};

}  // namespace qatten::testing
