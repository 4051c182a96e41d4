#include "evaluate/report.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/unicode.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

// ---- JSON as Python's json.dumps writes it

// A float in the fewest digits that read back the same (float.__repr__): an exponent below 1e-4 and from 1e16
// on.
std::string float_text(double x) {
  char buffer[40];
  const auto format = x != 0 && (std::abs(x) < 1e-4 || std::abs(x) >= 1e16) ? std::chars_format::scientific
                                                                            : std::chars_format::fixed;
  std::string out(buffer, std::to_chars(buffer, buffer + sizeof buffer, x, format).ptr);
  if (format == std::chars_format::fixed && out.find('.') == out.npos) out += ".0";
  return out;
}

std::string json_text(std::string_view text, bool ascii_only) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c >= 0x20 && (c < 0x7F || !ascii_only)) {
          utf8_append(out, c);
        } else if (c < 0x10000) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          const unsigned rest = static_cast<unsigned>(c) - 0x10000;
          out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 | rest >> 10, 0xDC00 | (rest & 0x3FF));
        }
    }
  }
  return out + '"';
}

double rounded(double x, int digits) {
  const std::string text = fixed(x, digits);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// ---- lines

std::string confidence_text(const Confidence& confidence, int digits) {
  return "μ = " + fixed(confidence.mean, digits) + " ± " + fixed(confidence.half_width, digits);
}

// sacreBLEU takes a mean of zero for none.
bool shows_confidence(const ReportedScore& score) {
  return score.confidence && score.confidence->mean > 0;
}

constexpr std::string_view kRed = "\033[31m", kGreen = "\033[32m", kYellow = "\033[33m", kCyan = "\033[36m",
                           kReset = "\033[0m";

std::string colored(std::string_view text, std::string_view color) {
  return std::string(color) + std::string(text) + std::string(color.empty() ? "" : kReset);
}

std::string number_text(const ReportedScore& score, const ReportStyle& style) {
  std::string out = fixed(score.score.value, style.digits);
  if (shows_confidence(score))
    out += ' ' +
           colored('(' + confidence_text(*score.confidence, style.digits) + ')', style.colors ? kCyan : "");
  return out;
}

std::string object_text(const ReportedScore& score, int digits) {
  std::vector<std::pair<std::string, std::string>> members = {
      {"name", json_text(score.score.name, false)},
      {"score", float_text(rounded(score.score.value, digits))},
      {"signature", json_text(score.signature.text(), false)}};
  if (shows_confidence(score)) {
    members.emplace_back("confidence_mean", float_text(rounded(score.confidence->mean, digits)));
    members.emplace_back("confidence_var", float_text(rounded(score.confidence->half_width, digits)));
    members.emplace_back("confidence", json_text(confidence_text(*score.confidence, digits), false));
  }
  if (!score.score.verbose.empty())
    members.emplace_back("verbose_score", json_text(score.score.verbose, false));
  for (const SignatureField& field : score.signature.fields)
    members.emplace_back(field.name, json_text(field.value, false));
  std::string out = "{";
  for (const auto& [name, value] : members)
    out += (out.size() > 1 ? ",\n \"" : "\n \"") + name + "\": " + value;
  return out + "\n}";
}

// ---- tables, as tabulate draws fancy_grid and latex_booktabs

struct Piece {
  std::string text;
  std::string_view color = "";
};
using CellLine = std::vector<Piece>;
using Cell = std::vector<CellLine>;

struct Column {
  CellLine header;
  std::vector<Cell> cells;
  bool right = false;  // else centred
  std::size_t width = 0;
};

std::size_t characters(std::string_view text) {
  return decoded(text).size();
}

std::size_t width_of(const CellLine& line) {
  std::size_t width = 0;
  for (const Piece& piece : line) width += characters(piece.text);
  return width;
}

std::string padded(const CellLine& line, const Column& column) {
  const std::size_t space = column.width - width_of(line), left = column.right ? space : space / 2;
  std::string out(left, ' ');
  for (const Piece& piece : line) out += colored(piece.text, piece.color);
  return out + std::string(space - left, ' ');
}

void set_width(Column& column) {
  constexpr std::size_t kHeaderMargin = 2;
  column.width = width_of(column.header) + kHeaderMargin;
  for (const Cell& cell : column.cells)
    for (const CellLine& line : cell) column.width = std::max(column.width, width_of(line));
}

std::string rule(std::span<const Column> columns, std::string_view left, std::string_view line,
                 std::string_view crossing, std::string_view right) {
  std::string out(left);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += crossing;
    for (std::size_t k = 0; k < columns[i].width + 2; ++k) out += line;
  }
  return out + std::string(right) + '\n';
}

template <class LineOf>
std::string grid_row(std::span<const Column> columns, LineOf line_of) {
  std::string out = "│";
  for (const Column& column : columns) out += ' ' + padded(line_of(column), column) + " │";
  return out + '\n';
}

