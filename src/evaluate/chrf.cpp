#include "evaluate/chrf.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/unicode.h"
#include "evaluate/ngram_matches.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Words with punctuation split off their end, or else off their beginning: one character at most.
void split_words(std::string_view line, std::vector<std::string_view>& out) {
  thread_local std::vector<std::string_view> words;
  python_split(line, words);
  out.clear();
  for (const std::string_view word : words) {
    const std::size_t rest = word.size() - 1;
    if (rest > 0 && is_ascii_punctuation(word.back())) {
      out.push_back(word.substr(0, rest)), out.push_back(word.substr(rest));
    } else if (rest > 0 && is_ascii_punctuation(word.front())) {
      out.push_back(word.substr(0, 1)), out.push_back(word.substr(1));
    } else {
      out.push_back(word);
    }
  }
}

void characters_of(std::string_view line, bool whitespace, std::vector<std::uint32_t>& out) {
  out.clear();
  for (std::size_t at = 0; at < line.size();) {
    const char32_t c = utf8_next(line, at);
    if (whitespace || !is_python_space(c)) out.push_back(c);
  }
}

// The n-grams of a line of both kinds, as symbols.
struct Symbols {
  std::vector<std::uint32_t> characters, words;
};

std::size_t ngrams_in(std::size_t symbols, std::size_t n) {
  return symbols >= n ? symbols - n + 1 : 0;
}

// [n-grams of the hypothesis, n-grams of the reference, matches]; without any in the reference, the
// hypothesis' do not count either.
void put_counts(double* into, std::size_t hypothesis, std::size_t reference, std::uint32_t matches) {
  into[0] = reference > 0 ? static_cast<double>(hypothesis) : 0;
  into[1] = static_cast<double>(reference);
  into[2] = matches;
}

// Popovic 2015, equation 1, for each order, and the mean over orders: of F with eps_smoothing, otherwise of
// precision and recall over the orders that both sides have n-grams of. T is double, or NumpyNumber for sums
// in single precision.
template <class T>
T f_score(std::span<const T> counts, const ChrfOptions& options) {
  const T eps = 1e-16, factor = static_cast<double>(options.beta) * options.beta;
  T score = 0., precisions = 0., recalls = 0.;
  int orders = 0;
  for (std::size_t i = 0; i < counts.size(); i += 3) {
    const T hypothesis = counts[i], reference = counts[i + 1], matches = counts[i + 2];
    const T precision = hypothesis > 0. ? matches / hypothesis : eps;
    const T recall = reference > 0. ? matches / reference : eps;
    const T denominator = factor * precision + recall;
    score = score + (denominator > 0. ? (T(1.) + factor) * precision * recall / denominator : eps);
    if (hypothesis > 0. && reference > 0.) {
      precisions = precisions + precision, recalls = recalls + recall;
      ++orders;
    }
  }
  if (options.eps_smoothing)
    return T(100.) * score / T(static_cast<double>(options.char_order + options.word_order));
  if (orders == 0) return 0.;
  const T precision = precisions / T(static_cast<double>(orders)),
          recall = recalls / T(static_cast<double>(orders));
  if (!(precision + recall > 0.)) return 0.;
  return T(100.) * ((T(1.) + factor) * precision * recall / (factor * precision + recall));
}

struct Scratch {
  std::vector<std::string_view> words;
  WordNumbers numbers;
  NgramMatches character_ngrams, word_ngrams;
  std::vector<std::uint32_t> hypothesis_characters, hypothesis_words;
  std::vector<std::vector<std::uint32_t>> characters, words_of;  // [references]
  std::vector<std::string> lowered;
  std::vector<double> statistics;
};

}  // namespace

Chrf::Chrf(const ChrfOptions& options) : options_(options) {
  check(options.char_order >= 0 && options.char_order <= 1000, Code::bad_value,
        "chrF character order {} is not in 0 to 1000", options.char_order);
  check(options.word_order >= 0 && options.word_order <= 1000, Code::bad_value,
        "chrF word order {} is not in 0 to 1000", options.word_order);
  check(options.char_order + options.word_order > 0, Code::bad_value,
        "chrF of no order: characters and words are both 0");
  check(options.beta >= 0 && options.beta <= 1000, Code::bad_value, "chrF beta {} is not in 0 to 1000",
        options.beta);
}

void Chrf::segment(std::string_view hypothesis, std::span<const std::string_view> references,
                   std::span<double> statistics) const {
  thread_local Scratch s;
  const std::size_t char_order = static_cast<std::size_t>(options_.char_order);
  s.lowered.clear();
  s.lowered.reserve(references.size() + 1);  // no moving: views point into the strings
  const auto prepared = [&](std::string_view line) {
    return options_.lowercase ? std::string_view(s.lowered.emplace_back(python_lower(line))) : line;
  };

  const std::string_view line = prepared(hypothesis);
  characters_of(line, options_.whitespace, s.hypothesis_characters);
  s.hypothesis_words.clear();
  if (options_.word_order > 0) {
    s.numbers.clear();
    split_words(line, s.words);
    for (const std::string_view word : s.words) s.hypothesis_words.push_back(s.numbers.add(word));
  }
  s.characters.resize(references.size());
  s.words_of.resize(references.size());
  for (std::size_t r = 0; r < references.size(); ++r) {
    const std::string_view reference = prepared(references[r]);
    characters_of(reference, options_.whitespace, s.characters[r]);
    s.words_of[r].clear();
    if (options_.word_order == 0) continue;
    split_words(reference, s.words);
    for (const std::string_view word : s.words) s.words_of[r].push_back(s.numbers.find(word));
  }
  s.character_ngrams.count(s.hypothesis_characters, s.characters, options_.char_order);
  s.word_ngrams.count(s.hypothesis_words, s.words_of, options_.word_order);

  s.statistics.resize(width());
  double best = -1;
  for (std::size_t r = 0; r < references.size(); ++r) {
    for (std::size_t i = 0; i < orders(); ++i) {
      const bool of_words = i >= char_order;
      const std::size_t n = of_words ? i - char_order + 1 : i + 1;
      const auto& ours = of_words ? s.hypothesis_words : s.hypothesis_characters;
      const auto& theirs = of_words ? s.words_of[r] : s.characters[r];
      const NgramMatches& ngrams = of_words ? s.word_ngrams : s.character_ngrams;
      put_counts(&s.statistics[3 * i], ngrams_in(ours.size(), n), ngrams_in(theirs.size(), n),
                 ngrams.with(static_cast<int>(n), r));
    }
    const double f = f_score<double>(s.statistics, options_);
    if (f > best) {
      best = f;
      std::copy(s.statistics.begin(), s.statistics.end(), statistics.begin());
    }
  }
}

MetricScore Chrf::score(std::span<const double> statistics) const {
  return {"chrF" + std::to_string(options_.beta) +
              std::string(static_cast<std::size_t>(options_.word_order), '+'),
          f_score<double>(statistics, options_), ""};
}

NumpyNumber Chrf::score_of_singles(std::span<const double> statistics) const {
  std::vector<NumpyNumber> counts;
  for (const double v : statistics) counts.push_back(NumpyNumber::float32(v));
  return f_score<NumpyNumber>(counts, options_);
}

std::vector<SignatureField> Chrf::signature() const {
  return {{"case", "c", options_.lowercase ? "lc" : "mixed"},
          {"eff", "e", options_.eps_smoothing ? "no" : "yes"},
          {"nc", "nc", std::to_string(options_.char_order)},
          {"nw", "nw", std::to_string(options_.word_order)},
          {"space", "s", options_.whitespace ? "yes" : "no"}};
}

}  // namespace glossa
