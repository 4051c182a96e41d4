// metric.h -- what can be done with any metric: statistics of the segments of a corpus, on all threads, and
// scores from their sums. A metric is a value with the members width, segment, score, score_of_singles,
// score_of_integers, signature.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "evaluate/bleu.h"
#include "evaluate/chrf.h"
#include "evaluate/score.h"
#include "evaluate/ter.h"

namespace glossa {

using Metric = std::variant<Bleu, Chrf, Ter>;

// Statistics by segment, [segments, width]. They add up: any set of segments has the statistics that are
// their sum.
class SegmentStatistics {
 public:
  SegmentStatistics(std::size_t segments, std::size_t width) : width_(width), values_(segments * width) {}
  std::size_t segments() const { return width_ ? values_.size() / width_ : 0; }
  std::size_t width() const { return width_; }
  std::span<double> operator[](std::size_t i) { return std::span(values_).subspan(i * width_, width_); }
  std::span<const double> operator[](std::size_t i) const {
    return std::span(values_).subspan(i * width_, width_);
  }
  std::vector<double> sum() const {
    std::vector<double> sum(width_);
    for (std::size_t i = 0; i < values_.size(); ++i) sum[i % width_] += values_[i];
    return sum;
  }

 private:
  std::size_t width_;
  std::vector<double> values_;
};

// Error(line_counts) if there are not as many hypotheses as segments of references.
template <class AnyMetric>
SegmentStatistics segment_statistics(const AnyMetric& metric, std::span<const std::string_view> hypotheses,
                                     const References& references) {
  check(hypotheses.size() == references.size(), Code::line_counts,
        "{} hypotheses, but {} segments of references", hypotheses.size(), references.size());
  SegmentStatistics statistics(hypotheses.size(), metric.width());
  constexpr std::int64_t kSegmentsInTask = 64;
  parallel_for(static_cast<std::int64_t>(hypotheses.size()), kSegmentsInTask,
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                   metric.segment(hypotheses[i], references[i], statistics[i]);
               });
  return statistics;
}

inline SegmentStatistics segment_statistics(const Metric& metric,
                                            std::span<const std::string_view> hypotheses,
                                            const References& references) {
  return std::visit([&](const auto& m) { return segment_statistics(m, hypotheses, references); }, metric);
}

inline MetricScore score(const Metric& metric, std::span<const double> statistics) {
  return std::visit([&](const auto& m) { return m.score(statistics); }, metric);
}

inline Signature signature(const Metric& metric, int reference_count,
                           const std::optional<Resampling>& resampling = {}) {
  return std::visit([&](const auto& m) { return make_signature(reference_count, resampling, m.signature()); },
                    metric);
}

}  // namespace glossa
