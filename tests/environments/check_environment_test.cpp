// Every check is shown an environment that is wrong in just that way, and must say so.

#include "qatten/environments/check_environment.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

#include "support/catch.hpp"

using namespace qatten;

namespace {

/// A sound environment of 2 agents, 3 actions and episodes of 4 steps, with chance at every step; agent 1 dies after
/// two steps and has then only action 0. Each hook may break it.
struct Patient {
  EnvironmentInfo sizes{
      .n_agents = 2, .n_actions = 3, .obs_shape = 2, .state_shape = 3, .unit_dim = 1, .episode_limit = 4};
  std::function<void(const Patient&)> on_info = [](const Patient&) {};
  std::function<void(Patient&)> on_reset = [](Patient&) {};
  std::function<void(const Patient&, Observation&)> on_observe = [](const Patient&, Observation&) {};
  std::function<void(Patient&, StepResult&)> on_step = [](Patient&, StepResult&) {};

  Random random{0};
  int t = 0;
  float level = 0;
  int calls = 0;
  mutable int looks = 0;
  mutable int infos = 0;

  EnvironmentInfo info() const {
    ++infos;
    on_info(*this);
    return sizes;
  }

  void reset(const Random& stream) {
    random = stream;
    t = 0;
    level = static_cast<float>(random.uniform());
    on_reset(*this);
  }

  void observe(Observation o) const {
    ++looks;
    o.obs.setConstant(level);
    if (o.state.size() > 0) o.state(0, 0) = static_cast<float>(t);
    if (o.units.size() > 0) o.units(0, 1) = 1;
    if (t >= 2) {
      o.alive(1, 0) = 0;
      o.available.col(1).setZero();
      o.available(0, 1) = 1;
    }
    on_observe(*this, o);
  }

  StepResult step(std::span<const int> actions) {
    ++calls;
    ++t;
    level += static_cast<float>(actions[0]) + static_cast<float>(random.uniform());
    StepResult result{.reward = level, .terminated = t == 4};
    on_step(*this, result);
    return result;
  }
};
static_assert(Environment<Patient>);

/// Writes one element of a view's memory, counted from its first.
template <class T>
void poke(View<T> view, Index element) {
  view.data()[element] = 1;
}

/// The only problem of a patient; otherwise how many there are and which.
std::string only_problem(Patient patient, int episodes = 3) {
  const auto problems = check_environment(patient, 1, episodes);
  if (problems.size() == 1) return problems.front();
  std::string all = std::to_string(problems.size()) + " problems";
  for (const auto& problem : problems) all += "\n" + problem;
  return all;
}

Patient with_sizes(const std::function<void(EnvironmentInfo&)>& change) {
  Patient patient;
  change(patient.sizes);
  return patient;
}

Patient that_observes(const std::function<void(const Patient&, Observation&)>& hook) {
  Patient patient;
  patient.on_observe = hook;
  return patient;
}

Patient that_steps(const std::function<void(Patient&, StepResult&)>& hook) {
  Patient patient;
  patient.on_step = hook;
  return patient;
}

}  // namespace

TEST_CASE("a sound environment has no problems, with a dead agent, and with chance of its own stream") {
  Patient patient;
  CHECK(check_environment(patient) == std::vector<std::string>{});
  CHECK(check_environment(patient, 99, 1) == std::vector<std::string>{});
  Patient bare = with_sizes([](EnvironmentInfo& info) { info.state_shape = info.unit_dim = 0; });
  CHECK(check_environment(bare) == std::vector<std::string>{});
  Patient truncating = that_steps([](Patient& p, StepResult& r) {
    r.terminated = false;
    r.truncated = p.t == 4;
  });
  CHECK(check_environment(truncating) == std::vector<std::string>{});
}

