// A fuzzer for libFuzzer (scripts/fuzz): client or server side, by QATTEN_FUZZ_SERVER.

#include <cstddef>
#include <cstdint>

#include "remote/decode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
#ifdef QATTEN_FUZZ_SERVER
  qatten_test::decode_as_server(bytes);
#else
  qatten_test::decode_as_client(bytes);
#endif
  return 0;
}
