#include "qatten/io/checkpoint.hpp"

#include "files.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

ParameterLayout network(Index hidden) {
  ParameterLayout layout;
  layout.add("fc.weight", hidden, 2);
  layout.add("fc.bias", hidden);
  return layout;
}

/// A small training state, with a stream that has drawn an odd number of words.
Checkpoint sample() {
  Checkpoint checkpoint;
  Random random(7, "exploration", 3);
  for (int i = 0; i < 5; ++i) random.bits();
  checkpoint.put("learner.parameters", network(2), Vector<float>(Vector<float>::LinSpaced(6, 0, 1)));
  checkpoint.put("optimizer.first", Vector<double>(Vector<double>::Constant(6, 1.0 / 3)));
  checkpoint.put("lengths", std::vector<std::int64_t>{1, -2, std::int64_t{1} << 62});
  checkpoint.put("nothing", std::vector<std::uint8_t>{});
  checkpoint.put("step", std::uint64_t{18446744073709551615u});
  checkpoint.put("loss", 0.1);
  checkpoint.put("done", true);
  checkpoint.put("mixer", "qatten λ");
  checkpoint.put("random", random.state());
  return checkpoint;
}

}  // namespace

TEST_CASE("a training state comes back bit for bit") {
  const TemporaryFolder folder;
  const auto path = folder / "state.safetensors";
  sample().save(path);
  Checkpoint read = Checkpoint::load(path);

  CHECK(read.get<float>("learner.parameters", network(2)) == Vector<float>(Vector<float>::LinSpaced(6, 0, 1)));
  CHECK(read.get<Vector<double>>("optimizer.first") == Vector<double>::Constant(6, 1.0 / 3));
  CHECK(read.get<std::vector<std::int64_t>>("lengths") == std::vector<std::int64_t>{1, -2, std::int64_t{1} << 62});
  CHECK(read.get<std::vector<std::uint8_t>>("nothing").empty());
  CHECK(read.get<std::uint64_t>("step") == 18446744073709551615u);
  CHECK(read.get<double>("loss") == 0.1);
  CHECK(read.get<bool>("done"));
  CHECK(read.get<std::string>("mixer") == "qatten λ");
  CHECK(read.contains("mixer"));
  CHECK(read.contains("step"));
  CHECK_FALSE(read.contains("steps"));

  Random expected(7, "exploration", 3), random(read.get<Random::State>("random"));
  for (int i = 0; i < 5; ++i) expected.bits();
  for (int i = 0; i < 9; ++i) CHECK(random.bits() == expected.bits());

  const std::string bytes = read_text(path);
  read.save(path);
  CHECK(read_text(path) == bytes);
}

TEST_CASE("what was not put cannot be got") {
  Checkpoint checkpoint = sample();
  const auto error = [&]<class T>(const std::string& name, T) { return error_of([&] { checkpoint.get<T>(name); }); };
  CHECK(holds(error("step", std::int64_t{}), "'step' is U64 [], expected I64 []"));
  CHECK(holds(error("loss", float{}), "'loss' is F64 [], expected F32 []"));
  CHECK(holds(error("done", std::uint8_t{}), "'done' is BOOL [], expected U8 []"));
  CHECK(holds(error("optimizer.first", double{}), "'optimizer.first' is F64 [6], expected F64 []"));
  CHECK(holds(error("loss", std::vector<double>{}), "'loss' is F64 [], expected F64 [n]"));
  CHECK(holds(error("optimizer.first", Vector<float>{}), "expected F32 [n]"));
  CHECK(holds(error("steps", std::uint64_t{}), "'steps'"));
  CHECK(holds(error("steps", std::string{}), "no text 'steps'"));
  CHECK(holds(error("lengths", Random::State{}), "'lengths' is I64 [3], expected U64 [n]"));
  checkpoint.put("four", std::vector<std::uint64_t>{1, 2, 3, 4});
  CHECK(holds(error("four", Random::State{}), "'four' is not the state of a stream"));

  CHECK(holds(error_of([&] { checkpoint.put("loss", 0.2); }), "'loss' has a name that is taken"));
  CHECK(holds(error_of([&] { checkpoint.put("mixer", "vdn"); }), "'mixer' is there already"));
  CHECK(holds(error_of([&] { checkpoint.put("qatten.checksum", "0"); }), "reserved"));
  CHECK(checkpoint.get<double>("loss") == 0.1);
  CHECK(checkpoint.get<std::string>("mixer") == "qatten λ");
}