TEST_CASE("sizes must be positive") {
  CHECK(only_problem(with_sizes([](auto& i) { i.n_agents = 0; })) == "info().n_agents is 0, expected at least 1");
  CHECK(only_problem(with_sizes([](auto& i) { i.n_actions = -2; })) == "info().n_actions is -2, expected at least 1");
  CHECK(only_problem(with_sizes([](auto& i) { i.obs_shape = 0; })) == "info().obs_shape is 0, expected at least 1");
  CHECK(only_problem(with_sizes([](auto& i) { i.state_shape = -1; })) ==
        "info().state_shape is -1, expected at least 0");
  CHECK(only_problem(with_sizes([](auto& i) { i.unit_dim = -1; })) == "info().unit_dim is -1, expected at least 0");
  CHECK(only_problem(with_sizes([](auto& i) { i.episode_limit = 0; })) ==
        "info().episode_limit is 0, expected at least 1");
  Patient both = with_sizes([](auto& i) { i.n_agents = i.n_actions = 0; });
  CHECK(check_environment(both).size() == 2);
}

TEST_CASE("sizes that no memory holds are told, not allocated") {
  const Index huge = std::numeric_limits<Index>::max() / 2;
  CHECK(only_problem(with_sizes([&](auto& i) { i.obs_shape = i.n_agents = huge; })).find("info() asks for") == 0);
  CHECK(only_problem(with_sizes([&](auto& i) { i.state_shape = huge; })).find("info() asks for") == 0);
}

TEST_CASE("info() must not change") {
  Patient by_step = that_steps([](Patient& p, StepResult&) { p.sizes.n_agents = 3; });
  CHECK(only_problem(by_step) == "episode 0, step 1: info() changed, expected the same at all times");
  Patient by_reset;
  by_reset.on_reset = [](Patient& p) { p.sizes.episode_limit = 5; };
  CHECK(only_problem(by_reset) == "episode 0, step 0: info() changed, expected the same at all times");
}

TEST_CASE("exceptions are caught and told") {
  Patient at_once, later, in_reset;
  at_once.on_info = [](const Patient&) { throw std::runtime_error("no game"); };
  CHECK(only_problem(at_once) == "info() threw an exception: no game");
  later.on_info = [](const Patient& p) {
    if (p.t == 2) throw std::runtime_error("lost it");
  };
  CHECK(only_problem(later) == "episode 0, step 2: info() threw an exception: lost it");
  in_reset.on_reset = [](Patient&) { throw std::runtime_error("not now"); };
  CHECK(only_problem(in_reset) == "episode 0, step 0: reset() threw an exception: not now");
  CHECK(only_problem(that_observes([](const Patient& p, Observation&) {
          if (p.t == 1) throw std::runtime_error("dark");
        })) == "episode 0, step 1: observe() threw an exception: dark");
  CHECK(only_problem(that_steps([](Patient& p, StepResult&) {
          if (p.t == 3) throw std::runtime_error("stuck");
        })) == "episode 0, step 2: step() threw an exception: stuck");
  CHECK(only_problem(that_steps([](Patient&, StepResult&) { throw 42; })) ==
        "episode 0, step 0: step() threw something that is not a std::exception");
}

TEST_CASE("an exception in a later episode does not hide the earlier ones") {
  Patient patient = that_steps([](Patient& p, StepResult& r) {
    if (p.calls == 17) throw std::runtime_error("tired");  // episodes are played 4 + 4 + 2 + 4 steps
    r.reward = p.t == 4 ? std::nanf("") : r.reward;
  });
  const auto problems = check_environment(patient);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0] == "episode 0, step 3: step() gave reward nan, expected a finite number");
  CHECK(problems[1] == "episode 1, step 2: step() threw an exception: tired");
}

