// curves.svg: well-formed, with every point in its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "train/curves.h"

namespace glossa {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

// Every element is closed in order, every attribute quoted, and no character is left that markup would take.
bool well_formed(std::string_view text) {
  std::vector<std::string> open;
  while (!text.empty()) {
    const std::size_t begin = text.find('<');
    if (text.substr(0, begin).find_first_of(">&") != text.npos) return false;
    if (begin == text.npos) return open.empty();
    const std::size_t end = text.find('>', begin);
    if (end == text.npos) return false;
    std::string_view tag = text.substr(begin + 1, end - begin - 1);
    text.remove_prefix(end + 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return false;
    const std::string name(tag.substr(tag.starts_with('/'), tag.find_first_of(" /", 1) - tag.starts_with('/')));
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != name) return false;
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
  }
  return open.empty();
}

// The values of `points` of each polyline, as pairs.
std::vector<std::vector<std::pair<double, double>>> lines_of(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::string key = "points=\"";
  for (std::size_t at = svg.find(key); at != svg.npos; at = svg.find(key, at)) {
    at += key.size();
    std::istringstream text(svg.substr(at, svg.find('"', at) - at));
    auto& line = lines.emplace_back();
    for (double x, y; text >> x && text.ignore(1) && text >> y;) line.emplace_back(x, y);
  }
  return lines;
}

TEST(Curves, PointsStandWhereTheirValuesSay) {
  const OrderedJson history = {{{"loss", 10.0}, {"learning_rate", 0.0}, {"step", 0}},
                               {{"loss", 5.0}, {"learning_rate", 0.001}, {"step", 50}},
                               {{"eval_loss", 4.0}, {"eval_bleu", 20.0}, {"step", 100}},
                               {{"loss", 0.0}, {"learning_rate", 0.0005}, {"step", 100}}};
  const std::string svg = curves_svg(history);
  EXPECT_TRUE(well_formed(svg)) << svg;
  EXPECT_EQ(svg, curves_svg(history));
  const auto lines = lines_of(svg);
  ASSERT_THAT(lines, SizeIs(4));  // loss, validation loss, BLEU, learning rate
  ASSERT_THAT(lines[0], SizeIs(3));
  // A straight fall, through all of the panel, and the middle in the middle.
  EXPECT_DOUBLE_EQ(lines[0][1].first, (lines[0][0].first + lines[0][2].first) / 2);
  EXPECT_DOUBLE_EQ(lines[0][1].second, (lines[0][0].second + lines[0][2].second) / 2);
  EXPECT_LT(lines[0][0].second, lines[0][2].second);  // up is less in SVG
  ASSERT_THAT(lines[1], SizeIs(1));
  EXPECT_EQ(lines[1][0].first, lines[0][2].first);
  EXPECT_NEAR(lines[1][0].second, lines[0][0].second + 0.6 * (lines[0][2].second - lines[0][0].second), 0.11);
  EXPECT_NEAR(lines[3][2].second, (lines[3][0].second + lines[3][1].second) / 2, 0.11);
  EXPECT_THAT(svg, testing::AllOf(HasSubstr(">0.0006</text>"), HasSubstr("training: 0"), HasSubstr("BLEU: 20"),
                                  HasSubstr("prefers-color-scheme:dark"), HasSubstr("<circle")));
}

TEST(Curves, WithoutValidationThereIsNoPanelForIt) {
  const std::string svg = curves_svg({{{"loss", 1.0}, {"step", 1}}, {{"loss", nullptr}, {"step", 2}}});
  EXPECT_TRUE(well_formed(svg));
  EXPECT_THAT(svg, testing::AllOf(Not(HasSubstr("BLEU")), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  EXPECT_THAT(lines_of(svg), SizeIs(1));
  EXPECT_TRUE(well_formed(curves_svg(OrderedJson::array())));
}

TEST(Curves, ValuesThatHardlyDifferEndWithMarksAllTheSame) {
  for (const double value : {0.0, 1.0, 5e-4, -3.0, 1e300, 1e-300}) {
    const double next = std::nextafter(value, 2 * value);
    const std::string svg = curves_svg({{{"loss", value}, {"step", 1}}, {{"loss", next}, {"step", 2}}});
    EXPECT_TRUE(well_formed(svg)) << value;
    EXPECT_LT(svg.size(), 8000u) << value;
    const auto lines = lines_of(svg);
    for (const auto& [x, y] : lines.at(0)) EXPECT_TRUE(y > 0 && y < 200) << value << ": " << y;
  }
}

TEST(Curves, ALongRunIsDrawnInASmallFileAndKeepsItsExtremes) {
  OrderedJson history = OrderedJson::array();
  for (int i = 1; i <= 50000; ++i) history.push_back({{"loss", i == 25000 ? 9.0 : 1.0 + (i % 2)}, {"step", i}});
  const std::string svg = curves_svg(history);
  EXPECT_LT(svg.size(), 40000u);
  const auto line = lines_of(svg).at(0);
  EXPECT_LT(line.size(), 1300u);
  const auto highest = std::min_element(line.begin(), line.end(), [](auto a, auto b) { return a.second < b.second; });
  EXPECT_NEAR(highest->first, (line.front().first + line.back().first) / 2, 1);
  for (std::size_t i = 1; i < line.size(); ++i) ASSERT_LE(line[i - 1].first, line[i].first);
}

}  // namespace
}  // namespace glossa
