#pragma once
// A server that this process starts, and ends with everything that it started itself.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "qatten/environments/remote/channel.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace qatten::inline QATTEN_ABI::remote {

namespace detail {

[[noreturn]] inline void system_error(const std::string& what) {
  throw Error("ServerProcess: cannot " + what + ": " + std::generic_category().message(errno));
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return descriptor_; }
  void reset() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_;
};

inline std::array<Descriptor, 2> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) system_error("make a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// A folder of our own for one socket: nobody else can reach it, and it goes with everything in it.
class SocketFolder {
 public:
  SocketFolder() : path_((std::filesystem::temp_directory_path() / "qatten-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) system_error("make the folder " + path_);
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  ~SocketFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string socket() const { return path_ + "/socket"; }

 private:
  std::string path_;
};

}  // namespace detail

/// Runs `command --listen unix:… --parent` in a process group of its own, waits for its line LISTENING, and kills the
/// whole group at the end. Dies this process first, the server sees its standard input end and stops by itself.
class ServerProcess {
 public:
  /// `log`: where the server's own output is appended to; if empty it is kept aside for error messages. Throws when the
  /// server cannot be started or says nothing by `until`.
  ServerProcess(const std::vector<std::string>& command, const std::string& log, Clock::time_point until) {
    qatten::detail::require(!command.empty(), "ServerProcess", "the command is empty");
    open_log(log);
    auto [input_read, input_write] = detail::make_pipe();
    auto [output_read, output_write] = detail::make_pipe();
    start(command, input_read.get(), output_write.get());
    input_ = std::move(input_write);
    input_read.reset();
    output_write.reset();
    try {
      endpoint_ = read_endpoint(output_read.get(), until);
    } catch (...) {
      stop();
      throw;
    }
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { stop(); }

  const Endpoint& endpoint() const { return endpoint_; }
  pid_t pid() const { return pid_; }

  /// The end of what the server wrote to its standard error.
  std::string last_words() const {
    std::array<char, 2000> text{};
    const off_t size = ::lseek(log_.get(), 0, SEEK_END);
    const off_t start = std::max<off_t>(0, size - static_cast<off_t>(text.size()));
    const ssize_t count = ::pread(log_.get(), text.data(), text.size(), start);
    return count > 0 ? std::string(text.data(), static_cast<std::size_t>(count)) : "";
  }

  /// Does not wait: for a server that has shown that it is beyond help.
  void kill() {
    grace_ = Clock::duration::zero();
    stop();
  }

 private:
  void open_log(const std::string& log) {
    if (log.empty()) {
      std::string path = (std::filesystem::temp_directory_path() / "qatten-log-XXXXXX").string();
      log_ = detail::Descriptor(::mkostemp(path.data(), O_CLOEXEC | O_APPEND));
      if (log_.get() >= 0) ::unlink(path.c_str());
    } else {
      log_ = detail::Descriptor(::open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    }
    if (log_.get() < 0) detail::system_error("write to the log " + log);
  }

  void start(const std::vector<std::string>& command, int input, int output) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--listen", "unix:" + folder_.socket(), "--parent"});
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, log_.get(), STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    errno = ::posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
    const bool failed = errno != 0;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed) {
      pid_ = -1;
      detail::system_error("run " + command[0]);
    }
  }

  Endpoint read_endpoint(int output, Clock::time_point until) {
    std::string line;
    for (char c = 0; c != '\n' && line.size() < 1000;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd descriptor{output, POLLIN, 0};
      if (left <= 0 || ::poll(&descriptor, 1, static_cast<int>(std::min<long>(left, 1 << 30))) == 0)
        fail("the server has not said LISTENING in time");
      const ssize_t count = ::read(output, &c, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("the server ended without a line LISTENING");
      line += c;
    }
    if (!line.starts_with("LISTENING ")) fail("the server's first line is '" + line + "', expected LISTENING ENDPOINT");
    return parse_endpoint(std::string_view(line).substr(10, line.size() - 11));
  }

  [[noreturn]] void fail(const std::string& message) {
    const std::string words = last_words();
    throw ConnectionLost("ServerProcess: " + message + (words.empty() ? "" : ". It wrote:\n" + words));
  }

  /// Asks by closing its standard input, then insists.
  void stop() {
    if (pid_ < 0) return;
    input_.reset();
    const Clock::time_point until = Clock::now() + grace_;
    siginfo_t info{};
    const auto ended = [&] {  // leaves the zombie, so that its number stays ours until the group has been killed
      info.si_pid = 0;
      return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
    };
    while (!ended() && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  detail::SocketFolder folder_;
  detail::Descriptor input_, log_;
  pid_t pid_ = -1;
  Endpoint endpoint_;
  Clock::duration grace_ = std::chrono::seconds(5);
};

}  // namespace qatten::inline QATTEN_ABI::remote
