#pragma once
// A battle as text, for terminals.

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "qatten/environments/skirmish/skirmish.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// The field, two characters a cell, allies in capitals, beside the health (#) and shields (+) of every unit. With
/// `colour`, in the escape sequences of terminals.
inline std::string draw(const Skirmish& game, bool colour) {
  const BattleState& s = game.units();
  const Terrain& terrain = game.battle().terrain();
  const auto paint = [&](const std::string& text, bool ally) {
    return colour ? std::string(ally ? "\033[1;36m" : "\033[1;31m").append(text).append("\033[0m") : text;
  };
  const auto symbol = [&](int i) {
    const char c = game.battle().rules().rules.units[index(s.type[i])].symbol;
    return std::string(1, s.is_ally(i) ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
  };

  std::array<std::array<int, map_size>, map_size> at;
  for (auto& row : at) row.fill(-1);
  int low = map_size, high = -1;
  for (int y = 0; y < map_size; ++y)
    for (int x = 0; x < map_size; ++x)
      if (terrain.walkable(x, y)) low = std::min(low, y), high = std::max(high, y);
  for (int i = s.n_units - 1; i >= 0; --i) {
    if (!s.alive[i]) continue;
    const int x = static_cast<int>(s.x[i]), y = static_cast<int>(s.y[i]);
    at[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] = i;
    low = std::min(low, y), high = std::max(high, y);
  }

  const auto bar = [&](int i) {
    const auto parts = [](float now, float most) { return now > 0 ? 1 + static_cast<int>(7.99F * now / most) : 0; };
    std::string text(static_cast<std::size_t>(parts(s.health[i], s.max_health[i])), '#');
    text.resize(8, '.');
    if (s.max_shield[i] > 0)
      text += ' ' + std::string(static_cast<std::size_t>(parts(s.shield[i], s.max_shield[i])), '+');
    text.resize(17, ' ');
    return text;
  };

  std::string text;
  const int lines = std::max({high - low + 1, s.n_allies, s.n_units - s.n_allies});
  for (int line = 0; line < lines; ++line) {
    const int y = high - line;
    for (int x = 0; x < map_size; ++x) {
      const int i = y >= low ? at[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] : -1;
      text += i >= 0                               ? paint(symbol(i), s.is_ally(i))
              : y < low || !terrain.walkable(x, y) ? " "
              : terrain.high(x, y)                 ? ":"
                                                   : ".";
      text += ' ';
    }
    const int ally = line, enemy = s.n_allies + line;
    for (const int i : {ally, enemy}) {
      const bool there = i == ally ? ally < s.n_allies : enemy < s.n_units;
      text += there ? "  " + paint(symbol(i) + ' ' + bar(i), i == ally) : std::string(21, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