TEST_CASE("weights return only to the network they came from") {
  Checkpoint checkpoint = sample();
  const auto error = [&](const ParameterLayout& layout) {
    return error_of([&] { checkpoint.get<float>("learner.parameters", layout); });
  };
  CHECK(error(network(2)) == "");
  CHECK(holds(error(network(3)), "the layout of 'learner.parameters' holds 'fc.weight 2x2"));
  CHECK(holds(error(network(3)), "expected 'fc.weight 3x2"));
  ParameterLayout more = network(2);
  more.add("fc2.bias", 1);
  CHECK(holds(error(more), "holds 'nothing more', expected 'fc2.bias 1x1 of rank 1"));
  CHECK(holds(error(ParameterLayout()), "holds 'fc.weight 2x2 of rank 2 at 0, stride 2', expected 'nothing more'"));
  ParameterLayout renamed;
  renamed.add("fc1.weight", 2, 2);
  renamed.add("fc.bias", 2);
  CHECK(holds(error(renamed), "expected 'fc1.weight"));
  ParameterLayout stacked;  // the same names and shapes, other places
  stacked.add("fc.bias", 2);
  stacked.add("fc.weight", 2, 2);
  CHECK(holds(error(stacked), "expected 'fc.bias"));

  CHECK(holds(error_of([&] { checkpoint.get<float>("optimizer.first", network(2)); }),
              "no text 'optimizer.first.layout'"));
  CHECK(holds(error_of([&] { checkpoint.put("short", network(2), Vector<float>(5)); }), "has 5 entries, its layout 6"));
  CHECK_FALSE(checkpoint.contains("short"));
}

TEST_CASE("every damaged byte is found") {
  const TemporaryFolder folder;
  const auto path = folder / "state.safetensors";
  sample().save(path);
  const std::string whole = read_text(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int mask : {1, 0x80}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      CAPTURE(i, mask);
      write_text(path, damaged);
      CHECK(holds(error_of([&] { Checkpoint::load(path); }), path.string()));
    }
  }
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    write_text(path, whole.substr(0, n));
    CHECK(holds(error_of([&] { Checkpoint::load(path); }), path.string()));
  }
}

TEST_CASE("another shape or type of the same bytes is damage too") {
  const TemporaryFolder folder;
  const auto path = folder / "state.safetensors";
  Checkpoint checkpoint;
  checkpoint.put("x", std::vector<float>{1, 2});
  checkpoint.save(path);
  const std::string whole = read_text(path);
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string header = whole.substr(8, whole.size() - 16);
    header.replace(header.find(from), from.size(), to);
    write_text(path, file_of(header, whole.substr(whole.size() - 8)));
    return error_of([&] { Checkpoint::load(path); });
  };
  CHECK(replaced("\"F32\"", "\"F32\"") == "");
  CHECK(holds(replaced("\"F32\"", "\"I32\""), "is damaged"));
  CHECK(holds(replaced("\"F32\",\"shape\":[2]", "\"F64\",\"shape\":[1]"), "is damaged"));
  CHECK(holds(replaced("[2]", "[1,2]"), "is damaged"));
}

TEST_CASE("what is no checkpoint of this version says so") {
  const TemporaryFolder folder;
  const auto path = folder / "state.safetensors";
  const auto error = [&] { return error_of([&] { Checkpoint::load(path); }); };
  CHECK(holds(error(), path.string()));

  SafeTensors().save(path);
  CHECK(holds(error(), path.string() + " is not a checkpoint"));

  sample().save(path);
  SafeTensors file = SafeTensors::load(path);
  CHECK(error() == "");
  file.metadata["qatten.checkpoint"] = "2";
  file.save(path);
  CHECK(holds(error(), "is a checkpoint of version '2', expected 1"));
  file.metadata["qatten.checkpoint"] = "1";
  file.metadata["mixer"] = "qmix";
  file.save(path);
  CHECK(holds(error(), "is damaged"));
  file.metadata["mixer"] = "qatten λ";
  file.save(path);
  CHECK(error() == "");
  file.metadata.erase("qatten.checksum");
  file.save(path);
  CHECK(holds(error(), "is damaged"));
}

TEST_CASE("a failed save leaves the last checkpoint") {
  const TemporaryFolder folder;
  const auto path = folder / "state.safetensors";
  sample().save(path);
  const std::string before = read_text(path);
  Checkpoint next = sample();
  next.put("more", std::vector<double>(1000, 1.0));
  std::string full, unwritable;
  {
    const FullDisk disk(4000);
    full = error_of([&] { next.save(path); });
  }
  {
    const UnwritableFolder closed(folder.path());
    unwritable = error_of([&] { next.save(path); });
  }
  CHECK(holds(full, path.string()));
  CHECK(holds(unwritable, path.string()));
  CHECK(read_text(path) == before);
  CHECK(folder.names() == std::set<std::string>{"state.safetensors"});
  CHECK(Checkpoint::load(path).get<double>("loss") == 0.1);

  next.save(path);
  CHECK(Checkpoint::load(path).get<std::vector<double>>("more").size() == 1000);
}
