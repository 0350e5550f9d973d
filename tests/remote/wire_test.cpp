#include <cstring>

#include "qatten/environments/remote/messages.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

using namespace qatten;
using namespace qatten::remote;
using qatten::testing::from_hex;
using qatten::testing::hex;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

void feed(FrameDecoder& decoder, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto space = decoder.space();
    const std::size_t count = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), count);
    decoder.received(count);
    bytes = bytes.subspan(count);
  }
}

/// The code of the ProtocolError that f throws; 0 if it throws none.
template <class F>
int code_of(F&& f) {
  try {
    f();
    return 0;
  } catch (const ProtocolError& error) {
    return static_cast<int>(error.code());
  }
}

/// Likewise of decoding a frame; -1 if the decoder wants more bytes.
int code_of_frame(const Bytes& frame) {
  FrameDecoder decoder;
  feed(decoder, frame);
  bool complete = false;
  const int code = code_of([&] { complete = decoder.next().has_value(); });
  return code != 0 || complete ? code : -1;
}

/// A frame whose header was changed, with a checksum that fits all the same.
template <class T>
Bytes changed_header(std::size_t offset, T value) {
  Bytes frame;
  start_frame(frame);
  put_text(frame, Field::text, "hello");
  finish_frame(frame, Type::ping, 1, 2);
  std::memcpy(frame.data() + offset, &value, sizeof value);
  FrameHeader header;
  std::memcpy(&header, frame.data(), sizeof header);
  header.crc32 = remote::detail::frame_checksum(header, std::span(frame).subspan(32));
  std::memcpy(frame.data(), &header, sizeof header);
  return frame;
}

const EnvironmentInfo small{
    .n_agents = 2, .n_actions = 3, .obs_shape = 3, .state_shape = 5, .unit_dim = 1, .episode_limit = 10};

Result sample_result(const Layout& layout) {
  Result result(layout);
  Observation o = result.clear();
  for (Index i = 0; i < o.obs.size(); ++i) o.obs.data()[i] = static_cast<float>(i) + 0.5F;
  for (Index i = 0; i < o.state.size(); ++i) o.state.data()[i] = -static_cast<float>(i);
  o.units(0, 1) = 7;
  o.available(2, 0) = 0;
  o.alive(1, 0) = 0;
  result.step = 4;
  result.outcome = {.reward = 1.25F, .truncated = true};
  result.metrics = {1, 0.5};
  return result;
}

}  // namespace

TEST_CASE("the checksum is zlib's") {
  CHECK(remote::detail::crc32(bytes_of("")) == 0);
  CHECK(remote::detail::crc32(bytes_of("123456789")) == 0xCBF43926);  // the check value of CRC-32/ISO-HDLC
  const std::string text = "The quick brown fox jumps over the lazy dog";
  CHECK(remote::detail::crc32(bytes_of(text)) == 0x414FA339);
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    CHECK(remote::detail::crc32(bytes_of(text).subspan(cut), remote::detail::crc32(bytes_of(text).first(cut))) ==
          0x414FA339);
}

TEST_CASE("the frames of docs/protocol.md, byte for byte") {
  CHECK(hex(empty_frame(Type::ping, 0x01020304, 5)) ==
        "51454e56 01000a00 04030201 05000000 00000000 00000000 839154b6 00000000");
  Bytes frame;
  start_frame(frame);
  put_step(frame, std::vector<int>{6, 0, 2});
  finish_frame(frame, Type::step, 1, 9);
  CHECK(hex(std::span(frame).subspan(32)) == "06000000 00000000 02000000 00000000");
  Bytes block;
  put_text(block, Field::text, "dead");
  CHECK(hex(block) == "15000601 04000000 04000000 00000000 64656164 00000000");
}

