#pragma once
// Traffic in a file: a test without its environment, and a bug report.
//
//   8 bytes "QENVREC1", then entries: u64 microseconds since the start, u32 event, u32 bytes, the bytes
//
// What arrived is kept as it arrived, broken frames and broken connections included; tokens are not.

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "qatten/environments/remote/channel.hpp"
#include "qatten/environments/remote/layout.hpp"

namespace qatten::inline QATTEN_ABI::remote {

/// As the client sees it.
enum class Event : std::uint32_t { opened = 0, sent = 1, received = 2, closed = 3 };

inline constexpr std::string_view recording_magic = "QENVREC1";

class Recorder {
 public:
  /// Throws when the file cannot be written; an older one is replaced.
  explicit Recorder(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wbe"), &std::fclose) {
    write({reinterpret_cast<const std::byte*>(recording_magic.data()), recording_magic.size()});
  }

  /// On its way to the disk when this returns, so that a crash leaves a recording that ends with its cause.
  void add(Event event, std::span<const std::byte> bytes = {}) {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_).count();
    Bytes entry;
    detail::append(entry, static_cast<std::uint64_t>(time));
    detail::append(entry, static_cast<std::uint32_t>(event));
    detail::append(entry, static_cast<std::uint32_t>(bytes.size()));
    entry.insert(entry.end(), bytes.begin(), bytes.end());
    write(entry);
  }

 private:
  void write(std::span<const std::byte> bytes) {
    if (!file_ || std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size() ||
        std::fflush(file_.get()) != 0)
      throw Error("Recorder: cannot write " + path_ + ": " + std::generic_category().message(errno));
  }

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  Clock::time_point start_ = Clock::now();
};

struct RecordedEvent {
  std::uint64_t microseconds = 0;
  Event event{};
  Bytes bytes;
};

/// Throws when the file cannot be read or is no recording; an entry cut off at its end is dropped.
inline std::vector<RecordedEvent> load_recording(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  qatten::detail::require(file.is_open(), "load_recording", "cannot open " + path);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::span<const std::byte> rest = std::as_bytes(std::span(text));
  const bool magic_fits =
      std::string_view(text.data(), std::min(text.size(), recording_magic.size())) == recording_magic;
  qatten::detail::require(magic_fits, "load_recording", path + " does not start with QENVREC1");
  rest = rest.subspan(recording_magic.size());
  std::vector<RecordedEvent> events;
  while (rest.size() >= 16) {
    const auto event = detail::load<std::uint32_t>(rest, 8), bytes = detail::load<std::uint32_t>(rest, 12);
    qatten::detail::require(event <= static_cast<std::uint32_t>(Event::closed), "load_recording",
                            path + " holds an event " + std::to_string(event) + ", expected 0 … 3");
    if (rest.size() - 16 < bytes) break;
    const auto content = rest.subspan(16, bytes);
    events.push_back(
        {detail::load<std::uint64_t>(rest, 0), static_cast<Event>(event), {content.begin(), content.end()}});
    rest = rest.subspan(16 + bytes);
  }
  return events;
}

}  // namespace qatten::inline QATTEN_ABI::remote
