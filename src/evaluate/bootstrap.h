// bootstrap.h -- how sure a score is, and whether two systems differ: bootstrap resampling (Koehn,
// "Statistical Significance Tests for Machine Translation Evaluation", 2004) and approximate randomisation
// (Riezler and Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT", 2005).
// The resamples are those that sacreBLEU 2.6 draws with NumPy from the same seed, and the sums are kept in
// its types, so that every digit is the same.
#pragma once
#include <cstdint>
#include <optional>

#include "evaluate/metric.h"

namespace glossa {

// The confidence of one system's score by `resamples` bootstrap resamples (at least 1).
Confidence bootstrap_confidence(const Metric& metric, const SegmentStatistics& system, int resamples,
                                std::uint64_t seed);

struct PairedResult {
  double score = 0;
  std::optional<double> p_value = {};         // of a system; the baseline has none
  std::optional<Confidence> confidence = {};  // by bootstrap only
};

// Results of the baseline and of each system compared with it, in that order. All have as many segments as
// the baseline.
std::vector<PairedResult> paired_bootstrap(const Metric& metric,
                                           std::span<const SegmentStatistics> baseline_and_systems,
                                           int resamples, std::uint64_t seed);
// Two-sided. With three or more references the mean length of references in TER is no binary fraction;
// NumPy's matrix product adds such numbers in an order that depends on the processor, and differences that
// are exactly tied may then fall to either side.
std::vector<PairedResult> paired_randomization(const Metric& metric,
                                               std::span<const SegmentStatistics> baseline_and_systems,
                                               int trials, std::uint64_t seed);

}  // namespace glossa
