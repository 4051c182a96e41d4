#include "train/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace glossa {
namespace {

struct Point {
  double step, value;
};

struct Curve {
  const char* key;    // of the metric
  const char* label;  // in the legend
  const char* style;  // class in the SVG
  std::vector<Point> points = {};
};

struct Panel {
  const char* title;
  std::vector<Curve> curves;
};

constexpr double kWidth = 720, kHeight = 200, kLeft = 64, kRight = 24, kTop = 28, kBottom = 28;
constexpr double kInnerWidth = kWidth - kLeft - kRight, kInnerHeight = kHeight - kTop - kBottom;

std::vector<Point> points_of(const OrderedJson& history, const char* key) {
  std::vector<Point> points;
  for (const OrderedJson& line : history) {
    if (!line.contains(key) || !line.at(key).is_number() || !line.contains("step")) continue;
    const double value = line.at(key).get<double>();
    if (std::isfinite(value)) points.push_back({line.at("step").get<double>(), value});
  }
  return points;
}

// A round distance for about four marks over `span`, which is positive.
double mark_distance(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / 4)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (span / (factor * power) <= 5) return factor * power;
  return 10 * power;
}

// A range that begins and ends at marks.
class Axis {
 public:
  Axis(double least, double most) {
    // Values that differ by less than a picture shows (as a constant rate by rounding) are drawn as one.
    const double size = std::max({std::fabs(least), std::fabs(most), 1e-9});
    if (most - least < 1e-6 * size) least -= 0.05 * size, most += 0.05 * size;
    distance_ = mark_distance(most - least);
    first_ = std::floor(least / distance_);
    last_ = std::ceil(most / distance_);
  }
  double place(double value) const { return (value / distance_ - first_) / (last_ - first_); }  // 0 to 1
  std::vector<double> marks() const {
    std::vector<double> marks;
    for (double i = first_; i <= last_; ++i) marks.push_back(i * distance_);
    return marks;
  }

 private:
  double distance_, first_, last_;  // the ends as multiples of the distance
};

// At most two points for each pixel of the width, the least and the greatest: a long run draws the same in a small file.
std::vector<Point> thinned(const std::vector<Point>& points, double last_step) {
  if (static_cast<double>(points.size()) <= 2 * kInnerWidth) return points;
  const auto less = [](const Point& a, const Point& b) { return a.value < b.value; };
  const auto column = [&](const Point& p) { return std::floor(p.step / last_step * kInnerWidth); };
  std::vector<Point> kept;
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find_if(begin, points.end(), [&](const Point& p) { return column(p) != column(*begin); });
    auto [low, high] = std::minmax_element(begin, end, less);
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (low != high) kept.push_back(*high);
    begin = end;
  }
  return kept;
}

std::string draw_curve(const Curve& curve, const std::vector<Point>& at) {
  std::string path, dots;
  for (const Point& p : at) path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", p.step, p.value);
  constexpr std::size_t kFew = 40;  // where each value deserves to be seen, and one alone makes no line
  if (at.size() <= kFew)
    for (const Point& p : at)
      dots += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\"/>", curve.style, p.step, p.value);
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>{}\n", curve.style, path, dots);
}

// From the right end to the left: a name with its last value, and the stroke it is drawn with.
std::string draw_legend(const Panel& panel, double y) {
  constexpr double kEntry = 150, kStroke = 18, kGap = 5;
  double x = kWidth - kRight - kEntry * static_cast<double>(panel.curves.size());
  std::string svg;
  for (const Curve& c : panel.curves) {
    svg += fmt::format(
        "<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"mark\" x=\"{:.1f}\" y=\"{:.1f}\">{}: {:.4g}</text>\n",
        c.style, x, x + kStroke, y - 4, y - 4, x + kStroke + kGap, y, c.label, c.points.back().value);
    x += kEntry;
  }
  return svg;
}

std::string draw(const Panel& panel, double top, double last_step) {
  double least = INFINITY, most = -INFINITY;
  for (const Curve& c : panel.curves)
    for (const Point& p : c.points) least = std::min(least, p.value), most = std::max(most, p.value);
  const Axis y(least, most), x(0, last_step);
  const auto at_x = [&](double step) { return kLeft + kInnerWidth * x.place(step); };
  const auto at_y = [&](double value) { return top + kTop + kInnerHeight * (1 - y.place(value)); };
  // Zero as such, and not as what rounding left of it.
  const auto label = [](double mark) { return fmt::format("{:.6g}", mark == 0 ? 0.0 : mark); };

  std::string svg = fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLeft, top + 17,
                                panel.title);
  for (const double mark : y.marks())
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"mark\" x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, kWidth - kRight, at_y(mark), kLeft - 6, at_y(mark) + 4, label(mark));
  const double bottom = top + kHeight - kBottom;
  for (const double mark : x.marks())
    svg += fmt::format(
        "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"mark\" x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        at_x(mark), bottom, bottom + 4, bottom + 16, label(mark));
  svg += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n", kLeft,
                     kWidth - kRight, bottom);
  svg += fmt::format("<text class=\"mark\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">step</text>\n", kLeft - 6,
                     bottom + 16);
  for (const Curve& c : panel.curves) {
    std::vector<Point> points = thinned(c.points, last_step);
    for (Point& p : points) p = {at_x(p.step), at_y(p.value)};
    svg += draw_curve(c, points);
  }
  return svg + draw_legend(panel, top + 17);
}

}  // namespace

std::string curves_svg(const OrderedJson& history) {
  std::vector<Panel> panels{
      {"Loss (nats per token)", {{"loss", "training", "first"}, {"eval_loss", "validation", "second"}}},
      {"BLEU on the validation data", {{"eval_bleu", "BLEU", "second"}}},
      {"Learning rate", {{"learning_rate", "rate", "first"}}}};
  double last_step = 1;
  for (Panel& panel : panels) {
    for (Curve& curve : panel.curves) {
      curve.points = points_of(history, curve.key);
      for (const Point& p : curve.points) last_step = std::max(last_step, p.step);
    }
    std::erase_if(panel.curves, [](const Curve& curve) { return curve.points.empty(); });
  }
  std::erase_if(panels, [](const Panel& panel) { return panel.curves.empty(); });
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"sans-serif\" role=\"img\">\n<title>Course of the training</title>\n"
      "<style>.title{{font-size:14px;fill:#555}}.mark{{font-size:11px;fill:#777}}"
      ".grid{{stroke:#999;stroke-opacity:.25}}.axis{{stroke:#999}}"
      ".first,.second{{fill:none;stroke-width:1.8;stroke-linejoin:round}}.first{{stroke:#3b78c4}}"
      ".second{{stroke:#d9822b}}circle.first{{fill:#3b78c4}}circle.second{{fill:#d9822b}}"
      "@media (prefers-color-scheme:dark){{.title{{fill:#bbb}}.mark{{fill:#999}}}}</style>\n",
      kWidth, kHeight * static_cast<double>(panels.size()));
  for (std::size_t i = 0; i < panels.size(); ++i)
    svg += draw(panels[i], kHeight * static_cast<double>(i), last_step);
  return svg + "</svg>\n";
}

}  // namespace glossa
