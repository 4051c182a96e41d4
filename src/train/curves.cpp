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
  const char* label;
  const char* style;  // class in the SVG
  std::vector<Point> points = {};
};

struct Panel {
  const char* title;
  std::vector<Curve> curves;
};

constexpr double kWidth = 720, kHeight = 200, kLeft = 64, kRight = 16, kTop = 28, kBottom = 28;

std::vector<Point> points_of(const OrderedJson& history, const char* key) {
  std::vector<Point> points;
  for (const OrderedJson& line : history) {
    if (!line.contains(key) || !line.at(key).is_number() || !line.contains("step")) continue;
    const double value = line.at(key).get<double>();
    if (std::isfinite(value)) points.push_back({line.at("step").get<double>(), value});
  }
  return points;
}

// A round distance for about four marks over `span`.
double tick_distance(double span) {
  if (!(span > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(span / 4)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (span / (factor * power) <= 5) return factor * power;
  return 10 * power;
}

struct Axis {
  double low, high, distance;
  explicit Axis(double least, double most) : low(least), high(most) {
    if (!(high > low)) high = low + std::max(std::fabs(low) * 0.1, 1e-12);
    distance = tick_distance(high - low);
    low = std::floor(low / distance) * distance, high = std::ceil(high / distance) * distance;
  }
  double place(double value) const { return (value - low) / (high - low); }
};

std::string label_of(double value, double distance) {
  return fmt::format("{:.6g}", std::fabs(value) < distance * 1e-6 ? 0.0 : value);
}

std::string draw(const Panel& panel, double top, double last_step) {
  double least = INFINITY, most = -INFINITY;
  for (const Curve& c : panel.curves)
    for (const Point& p : c.points) least = std::min(least, p.value), most = std::max(most, p.value);
  const Axis y(least, most), x(0, last_step);
  const double inner_width = kWidth - kLeft - kRight, inner_height = kHeight - kTop - kBottom;
  const auto at_x = [&](double step) { return kLeft + inner_width * x.place(step); };
  const auto at_y = [&](double value) { return top + kTop + inner_height * (1 - y.place(value)); };

  std::string svg = fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLeft, top + 17, panel.title);
  for (double v = y.low; v <= y.high + y.distance / 2; v += y.distance)
    svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text class=\"mark\" x=\"{3:.1f}\" "
                       "y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
                       kLeft, kWidth - kRight, at_y(v), kLeft - 6, at_y(v) + 4, label_of(v, y.distance));
  for (double v = x.low; v <= x.high + x.distance / 2; v += x.distance)
    svg += fmt::format("<text class=\"mark\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", at_x(v), top + kHeight - kBottom + 16,
                       label_of(v, x.distance));
  double legend = kWidth - kRight;
  for (const Curve& c : panel.curves) {
    if (c.points.empty()) continue;
    std::string path;
    for (const Point& p : c.points) path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", at_x(p.step), at_y(p.value));
    svg += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", c.style, path);
    svg += fmt::format("<text class=\"mark\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>"
                       "<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                       legend, top + 17, c.label, c.style, legend - 84, legend - 64, top + 13, top + 13);
    legend -= 110;
  }
  return svg;
}

}  // namespace

std::string curves_svg(const OrderedJson& history) {
  std::vector<Panel> panels{{"Loss (nats per token)", {{"eval_loss", "validation", "second"}, {"loss", "training", "first"}}},
                            {"BLEU on the validation data", {{"eval_bleu", "BLEU", "second"}}},
                            {"Learning rate", {{"learning_rate", "rate", "first"}}}};
  double last_step = 1;
  for (Panel& panel : panels)
    for (Curve& curve : panel.curves) {
      curve.points = points_of(history, curve.key);
      for (const Point& p : curve.points) last_step = std::max(last_step, p.step);
    }
  std::erase_if(panels, [](const Panel& panel) {
    return std::all_of(panel.curves.begin(), panel.curves.end(), [](const Curve& c) { return c.points.empty(); });
  });
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"sans-serif\">\n"
      "<style>.title{{font-size:14px;fill:#555}}.mark{{font-size:11px;fill:#777}}.grid{{stroke:#999;stroke-opacity:.25}}"
      ".first,.second{{fill:none;stroke-width:1.8}}.first{{stroke:#3b78c4}}.second{{stroke:#d9822b}}"
      "@media (prefers-color-scheme:dark){{.title{{fill:#bbb}}.mark{{fill:#999}}}}</style>\n",
      kWidth, kHeight * static_cast<double>(panels.size()));
  for (std::size_t i = 0; i < panels.size(); ++i) svg += draw(panels[i], kHeight * static_cast<double>(i), last_step);
  return svg + "</svg>\n";
}

}  // namespace glossa
