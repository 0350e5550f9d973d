// Draws what runs measured as an SVG picture: one curve for runs that differ in their seeds alone, median and
// quartiles.

#include <CLI/CLI.hpp>
#include <iostream>

#include "qatten/io/atomic_file.hpp"
#include "qatten/runs/run_clock.hpp"
#include "qatten/runs/run_folder.hpp"
#include "qatten/runs/svg_plot.hpp"

using namespace qatten;

namespace {

/// Runs that differ in their seeds alone.
struct Group {
  TrainingOptions options;
  std::string label;
  std::vector<std::map<std::string, Series>> runs;
};

/// In what two runs differ beside their seeds and what changes no bits, as "lr 0.1, …".
std::string difference(const TrainingOptions& from, const TrainingOptions& to) {
  std::string text;
  for (const Option& option : option_table())
    if (option.limits.fixed && option.name != "seed" && get_option(from, option) != get_option(to, option))
      text += (text.empty() ? "" : ", ") + std::string(option.name) + " " + get_option(to, option);
  if (from.env_args != to.env_args) text += text.empty() ? "env_args" : ", env_args";
  return text;
}

std::string label_of(const TrainingOptions& options) {
  return (options.name.empty() ? options.mixer : options.name) + " on " + options.env;
}

std::vector<Group> read_groups(const std::vector<std::string>& folders, bool minutes) {
  std::vector<Group> groups;
  for (const std::string& name : folders) {
    const RunFolder folder{name};
    const TrainingOptions options = resumed_options(folder, {});
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& g) { return difference(g.options, options).empty(); });
    if (group == groups.end()) {
      std::string label = label_of(options);
      for (const Group& g : groups)  // two groups of one name: say what else differs
        if (label_of(g.options) == label_of(options)) {
          label += ", " + difference(g.options, options);
          break;
        }
      group = groups.insert(groups.end(), {options, label, {}});
    }
    std::map<std::string, Series> run = read_metrics(folder.metrics());
    if (minutes) {
      const Series times = read_minutes(folder.times());
      for (auto& [key, series] : run) series = over_minutes(std::move(series), times);
    }
    group->runs.push_back(std::move(run));
  }
  return groups;
}

/// The curves of one metric; empty where no run has it.
Panel make_panel(const std::string& key, const std::vector<Group>& groups, bool minutes) {
  Panel panel{key, {}};
  if (minutes) panel.x = "minutes";
  for (const Group& group : groups) {
    std::vector<Series> series;
    for (const auto& run : group.runs)
      if (const auto found = run.find(key); found != run.end()) series.push_back(found->second);
    if (!series.empty()) panel.curves.emplace_back(group.label, summarise(series));
  }
  return panel;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders;
  std::vector<std::string> keys{"test_return_mean", "test_battle_won_mean", "return_mean", "loss",
                                "q_taken_mean",     "target_mean"};
  std::string out = "metrics.svg";
  bool log = false, minutes = false;
  CLI::App app{"Draws the metrics of runs: medians, and quartiles over runs that differ in their seeds alone."};
  app.add_option("folders", folders, "folders of runs")->required();
  app.add_option("--key", keys, "what to draw, by its key in metrics.csv; can be given more than once")
      ->allow_extra_args(false);
  app.add_flag("--log", log, "logarithmic heights; what is not positive is left out");
  app.add_flag("--minutes", minutes, "over the time that training took, rather than over steps");
  app.add_option("--out", out, "the picture")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    const std::vector<Group> groups = read_groups(folders, minutes);
    std::vector<Panel> panels;
    for (const std::string& key : keys)
      if (Panel panel = make_panel(key, groups, minutes); !panel.curves.empty()) panels.push_back(std::move(panel));
    if (panels.empty()) throw Error("none of the runs has any of these metrics yet");
    const std::string svg = svg_plot(panels, log);
    const auto bytes = std::as_bytes(std::span(svg));
    replace_file(out, std::span(&bytes, 1));
    std::cout << out << "\n";
  } catch (const std::exception& error) {
    std::cerr << "plot: " << error.what() << "\n";
    return 1;
  }
}
