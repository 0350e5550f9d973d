#pragma once
// A recording as one page that plays it in any browser, without a network.

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qatten/environments/skirmish/recording.hpp"
#include "qatten/environments/skirmish/replay_player.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

/// Writes JSON that may stand within a page: no text can close the script it stands in.
class PageJson {
 public:
  std::string text;

  void number(double x) {
    if (!std::isfinite(x)) {
      text += "null";
      return;
    }
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), x, std::chars_format::general, 6).ptr;
    text.append(digits.data(), end);
  }

  void string(std::string_view s) {
    text += '"';
    for (const char c : s) {
      const auto code = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\' || c == '<' || code < 0x20) {
        std::array<char, 8> escaped;
        std::snprintf(escaped.data(), escaped.size(), "\\u%04x", code);
        text += escaped.data();
      } else {
        text += c;
      }
    }
    text += '"';
  }

  /// `write(x)` for every x, in brackets and with commas.
  template <class Range, class Write>
  void list(const Range& range, Write&& write) {
    text += '[';
    bool first = true;
    for (const auto& x : range) {
      if (!std::exchange(first, false)) text += ',';
      write(x);
    }
    text += ']';
  }

  template <class Range>
  void numbers(const Range& range) {
    list(range, [&](const auto& x) { number(static_cast<double>(x)); });
  }

  void key(std::string_view name) {
    if (text.back() != '{') text += ',';
    string(name);
    text += ':';
  }
};

/// The page. It needs nothing but itself.
inline std::string replay_html(const Recording& r) {
  PageJson json;
  std::string& text = json.text;
  text += '{';
  for (const auto& [name, value] :
       {std::pair{"map", r.map}, std::pair{"title", r.title}, std::pair{"outcome", r.outcome}}) {
    json.key(name);
    json.string(value);
  }
  json.key("nAllies");
  json.number(r.n_allies);
  json.key("ground");
  json.list(r.ground, [&](std::uint32_t row) { text += std::to_string(row); });
  json.key("high");
  json.list(r.high, [&](std::uint32_t row) { text += std::to_string(row); });
  json.key("units");
  json.list(r.units, [&](const Recording::Unit& u) {
    text += '[';
    json.string(u.name);
    text += ',';
    json.string({&u.symbol, 1});
    text += u.ally ? ",true" : ",false";
    for (const float x : {u.radius, u.max_health, u.max_shield}) {
      text += ',';
      json.number(double(x));
    }
    text += ']';
  });
  json.key("frames");
  json.list(r.frames, [&](const Recording::Frame& f) {
    std::vector<float> places;
    for (const Point& p : f.places) places.insert(places.end(), {p.x, p.y});
    std::vector<int> shots;
    for (const Recording::Shot& shot : f.shots) shots.insert(shots.end(), {shot.from, shot.to, int(shot.heals)});
    text += '{';
    json.key("p");
    json.numbers(places);
    json.key("h");
    json.numbers(f.health);
    json.key("s");
    json.numbers(f.shield);
    json.key("a");
    std::string alive;
    for (const bool is_alive : f.alive) alive += is_alive ? '1' : '0';
    json.string(alive);
    json.key("shots");
    json.numbers(shots);
    text += '}';
  });
  json.key("actions");
  json.list(r.actions, [&](const std::vector<int>& actions) { json.numbers(actions); });
  json.key("rewards");
  json.numbers(r.rewards);
  json.key("thoughts");
  json.list(r.thoughts, [&](const Thoughts& t) {
    text += '{';
    json.key("attention");
    json.list(t.attention.colwise(), [&](const auto& head) { json.numbers(head); });
    for (const auto& [name, values] : {std::pair{"head_weights", &t.head_weights}, std::pair{"q", &t.q},
                                       std::pair{"q_tot", &t.q_tot}, std::pair{"c", &t.c}}) {
      json.key(name);
      json.numbers(*values);
    }
    text += '}';
  });
  text += '}';

  constexpr std::string_view place = "@RECORDING@";
  const std::size_t at = replay_player.rfind(place);
  std::string page(replay_player.substr(0, at));
  page += text;
  page += replay_player.substr(at + place.size());
  return page;
}

}  // namespace qatten::inline QATTEN_ABI::skirmish
