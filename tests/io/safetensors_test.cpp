#include "qatten/io/safetensors.hpp"

#include <sys/stat.h>

#include <cmath>
#include <limits>

#include "files.hpp"
#include "qatten/core/random.hpp"
#include "qatten/io/named_parameters.hpp"
#include "support/catch.hpp"

using namespace qatten;

namespace {

template <class T>
void add(SafeTensors& file, const std::string& name, Shape shape, const std::vector<T>& values) {
  file.add(name, std::move(shape), std::span<const T>(values));
}

SafeTensors parse(std::string_view text) { return SafeTensors::parse(bytes_of(text), "the.file"); }

/// Every way to read every tensor. Throws nothing but Error, which is fine.
void read_everything(const SafeTensors& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    error_of([&, &t = tensor] { t.values<double>(); });
    error_of([&, &t = tensor] { t.values<std::int8_t>(); });
    error_of([&, &t = tensor] { t.matrix<float>(); });
    error_of([&, &t = tensor] { t.weight<double>(); });
  }
}

/// A file with a bit of everything, small enough to be damaged everywhere.
std::string sample() {
  SafeTensors file;
  file.metadata = {{"case", "sample"}, {"größe", "zeile\n\"2\""}};
  add<double>(file, "weight", {2, 3}, {1, 2, 3, 4, 5, 6});
  add<float>(file, "scalar", {}, {0.5f});
  add<std::int64_t>(file, "empty", {0, 3}, {});
  add<std::uint8_t>(file, "flags", {3}, {0, 1, 1});
  return text_of(file.serialize());
}

}  // namespace

TEST_CASE("a file has exactly the bytes of the format") {
  SafeTensors file;
  add<std::uint8_t>(file, "a", {2}, {7, 9});
  add<double>(file, "b", {1, 1}, {1.0});
  const std::string data("\x00\x00\x00\x00\x00\x00\xF0\x3F\x07\x09", 10);  // the wider elements first
  const auto header = [](const std::string& value) {
    return R"({"__metadata__":{"k":")" + value + R"("},"b":{"data_offsets":[0,8],"dtype":"F64","shape":[1,1]},)" +
           R"("a":{"data_offsets":[8,10],"dtype":"U8","shape":[2]}})";
  };
  REQUIRE(header("12").size() == 135);
  file.metadata["k"] = "12";
  CHECK(text_of(file.serialize()) == file_of(header("12") + " ", data));
  file.metadata["k"] = "123";
  CHECK(text_of(file.serialize()) == file_of(header("123"), data));
  file.metadata["k"] = "1234";
  CHECK(text_of(file.serialize()) == file_of(header("1234") + "       ", data));
}

