// Replays the fuzzers' corpus (scripts/fuzz), and inputs made from sound messages by cutting and flipping.

#include <filesystem>
#include <fstream>
#include <iterator>

#include "remote/decode.hpp"
#include "support/catch.hpp"

using namespace qatten;
using namespace qatten_test;

namespace {

using Decode = void (*)(std::span<const std::byte>);

void replay(const std::string& side, Decode decode) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(QATTEN_SOURCE_DIR) + "/tests/remote/corpus/" + side)) {
    CAPTURE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    CHECK_NOTHROW(decode(std::as_bytes(std::span(text))));
    ++files;
  }
  CHECK(files >= 20);
}

/// The message as a payload (behind the number of its reader) and as a frame (behind 'frame' and the size of pieces).
std::vector<remote::Bytes> inputs(int which, int as_frame, remote::Type type, const remote::Bytes& payload) {
  remote::Bytes alone{std::byte(which)}, framed;
  alone.insert(alone.end(), payload.begin(), payload.end());
  remote::start_frame(framed);
  framed.insert(framed.end(), payload.begin(), payload.end());
  remote::finish_frame(framed, type, 1, 2);
  framed.insert(framed.begin(), {std::byte(as_frame), std::byte(200)});
  return {alone, framed};
}

void mutate(const std::vector<remote::Bytes>& messages, Decode decode) {
  Random random(1, "mutate");
  for (const remote::Bytes& message : messages) {
    for (std::size_t cut = 0; cut <= message.size(); ++cut) CHECK_NOTHROW(decode(std::span(message).first(cut)));
    for (int k = 0; k < 5000; ++k) {
      remote::Bytes damaged = message;
      for (Index flips = random.integer(8); flips >= 0; --flips)
        damaged[static_cast<std::size_t>(random.integer(std::ssize(damaged)))] =
            static_cast<std::byte>(random.integer(3) == 0 ? 0xFF : random.bits() & 0xFF);
      CHECK_NOTHROW(decode(damaged));
    }
  }
}

}  // namespace

TEST_CASE("the corpus of the fuzzers") {
  replay("client", &decode_as_client);
  replay("server", &decode_as_server);
}

TEST_CASE("damaged messages of a server") {
  using remote::Type;
  remote::Bytes welcome, result, stats, path, failure;
  remote::put_welcome(welcome, {fuzzed_layout().info, {"a", "b"}, "x", "{}", {"seed"}, "y"});
  remote::Result sent(fuzzed_layout());
  sent.clear();
  sent.text = "why";
  sent.put(result);
  remote::put_stats(stats, {{"a", 1}, {"b", 2}});
  remote::put_text(path, remote::Field::path, "/p");
  remote::put_failure(failure, {remote::ErrorCode::internal, true, "text"});
  std::vector<remote::Bytes> all;
  int which = 0;
  for (const auto& [type, payload] : {std::pair{Type::welcome, welcome},
                                      {Type::result, result},
                                      {Type::stats_result, stats},
                                      {Type::replay_saved, path},
                                      {Type::error, failure}})
    for (const remote::Bytes& input : inputs(which++, 5, type, payload)) all.push_back(input);
  mutate(all, &decode_as_client);
}

TEST_CASE("damaged messages of a client") {
  using remote::Type;
  remote::Bytes hello, reset, step;
  remote::put_hello(hello, {.token = "t", .name = "n"});
  remote::put_reset(reset, remote::reset_request(Random(1)));
  remote::put_step(step, std::vector<int>{1, 2});
  std::vector<remote::Bytes> all;
  int which = 0;
  for (const auto& [type, payload] : {std::pair{Type::hello, hello}, {Type::reset, reset}, {Type::step, step}})
    for (const remote::Bytes& input : inputs(which++, 3, type, payload)) all.push_back(input);
  mutate(all, &decode_as_server);
}