TEST_CASE("observe() must stay within its views") {
  const auto outside = [](const std::string& name) {
    return "episode 0, step 0: observe() wrote outside the view " + name +
           ", expected to stay within rows(), cols() and outerStride()";
  };
  using O = Observation;
  using P = Patient;
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.obs, 2); })) == outside("obs"));  // as if it were packed
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.obs, -1); })) == outside("obs"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.obs, o.obs.outerStride() + 2); })) == outside("obs"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.obs, 2 * o.obs.outerStride()); })) == outside("obs"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.obs, -o.obs.outerStride()); })) == outside("obs"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.state, 3); })) == outside("state"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.units, 1); })) == outside("units"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.available, 3); })) == outside("available"));
  CHECK(only_problem(that_observes([](const P&, O& o) { poke(o.alive, 2); })) == outside("alive"));
  // Also with the very values of the guard cells.
  for (const float guard : {90.0f, 165.0f})
    CHECK(only_problem(that_observes([=](const P&, O& o) { o.obs.data()[2] = guard; })) == outside("obs"));
}

TEST_CASE("observe() twice must write the same") {
  const auto different = [](const std::string& name) {
    return "episode 0, step 0: observe() called twice in a row wrote different " + name + ", expected the same";
  };
  // The patient counts its looks; two in a row differ, and the first of every pair is the same again.
  using O = Observation;
  const auto odd = [](const Patient& p) { return p.looks % 2 == 1; };
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.obs(0, 0) = odd(p); })) == different("obs"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.state(0, 0) = odd(p); })) == different("state"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.units(0, 0) = odd(p); })) == different("units"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.available(1, 0) = odd(p); })) ==
        different("available"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.alive(0, 0) = odd(p); })) == different("alive"));
}

TEST_CASE("numbers must be finite and flags 0 or 1") {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  using O = Observation;
  using P = Patient;
  CHECK(only_problem(that_observes([=](const P& p, O& o) { o.obs(1, 1) = p.t == 2 ? nan : 0; })) ==
        "episode 0, step 2: obs(1, 1) is nan, expected a finite number");
  CHECK(only_problem(that_observes([=](const P&, O& o) { o.state(2, 0) = -inf; })) ==
        "episode 0, step 0: state(2, 0) is -inf, expected a finite number");
  CHECK(only_problem(that_observes([=](const P&, O& o) { o.units(0, 1) = inf; })) ==
        "episode 0, step 0: units(0, 1) is inf, expected a finite number");
  CHECK(only_problem(that_observes([=](const P&, O& o) { o.available(2, 0) = 255; })) ==
        "episode 0, step 0: available(2, 0) is 255, expected 0 or 1");
  CHECK(only_problem(that_observes([=](const P& p, O& o) { o.alive(1, 0) = p.t == 4 ? 2 : 1; })) ==
        "episode 0, step 4: alive(1, 0) is 2, expected 0 or 1");
}

TEST_CASE("everyone needs an available action, the dead too, and in the last observation") {
  using O = Observation;
  CHECK(only_problem(that_observes([](const Patient& p, O& o) {
          if (p.t == 1) o.available.col(0).setZero();
        })) == "episode 0, step 1: agent 0 has no available action, expected at least one");
  CHECK(only_problem(that_observes([](const Patient& p, O& o) {
          if (p.t >= 2) o.available.col(1).setZero();
        })) ==
        "episode 0, step 2: agent 1 has no available action, expected at least one; it is dead: give it an action that "
        "does nothing");
  CHECK(only_problem(that_observes([](const Patient& p, O& o) {
          if (p.t == 4) o.available.col(0).setZero();
        })) == "episode 0, step 4: agent 0 has no available action, expected at least one");
}

TEST_CASE("only available actions are played") {
  struct Strict : Patient {
    StepResult step(std::span<const int> actions) {
      if (t >= 2 && actions[1] != 0) throw std::runtime_error("unavailable");
      return Patient::step(actions);
    }
  } strict;
  CHECK(check_environment(strict, 1, 20) == std::vector<std::string>{});
}

TEST_CASE("rewards must be finite, and an episode ends one way only") {
  CHECK(only_problem(that_steps([](Patient& p, StepResult& r) {
          if (p.t == 2) r.reward = std::nanf("");
        })) == "episode 0, step 1: step() gave reward nan, expected a finite number");
  CHECK(only_problem(that_steps([](Patient&, StepResult& r) { r.reward = HUGE_VALF; })) ==
        "episode 0, step 0: step() gave reward inf, expected a finite number");
  CHECK(only_problem(that_steps([](Patient&, StepResult& r) { r.truncated = r.terminated; })) ==
        "episode 0, step 3: step() gave both terminated and truncated, expected at most one of them");
}