TEST_CASE("every element type survives a round trip bit for bit") {
  SafeTensors file;
  const auto nan = std::bit_cast<double>(0x7FF0'0000'0000'1234);  // a signalling one with a payload
  const std::vector<double> doubles{0.0, -0.0, 1.0 / 3, 5e-324, -INFINITY, nan};
  const std::vector<std::uint64_t> u64{0, 1, std::numeric_limits<std::uint64_t>::max()};
  const std::vector<std::int64_t> i64{std::numeric_limits<std::int64_t>::min(), -1};
  add(file, "f64", {2, 3}, doubles);
  add<float>(file, "f32", {1, 2}, {1e-45f, -3.5f});
  add<Eigen::half>(file, "f16", {1}, {Eigen::half(0.25f)});
  add<Eigen::bfloat16>(file, "bf16", {1}, {Eigen::bfloat16(-3.0f)});
  add(file, "u64", {3}, u64);
  add(file, "i64", {2}, i64);
  add<std::uint32_t>(file, "u32", {1}, {4294967295u});
  add<std::int32_t>(file, "i32", {1}, {-2147483647 - 1});
  add<std::uint16_t>(file, "u16", {1}, {65535});
  add<std::int16_t>(file, "i16", {1}, {-32768});
  add<std::uint8_t>(file, "u8", {1}, {255});
  add<std::int8_t>(file, "i8", {1}, {-128});
  const bool flags[] = {true, false};
  file.add("bool", {2}, std::span<const bool>(flags));

  const auto bytes = file.serialize();
  const SafeTensors read = SafeTensors::parse(bytes);
  REQUIRE(read.tensors().size() == 13);
  for (const auto& [name, tensor] : file.tensors()) {
    CAPTURE(name);
    CHECK(read.tensor(name).dtype == tensor.dtype);
    CHECK(read.tensor(name).shape == tensor.shape);
    CHECK(read.tensor(name).bytes == tensor.bytes);
  }
  CHECK(read.serialize() == bytes);

  const auto back = read.tensor("f64").values<double>();
  CHECK(std::memcmp(back.data(), doubles.data(), 48) == 0);
  CHECK(read.tensor("u64").values<std::uint64_t>() == u64);
  CHECK(read.tensor("i64").values<long long>() == std::vector<long long>(i64.begin(), i64.end()));
  CHECK(read.tensor("f32").values<float>() == std::vector<float>{1e-45f, -3.5f});
  CHECK(read.tensor("f16").value<double>() == 0.25);
  CHECK(read.tensor("bf16").value<float>() == -3.0f);
  CHECK(read.tensor("u32").value<std::int64_t>() == 4294967295);
  CHECK(read.tensor("i32").value<double>() == -2147483648.0);
  CHECK(read.tensor("u16").value<float>() == 65535.0f);
  CHECK(read.tensor("i16").value<std::int16_t>() == -32768);
  CHECK(read.tensor("u8").value<int>() == 255);
  CHECK(read.tensor("i8").value<int>() == -128);
  CHECK(read.tensor("bool").values<std::uint8_t>() == std::vector<std::uint8_t>{1, 0});
  CHECK(read.tensor("bool").dtype == DType::BOOL);
}

TEST_CASE("half precision has the bit patterns of its standards") {
  // IEEE 754 binary16: 1, -2, the largest number, the smallest subnormal one, infinity. bfloat16: the upper half of a
  // float.
  const std::string f16("\x00\x3C\x00\xC0\xFF\x7B\x01\x00\x00\x7C", 10);
  const auto half = parse(file_of(R"({"x":{"dtype":"F16","shape":[5],"data_offsets":[0,10]}})", f16));
  CHECK(half.tensor("x").values<double>() == std::vector<double>{1, -2, 65504, 0x1p-24, INFINITY});
  const std::string bf16("\x80\x3F\x40\xC0", 4);
  const auto brain = parse(file_of(R"({"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", bf16));
  CHECK(brain.tensor("x").values<float>() == std::vector<float>{1, -3});
}

TEST_CASE("shapes of every kind survive") {
  SafeTensors file;
  add<double>(file, "scalar", {}, {3.25});
  add<float>(file, "none", {0}, {});
  add<double>(file, "none of many", {4, 0, 7}, {});
  add<std::int32_t>(file, "deep", {1, 2, 1, 2, 1}, {1, 2, 3, 4});
  add<double>(file, "", {1}, {8});
  add<double>(file, "Größe/温度 \"\\\n", {1}, {9});
  const SafeTensors read = SafeTensors::parse(file.serialize());
  CHECK(read.tensors().size() == 6);
  CHECK(read.tensor("scalar").shape.empty());
  CHECK(read.tensor("scalar").value<double>() == 3.25);
  CHECK(read.tensor("none").values<float>().empty());
  CHECK(read.tensor("none of many").shape == Shape{4, 0, 7});
  CHECK(read.tensor("none of many").matrix<double>().rows() == 7);
  CHECK(read.tensor("none of many").matrix<double>().cols() == 0);
  CHECK(read.tensor("deep").shape == Shape{1, 2, 1, 2, 1});
  CHECK(read.tensor("deep").values<int>() == std::vector<int>{1, 2, 3, 4});
  CHECK(read.tensor("").value<double>() == 8);
  CHECK(read.tensor("Größe/温度 \"\\\n").value<double>() == 9);

  const SafeTensors nothing = SafeTensors::parse(SafeTensors().serialize());
  CHECK(nothing.tensors().empty());
  CHECK(nothing.metadata.empty());
}

TEST_CASE("samples keep their memory and weights are transposed") {
  SafeTensors file;
  add<double>(file, "x", {2, 2, 3}, {0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112});
  add<double>(file, "w", {2, 3}, {0, 1, 2, 10, 11, 12});
  add<double>(file, "b", {2}, {7, 8});

  Matrix<double> samples(3, 4);
  samples << 0, 10, 100, 110, 1, 11, 101, 111, 2, 12, 102, 112;
  CHECK(file.tensor("x").matrix<double>() == samples);
  CHECK(file.tensor("x").matrix<float>() == samples.cast<float>());
  Matrix<double> weight(2, 3);
  weight << 0, 1, 2, 10, 11, 12;
  CHECK(file.tensor("w").weight<double>() == weight);
  CHECK(file.tensor("w").matrix<double>() == weight.transpose());
  CHECK(file.tensor("b").weight<double>() == Vector<double>{{7, 8}});
  CHECK(file.tensor("b").matrix<double>() == Vector<double>{{7, 8}});
  CHECK(holds(error_of([&] { file.tensor("x").weight<double>(); }), "[2, 2, 3]"));
}

TEST_CASE("a number that the type asked for cannot hold is an error") {
  SafeTensors file;
  add<double>(file, "huge", {1}, {1e39});
  add<double>(file, "third", {1}, {1.0 / 3});
  add<double>(file, "infinite", {1}, {INFINITY});
  add<double>(file, "nan", {1}, {NAN});
  add<std::int64_t>(file, "odd", {1}, {(std::int64_t{1} << 53) + 1});
  add<std::int64_t>(file, "even", {1}, {(std::int64_t{1} << 53) + 2});
  add<std::int64_t>(file, "lowest", {1}, {std::numeric_limits<std::int64_t>::min()});
  add<std::int32_t>(file, "negative", {1}, {-1});
  add<double>(file, "two", {2}, {1, 2});
  const auto fails = [&]<class T>(const std::string& name, T) {
    const std::string error = error_of([&] { file.tensor(name).value<T>(); });
    return holds(error, "'" + name + "'");
  };
  CHECK(fails("huge", float{}));
  CHECK(file.tensor("third").value<float>() == 1.0f / 3);
  CHECK(file.tensor("infinite").value<float>() == INFINITY);
  CHECK(std::isnan(file.tensor("nan").value<float>()));
  CHECK(fails("odd", double{}));
  CHECK(file.tensor("even").value<double>() == 0x1p53 + 2);
  CHECK(fails("even", float{}));
  CHECK(file.tensor("lowest").value<float>() == -0x1p63f);
  CHECK(fails("lowest", std::int32_t{}));
  CHECK(fails("lowest", std::uint64_t{}));
  CHECK(fails("negative", std::uint32_t{}));
  CHECK(file.tensor("negative").value<std::int8_t>() == -1);
  CHECK(fails("third", int{}));
  CHECK(fails("two", double{}));
  const auto odd_bool = parse(file_of(R"({"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\x02"));
  CHECK(holds(error_of([&] { odd_bool.tensor("x").values<std::uint8_t>(); }), "'x' (BOOL) holds 2"));
}

TEST_CASE("what cannot be stored is refused") {
  SafeTensors file;
  add<float>(file, "x", {2}, {1, 2});
  CHECK(holds(error_of([&] { add<float>(file, "x", {1}, {1}); }), "'x' has a name that is taken"));
  CHECK(holds(error_of([&] { add<float>(file, "__metadata__", {1}, {1}); }), "taken"));
  CHECK(holds(error_of([&] { add<float>(file, "y", {3}, {1, 2}); }), "2 elements for the shape [3]"));
  CHECK(holds(error_of([&] { add<float>(file, "y", {-2}, {1, 2}); }), "[-2]"));
  CHECK(holds(error_of([&] { add<float>(file, "y", Shape(65, 1), {1}); }), "1 elements for the shape [1, 1,"));
  CHECK(holds(error_of([&] { file.tensor("y"); }), "memory holds no tensor 'y'"));
  CHECK(file.tensors().size() == 1);

  SafeTensors named = file;
  add<float>(named, "\xFF", {1}, {1});
  CHECK(holds(error_of([&] { named.serialize(); }), "UTF-8"));
  file.metadata["key"] = "\xC3";
  CHECK(holds(error_of([&] { file.serialize(); }), "UTF-8"));
}

TEST_CASE("a malformed file is an error that says what is wrong") {
  const std::string f32 = R"("dtype":"F32")", four = R"("data_offsets":[0,4])", one = R"("shape":[1])";
  const auto tensor = [](std::string name, std::string a, std::string b, std::string c) {
    return "\"" + name + "\":{" + a + "," + b + "," + c + "}";
  };
  const std::string x = tensor("x", f32, one, four);
  const std::string deep(1'000'000, '['), braces(1'000'000, '{');
  std::string deep_objects;
  for (int i = 0; i < 200'000; ++i) deep_objects += "{\"a\":";

  struct Case {
    std::string header;
    std::string data;
    std::string message;
  };
  const std::vector<Case> cases{
      // not JSON, not an object, not the object
      {"", "", "does not begin with '{'"},
      {"[]", "", "does not begin with '{'"},
      {" {}", "", "does not begin with '{'"},
      {"\xEF\xBB\xBF{}", "", "does not begin with '{'"},
      {"{", "", "not JSON"},
      {"{\"x\"", "", "not JSON"},
      {"{" + x, "0000", "not JSON"},
      {"{" + x + ",}", "0000", "not JSON"},
      {"{} x", "", "not JSON"},
      {"{}{}", "", "not JSON"},
      {std::string("{}\0 anything", 12), "", "zero byte"},
      {"{'x':1}", "", "not JSON"},
      {"{\"\xFF\":1}", "", "UTF-8"},
      {"{\"\xC0\xAF\":1}", "", "UTF-8"},
      {"{\"\xED\xA0\x80\":1}", "", "UTF-8"},
      {R"({"\ud800":1})", "", "UTF-8"},
      {"{\"a\nb\":1}", "", "not JSON"},
      // bombs
      {deep, "", "does not begin with '{'"},
      {"{\"x\":" + deep, "", "'x' holds a list"},
      {"{\"x\":{\"shape\":" + deep, "", "lists a list"},
      {"{\"x\":{\"dtype\":" + deep, "", "holds a list"},
      {"{\"__metadata__\":{\"k\":" + deep, "", "holds a list"},
      {deep_objects, "", "unknown"},
      {braces, "", "not JSON"},
      {"{\"" + std::string(1'000'000, 'n') + "\":1}", "", "holds a number"},
      // entries
      {R"({"x":1})", "", "the value of 'x' holds a number, expected an object"},
      {R"({"x":null})", "", "holds null"},
      {R"({"x":true})", "", "holds a boolean"},
      {R"({"x":"F32"})", "", "holds a string"},
      {R"({"x":[]})", "", "holds a list"},
      {R"({"x":{}})", "", "'x' lacks its dtype, shape or data_offsets"},
      {"{\"x\":{" + f32 + "," + one + "}}", "0000", "lacks"},
      {"{\"x\":{" + f32 + "," + four + "}}", "0000", "lacks"},
      {"{\"x\":{" + one + "," + four + "}}", "0000", "lacks"},
      {"{\"x\":{" + f32 + "," + one + "," + four + ",\"more\":1}}", "0000", "'more' of 'x' is unknown"},
      {"{" + x + "," + x + "}", "0000", "'x' appears twice"},
      {"{" + x + R"(,"\u0078":{}})", "0000", "'x' appears twice"},
      {"{\"x\":{" + f32 + "," + f32 + "," + one + "," + four + "}}", "0000", "'dtype' of 'x' appears twice"},
      {"{\"x\":{" + f32 + "," + one + "," + one + "," + four + "}}", "0000", "'shape' of 'x' appears twice"},
      {"{\"x\":{" + f32 + "," + one + "," + four + "," + four + "}}", "0000", "appears twice"},
      // metadata
      {R"({"__metadata__":1})", "", "holds a number"},
      {R"({"__metadata__":null})", "", "holds null"},
      {R"({"__metadata__":{"k":1}})", "", "'k' of '__metadata__' holds a number, expected a string"},
      {R"({"__metadata__":{"k":null}})", "", "holds null, expected a string"},
      {R"({"__metadata__":{"k":{}}})", "", "holds an object, expected a string"},
      {R"({"__metadata__":{"shape":[1]}})", "", "holds a list, expected a string"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "", "'k' of '__metadata__' appears twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "'__metadata__' appears twice"},
      // dtypes
      {"{" + tensor("x", R"("dtype":"F33")", one, four) + "}", "0000", "'F33', which is unknown"},
      {"{" + tensor("x", R"("dtype":"f32")", one, four) + "}", "0000", "unknown"},
      {"{" + tensor("x", R"("dtype":1)", one, four) + "}", "0000", "holds a number, expected a string"},
      // shapes
      {"{" + tensor("x", f32, R"("shape":[-1])", four) + "}", "0000", "lists a negative number"},
      {"{" + tensor("x", f32, R"("shape":[1.0])", four) + "}", "0000", "lists a number that is no 64-bit integer"},
      {"{" + tensor("x", f32, R"("shape":[1e0])", four) + "}", "0000", "lists a number that is no 64-bit integer"},
      {"{" + tensor("x", f32, R"("shape":[18446744073709551616])", four) + "}", "0000",
       "lists a number that is no 64-bit integer"},
      {"{" + tensor("x", f32, R"("shape":[1e999])", four) + "}", "0000", "not JSON"},
      {"{" + tensor("x", f32, R"("shape":["1"])", four) + "}", "0000",
       "lists a string, expected whole numbers from 0 on"},
      {"{" + tensor("x", f32, R"("shape":[[1]])", four) + "}", "0000", "lists a list"},
      {"{" + tensor("x", f32, R"("shape":[{}])", four) + "}", "0000", "lists an object"},
      {"{" + tensor("x", f32, R"("shape":1)", four) + "}", "0000", "holds a number, expected a list of numbers"},
      {"{" + tensor("x", f32, R"("shape":[4611686018427387905])", four) + "}", "0000", "overflows"},
      {"{" + tensor("x", f32, R"("shape":[18446744073709551615])", four) + "}", "0000", "overflows"},
      {"{" + tensor("x", f32, R"("shape":[2147483648,2147483648,2147483648])", four) + "}", "0000", "overflows"},
      {"{" + tensor("x", f32, R"("shape":[0,4294967296,4294967296])", R"("data_offsets":[0,0])") + "}", "",
       "overflows"},
      {"{" +
           tensor(
               "x", f32,
               "\"shape\":[1" +
                   [] {
                     std::string more;
                     for (int i = 0; i < 64; ++i) more += ",1";
                     return more;
                   }() +
                   "]",
               four) +
           "}",
       "0000", "too long a list"},
      // offsets
      {"{" + tensor("x", f32, one, R"("data_offsets":[0])") + "}", "0000", "too short a list"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[])") + "}", "0000", "too short a list"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[0,4,8])") + "}", "0000", "too long a list"},
      {"{" + tensor("x", f32, one, R"("data_offsets":{"0":4})") + "}", "0000", "holds an object"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[0,"4"])") + "}", "0000", "lists a string"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[-4,0])") + "}", "0000", "lists a negative number"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[0,4.5])") + "}", "0000",
       "lists a number that is no 64-bit integer"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[4,0])") + "}", "0000", "end before they begin"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[0,8])") + "}", "0000", "there are only 4"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[18446744073709551612,18446744073709551615])") + "}", "0000",
       "there are only 4"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[0,3])") + "}", "000", "need 4 bytes"},
      {"{" + tensor("x", f32, R"("shape":[2])", four) + "}", "0000", "need 8 bytes"},
      {"{" + tensor("x", f32, R"("shape":[0])", four) + "}", "0000", "need 0 bytes"},
      {"{" + x + "," + tensor("y", f32, one, four) + "}", "0000", "overlaps"},
      {"{" + x + "," + tensor("y", f32, one, R"("data_offsets":[2,6])") + "}", "000000", "overlaps"},
      {"{" + x + "," + tensor("y", f32, R"("shape":[0])", R"("data_offsets":[2,2])") + "}", "0000", "overlaps"},
      {"{" + x + "," + tensor("y", f32, one, R"("data_offsets":[5,9])") + "}", "000000000",
       "'y' begins at byte 5 of the data, which leaves a hole, expected 4"},
      {"{" + tensor("x", f32, one, R"("data_offsets":[1,5])") + "}", "00000", "leaves a hole, expected 0"},
      {"{" + x + "}", "00000", "1 bytes follow the last tensor"},
      {"{}", "0", "1 bytes follow the last tensor"},
      {"{" + x + "}", "000", "there are only 3"},
  };
  for (const Case& c : cases) {
    const std::string error = error_of([&] { parse(file_of(c.header, c.data)); });
    CAPTURE(c.header.substr(0, 200), c.message, error);
    CHECK(holds(error, "SafeTensors: the.file: "));
    CHECK(holds(error, c.message));
    CHECK(error.size() < 600);
  }

  // the well-formed neighbours of the above
  CHECK(parse(file_of("{}")).tensors().empty());
  CHECK(parse(file_of("{} \n\t ")).tensors().empty());
  CHECK(parse(file_of(R"({"__metadata__":{}})")).metadata.empty());
  CHECK(parse(file_of("{" + x + "}", "0000")).tensor("x").shape == Shape{1});
  const std::string y = tensor("y", f32, one, R"("data_offsets":[4,8])");
  CHECK(parse(file_of("{" + y + "," + x + "}", std::string(8, '\0'))).tensors().size() == 2);
  const std::string empty = tensor("e", f32, R"("shape":[0])", R"("data_offsets":[4,4])");
  CHECK(parse(file_of("{" + y + "," + empty + "," + x + "}", std::string(8, '\0'))).tensors().size() == 3);
}

