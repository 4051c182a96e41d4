// chrf.h -- chrF (Popovic, "chrF: character n-gram F-score for automatic MT evaluation", 2015) and chrF++
// (Popovic, "chrF++: words helping character n-grams", 2017), equal to sacreBLEU 2.6 to the last digit.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluate/numpy.h"
#include "evaluate/score.h"

namespace glossa {

struct ChrfOptions {
  int char_order = 6;
  int word_order = 0;  // 2 is chrF++
  int beta = 2;        // weight of recall
  bool lowercase = false;
  bool whitespace = false;     // n-grams of characters go across white space
  bool eps_smoothing = false;  // orders without n-grams count with 1e-16, as in chrF++.py, Moses and NLTK
};

// Thread-safe: all of it is const.
class Chrf {
 public:
  explicit Chrf(const ChrfOptions& options = {});
  const ChrfOptions& options() const { return options_; }

  // Statistics of a segment: for each order of characters and then of words the n-grams of the hypothesis, of
  // the reference it scores best with, and the matches. Those of a corpus are the sum of its segments'.
  std::size_t width() const { return 3 * orders(); }
  void segment(std::string_view hypothesis, std::span<const std::string_view> references,
               std::span<double> statistics) const;

  MetricScore score(std::span<const double> statistics) const;
  // From sums in which sacreBLEU holds single precision (bootstrap) or whole numbers (randomisation).
  NumpyNumber score_of_singles(std::span<const double> statistics) const;
  NumpyNumber score_of_integers(std::span<const double> statistics) const { return score(statistics).value; }
  std::vector<SignatureField> signature() const;

 private:
  std::size_t orders() const { return static_cast<std::size_t>(options_.char_order + options_.word_order); }
  ChrfOptions options_;
};

}  // namespace glossa
