#pragma once
// Traffic in a file: a test without its environment, and a bug report.
//
//   8 bytes "QENVREC1", then entries: u64 microseconds since the start, u32 event, u32 bytes, the bytes
//
// What arrived is kept as it arrived, broken frames and broken connections included; tokens are not. The server plays
// its side of a recording again with --replay.

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "qatten/environments/remote/blocks.hpp"
#include "qatten/environments/remote/channel.hpp"

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

}  // namespace qatten::inline QATTEN_ABI::remote