TEST_CASE("frames arrive whole, however the bytes come") {
  Bytes stream;
  std::vector<std::string> sent;
  for (int k = 0; k < 20; ++k) {
    Bytes frame;
    start_frame(frame);
    sent.push_back(std::string(static_cast<std::size_t>(k * k * 17), static_cast<char>('a' + k)));
    put_text(frame, Field::text, sent.back());
    finish_frame(frame, Type::error, 7, static_cast<std::uint32_t>(k));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (const std::size_t piece : {1U, 7U, 31U, 33U, 4096U, 1U << 20U}) {
    FrameDecoder decoder;
    std::size_t received = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      feed(decoder, std::span(stream).subspan(at, std::min(piece, stream.size() - at)));
      while (const auto frame = decoder.next()) {
        CHECK(frame->sequence == received);
        CHECK(frame->session == 7);
        CHECK(Blocks(frame->payload).text(Field::text) == sent[received++]);
      }
    }
    CHECK(received == sent.size());
    CHECK(decoder.between_frames());
  }
}

TEST_CASE("every flipped bit of a frame is noticed") {
  Bytes frame;
  start_frame(frame);
  sample_result(Layout(small, 2)).put(frame);
  finish_frame(frame, Type::result, 3, 4);
  REQUIRE(code_of_frame(frame) == 0);
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    Bytes damaged = frame;
    damaged[bit / 8] ^= std::byte(1 << (bit % 8));
    const int code = code_of_frame(damaged);
    CHECK((code > 0 || (code == -1 && bit / 32 == 4)));  // a longer payload may still be waited for, no more
  }
}

TEST_CASE("headers that cannot be right are named") {
  CHECK(code_of_frame(changed_header(0, std::uint32_t{0x51454E56})) == static_cast<int>(ErrorCode::bad_frame));
  CHECK(code_of_frame(changed_header(0, std::uint32_t{0x20544547})) == static_cast<int>(ErrorCode::bad_frame));
  CHECK(code_of_frame(changed_header(4, std::uint8_t{2})) == static_cast<int>(ErrorCode::version));
  CHECK(code_of_frame(changed_header(16, std::uint32_t{0xFFFFFFF8})) == static_cast<int>(ErrorCode::too_large));
  CHECK(code_of_frame(changed_header(16, std::uint32_t{12})) == static_cast<int>(ErrorCode::bad_frame));
  CHECK(code_of_frame(changed_header(20, std::uint32_t{1})) == static_cast<int>(ErrorCode::bad_frame));
  CHECK(code_of_frame(changed_header(28, std::uint32_t{1})) == static_cast<int>(ErrorCode::bad_frame));
  CHECK(code_of_frame(changed_header(5, std::uint8_t{9})) == 0);  // a minor version is no reason
}

TEST_CASE("a decoder never holds more than a frame of its limit") {
  FrameDecoder decoder;
  decoder.set_limit(1 << 20);
  FrameHeader header{.payload_bytes = 1 << 20};
  feed(decoder, std::as_bytes(std::span(&header, 1)));
  CHECK(!decoder.next());
  std::size_t most = 0;
  for (int k = 0; k < 100; ++k) most = std::max(most, decoder.space().size());
  CHECK(most <= (1 << 20) + 2 * 4096);
  header.payload_bytes = 0xFFFFFFF8;
  FrameDecoder other;
  feed(other, std::as_bytes(std::span(&header, 1)));
  CHECK(other.space().size() <= slack_bytes + 2 * 4096);
}

