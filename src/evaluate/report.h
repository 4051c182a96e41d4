// report.h -- scores as sacreBLEU prints them, to the character: lines, JSON, and tables of several systems.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluate/bootstrap.h"
#include "evaluate/score.h"

namespace glossa {

struct ReportStyle {
  int digits = 1;  // behind the point
  bool score_only = false;
  bool short_names = false;  // in signatures
  bool colors = false;       // for a terminal
};

// A score of one system with what belongs to it.
struct ReportedScore {
  MetricScore score;
  Signature signature;
  std::optional<Confidence> confidence = {};
};

// NAME|SIGNATURE = SCORE (mean and half of the 95 % interval) VERBOSE
std::string score_line(const ReportedScore& score, const ReportStyle& style);
// Lines of several metrics, each ending in a line feed, with their equals signs below each other.
std::string score_lines(std::span<const ReportedScore> scores, const ReportStyle& style);
// An object for one metric, a list of them for several; with score_only the bare numbers.
std::string score_json(std::span<const ReportedScore> scores, const ReportStyle& style);

// Several systems by one metric: with p-values and confidence if they were tested.
struct ComparedMetric {
  std::string name;
  Signature signature;
  std::vector<PairedResult> results;  // [systems]
};

struct Comparison {
  enum class Test : std::uint8_t { none, bootstrap, randomization };
  Test test = Test::none;
  int trials = 0;
  std::vector<std::string> systems;  // the first is the baseline of a test
  std::vector<ComparedMetric> metrics = {};
};

enum class TableFormat : std::uint8_t { text, latex };

std::string comparison_table(const Comparison& comparison, TableFormat format, const ReportStyle& style);
std::string comparison_json(const Comparison& comparison, const ReportStyle& style);

}  // namespace glossa
