// Files that runs are made of: one that grows, options as JSON, folders, and the newest whole checkpoint.

#include "io/files.hpp"

#include <sys/wait.h>

#include "qatten/runs/append_file.hpp"
#include "qatten/runs/run_folder.hpp"
#include "support/catch.hpp"

using namespace qatten;
using qatten::testing::contains;

TEST_CASE("a file grows at its end, and can be cut") {
  const TemporaryFolder folder;
  const auto path = folder / "a.txt";
  {
    AppendFile file(path);
    file.append("one\n");
    file.append("two\n");
    CHECK(file.size() == 8);
    file.sync();
  }
  AppendFile file(path);
  CHECK(file.size() == 8);
  file.cut(4);
  file.append("three\n");
  CHECK(read_text(path) == "one\nthree\n");
  CHECK_THROWS_WITH(file.cut(11), contains("has 10 bytes, expected at least 11"));
  CHECK_THROWS_WITH(AppendFile(path), contains("another process is writing to") && contains("a.txt"));
}

TEST_CASE("a file that cannot be opened or written is an error") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(AppendFile(folder / "missing/a.txt"), contains("cannot open") && contains("No such file"));
  AppendFile full("/dev/full");
  CHECK_THROWS_WITH(full.append("x"), "AppendFile: cannot write to /dev/full: No space left on device");
  AppendFile small(folder / "b.txt");
  const FullDisk disk(10);
  CHECK_THROWS_WITH(small.append("more than ten bytes"), contains("cannot write to") && contains("File too large"));
}

TEST_CASE("options go through JSON to the same options") {
  const TemporaryFolder folder;
  TrainingOptions options = resolve_options({}, {{"preset", "pymarl2"},
                                                 {"mixer", "qatten-pymarl2"},
                                                 {"env", "sc2"},
                                                 {"env_args.map_name", "3m"},
                                                 {"env_args.steps", "12"},
                                                 {"lr", "0.12345678901234567"},
                                                 {"double_q", "false"},
                                                 {"seed", "9007199254740993"},
                                                 {"updates_per_episode", "3/7"}});
  write_text(folder / "flat.json", to_json(options).dump());
  CHECK(resolve_options(read_options(folder / "flat.json"), {}) == options);
  write_text(folder / "config.json", nlohmann::json{{"options", to_json(options)}, {"build", "x"}}.dump());
  CHECK(resolve_options(read_options(folder / "config.json"), {}) == options);
}

TEST_CASE("a file of options is read strictly") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text) {
    write_text(folder / "o.json", text);
    return error_of([&] { resolve_options(read_options(folder / "o.json"), {}); });
  };
  CHECK(error(R"({"lr": 0.1, "mixer": null, "env_args": {"steps": 3}, "updates_per_episode": 2})") == "");
  CHECK(error(R"({"lr": "0.1"})") == "option lr: got '\"0.1\"', expected a number, positive");
  CHECK(error(R"({"double_q": 1})") == "option double_q: got '1', expected true or false");
  CHECK(error(R"({"t_max": 1.5})") == "option t_max: got '1.5', expected a whole number, at least 1");
  CHECK(error(R"({"t_max": true})") == "option t_max: got 'true', expected a whole number, at least 1");
  CHECK(error(R"({"mixer": 3})") ==
        "option mixer: got '3', expected one of iql, vdn, qmix, qatten, qatten-pymarl2, qlinear, qplex, qtran_base, "
        "qtran_alt, cw_qmix, ow_qmix, coma, maac");
  CHECK(error(R"({"lr": null})") == "option lr: got 'null', expected a number, positive");
  CHECK(holds(error(R"({"gama": 0.9})"), "there is no option 'gama'; the nearest is 'gamma'"));
  CHECK(holds(error(R"({"env_args": 3})"), "env_args is 3, expected an object"));
  CHECK(holds(error("[1]"), "is not an object of options"));
  CHECK(holds(error("{"), "is not JSON"));
  CHECK(holds(error_of([&] { read_options(folder / "none.json"); }), "cannot read"));
}

