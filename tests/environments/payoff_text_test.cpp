#include "qatten/environments/games/payoff_text.hpp"

#include <filesystem>
#include <fstream>

#include "support/catch.hpp"

using namespace qatten;

namespace {

/// What reading this text throws; empty when it does not.
std::string complaint(const std::string& text) {
  try {
    matrix_game_from_text(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// A file that lives as long as this.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(std::filesystem::temp_directory_path() /
              ("qatten_payoff_text_" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a table is read however its numbers are separated") {
  const Vector<double> qtran{{8, -12, -12, -12, 0, 0, -12, 0, 0}};
  for (const char* text : {"8,-12,-12;-12,0,0;-12,0,0", "8 -12 -12; -12 0 0; -12 0 0;",
                           "8,-12 , -12\n-12,0,0\n-12,0,0\n", "\t8\t-12,-12\r\n\r\n-12,0,0\r\n-12,0,0",
                           "# QTRAN; 1, 2\n8,-12,-12 # first\n;;-12,0,0;-12,0,0", "8.0,-1.2e1,-12;-12,0,-0;-12,0,.0"}) {
    INFO(text);
    const MatrixGame game = matrix_game_from_text(text);
    CHECK(game.info().n_agents == 2);
    CHECK(game.info().n_actions == 3);
    CHECK((game.payoffs() == qtran));
  }
}

TEST_CASE("the number of rows says how many agents play") {
  const auto size = [](const char* text) {
    const EnvironmentInfo info = matrix_game_from_text(text).info();
    return std::pair(info.n_agents, info.n_actions);
  };
  CHECK(size("5") == std::pair<Index, Index>(2, 1));
  CHECK(size("1 2; 3 4") == std::pair<Index, Index>(2, 2));
  CHECK(size("1 2; 3 4\n\n5 6; 7 8") == std::pair<Index, Index>(3, 2));
  CHECK(size("1 2; 3 4; 5 6; 7 8; 1 2; 3 4; 5 6; 7 8") == std::pair<Index, Index>(4, 2));
  CHECK(size("1 2 3 4; 1 2 3 4; 1 2 3 4; 1 2 3 4") == std::pair<Index, Index>(2, 4));
  // Agent 1 chooses among the tables, agent 2 the row, agent 3 the column.
  const MatrixGame game = matrix_game_from_text("1 2; 3 4\n\n5 6; 7 8");
  CHECK(game.payoff(std::vector<int>{1, 0, 1}) == 6);
  CHECK(game.payoff(std::vector<int>{0, 1, 0}) == 3);
}

TEST_CASE("malformed tables are refused with the line and the word") {
  CHECK(contains(complaint(""), "got no numbers"));
  CHECK(contains(complaint(" \n;;\n# 1,2;3,4"), "got no numbers"));
  CHECK(contains(complaint("1,2\n3,x4"), "line 2: got 'x4', expected a number"));
  CHECK(contains(complaint("1,2;3,4a"), "line 1: got '4a', expected a number"));
  CHECK(contains(complaint("[[1,2],[3,4]]"), "got '[[1', expected a number"));
  CHECK(contains(complaint("1,0x10;3,4"), "got '0x10', expected a number"));
  CHECK(contains(complaint("1,2;3,inf"), "got 'inf', expected a finite number"));
  CHECK(contains(complaint("1,2;3,-inf"), "got '-inf', expected a finite number"));
  CHECK(contains(complaint("1,2;3,nan"), "got 'nan', expected a finite number"));
  CHECK(contains(complaint("1,2;3,1e39"), "got '1e39', expected a finite number that a float can hold"));
  CHECK(contains(complaint("1,2;3,1e999"), "'1e999' is out of range"));
  CHECK(contains(complaint("1,2;3,,4"), "a number before and after every comma"));
  CHECK(contains(complaint("1,2;3,4,"), "a number before and after every comma"));
  CHECK(contains(complaint(",1;3,4"), "a number before and after every comma"));
  CHECK(contains(complaint("1,2\n3"), "line 2: got a row of 1, expected 2 numbers as in the first row"));
  CHECK(contains(complaint("1,2;3,4,5"), "got a row of 3, expected 2 numbers"));
  CHECK(contains(complaint("1,2,3"),
                 "got a table of 1 x 3 numbers (rows x columns), expected 3 x 3 for two agents, 9 x 3 for"));
  CHECK(contains(complaint("1,2;3,4;5,6"),
                 "got a table of 3 x 2 numbers (rows x columns), expected 2 x 2 for two agents, 4 x 2 for"));
  CHECK(contains(complaint("1;2;3"), "got a table of 3 x 1 numbers (rows x columns), expected 1 x 1"));
  // A long word, as in a binary file, is not repeated at length.
  CHECK(complaint(std::string(100'000, 'x')).size() < 200);
}

TEST_CASE("a table is read from a file") {
  const TemporaryFile file("# climbing\n11, -30, 0\n-30, 7, 6\n0, 0, 5\n");
  CHECK((matrix_game_from_file(file.path()).payoffs() == Vector<double>{{11, -30, 0, -30, 7, 6, 0, 0, 5}}));
}

TEST_CASE("errors about a file name the file") {
  const auto complaint_about = [](const std::filesystem::path& path) -> std::string {
    try {
      matrix_game_from_file(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const TemporaryFile broken("1,2\n3,four\n");
  CHECK(contains(complaint_about(broken.path()), broken.path().string() + ": line 2: got 'four'"));
  const TemporaryFile empty("");
  CHECK(contains(complaint_about(empty.path()), empty.path().string() + ": got no numbers"));
  const auto missing = broken.path().string() + ".missing";
  CHECK(contains(complaint_about(missing), missing + ": cannot open the file"));
  CHECK(contains(complaint_about(broken.path().parent_path()), "got a directory"));
}
