#pragma once
// Replacing a file so that its name always leads to a whole one.

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "qatten/core/error.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// A new file beside the one it is to replace; removed again unless `commit` succeeds.
class FileReplacement {
 public:
  /// Process and counter make the temporary name unique; what a crashed process of the same number left is skipped.
  explicit FileReplacement(std::filesystem::path target) : target_(std::move(target)) {
    static std::atomic<unsigned> counter{0};
    do {
      temporary_ = folder() / (".qatten-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp");
      descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && (errno == EEXIST || errno == EINTR));
    if (descriptor_ < 0) fail("create a file beside");
  }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!committed_) ::unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  /// Returns when the bytes are on the disk and the name leads to them.
  void commit() {
    if (::fsync(descriptor_) != 0) fail("flush");
    if (::close(std::exchange(descriptor_, -1)) != 0) fail("close");
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("rename a file to");
    committed_ = true;
    // Now the name itself. Not every file system can flush a folder, and the new file is in place: no error.
    const int descriptor = ::open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
  }

 private:
  std::filesystem::path folder() const { return target_.has_parent_path() ? target_.parent_path() : "."; }

  [[noreturn]] void fail(const char* action) const {
    const std::string reason = std::generic_category().message(errno);
    throw Error("replace_file: cannot " + std::string(action) + " " + target_.string() + ": " + reason);
  }

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

}  // namespace detail

/// Makes `path` a file of these bytes, one piece after the other. Whatever happens, a full disk or a loss of power
/// included, `path` is then either the old file or the whole new one. The folder must exist; a symbolic link is
/// followed. Throws when `path` is something other than a file and when the system refuses.
inline void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  detail::require(!exists || std::filesystem::is_regular_file(path, error), "replace_file",
                  path.string() + " is not a regular file");
  const auto target = exists ? std::filesystem::canonical(path, error) : path;
  detail::require(!error, "replace_file", "cannot reach " + path.string() + ": " + error.message());
  detail::FileReplacement file(target);
  for (const auto piece : pieces) file.write(piece);
  file.commit();
}

}  // namespace qatten::inline QATTEN_ABI
