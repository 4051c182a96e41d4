#include "evaluate/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "evaluate/metric.h"
#include "evaluate/ngram_matches.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

std::string prepared(std::string_view line, const BleuOptions& options) {
  if (!options.lowercase) return tokenized(python_rstrip(line), options.tokenizer);
  return tokenized(python_rstrip(python_lower(line)), options.tokenizer);
}

// The length closest to the hypothesis', the shorter of two equally close.
std::size_t closest_length(std::size_t hypothesis, std::span<const std::vector<std::uint32_t>> references) {
  const auto distance = [&](std::size_t n) { return n > hypothesis ? n - hypothesis : hypothesis - n; };
  std::size_t best = references[0].size();
  for (const auto& reference : references) {
    const std::size_t n = reference.size();
    if (distance(n) < distance(best) || (distance(n) == distance(best) && n < best)) best = n;
  }
  return best;
}

double smooth_value(const BleuOptions& options) {
  return options.smooth_value.value_or(options.smoothing == BleuSmoothing::floor ? 0.1 : 1.0);
}

double brevity_penalty(double hypothesis_length, double reference_length) {
  if (hypothesis_length >= reference_length) return 1;
  return hypothesis_length > 0 ? std::exp(1 - reference_length / hypothesis_length) : 0;
}

double percent(double part, double whole) {
  return 100. * part / whole;
}
float percent(float part, float whole) {
  return 100.f * part / whole;
}

// The precisions by order, smoothed; how many orders take part in the score. T is the type that counts are
// kept in: it decides what adding k to them rounds to (whole numbers lose its fraction), and single precision
// stays single.
template <class T>
std::size_t smoothed_precisions(std::span<T> matches, std::span<T> totals, const BleuOptions& options,
                                std::vector<double>& precisions) {
  using Real = std::conditional_t<std::is_same_v<T, float>, float, double>;
  const double value = smooth_value(options);
  double exponential = 1;
  std::size_t orders = precisions.size();
  for (std::size_t i = 0; i < precisions.size(); ++i) {
    if (options.smoothing == BleuSmoothing::add_k && i > 0) {
      matches[i] = static_cast<T>(static_cast<Real>(matches[i]) + static_cast<Real>(value));
      totals[i] = static_cast<T>(static_cast<Real>(totals[i]) + static_cast<Real>(value));
    }
    if (totals[i] == 0) break;
    if (options.effective_order) orders = i + 1;
    if (matches[i] != 0) {
      precisions[i] = percent(static_cast<Real>(matches[i]), static_cast<Real>(totals[i]));
    } else if (options.smoothing == BleuSmoothing::exp) {
      exponential *= 2;
      precisions[i] = Real{100} / (static_cast<Real>(exponential) * static_cast<Real>(totals[i]));
    } else if (options.smoothing == BleuSmoothing::floor) {
      precisions[i] = static_cast<Real>(100. * value) / static_cast<Real>(totals[i]);
    }
  }
  return orders;
}

template <class T>
BleuScore computed(std::span<const double> statistics, const BleuOptions& options) {
  const auto order = static_cast<std::size_t>(options.max_order);
  const std::vector<double> counts(statistics.begin() + 2, statistics.end());
  std::vector<T> typed(counts.begin(), counts.end());
  const std::span<T> matches = std::span(typed).first(order), totals = std::span(typed).subspan(order);

  BleuScore score;
  score.hypothesis_length = static_cast<std::int64_t>(statistics[0]);
  score.reference_length = static_cast<std::int64_t>(statistics[1]);
  score.brevity_penalty = brevity_penalty(static_cast<double>(score.hypothesis_length),
                                          static_cast<double>(score.reference_length));
  score.precisions.assign(order, 0.0);
  if (std::all_of(matches.begin(), matches.end(), [](T m) { return m == 0; })) return score;

  const std::size_t orders = smoothed_precisions(matches, totals, options, score.precisions);
  constexpr double kLogOfZero = -9999999999;
  double sum = 0;
  for (std::size_t i = 0; i < orders; ++i)
    sum += score.precisions[i] == 0 ? kLogOfZero : std::log(score.precisions[i]);
  score.value = score.brevity_penalty * std::exp(sum / static_cast<double>(orders));
  return score;
}