TEST_CASE("a header longer than the file or than any sensible one is an error") {
  for (std::size_t n = 0; n < 8; ++n)
    CHECK(holds(error_of([&] { parse(std::string(n, '\0')); }), "has " + std::to_string(n) + " bytes, expected at"));
  const auto claiming = [](std::uint64_t length) {
    std::string file = file_of("{}");
    std::memcpy(file.data(), &length, sizeof length);
    return error_of([&] { parse(file); });
  };
  CHECK(claiming(2) == "");
  CHECK(holds(claiming(3), "claims 3 bytes, but only 2 follow"));
  CHECK(holds(claiming(100'000'000), "but only 2 follow"));
  CHECK(holds(claiming(100'000'001), "expected at most 100000000"));
  CHECK(holds(claiming(~std::uint64_t{0}), "expected at most 100000000"));
}

TEST_CASE("a damaged file loads or is an error, and never anything else") {
  const std::string whole = sample();
  REQUIRE(parse(whole).tensors().size() == 4);

  SECTION("cut short anywhere it is an error") {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      CAPTURE(n);
      CHECK(error_of([&] { parse(whole.substr(0, n)); }) != "");
    }
  }
  SECTION("each bit flipped") {
    int errors = 0;
    for (std::size_t i = 0; i < whole.size() * 8; ++i) {
      std::string damaged = whole;
      damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
      errors += error_of([&] { read_everything(parse(damaged)); }) != "";
    }
    CHECK(errors > 1000);
    CHECK(errors < static_cast<int>(whole.size() * 8));  // data and names may be anything
  }
  SECTION("pieces of the format inserted, removed and repeated at random") {
    const std::vector<std::string> pieces{"{",
                                          "}",
                                          "[",
                                          "]",
                                          ",",
                                          ":",
                                          "\"",
                                          "0",
                                          "9",
                                          "-",
                                          ".",
                                          "e",
                                          "null",
                                          " ",
                                          "18446744073709551615",
                                          "\"__metadata__\":",
                                          "\"dtype\":\"F64\",",
                                          "\\u0000",
                                          "\"shape\":[0],",
                                          "\xFF",
                                          std::string(1, '\0')};
    const std::size_t data_begin = whole.size() - 55;  // 6 doubles, a float, 3 bytes
    int loaded = 0;
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
      Random random(seed, "damage");
      const auto draw = [&](std::size_t n) { return static_cast<std::size_t>(random.integer(static_cast<Index>(n))); };
      std::string header = whole.substr(8, data_begin - 8);
      for (std::size_t edits = 1 + draw(3); edits > 0; --edits) {
        const std::size_t at = draw(header.size()), kind = draw(4);
        if (kind == 0) header.insert(at, pieces[draw(pieces.size())]);
        if (kind == 1) header.erase(at, 1 + draw(8));
        if (kind == 2) header.insert(at, header.substr(draw(header.size()), 40));
        if (kind == 3) header[at] = static_cast<char>(draw(256));
      }
      const std::string damaged = file_of(header, whole.substr(draw(4) == 0 ? data_begin + draw(55) : data_begin));
      loaded += error_of([&] { read_everything(parse(damaged)); }) == "";
    }
    CHECK(loaded > 10);
    CHECK(loaded < 10'000);
  }
}

