// Mixers on 1920 samples, forward and with backward, and on one.

#include "measure.hpp"
#include "mixer_floor.hpp"
#include "qatten/mixers/by_name.hpp"

namespace qatten::benchmarks {
namespace {

/// What VDN does is memory traffic: a copy that reads and writes as many bytes.
class OnePass {
 public:
  explicit OnePass(Index numbers) : from_(Vector<float>::Ones(numbers / 2 + 1)), to_(from_) {}
  void run() { to_ = from_; }

 private:
  Vector<float> from_, to_;
};

/// A mixer with its inputs and all memory that it needs.
template <class Mixer>
class Case {
 public:
  Case(const Mixer& mixer, const ParameterLayout& layout, const Map& map, Index rows)
      : mixer_(mixer),
        rows_(rows),
        qs_(random_matrix(map.agents, rows, random_)),
        state_(random_matrix(map.state, rows, random_)),
        units_(random_matrix(map.unit * map.agents, rows, random_)),
        dq_tot_(random_matrix(1, rows, random_)),
        q_tot_(1, rows),
        dqs_(map.agents, rows),
        p_(Vector<float>::Zero(layout.size())),
        gradients_(Vector<float>::Zero(layout.size())) {
    mixer_.initialise(p_, random_);
    mixer_.prepare(cache_, scratch_, rows);
  }

  void evaluate(benchmark::State& state) {
    compare(state, Pass::forward, [this] { mixer_.evaluate(p_, inputs(), q_tot_, scratch_); });
  }
  void forward(benchmark::State& state) {
    compare(state, Pass::forward, [this] { mixer_.forward(p_, inputs(), q_tot_, cache_, scratch_); });
  }
  void forward_backward(benchmark::State& state) {
    compare(state, Pass::forward_backward, [this] {
      mixer_.forward(p_, inputs(), q_tot_, cache_, scratch_);
      gradients_.setZero();
      mixer_.backward(p_, cache_, inputs(), dq_tot_, gradients_, dqs_, scratch_);
    });
  }

 private:
  MixerInputs<float> inputs() const { return {qs_, state_, units_}; }

  template <class Work>
  void compare(benchmark::State& state, Pass pass, Work&& work) {
    dqs_.setZero();
    Floor floor;
    add_products(floor, mixer_, rows_, pass);
    OnePass copy((qs_.size() + q_tot_.size()) * (pass == Pass::forward ? 1 : 2));
    const auto bare = [&] { floor.flops() > 0 ? floor.run() : copy.run(); };
    measure(state, "rows", rows_, work, bare, floor.flops(), {q_tot_, dqs_, gradients_});
  }

  const Mixer& mixer_;
  Index rows_;
  Random random_{1, "mixer"};
  Matrix<float> qs_, state_, units_, dq_tot_, q_tot_, dqs_;
  Vector<float> p_, gradients_;
  typename Mixer::Cache cache_;
  typename Mixer::Scratch scratch_;
};

void add(const std::string& mixer_name, const Map& map) {
  const auto add_one = [&](const std::string& what, Index rows, auto&& run) {
    const auto body = [=](benchmark::State& state) {
      ParameterLayout layout;
      const AnyMixer<float> any = make_mixer<float>(mixer_name, layout, map.agents, map.state, map.unit);
      std::visit([&](const auto& mixer) { run(Case(mixer, layout, map, rows), state); }, any);
    };
    const std::string name = "BM_Mixer/" + mixer_name + "/" + map.name + "/" + what;
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
  };
  add_one("forward", rows, [](auto&& c, benchmark::State& state) { c.forward(state); });
  add_one("forward_backward", rows, [](auto&& c, benchmark::State& state) { c.forward_backward(state); });
  add_one("evaluate_one", 1, [](auto&& c, benchmark::State& state) { c.evaluate(state); });
}

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten::benchmarks;
  for (const std::string mixer : {"vdn", "qmix", "qatten", "qatten-pymarl2", "qlinear"})
    for (const Map& map : maps()) add(mixer, map);
  return run_all(argc, argv);
}