struct Scratch {
  WordNumbers numbers;
  NgramMatches ngrams;
  std::vector<std::string_view> words;
  std::vector<std::uint32_t> hypothesis;
  std::vector<std::vector<std::uint32_t>> references;
};

}  // namespace

Bleu::Bleu(const BleuOptions& options) : options_(options) {
  check(options.max_order >= 1 && options.max_order <= 1000, Code::bad_value,
        "BLEU order {} is not in 1 to 1000", options.max_order);
  const double value = smooth_value(options);
  check(std::isfinite(value) && value >= 0, Code::bad_value,
        "smoothing value {} of BLEU is not a number from 0", value);
}

void Bleu::segment(std::string_view hypothesis, std::span<const std::string_view> references,
                   std::span<double> statistics) const {
  thread_local Scratch scratch;
  const std::string text = prepared(hypothesis, options_);
  python_split(text, scratch.words);
  scratch.numbers.clear();
  scratch.hypothesis.clear();
  for (const std::string_view word : scratch.words) scratch.hypothesis.push_back(scratch.numbers.add(word));
  scratch.references.resize(references.size());
  for (std::size_t r = 0; r < references.size(); ++r) {
    const std::string reference = prepared(references[r], options_);
    python_split(reference, scratch.words);
    scratch.references[r].clear();
    for (const std::string_view word : scratch.words)
      scratch.references[r].push_back(scratch.numbers.find(word));
  }
  scratch.ngrams.count(scratch.hypothesis, scratch.references, options_.max_order);

  const std::size_t length = scratch.hypothesis.size(), order = static_cast<std::size_t>(options_.max_order);
  statistics[0] = static_cast<double>(length);
  statistics[1] = static_cast<double>(closest_length(length, scratch.references));
  for (std::size_t i = 0; i < order; ++i) {
    statistics[2 + i] = scratch.ngrams.with_any(static_cast<int>(i + 1));
    statistics[2 + order + i] = static_cast<double>(length > i ? length - i : 0);
  }
}

BleuScore Bleu::corpus(std::span<const std::string> hypotheses,
                       std::span<const std::string> references) const {
  const std::vector<std::string_view> views(hypotheses.begin(), hypotheses.end());
  return from(segment_statistics(*this, views, References(references)).sum());
}

BleuScore Bleu::from(std::span<const double> statistics) const {
  return computed<double>(statistics, options_);
}

MetricScore Bleu::score(std::span<const double> statistics) const {
  const BleuScore bleu = from(statistics);
  std::string verbose;
  for (const double p : bleu.precisions) {
    if (!verbose.empty()) verbose += '/';
    verbose += fixed(p, 1);
  }
  const auto reference_length = static_cast<double>(bleu.reference_length);
  const double ratio =
      bleu.reference_length ? static_cast<double>(bleu.hypothesis_length) / reference_length : 0;
  verbose += fmt::format(" (BP = {} ratio = {} hyp_len = {} ref_len = {})", fixed(bleu.brevity_penalty, 3),
                         fixed(ratio, 3), bleu.hypothesis_length, bleu.reference_length);
  return {"BLEU", bleu.value, verbose};
}

NumpyNumber Bleu::score_of_singles(std::span<const double> statistics) const {
  return computed<float>(statistics, options_)
      .value;  // brevity penalty, logarithms and their mean are Python's floats
}

NumpyNumber Bleu::score_of_integers(std::span<const double> statistics) const {
  return computed<std::int64_t>(statistics, options_).value;
}

std::vector<SignatureField> Bleu::signature() const {
  static constexpr std::string_view kNames[] = {"none", "floor", "add-k",
                                                "exp"};  // in the order of BleuSmoothing
  std::string smoothing(kNames[static_cast<std::size_t>(options_.smoothing)]);
  if (options_.smoothing == BleuSmoothing::floor || options_.smoothing == BleuSmoothing::add_k)
    smoothing += '[' + fixed(smooth_value(options_), 2) + ']';
  return {{"case", "c", options_.lowercase ? "lc" : "mixed"},
          {"eff", "e", options_.effective_order ? "yes" : "no"},
          {"tok", "tok", std::string(name_of(options_.tokenizer))},
          {"smooth", "s", smoothing}};
}

}  // namespace glossa