std::string grid(std::span<const Column> columns) {
  std::string out =
      rule(columns, "╒", "═", "╤", "╕") + grid_row(columns, [](const Column& c) { return c.header; });
  out += rule(columns, "╞", "═", "╪", "╡");
  for (std::size_t row = 0; row < columns[0].cells.size(); ++row) {
    if (row > 0) out += rule(columns, "├", "─", "┼", "┤");
    std::size_t height = 0;
    for (const Column& column : columns) height = std::max(height, column.cells[row].size());
    for (std::size_t i = 0; i < height; ++i)
      out += grid_row(
          columns, [&](const Column& c) { return i < c.cells[row].size() ? c.cells[row][i] : CellLine{}; });
  }
  return out + rule(columns, "╘", "═", "╧", "╛");
}

std::string latex_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        out += '\\', out += c;
        break;
      case '^':
        out += "\\^{}";
        break;
      case '~':
        out += "\\textasciitilde{}";
        break;
      case '\\':
        out += "\\textbackslash{}";
        break;
      case '<':
        out += "\\ensuremath{<}";
        break;
      case '>':
        out += "\\ensuremath{>}";
        break;
      default:
        out += c;
    }
  }
  return out;
}

template <class LineOf>
std::string latex_row(std::span<const Column> columns, LineOf line_of) {
  std::string out;
  for (const Column& column : columns)
    out += (out.empty() ? " " : "& ") + latex_escaped(padded(line_of(column), column)) + ' ';
  return out + "\\\\\n";
}

std::string latex(std::span<const Column> columns) {
  std::string out = "\\begin{tabular}{";
  for (const Column& column : columns) out += column.right ? 'r' : 'c';
  out += "}\n\\toprule\n" + latex_row(columns, [](const Column& c) { return c.header; }) + "\\midrule\n";
  for (std::size_t row = 0; row < columns[0].cells.size(); ++row)
    out += latex_row(columns, [&](const Column& c) { return c.cells[row][0]; });
  return out + "\\bottomrule\n\\end{tabular}\n";
}

constexpr double kSignificant = 0.05;

// The p-value goes below the score, or beside it where a cell has one line.
Cell result_cell(const PairedResult& result, TableFormat format, const ReportStyle& style) {
  std::string score = fixed(result.score, style.digits);
  if (const auto& c = result.confidence)
    score += " (" + fixed(c->mean, style.digits) + " ± " + fixed(c->half_width, style.digits) + ')';
  Cell cell = {{{score}}};
  if (!result.p_value) return cell;
  const bool by_chance = *result.p_value > kSignificant;
  const Piece p_value = {"(p = " + fixed(*result.p_value, 4) + (by_chance ? ")" : ")*"),
                         by_chance && style.colors ? kRed : ""};
  if (format == TableFormat::text) {
    cell.push_back({p_value});
  } else {
    cell[0].push_back({" "}), cell[0].push_back(p_value);
  }
  return cell;
}

constexpr std::string_view kBaselinePrefix = "Baseline:";

std::vector<Column> table_columns(const Comparison& comparison, TableFormat format,
                                  const ReportStyle& style) {
  const std::string_view cyan = style.colors ? kCyan : "";
  std::vector<Column> columns(1 + comparison.metrics.size());
  columns[0].header = {{"System", cyan}};
  columns[0].right = true;
  for (const std::string& name : comparison.systems)
    columns[0].cells.push_back({{{std::string(python_strip(name))}}});
  for (std::size_t i = 0; i < comparison.metrics.size(); ++i) {
    const ComparedMetric& metric = comparison.metrics[i];
    columns[i + 1].header = {{metric.name + (metric.results[0].confidence ? " (μ ± 95% CI)" : ""), cyan}};
    for (const PairedResult& result : metric.results)
      columns[i + 1].cells.push_back(result_cell(result, format, style));
  }
  const bool baseline = comparison.systems[0].starts_with(kBaselinePrefix);
  for (Column& column : columns) {
    if (baseline && style.colors) column.cells[0][0][0].color = kYellow;
    set_width(column);
  }
  return columns;
}