TEST_CASE("what bits depend on is described") {
  const nlohmann::ordered_json build = describe_build();
  for (const std::string key : {"qatten", "compiler", "flags", "eigen", "instruction_sets", "processor", "system"}) {
    CAPTURE(key);
    CHECK_FALSE(build.at(key).get<std::string>().empty());
  }
  CHECK(build.at("qatten").get<std::string>() == std::to_string(QATTEN_VERSION_MAJOR) + "." +
                                                     std::to_string(QATTEN_VERSION_MINOR) + "." +
                                                     std::to_string(QATTEN_VERSION_PATCH));
}

TEST_CASE("every run gets a folder of its own") {
  const TemporaryFolder folder;
  TrainingOptions options;
  options.env = "matrix:qtran / é";
  options.local_results_path = (folder / "new/results").string();
  const RunFolder a = create_run_folder(options), b = create_run_folder(options);
  CHECK(a.root != b.root);
  const std::string name = a.root.filename().string();
  CHECK(name.starts_with("matrix-qtran-----_qmix_seed1_20"));
  CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == name.npos);
  const UnwritableFolder unwritable(folder / "new/results");
  CHECK_THROWS_WITH(create_run_folder(options), contains("cannot create") && contains("Permission denied"));
}

TEST_CASE("the newest checkpoint that is whole is the one to go on from") {
  const TemporaryFolder temporary;
  const RunFolder folder{temporary.path()};
  std::filesystem::create_directory(folder.checkpoints());
  std::vector<std::string> damages;
  const auto load = [&](bool& found) {
    damages.clear();
    return load_newest(folder, found, [&](const Error& error) { damages.push_back(error.what()); });
  };
  bool found = true;
  load(found);
  CHECK_FALSE(found);
  for (const std::int64_t t_env : {9, 100, 20}) {  // by number, not by letters
    Checkpoint checkpoint;
    checkpoint.put("t_env", t_env);
    checkpoint.save(folder.checkpoint(t_env));
  }
  write_text(folder.checkpoints() / "note.txt", "not a checkpoint");
  write_text(folder.checkpoints() / "best.safetensors", "nor is this");
  CHECK(folder.saved() == std::vector<std::int64_t>{9, 20, 100});
  CHECK(load(found).get<std::int64_t>("t_env") == 100);
  CHECK(found);
  CHECK(damages.empty());

  std::string bytes = read_text(folder.checkpoint(100));
  bytes[bytes.size() - 5] ^= 1;
  write_text(folder.checkpoint(100), bytes);
  CHECK(load(found).get<std::int64_t>("t_env") == 20);
  REQUIRE(damages.size() == 1);
  CHECK(holds(damages[0], "100.safetensors is damaged"));

  write_text(folder.checkpoint(20), "");
  write_text(folder.checkpoint(9), read_text(folder.checkpoint(9)).substr(0, 60));
  CHECK_THROWS_WITH(load(found), contains("no checkpoint in") && contains("can be read") &&
                                     contains("100.safetensors") && contains("20.safetensors") &&
                                     contains("9.safetensors"));
}

TEST_CASE("a run that goes on keeps its options, but for those that do not change its bits") {
  const TemporaryFolder temporary;
  const RunFolder folder{temporary.path()};
  CHECK_THROWS_WITH(resumed_options(folder, {}), contains("is not the folder of a run"));
  const TrainingOptions options = resolve_options({}, {{"lr", "0.1"}, {"t_max", "50"}, {"env_args.steps", "3"}});
  write_text(folder.config(), nlohmann::ordered_json{{"options", to_json(options)}}.dump());
  CHECK(resumed_options(folder, {}) == options);
  CHECK(resumed_options(folder, {{"t_max", "70"}, {"env_threads", "4"}}).t_max == 70);
  CHECK(resumed_options(folder, {{"lr", "0.1"}}) == options);
  CHECK_THROWS_WITH(resumed_options(folder, {{"lr", "0.2"}}),
                    "resume: lr is 0.1 in this run and cannot become 0.2; start a new run");
  CHECK_THROWS_WITH(resumed_options(folder, {{"env_args.steps", "4"}}), contains("env_args of a run cannot change"));
}
