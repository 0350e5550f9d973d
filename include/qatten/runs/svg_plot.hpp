#pragma once
// Curves as an SVG picture, without any other program.

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "qatten/runs/curves.hpp"
#include "qatten/training/progress.hpp"

namespace qatten::inline QATTEN_ABI {

/// A diagram of several curves.
struct Panel {
  std::string title;
  std::vector<std::pair<std::string, Band>> curves;  ///< with their labels
  std::string x = "environment steps";               ///< what they run over
};

namespace detail {

inline std::string xml_text(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}

/// Round numbers that cover [low, high] in about five steps of 1, 2 or 5 times a power of ten.
inline std::vector<double> ticks(double low, double high) {
  const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  std::vector<double> all;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
    all.push_back(k == 0 ? 0 : k * step);
  return all;
}

/// The powers of ten in [low, high], every second or third of them where they are many: as their logarithms.
inline std::vector<double> powers_of_ten(double low, double high) {
  const double step = std::ceil((high - low) / 8);
  std::vector<double> all;
  for (double k = std::ceil(low / step) * step; k <= high; k += step) all.push_back(k);
  return all;
}

/// One panel of fixed size. With `log`, its height is the logarithm, and what is not positive is left out.
class PanelDrawing {
 public:
  static constexpr double width = 480, height = 300, left = 62, right = 14, top = 30, bottom = 42;

  PanelDrawing(const Panel& panel, bool log) : panel_(panel), log_(log) {
    for (const auto& [label, band] : panel.curves) {
      for (const double x : band.x) widen(x_low_, x_high_, x);
      for (const auto* side : {&band.low, &band.high})
        for (const double y : *side)
          if (std::isfinite(scaled(y))) widen(y_low_, y_high_, scaled(y));
    }
    if (x_low_ > x_high_) x_low_ = 0, x_high_ = 1;
    if (y_low_ > y_high_) y_low_ = 0, y_high_ = 1;
    if (x_high_ == x_low_) ++x_high_;
    if (y_high_ == y_low_) y_low_ -= 0.5, y_high_ += 0.5;
    const double margin = 0.04 * (y_high_ - y_low_);
    y_low_ = log ? std::floor(y_low_) : y_low_ - margin;
    y_high_ = log ? std::ceil(y_high_) : y_high_ + margin;
  }

  std::string text() const {
    std::string svg = format("<text x=\"%.0f\" y=\"18\" class=\"title\">", left) + xml_text(panel_.title) + "</text>\n";
    for (const double x : ticks(x_low_, x_high_))
      svg += line(px(x), top, px(x), height - bottom) + label(px(x), height - bottom + 16, "middle", x);
    for (const double y : log_ ? powers_of_ten(y_low_, y_high_) : ticks(y_low_, y_high_))
      svg += line(left, py(y), width - right, py(y)) + label(left - 6, py(y) + 4, "end", log_ ? std::pow(10, y) : y);
    svg += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (left + width - right) / 2, height - 8) +
           xml_text(panel_.x) + "</text>\n";
    for (std::size_t k = 0; k < panel_.curves.size(); ++k) svg += curve(k);
    return svg;
  }

 private:
  static void widen(double& low, double& high, double x) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  double px(double x) const { return left + (x - x_low_) / (x_high_ - x_low_) * (width - left - right); }
  double scaled(double y) const { return log_ ? std::log10(y) : y; }
  /// Of a scaled number.
  double py(double y) const { return height - bottom - (y - y_low_) / (y_high_ - y_low_) * (height - top - bottom); }

  static std::string line(double x_1, double y_1, double x_2, double y_2) {
    return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x_1, y_1, x_2, y_2);
  }
  static std::string label(double x, double y, const char* anchor, double number) {
    const double size = std::abs(number), unit = size < 1e4 || size >= 1e9 ? 1 : size < 1e6 ? 1e3 : 1e6;
    return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.4g%s</text>\n", x, y, anchor, number / unit,
                  unit == 1e3   ? "k"
                  : unit == 1e6 ? "M"
                                : "");
  }

  /// Its points; a number that is not finite breaks nothing: it is left out.
  std::string points(const std::vector<double>& x, const std::vector<double>& y) const {
    std::string text;
    for (std::size_t k = 0; k < x.size(); ++k)
      if (std::isfinite(scaled(y[k]))) text += format("%.1f,%.1f ", px(x[k]), py(scaled(y[k])));
    return text;
  }

  std::string curve(std::size_t k) const {
    constexpr std::array<const char*, 6> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
    const char* colour = colours[k % colours.size()];
    const auto& [name, band] = panel_.curves[k];
    std::vector<double> back_x(band.x.rbegin(), band.x.rend()), back_y(band.high.rbegin(), band.high.rend());
    std::string svg;
    if (band.runs > 1)
      svg += format("<polygon fill=\"%s\" fill-opacity=\"0.2\" points=\"", colour) + points(band.x, band.low) +
             points(back_x, back_y) + "\"/>\n";
    svg += format("<polyline stroke=\"%s\" points=\"", colour) + points(band.x, band.median) + "\"/>\n";
    const double y = top + 12 + 15 * double(k);
    svg += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"3\" fill=\"%s\"/>\n", left + 8, y - 4, colour);
    return svg + format("<text x=\"%.1f\" y=\"%.1f\" class=\"legend\">", left + 25, y) + xml_text(name) +
           (band.runs > 1 ? " (" + std::to_string(band.runs) + " runs)" : "") + "</text>\n";
  }

  const Panel& panel_;
  bool log_;
  double x_low_ = std::numeric_limits<double>::infinity(), x_high_ = -x_low_;
  double y_low_ = x_low_, y_high_ = -x_low_;
};

}  // namespace detail

/// The panels two in a row, medians as lines, quartiles shaded, with `log` on logarithmic heights: a whole SVG file.
inline std::string svg_plot(const std::vector<Panel>& panels, bool log = false) {
  using detail::PanelDrawing;
  const std::size_t columns = std::min<std::size_t>(panels.size(), 2), rows = (panels.size() + 1) / 2;
  std::string svg = detail::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\">\n",
                                   PanelDrawing::width * double(columns), PanelDrawing::height * double(rows));
  svg +=
      "<style>text{font:11px sans-serif;fill:#333}.title{font-size:13px;font-weight:bold}line{stroke:#ddd}"
      "polyline{fill:none;stroke-width:1.6}"
      ".legend{paint-order:stroke;stroke:white;stroke-width:3px}</style>\n<rect width=\"100%\" height=\"100%\" "
      "fill=\"white\"/>\n";
  for (std::size_t k = 0; k < panels.size(); ++k) {
    const std::size_t row = k / 2, column = k % 2;
    svg += detail::format("<g transform=\"translate(%.0f,%.0f)\">\n", PanelDrawing::width * double(column),
                          PanelDrawing::height * double(row)) +
           PanelDrawing(panels[k], log).text() + "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace qatten::inline QATTEN_ABI