std::string explanation(const Comparison& comparison, const ReportStyle& style) {
  const auto painted = [&](std::string_view text, std::string_view color) {
    return colored(text, style.colors ? color : "");
  };
  const bool bootstrap = comparison.test == Comparison::Test::bootstrap;
  const std::string title = fmt::format("Paired {} test with {} {}",
                                        bootstrap ? "bootstrap resampling" : "approximate randomization",
                                        comparison.trials, bootstrap ? "resampling trials" : "trials");
  const std::string line(title.size(), '-');
  const std::string baseline = painted("baseline", kYellow), hypothesis = painted("Null hypothesis", kGreen);
  const std::string hypothesis_within = painted("null hypothesis", kGreen);
  const std::string& first = comparison.systems[0];
  return fmt::format(
      "{0}\n{1}\n{0}\n"
      " - Each system is pairwise compared to {2}.\n"
      "   Actual system score {3} provided for each metric.\n"
      "\n"
      " - {4}: the system and the {5} translations are essentially\n"
      "   generated by the same underlying process. For a given system and the {5},\n"
      "   the p-value is roughly the probability of the absolute score difference (delta)\n"
      "   or higher occurring due to chance, under the assumption that the {6} is correct.\n"
      "\n"
      " - Assuming a significance threshold of 0.05, the {6} can be rejected\n"
      "   for p-values < 0.05 (marked with \"*\"). This means that the delta is unlikely to be attributed\n"
      "   to chance, hence the system is significantly \"different\" than the {5}.\n"
      "   Otherwise, the p-values are {7}.\n"
      "\n"
      " - NOTE: Significance does not tell whether a system is \"better\" than the {5} but rather\n"
      "   emphasizes the \"difference\" of the systems in terms of the replicability of the delta.\n"
      "\n",
      line, title, painted(first.starts_with(kBaselinePrefix) ? first : "", kYellow),
      bootstrap ? "/ bootstrap estimated true mean / 95% CI are" : "is", hypothesis, baseline,
      hypothesis_within, painted("highlighted in red", kRed));
}

std::string optional_text(const std::optional<double>& x) {
  return x ? float_text(*x) : "null";
}

std::string result_json(const PairedResult& result) {
  const auto& c = result.confidence;
  return fmt::format(
      "{{\n            \"score\": {},\n            \"p_value\": {},\n            \"mean\": {},\n            "
      "\"ci\": {}\n        }}",
      float_text(result.score), optional_text(result.p_value), c ? float_text(c->mean) : "null",
      c ? float_text(c->half_width) : "null");
}

}  // namespace

std::string score_line(const ReportedScore& score, const ReportStyle& style) {
  const std::string number = number_text(score, style);
  if (style.score_only) return number;
  std::string line = score.score.name + '|' + score.signature.text(style.short_names) + " = " + number;
  if (!score.score.verbose.empty()) line += ' ' + score.score.verbose;
  return line;
}

std::string score_lines(std::span<const ReportedScore> scores, const ReportStyle& style) {
  std::vector<std::string> lines;
  for (const ReportedScore& score : scores) lines.push_back(score_line(score, style));
  if (lines.size() == 1) return lines[0] + '\n';
  // A line without an equals sign is only a number, and goes before the others.
  std::string out;
  std::size_t widest = 0;
  const auto left_of = [](const std::string& line) { return characters(line.substr(0, line.find('='))); };
  for (const std::string& line : lines) {
    if (line.find('=') == line.npos) {
      out += line + '\n';
    } else {
      widest = std::max(widest, left_of(line));
    }
  }
  for (const std::string& line : lines)
    if (line.find('=') != line.npos) out += std::string(widest - left_of(line), ' ') + line + '\n';
  return out;
}

std::string score_json(std::span<const ReportedScore> scores, const ReportStyle& style) {
  std::string out;
  for (const ReportedScore& score : scores)
    out += (out.empty() ? "" : ",\n") +
           (style.score_only ? number_text(score, style) : object_text(score, style.digits));
  return scores.size() == 1 ? out + '\n' : "[\n" + out + "\n]\n";
}

std::string comparison_table(const Comparison& comparison, TableFormat format, const ReportStyle& style) {
  const std::vector<Column> columns = table_columns(comparison, format, style);
  std::string out = (format == TableFormat::text ? grid(columns) : latex(columns)) + '\n';
  if (comparison.test != Comparison::Test::none) out += explanation(comparison, style);
  out += "-----------------\nMetric signatures\n-----------------\n";
  for (const ComparedMetric& metric : comparison.metrics)
    out += fmt::format(" - {:<10} {}\n", metric.name, metric.signature.text(style.short_names));
  return out;
}

std::string comparison_json(const Comparison& comparison, const ReportStyle& style) {
  std::string out = "[";
  for (std::size_t s = 0; s < comparison.systems.size(); ++s) {
    out += (s > 0 ? ",\n    {\n        \"system\": " : "\n    {\n        \"system\": ") +
           json_text(comparison.systems[s], true);
    for (const ComparedMetric& metric : comparison.metrics) {
      const PairedResult& result = metric.results[s];
      out += ",\n        \"" + metric.name + "\": ";
      out += comparison.test == Comparison::Test::none ? '"' + fixed(result.score, style.digits) + '"'
                                                       : result_json(result);
    }
    out += "\n    }";
  }
  return out + "\n]\n";
}

}  // namespace glossa
