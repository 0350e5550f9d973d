#pragma once
// Matrix games written as text, on a command line or in a file.
//
//   # Climbing (Claus and Boutilier 1998)         a comment runs from '#' to the end of its line
//    11, -30, 0                                   numbers are separated by commas or blanks,
//   -30    7  6                                   rows by line ends
//     0, 0 5; # end                               or semicolons; rows without numbers are skipped
//
// A row holds the payoffs of the last agent's actions, so its length k is the number of actions. k rows are a game of
// two agents: rows agent 1, columns agent 2. k^(n-1) rows are a game of n agents, with agent 1's action changing most
// slowly: k tables of k rows for three agents, which empty lines may keep apart.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "qatten/environments/games/matrix_game.hpp"

namespace qatten::inline QATTEN_ABI {

namespace detail {

/// Reads rows of numbers; what it throws begins with `source`.
class PayoffReader {
 public:
  PayoffReader(std::string_view text, std::string source) : source_(std::move(source)) {
    while (!text.empty()) {
      ++line_;
      std::string_view line = cut(text, "\n");
      line = line.substr(0, line.find('#'));
      while (!line.empty()) read_row(cut(line, ";"));
    }
    if (columns_ == 0) throw Error(source_ + ": got no numbers, expected a table such as 8,-12;-12,0");
  }

  MatrixGame game() const {
    const Index k = columns_, rows = static_cast<Index>(numbers_.size()) / k;
    Index n_agents = 2, expected = k;
    for (; expected < rows && k > 1; expected *= k) ++n_agents;
    if (rows != expected)
      throw Error(source_ + ": got a table of " + std::to_string(rows) + " x " + std::to_string(k) +
                  " numbers (rows x columns), expected " + std::to_string(k) + " x " + std::to_string(k) +
                  " for two agents, " + std::to_string(k * k) + " x " + std::to_string(k) + " for three, and so on");
    return MatrixGame(n_agents, k, Eigen::Map<const Vector<double>>(numbers_.data(), rows * k));
  }

 private:
  /// Takes from `text` what stands before the first of `separators`, and that separator.
  static std::string_view cut(std::string_view& text, std::string_view separators) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    const std::string_view head = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return head;
  }

  static constexpr std::string_view blanks = " \t\r\v\f";

  void read_row(std::string_view row) {
    if (row.find_first_not_of(blanks) == row.npos) return;
    const std::size_t before = numbers_.size();
    for (bool more = true; more;) {
      more = row.find(',') != row.npos;
      read_field(cut(row, ","));
    }
    const Index count = static_cast<Index>(numbers_.size() - before);
    if (columns_ == 0) columns_ = count;
    if (count != columns_)
      throw Error(where() + "got a row of " + std::to_string(count) + ", expected " + std::to_string(columns_) +
                  " numbers as in the first row");
  }

  /// One or more numbers separated by blanks.
  void read_field(std::string_view field) {
    const std::size_t before = numbers_.size();
    while (!field.empty()) {
      const std::string_view word = cut(field, blanks);
      if (!word.empty()) numbers_.push_back(read_number(word));
    }
    if (numbers_.size() == before) throw Error(where() + "expected a number before and after every comma");
  }

  double read_number(std::string_view word) const {
    double number = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), number);
    const bool whole = end == word.data() + word.size();
    if (status == std::errc::result_out_of_range && whole)
      throw Error(where() + quoted(word) + " is out of range, expected a number that a float can hold");
    if (status != std::errc() || !whole) throw Error(where() + "got " + quoted(word) + ", expected a number");
    if (!(std::abs(number) <= std::numeric_limits<float>::max()))
      throw Error(where() + "got " + quoted(word) + ", expected a finite number that a float can hold");
    return number;
  }

  static std::string quoted(std::string_view word) {
    std::string text(1, '\'');
    text += word.substr(0, 32);
    text += word.size() > 32 ? "...'" : "'";
    return text;
  }

  std::string where() const { return source_ + ": line " + std::to_string(line_) + ": "; }

  std::string source_;
  std::vector<double> numbers_;
  Index columns_ = 0;
  Index line_ = 0;
};

}  // namespace detail

/// The game of a text such as "8,-12,-12; -12,0,0; -12,0,0" in the format above. Throws an Error that names the line
/// when a word is not a finite number, rows differ in length, or their number fits no game.
inline MatrixGame matrix_game_from_text(std::string_view text) {
  return detail::PayoffReader(text, "matrix_game_from_text").game();
}

/// The game of a file in the format above. Throws as `matrix_game_from_text` does, and when the file cannot be read.
inline MatrixGame matrix_game_from_file(const std::filesystem::path& path) {
  const std::string source = "matrix_game_from_file: " + path.string();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw Error(source + ": got a directory, expected a file");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(source + ": cannot open the file");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return detail::PayoffReader(text, source).game();
}

}  // namespace qatten::inline QATTEN_ABI