TEST_CASE("files") {
  const TemporaryFolder folder;
  const auto path = folder / "größe.safetensors";

  SECTION("what is saved is read back, over an older file too") {
    write_text(path, "something older and longer than what follows" + std::string(10'000, '!'));
    const SafeTensors file = parse(sample());
    file.save(path);
    CHECK(read_text(path) == sample());
    CHECK(SafeTensors::load(path).serialize() == file.serialize());
    CHECK(folder.names() == std::set<std::string>{"größe.safetensors"});
  }
  SECTION("a relative path without a folder") {
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder.path());
    parse(sample()).save("plain.safetensors");
    std::filesystem::current_path(before);
    CHECK(read_text(folder / "plain.safetensors") == sample());
  }
  SECTION("a symbolic link keeps leading to the file") {
    std::filesystem::create_directory(folder / "real");
    write_text(folder / "real/file", "old");
    std::filesystem::create_symlink(folder / "real/file", path);
    parse(sample()).save(path);
    CHECK(std::filesystem::is_symlink(path));
    CHECK(read_text(folder / "real/file") == sample());
  }
  SECTION("errors on reading name the file") {
    CHECK(holds(error_of([&] { SafeTensors::load(path); }), path.string()));
    CHECK(holds(error_of([&] { SafeTensors::load(folder.path()); }), folder.path().string() + " is not a file"));
    CHECK(holds(error_of([&] { SafeTensors::load("/dev/null"); }), "/dev/null is not a file"));
    write_text(path, sample().substr(0, 100));
    CHECK(holds(error_of([&] { SafeTensors::load(path); }), path.string() + ": the header claims"));
    write_text(path, sample());
    CHECK(holds(error_of([&] { SafeTensors::load(path).tensor("no"); }), path.string() + " holds no tensor 'no'"));
  }
  SECTION("a full disk leaves the old file and nothing else") {
    write_text(path, "old");
    const SafeTensors file = parse(sample());
    std::string error;
    {
      const FullDisk full(200);
      error = error_of([&] { file.save(path); });
    }
    CHECK(holds(error, "cannot write " + path.string()));
    CHECK(read_text(path) == "old");
    CHECK(folder.names() == std::set<std::string>{"größe.safetensors"});
  }
  SECTION("an unwritable folder leaves the old file") {
    write_text(path, "old");
    const SafeTensors file = parse(sample());
    std::string error;
    {
      const UnwritableFolder unwritable(folder.path());
      error = error_of([&] { file.save(path); });
    }
    CHECK(holds(error, path.string()));
    CHECK(read_text(path) == "old");
    CHECK(folder.names() == std::set<std::string>{"größe.safetensors"});
  }
  SECTION("what is no file is not replaced") {
    std::filesystem::create_directory(path);
    write_text(path / "inside", "x");
    CHECK(holds(error_of([&] { parse(sample()).save(path); }), "is not a regular file"));
    CHECK(read_text(path / "inside") == "x");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(holds(error_of([&] { parse(sample()).save(folder / "pipe"); }), "pipe is not a regular file"));
    CHECK(std::filesystem::is_fifo(folder / "pipe"));
    CHECK(holds(error_of([&] { parse(sample()).save(folder / "no/such/folder"); }), "cannot create a file beside"));
    CHECK(holds(error_of([&] { parse(sample()).save(path / "inside/file"); }), "inside/file"));
    CHECK(folder.names() == std::set<std::string>{"größe.safetensors", "pipe"});
  }
}

TEST_CASE("all golden files load and mean what they say") {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(QATTEN_SOURCE_DIR "/tests/golden")) {
    if (entry.path().extension() != ".safetensors") continue;
    CAPTURE(entry.path());
    const SafeTensors file = SafeTensors::load(entry.path());
    CHECK(file.metadata.at("format") == "golden-1");
    CHECK_FALSE(file.tensors().empty());
    for (const auto& [name, tensor] : file.tensors()) {
      const auto values = tensor.values<double>();
      CHECK(std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }));
    }
    const auto again = SafeTensors::parse(file.serialize());
    CHECK(again.serialize() == file.serialize());
    ++count;
  }
  CHECK(count > 0);

  // VDN's joint value is the sum over agents: the columns of agent_qs [R, n] are samples.
  const auto vdn = SafeTensors::load(QATTEN_SOURCE_DIR "/tests/golden/mixer_vdn_odd.safetensors");
  const Matrix<double> q_tot = vdn.tensor("q_tot").matrix<double>();
  const Matrix<double> sums = vdn.tensor("agent_qs").matrix<double>().colwise().sum().transpose();
  REQUIRE(sums.rows() == q_tot.rows());
  CHECK((sums - q_tot).cwiseAbs().maxCoeff() < 1e-12);

  // An agent's output layer: q = W h + b over every step and agent.
  const auto gru = SafeTensors::load(QATTEN_SOURCE_DIR "/tests/golden/gru_agent_odd.safetensors");
  const Matrix<double> w = gru.tensor("agent.fc2.weight").weight<double>();
  const Matrix<double> b = gru.tensor("agent.fc2.bias").weight<double>();
  const Matrix<double> h = gru.tensor("h").matrix<double>(), q = gru.tensor("q").matrix<double>();
  REQUIRE((w * h).cols() == q.cols());
  CHECK(((w * h).colwise() + b.col(0) - q).cwiseAbs().maxCoeff() < 1e-12);
}

