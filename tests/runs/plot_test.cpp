// Metrics of several runs as curves, and curves as a picture.

#include "io/files.hpp"
#include "qatten/runs/svg_plot.hpp"
#include "support/catch.hpp"

using namespace qatten;
using qatten::testing::contains;

TEST_CASE("metrics are read back by their keys; anything else is an error") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    write_text(folder / "metrics.csv", text);
    return read_metrics(folder / "metrics.csv");
  };
  const std::string head = "t_env,episode,key,value\n";
  const auto all = read(head + "0,0,loss,1.5\n10,2,loss,0.5\n10,2,epsilon,1e-3\n");
  REQUIRE(all.size() == 2);
  CHECK(all.at("loss").x == std::vector<double>{0, 10});
  CHECK(all.at("loss").y == std::vector<double>{1.5, 0.5});
  CHECK(all.at("epsilon").y == std::vector<double>{1e-3});
  CHECK(read(head).empty());
  CHECK_THROWS_WITH(read("a,b\n"), contains("is not a metrics.csv"));
  CHECK_THROWS_WITH(read(head + "0,0,loss,1.5\n10,2,lo"), contains("line 3 is no row: 10,2,lo"));
  CHECK_THROWS_WITH(read(head + "0,0,loss,x\n"), contains("line 2 is no row"));
  CHECK_THROWS_WITH(read_metrics(folder / "none"), contains("cannot read"));
}

TEST_CASE("quantiles are numpy's") {
  CHECK(quantile({3, 1, 2, 4}, 0.25) == 1.75);
  CHECK(quantile({3, 1, 2, 4}, 0.5) == 2.5);
  CHECK(quantile({5}, 0.75) == 5);
  CHECK(quantile({1, 2}, 1) == 2);
  CHECK_THROWS_AS(quantile({}, 0.5), Error);
}

TEST_CASE("several runs become median and quartiles where all have values") {
  const Series a{{0, 10, 20}, {0, 10, 20}}, b{{5, 15}, {50, 150}}, c{{0, 30}, {3, 3}};
  CHECK(interpolate(a, 2.5) == 2.5);
  CHECK(interpolate(a, 20) == 20);
  const Band band = summarise({a, b, c});
  CHECK(band.runs == 3);
  CHECK(band.x == std::vector<double>{10, 15});
  CHECK(band.median == std::vector<double>{10, 15});
  CHECK(band.low == std::vector<double>{6.5, 9});
  CHECK(band.high == std::vector<double>{55, 82.5});
  const Band one = summarise({a});
  CHECK(one.x == a.x);
  CHECK(one.low == a.y);
  CHECK(one.median == a.y);
  CHECK(summarise({a, Series{{30, 40}, {1, 1}}}).x.empty());
  CHECK(summarise({a, Series{}}).x.empty());
}

TEST_CASE("a picture has every curve in its frame, and only well-formed XML") {
  const Band wide = summarise({Series{{0, 5000, 10000}, {-1, 0, 4}}, Series{{0, 10000}, {1, 2}}});
  const Band flat = summarise({Series{{0}, {7}}});
  const Band odd = summarise({Series{{0, 1, 2}, {1, std::numeric_limits<double>::quiet_NaN(), 3}}});
  for (const bool log : {false, true}) {
    const std::string svg = svg_plot({{"return <mean> & more", {{"qatten", wide}, {"vdn", wide}}},
                                      {"flat", {{"a", flat}}},
                                      {"odd", {{"b", odd}}},
                                      {"empty", {}, "minutes"}},
                                     log);
    CHECK_THAT(svg,
               contains("return &lt;mean&gt; &amp; more") && contains("qatten (2 runs)") && contains(">10k</text>"));
    CHECK_THAT(svg, contains(">environment steps</text>") && contains(">minutes</text>"));
    CHECK(svg.find("nan") == svg.npos);
    CHECK(svg.find("inf") == svg.npos);
    std::vector<std::string> open;  // every element that is opened is closed
    for (std::size_t at = svg.find('<'); at != svg.npos; at = svg.find('<', at + 1)) {
      const std::string tag = svg.substr(at + 1, svg.find('>', at) - at - 1);
      const std::string name = tag.substr(0, tag.find(' '));
      if (tag.ends_with('/')) continue;
      if (!tag.starts_with('/')) {
        open.push_back(name);
      } else {
        REQUIRE_FALSE(open.empty());
        CHECK("/" + open.back() == name);
        open.pop_back();
      }
    }
    CHECK(open.empty());
    for (std::size_t at = svg.find("points=\""); at != svg.npos; at = svg.find("points=\"", at + 1)) {
      std::istringstream points(svg.substr(at + 8, svg.find('"', at + 8) - at - 8));
      double x = 0, y = 0;
      char comma = 0;
      while (points >> x >> comma >> y) {
        CHECK(x >= detail::PanelDrawing::left);
        CHECK(x <= detail::PanelDrawing::width - detail::PanelDrawing::right);
        CHECK(y >= detail::PanelDrawing::top);
        CHECK(y <= detail::PanelDrawing::height - detail::PanelDrawing::bottom);
      }
      CHECK(points.eof());
    }
  }
  CHECK(detail::ticks(0, 10) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(detail::powers_of_ten(-1, 2) == std::vector<double>{-1, 0, 1, 2});
  CHECK(detail::powers_of_ten(-3, 17) == std::vector<double>{-3, 0, 3, 6, 9, 12, 15});
  CHECK(detail::ticks(-0.1, 0.9) == std::vector<double>{0, 0.2, 0.4, 0.2 * 3, 0.8});
}

TEST_CASE("on logarithmic heights decades are equally high, and what is not positive is left out") {
  const std::string svg = svg_plot({{"loss", {{"a", summarise({Series{{0, 1, 2, 3}, {1, 10, -5, 100}}})}}}}, true);
  const auto at = svg.find("<polyline");
  REQUIRE(at != svg.npos);
  std::istringstream points(svg.substr(svg.find("points=\"", at) + 8));
  std::vector<double> heights;
  double x = 0, y = 0;
  char comma = 0;
  while (points >> x >> comma >> y) heights.push_back(y);
  REQUIRE(heights.size() == 3);
  CHECK(heights[0] == detail::PanelDrawing::height - detail::PanelDrawing::bottom);
  CHECK(heights[2] == detail::PanelDrawing::top);
  CHECK(std::abs(heights[0] + heights[2] - 2 * heights[1]) < 0.11);
  CHECK_THAT(svg, contains(">1</text>") && contains(">10</text>") && contains(">100</text>"));
  const std::string wide = svg_plot({{"loss", {{"a", summarise({Series{{0, 1}, {1, 1e9}}})}}}}, true);
  CHECK_THAT(wide,
             contains(">100</text>") && contains(">10k</text>") && contains(">1M</text>") && contains(">100M</text>"));
}
