#pragma once
// A file that grows at its end, and whose end is known.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

/// Open for as long as it lives, and locked: no other process can have it open as an AppendFile.
class AppendFile {
 public:
  explicit AppendFile(std::filesystem::path path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("open");
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const bool taken = errno == EWOULDBLOCK;
      if (!taken) fail("lock");
      ::close(descriptor_);
      throw Error("AppendFile: another process is writing to " + path_.string());
    }
  }
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile() { ::close(descriptor_); }

  const std::filesystem::path& path() const { return path_; }

  /// Throws when not all of it could be written.
  void append(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write to", false);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  std::int64_t size() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail("read the size of", false);
    return status.st_size;
  }

  /// Drops what lies beyond the first `size` bytes. Throws when there are not so many.
  void cut(std::int64_t size) {
    detail::require(
        this->size() >= size, "AppendFile::cut",
        path_.string() + " has " + std::to_string(this->size()) + " bytes, expected at least " + std::to_string(size));
    if (::ftruncate(descriptor_, size) != 0) fail("shorten", false);
  }

  /// Returns when all of it is on the disk.
  void sync() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL) fail("flush", false);
  }

 private:
  [[noreturn]] void fail(const char* action, bool constructing = true) const {
    const std::string reason = std::generic_category().message(errno);
    if (constructing && descriptor_ >= 0) ::close(descriptor_);
    throw Error("AppendFile: cannot " + std::string(action) + " " + path_.string() + ": " + reason);
  }

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace qatten::inline QATTEN_ABI