TEST_CASE("blocks come back, and broken ones are refused") {
  Bytes payload;
  put_number(payload, Field::seed, std::uint64_t{1} << 63);
  put_number(payload, Field::heartbeat, 0.25);
  put_text(payload, Field::name, "näme");
  put_text(payload, Field::text, "");
  put_text(payload, Field::names, join_lines({"a", "b c", "d"}));
  put_block<std::int32_t>(payload, Field::sizes, std::vector<std::int32_t>{-1, 2, 3});
  CHECK(payload.size() % 8 == 0);
  const Blocks blocks(payload);
  CHECK(blocks.number<std::uint64_t>(Field::seed) == std::uint64_t{1} << 63);
  CHECK(blocks.number<double>(Field::heartbeat) == 0.25);
  CHECK(blocks.text(Field::name) == "näme");
  CHECK(blocks.text(Field::text).empty());
  CHECK(blocks.lines(Field::text).empty());
  CHECK(blocks.lines(Field::names) == std::vector<std::string>{"a", "b c", "d"});
  CHECK(blocks.numbers<std::int32_t>(Field::sizes) == std::vector<std::int32_t>{-1, 2, 3});
  const int bad = static_cast<int>(ErrorCode::bad_payload);
  CHECK(code_of([&] { blocks.text(Field::path); }) == bad);                       // missing
  CHECK(code_of([&] { blocks.text(Field::sizes); }) == bad);                      // another dtype
  CHECK(code_of([&] { blocks.numbers<std::int32_t>(Field::sizes, 2); }) == bad);  // another count
  for (std::size_t cut = 1; cut < payload.size(); ++cut) {                        // cut off anywhere
    const int code = code_of([&] { Blocks(std::span(payload).first(cut)); });
    CHECK((code == bad || cut % 8 == 0));
  }
  CHECK(code_of([] { Blocks(from_hex("01000901 08000000 01000000")); }) == bad);
  const char* broken[] = {
      "15000001 00000000 00000000 00000000",                                      // dtype 0
      "15000a01 00000000 00000000 00000000",                                      // dtype 10
      "15000605 00000000 00000000 00000000 00000000 00000000 00000000 00000000",  // five dimensions
      "15000601 04000000 05000000 00000000 64656164 00000000",                    // dims beyond the bytes
      "15000601 04000000 03000000 00000000 64656164 00000000",                    // dims short of the bytes
      "15000901 04000000 01000000 00000000 64656164 00000000",                    // half a u64
      "15000601 ffffffff ffffffff 00000000 64656164 00000000",                    // more than there is
      "15000904 00000080 00000080 00000080 00000080 00000080 00000000",           // a product that overflows
      "15000601 00000000 00000000 00000000 15000601 00000000 00000000 00000000",  // twice
  };
  for (const char* text : broken) {
    CAPTURE(text);
    CHECK(code_of([&] { Blocks(from_hex(text)); }) == bad);
  }
  CHECK(Blocks(from_hex("ffff0601 00000000 00000000 00000000")).has(static_cast<Field>(0xFFFF)));  // unknown: skipped
}

TEST_CASE("messages come back as they were") {
  Bytes payload;
  put_hello(payload, {.token = "secret", .seed = 9, .heartbeat = 0.5, .name = "me"});
  const Hello hello = read_hello(payload);
  CHECK(hello.token == "secret");
  CHECK(hello.seed == 9);
  CHECK(hello.heartbeat == 0.5);
  CHECK(hello.name == "me");

  payload.clear();
  put_hello(payload, {.min_version = 2, .max_version = 3, .token = {}, .name = {}});
  CHECK(code_of([&] { read_hello(payload); }) == static_cast<int>(ErrorCode::version));
  payload.clear();
  put_hello(payload, {.token = {}, .heartbeat = std::numeric_limits<double>::quiet_NaN(), .name = {}});
  CHECK(code_of([&] { read_hello(payload); }) == static_cast<int>(ErrorCode::bad_payload));

  payload.clear();
  put_welcome(payload, {small, {"battle_won", "dead_allies"}, "a game", "{\"x\": 1}", {"seed"}, "server"});
  const Welcome welcome = read_welcome(payload);
  CHECK(welcome.info == small);
  CHECK(welcome.metric_names == std::vector<std::string>{"battle_won", "dead_allies"});
  CHECK(welcome.environment == "a game");
  CHECK(welcome.description == "{\"x\": 1}");
  CHECK(welcome.abilities == std::vector<std::string>{"seed"});
  CHECK(welcome.name == "server");

  payload.clear();
  put_failure(payload, {ErrorCode::unavailable_action, false, "agent 1"});
  const Failure failure = read_failure(payload);
  CHECK(failure.code == ErrorCode::unavailable_action);
  CHECK(!failure.fatal);
  CHECK(failure.text == "agent 1");

  payload.clear();
  const NamedNumbers stats = {{"win_rate", 0.25}, {"restarts", 3}};
  put_stats(payload, stats);
  CHECK(read_stats(payload) == stats);

  Random random(3, "episode", 17);
  random.bits();
  payload.clear();
  put_reset(payload, reset_request(random));
  CHECK(payload.size() == Layout::reset_bytes);
  CHECK(read_reset(payload).stream == random.state());
  CHECK(read_reset(payload).seed == reset_request(random).seed);
  CHECK(reset_request(Random(3, "episode", 18)).seed != reset_request(random).seed);
}

