// bleu.h -- BLEU (Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002)
// with the smoothings of Chen and Cherry, "A Systematic Comparison of Smoothing Techniques for Sentence-Level
// BLEU" (2014), equal to sacreBLEU 2.6 to the last digit.
//
//   double bleu = Bleu().corpus(hypotheses, references).value;
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluate/numpy.h"
#include "evaluate/score.h"
#include "evaluate/tokenize.h"

namespace glossa {

enum class BleuSmoothing : std::uint8_t { none, floor, add_k, exp };

struct BleuOptions {
  BleuTokenizer tokenizer = BleuTokenizer::mteval13a;
  bool lowercase = false;
  BleuSmoothing smoothing = BleuSmoothing::exp;
  std::optional<double> smooth_value = {};  // of floor (0.1 if absent) and add_k (1 if absent), not negative
  int max_order = 4;
  bool effective_order = false;  // leave out the orders that a short sentence has no n-grams of
};

struct BleuScore {
  double value = 0;                // in percent
  std::vector<double> precisions;  // [max_order], in percent
  double brevity_penalty = 1;
  std::int64_t hypothesis_length = 0, reference_length = 0;  // words
};

// Thread-safe: all of it is const.
class Bleu {
 public:
  explicit Bleu(const BleuOptions& options = {});
  const BleuOptions& options() const { return options_; }

  // Of whole corpora with one reference for each hypothesis, as a trainer has them.
  BleuScore corpus(std::span<const std::string> hypotheses, std::span<const std::string> references) const;

  // Statistics of a segment: words of the hypothesis, words of the closest reference, matches by order,
  // n-grams by order. Those of a corpus are the sum of its segments'.
  std::size_t width() const { return 2 + 2 * static_cast<std::size_t>(options_.max_order); }
  void segment(std::string_view hypothesis, std::span<const std::string_view> references,
               std::span<double> statistics) const;

  BleuScore from(std::span<const double> statistics) const;
  MetricScore score(std::span<const double> statistics) const;
  // From sums in which sacreBLEU holds single precision (bootstrap) or whole numbers (randomisation).
  NumpyNumber score_of_singles(std::span<const double> statistics) const;
  NumpyNumber score_of_integers(std::span<const double> statistics) const;
  std::vector<SignatureField> signature() const;

 private:
  BleuOptions options_;
};

}  // namespace glossa
