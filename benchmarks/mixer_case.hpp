#pragma once
// A mixer on random samples, measured beside its floor.

#include "measure.hpp"
#include "mixer_floor.hpp"

namespace qatten::benchmarks {

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
class MixerCase {
 public:
  MixerCase(const Mixer& mixer, const ParameterLayout& layout, const Map& map, Index rows)
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

  /// One row reads every parameter for a single multiplication: the counter `read` is the time over that of adding the
  /// parameters up once, which is what it takes to bring them in from the cache.
  void evaluate(benchmark::State& state) {
    const auto work = [this] { mixer_.evaluate(p_, inputs(), q_tot_, scratch_); };
    compare(state, Pass::forward, work);
    if (p_.size() == 0) return;
    const Index quarter = p_.size() / 4;
    float sum = 0;
    const auto read = [&] {
      sum += (p_.head(quarter) + p_.segment(quarter, quarter) + p_.segment(2 * quarter, quarter) +
              p_.segment(3 * quarter, quarter))
                 .sum();
      benchmark::DoNotOptimize(sum);
    };
    const Index work_calls = calls_per_turn(work), read_calls = calls_per_turn(read);
    std::vector<double> ratios;
    for (int turn = 0; turn < 7; ++turn) {
      const double reading = seconds(read, read_calls);
      ratios.push_back(seconds(work, work_calls) / reading);
    }
    state.counters["read"] = median(ratios);
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

}  // namespace qatten::benchmarks
