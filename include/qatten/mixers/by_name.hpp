#pragma once
// A mixer chosen at run time by its name: the one place where that happens. Behind `visit` everything is static.

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "qatten/mixers/independent.hpp"
#include "qatten/mixers/qatten.hpp"
#include "qatten/mixers/qlinear.hpp"
#include "qatten/mixers/qmix.hpp"
#include "qatten/mixers/vdn.hpp"

namespace qatten::inline QATTEN_ABI {

template <class Scalar>
using AnyMixer = std::variant<Independent<Scalar>, Vdn<Scalar>, Qmix<Scalar>, Qatten<Scalar>, Qlinear<Scalar>>;

/// The names that `make_mixer` knows, with a line about each.
inline const std::vector<std::pair<std::string, std::string>>& mixer_names() {
  static const std::vector<std::pair<std::string, std::string>> names = {
      {"iql", "independent Q-learning: no mixer"},
      {"vdn", "sum of the agents' values"},
      {"qmix", "monotonic mixing network, PyMARL's defaults"},
      {"qatten", "Qatten as in its authors' code"},
      {"qatten-pymarl2", "Qatten as in PyMARL2: weighted heads, biases, no regulariser"},
      {"qlinear", "the authors' ablation of Qatten without attention"},
  };
  return names;
}

/// The options behind each name.
struct MixerOptions {
  QmixOptions qmix;
  QattenOptions qatten = QattenOptions::authors();
  QattenOptions qatten_pymarl2 = QattenOptions::pymarl2();
  QlinearOptions qlinear;
};

/// The mixer of that name, its parameters laid out under "mixer". Throws for a name that is not
/// known.
template <class Scalar>
AnyMixer<Scalar> make_mixer(std::string_view name, ParameterLayout& layout, Index n_agents, Index state_dim,
                            Index unit_dim, const MixerOptions& options = {}) {
  if (name == "iql") return Independent<Scalar>(n_agents);
  if (name == "vdn") return Vdn<Scalar>(n_agents);
  if (name == "qmix") return Qmix<Scalar>(layout, "mixer", n_agents, state_dim, options.qmix);
  if (name == "qatten") return Qatten<Scalar>(layout, "mixer", n_agents, state_dim, unit_dim, options.qatten);
  if (name == "qatten-pymarl2")
    return Qatten<Scalar>(layout, "mixer", n_agents, state_dim, unit_dim, options.qatten_pymarl2);
  if (name == "qlinear") return Qlinear<Scalar>(layout, "mixer", n_agents, state_dim, unit_dim, options.qlinear);
  std::string known;
  for (const auto& [other, description] : mixer_names()) known += (known.empty() ? "" : ", ") + other;
  throw Error("make_mixer: no mixer is named '" + std::string(name) + "'; known: " + known);
}

}  // namespace qatten::inline QATTEN_ABI
