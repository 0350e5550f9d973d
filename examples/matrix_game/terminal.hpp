#pragma once
// Plain text that is pleasant to read: tables, bars, and one line of progress.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "qatten/core/view.hpp"

/// Colours and a line that rewrites itself, but only where a person watches.
class Terminal {
 public:
  Terminal() : interactive_(isatty(STDOUT_FILENO) != 0) {}

  std::string bold(const std::string& text) const { return interactive_ ? "\033[1m" + text + "\033[0m" : text; }
  std::string dim(const std::string& text) const { return interactive_ ? "\033[2m" + text + "\033[0m" : text; }

  /// After `done` of `all` steps. Off a terminal a plain line at every quarter.
  void progress(const std::string& what, int done, int all, double loss) const {
    const int quarter = std::max(all / 4, 1), twentieth = std::max(all / 20, 1);
    if (done != all && done % (interactive_ ? twentieth : quarter) != 0) return;
    const int width = 20, filled = width * done / all;
    std::string bar;
    for (int k = 0; k < width; ++k) bar += k < filled ? "█" : "░";
    std::printf("%s  %-15s %s %5d / %d updates   loss %.4g%s", interactive_ ? "\r\033[K" : "", what.c_str(),
                bar.c_str(), done, all, loss, interactive_ && done < all ? "" : "\n");
    std::fflush(stdout);
  }

 private:
  bool interactive_;
};

/// A share between 0 and 1 as a bar of ten eighth-blocks.
inline std::string share_bar(double share) {
  static const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int units = static_cast<int>(share * 80 + 0.5);
  std::string bar;
  for (int k = 0; k < units / 8; ++k) bar += "█";
  bar += eighths[units % 8];
  for (int k = (units + 7) / 8; k < 10; ++k) bar += " ";
  return bar;
}

inline std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%8.3f", std::abs(x) < 5e-4 ? 0.0 : x);
  return text;
}

/// Tables side by side under their titles, rows and columns labelled; (rows, cols) each.
inline void print_tables(const std::vector<std::string>& titles, const std::vector<qatten::Matrix<double>>& tables,
                         const std::vector<std::string>& rows, const std::vector<std::string>& cols) {
  const int width = 9 * static_cast<int>(cols.size());
  const auto line = [](std::string text) {
    text.erase(text.find_last_not_of(' ') + 1);
    std::printf("%s\n", text.c_str());
  };
  const auto padded = [](std::string text, int to) {
    if (static_cast<int>(text.size()) < to) text.append(static_cast<std::size_t>(to) - text.size(), ' ');
    return text;
  };
  std::string head = "          ", labels = "          ";
  for (const std::string& title : titles) head += padded(" " + title, width + 4);
  for (std::size_t t = 0; t < titles.size(); ++t) {
    for (const std::string& col : cols) labels += std::string(9 - col.size(), ' ') + col;
    labels += "    ";
  }
  line(head);
  line(labels);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string text = padded("      " + rows[r], 10);
    for (const auto& table : tables) {
      for (qatten::Index c = 0; c < table.cols(); ++c) text += " " + number(table(static_cast<qatten::Index>(r), c));
      text += "    ";
    }
    line(text);
  }
}