TEST_CASE("parameters go by PyTorch's names and shapes") {
  ParameterLayout layout;
  layout.add("fc.weight", 2, 3);
  layout.add("fc.bias", 2);
  layout.add_stacked({{"query.weight", 1}, {"key.weight", 2}}, 2);
  layout.add_stacked({{"query.bias", 1}, {"key.bias", 2}});
  REQUIRE(layout.size() == 17);
  const Vector<double> parameters = Vector<double>::LinSpaced(17, 0, 16);

  SafeTensors file;
  add_parameters(file, layout, parameters, "target.");
  CHECK(file.tensors().size() == 6);
  // Column-major in the vector, row-major in the file; the stacked blocks are bands of (3, 2) at offset 8.
  CHECK(file.tensor("target.fc.weight").shape == Shape{2, 3});
  CHECK(file.tensor("target.fc.weight").values<double>() == std::vector<double>{0, 2, 4, 1, 3, 5});
  CHECK(file.tensor("target.fc.bias").shape == Shape{2});
  CHECK(file.tensor("target.query.weight").values<double>() == std::vector<double>{8, 11});
  CHECK(file.tensor("target.key.weight").shape == Shape{2, 2});
  CHECK(file.tensor("target.key.weight").values<double>() == std::vector<double>{9, 12, 10, 13});
  CHECK(file.tensor("target.key.bias").values<double>() == std::vector<double>{15, 16});

  CHECK(read_parameters<double>(file, layout, "target.", Others::reject) == parameters);
  CHECK(read_parameters<float>(file, layout, "target.", Others::reject) == parameters.cast<float>());

  const auto error = [&](const std::string& prefix, Others others) {
    return error_of([&] { read_parameters<double>(file, layout, prefix, others); });
  };
  CHECK(holds(error("", Others::ignore), "no tensor 'fc.weight'"));
  add<double>(file, "other", {1}, {0});
  CHECK(error("target.", Others::reject) == "");
  add<double>(file, "target.more", {1}, {0});
  CHECK(error("target.", Others::ignore) == "");
  CHECK(holds(error("target.", Others::reject), "no place for 'target.more'"));

  layout.add("fc2.weight", 1, 1);
  CHECK(holds(error("target.", Others::ignore), "no tensor 'target.fc2.weight'"));
  CHECK(holds(error_of([&] { add_parameters(file, layout, parameters); }), "given 17 parameters, the layout has 18"));

  ParameterLayout turned;
  turned.add("fc.weight", 3, 2);
  const std::string message = error_of([&] { read_parameters<double>(file, turned, "target.", Others::ignore); });
  CHECK(holds(message, "target.fc.weight has the shape [2, 3], expected [3, 2]"));
  ParameterLayout flat;
  flat.add("fc.bias", 2, 1);
  CHECK(holds(error_of([&] { read_parameters<double>(file, flat, "target.", Others::ignore); }), "expected [2, 1]"));
}