TEST_CASE("episodes must end within the limit, and the check ends in any case") {
  CHECK(only_problem(that_steps([](Patient&, StepResult& r) { r.terminated = false; })) ==
        "episode 0, step 4: the episode still goes on, expected an end within info().episode_limit = 4 steps");
  CHECK(only_problem(that_steps([](Patient& p, StepResult& r) { r.terminated = p.t == 5; })) ==
        "episode 0, step 4: the episode still goes on, expected an end within info().episode_limit = 4 steps");
  Patient endless = that_steps([](Patient&, StepResult& r) { r = {}; });
  endless.sizes.episode_limit = std::numeric_limits<Index>::max();
  CHECK(only_problem(endless, 1).find("episode 0, step 100000: the episode still goes on, and check_environment") == 0);
}

TEST_CASE("the same stream and actions must give the same episode") {
  const std::string again = "played again with the same stream and actions, ";
  // Chance that does not come from the stream: here, from the number of calls.
  CHECK(only_problem(that_steps([](Patient& p, StepResult& r) { r.reward = p.calls > 4 && p.t == 2 ? 2.5f : 0.5f; })) ==
        "episode 0, step 1: " + again +
            "step() gave reward 2.5, terminated 0, truncated 0; expected reward 0.5, terminated 0, truncated 0 as "
            "before");
  CHECK(only_problem(that_steps([](Patient& p, StepResult& r) {
          r.terminated |= p.calls == 6;
        })).find("episode 0, step 1: " + again + "step() gave") == 0);
  CHECK(only_problem(that_steps([](Patient& p, StepResult& r) {
          r.truncated = p.calls > 4 && p.t == 4;
          r.terminated = p.calls <= 4 && p.t == 4;
        })).find("terminated 0, truncated 1; expected") != std::string::npos);
  const auto other = [&](const std::string& name) {
    return "episode 0, step 3: " + again + "observe() wrote other " + name + " than before, expected the same";
  };
  using O = Observation;
  const auto late = [](const Patient& p) { return p.calls > 4 && p.t == 3 ? 1 : 0; };
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.obs(0, 0) = static_cast<float>(late(p)); })) ==
        other("obs"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.state(0, 0) = static_cast<float>(late(p)); })) ==
        other("state"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.units(0, 0) = static_cast<float>(late(p)); })) ==
        other("units"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.available(2, 0) = late(p) == 0; })) ==
        other("available"));
  CHECK(only_problem(that_observes([=](const Patient& p, O& o) { o.alive(0, 0) = late(p) == 0; })) == other("alive"));
}

TEST_CASE("reset() must begin anew from the middle of an episode") {
  struct Forgetful : Patient {
    // Keeps what it had when it is reset before the end.
    void reset(const Random& stream) {
      const float kept = t > 0 && t < 4 ? level : 0;
      Patient::reset(stream);
      level += kept;
    }
  } forgetful;
  const auto problems = check_environment(forgetful, 1, 3);
  REQUIRE(problems.size() == 1);
  CHECK(problems.front() ==
        "episode 0, step 0: played again after a reset in the middle of an episode, observe() wrote other obs than "
        "before, expected the same");
}

TEST_CASE("all kinds of problems are told, each once") {
  Patient patient;
  patient.on_observe = [](const Patient&, Observation& o) {
    o.obs(0, 0) = std::nanf("");
    o.alive(0, 0) = 7;
    poke(o.state, 3);
  };
  patient.on_step = [](Patient&, StepResult& r) { r.reward = HUGE_VALF; };
  CHECK(check_environment(patient).size() == 4);
}

TEST_CASE("at least one episode must be asked for") {
  Patient patient;
  CHECK_THROWS_AS(check_environment(patient, 1, 0), Error);
}
