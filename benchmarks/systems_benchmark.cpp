// One whole update of every system by its name, beside one of VDN on the same batch: 32 episodes of 20 … 60 steps, in
// tiles, recurrent agents, one thread. `of vdn` is the ratio of their times, by turns.

#include "episodes.hpp"
#include "measure.hpp"
#include "qatten/training/make_trainer.hpp"

namespace qatten::benchmarks {
namespace {

class Case {
 public:
  Case(const std::string& mixer, const Map& map)
      : learner_(learner(mixer, map)),
        vdn_(learner("vdn", map)),
        batch_(pack<TiledBatch<float>>(random_episodes(map))) {}

  void run(benchmark::State& state) {
    const auto update = [this](AnyLearner<float>& learner) { learner.update(batch_.tiles(), episodes, 0.1); };
    update(*learner_);
    measure(
        state, "steps", batch_.transitions(), [&] { update(*learner_); }, [&] { update(*vdn_); }, 0,
        {learner_->state().parameters}, "of vdn");
  }

 private:
  static std::unique_ptr<AnyLearner<float>> learner(const std::string& mixer, const Map& map) {
    TrainingOptions options = resolve_options({}, {{"mixer", mixer}, {"optimizer", "adam"}});
    options.lr = options.critic_lr = 1e-5;
    return make_learner<float>(options, {.n_agents = map.agents,
                                         .n_actions = map.actions,
                                         .obs_shape = map.obs,
                                         .state_shape = map.state,
                                         .unit_dim = map.unit,
                                         .episode_limit = steps});
  }

  std::unique_ptr<AnyLearner<float>> learner_, vdn_;
  TiledBatch<float> batch_;
};

}  // namespace
}  // namespace qatten::benchmarks

int main(int argc, char** argv) {
  using namespace qatten;
  using namespace qatten::benchmarks;
  for (const auto* names : {&mixer_names(), &system_names()})
    for (const auto& [mixer, description] : *names)
      for (const Map& map : maps()) {
        const std::string name = "BM_System/" + mixer + "/" + map.name;
        const auto body = [=](benchmark::State& state) { Case(mixer, map).run(state); };
        benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMicrosecond);
      }
  return run_all(argc, argv);
}
