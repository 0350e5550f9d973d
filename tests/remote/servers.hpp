#pragma once
// Servers that tests talk to.

#include <string>
#include <vector>

#include "qatten/environments/remote/remote_environment.hpp"
#include "support/temporary_folder.hpp"

namespace qatten_test {

/// The command of the Python server with the mock of SMAC, and with transport faults if the mock asks for them.
inline std::vector<std::string> mock_command(const std::vector<std::string>& arguments = {}) {
  const std::string source = QATTEN_SOURCE_DIR;
  std::vector<std::string> command = {"env",
                                      "PYTHONPATH=" + source + "/python",
                                      "PYTHONDONTWRITEBYTECODE=1",
                                      QATTEN_PYTHON,
                                      source + "/tests/remote/faulty_server.py",
                                      "--env",
                                      "mock_smac:MockSmac"};
  for (const std::string& argument : arguments) command.insert(command.end(), {"--arg", argument});
  return command;
}

/// Deadlines that fit a test.
inline qatten::RemoteOptions quick(qatten::RemoteOptions options) {
  options.heartbeat = 0.15;
  options.step_timeout = 2;
  options.reset_timeout = options.first_reset_timeout = 10;
  return options;
}

}  // namespace qatten_test