TEST_CASE("the layout of a result is the documented one") {
  const Layout layout(small, 2);
  CHECK(layout.metrics == 16);
  CHECK(layout.obs == 32);
  CHECK(layout.state == 56);
  CHECK(layout.units == 80);
  CHECK(layout.available == 88);
  CHECK(layout.alive == 96);
  CHECK(layout.result_bytes == 104);
  CHECK(layout.step_bytes == 8);
  Bytes payload;
  sample_result(layout).put(payload);
  CHECK(hex(payload) ==
        "04000000 02000000 0000a03f 00000000 00000000 0000f03f 00000000 0000e03f "
        "0000003f 0000c03f 00002040 00006040 00009040 0000b040 "
        "00000080 000080bf 000000c0 000040c0 000080c0 00000000 00000000 0000e040 "
        "01010001 01010000 01000000 00000000");
}

TEST_CASE("a result comes back, and one that is not sound is refused and changes nothing") {
  const Layout layout(small, 2);
  const Result sent = sample_result(layout);
  Bytes payload;
  sent.put(payload);
  Result got(layout);
  got.read(payload);
  CHECK(got.step == 4);
  CHECK(got.outcome.truncated);
  CHECK(got.outcome.reward == 1.25F);
  CHECK(got.metrics == sent.metrics);
  CHECK(got.available() == sent.available());

  const auto refused = [&](std::size_t offset, auto value) {
    Bytes broken = payload;
    std::memcpy(broken.data() + offset, &value, sizeof value);
    const int code = code_of([&] { got.read(broken); });
    Bytes now;
    Result copy = got;
    copy.step = 4;
    copy.outcome = sent.outcome;
    copy.metrics = sent.metrics;
    copy.put(now);
    CHECK(now == payload);
    return code == static_cast<int>(ErrorCode::bad_payload);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  CHECK(refused(4, std::uint32_t{3}));  // terminated and truncated
  CHECK(refused(4, std::uint32_t{8}));  // a flag that does not exist
  CHECK(refused(8, nan));               // reward
  CHECK(refused(layout.obs + 8, nan));
  CHECK(refused(layout.state, infinity));
  CHECK(refused(layout.units + 4, nan));
  CHECK(refused(layout.available + 1, std::uint8_t{2}));
  CHECK(refused(layout.alive, std::uint8_t{255}));
  CHECK(refused(layout.available, std::uint16_t{0}));  // agent 0 has no action left
  for (const std::size_t size : {std::size_t{0}, layout.result_bytes - 8})
    CHECK(code_of([&] { got.read(std::span(payload).first(size)); }) == static_cast<int>(ErrorCode::bad_payload));
}

TEST_CASE("sizes that no environment has are refused before anything is allocated") {
  const auto code = [](EnvironmentInfo info, std::size_t metrics = 0) {
    return code_of([&] { Layout(info, metrics); });
  };
  const int bad = static_cast<int>(ErrorCode::bad_payload);
  CHECK(code(small) == 0);
  for (Index EnvironmentInfo::*size : {&EnvironmentInfo::n_agents, &EnvironmentInfo::n_actions,
                                       &EnvironmentInfo::obs_shape, &EnvironmentInfo::episode_limit}) {
    EnvironmentInfo info = small;
    info.*size = 0;
    CHECK(code(info) == bad);
    info.*size = -1;
    CHECK(code(info) == bad);
  }
  for (Index EnvironmentInfo::*size :
       {&EnvironmentInfo::n_agents, &EnvironmentInfo::n_actions, &EnvironmentInfo::obs_shape,
        &EnvironmentInfo::state_shape, &EnvironmentInfo::unit_dim}) {
    EnvironmentInfo info = small;
    info.*size = std::numeric_limits<std::int32_t>::max();
    CHECK(code(info) == bad);
  }
  CHECK(code({.n_agents = 1 << 16, .n_actions = 1, .obs_shape = 1 << 10, .episode_limit = 1}) == bad);  // 256 MiB
  CHECK(code(small, 5000) == bad);
}
