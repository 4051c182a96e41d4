// ter.h -- translation edit rate (Snover et al., "A Study of Translation Edit Rate with Targeted Human
// Annotation", 2006): insertions, deletions, substitutions and shifts of word sequences, by tercom's greedy
// search with the limits that sacreBLEU 2.6 gives it, equal to it to the last digit.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluate/numpy.h"
#include "evaluate/score.h"
#include "evaluate/tokenize.h"

namespace glossa {

// The fewest edits found that turn `hypothesis` into `reference`; equal words have equal numbers.
std::int64_t translation_edits(std::span<const std::uint32_t> hypothesis,
                               std::span<const std::uint32_t> reference);

// Thread-safe: all of it is const.
class Ter {
 public:
  explicit Ter(const TercomOptions& options = {}) : options_(options) {}
  const TercomOptions& options() const { return options_; }

  // Statistics of a segment: edits towards the closest reference, mean length of the references in words.
  // Those of a corpus are the sum of its segments'.
  std::size_t width() const { return 2; }
  void segment(std::string_view hypothesis, std::span<const std::string_view> references,
               std::span<double> statistics) const;

  MetricScore score(std::span<const double> statistics) const;
  // From sums in which sacreBLEU holds single precision (bootstrap) or doubles (randomisation).
  NumpyNumber score_of_singles(std::span<const double> statistics) const;
  NumpyNumber score_of_integers(std::span<const double> statistics) const { return score(statistics).value; }
  std::vector<SignatureField> signature() const;

 private:
  TercomOptions options_;
};

}  // namespace glossa
