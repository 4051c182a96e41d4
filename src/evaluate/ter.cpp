#include "evaluate/ter.h"

#include <algorithm>

#include "evaluate/ngram_matches.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

std::string prepared(std::string_view line, const TercomOptions& options) {
  return tercom_tokenized(python_rstrip(line), options);
}

// sacreBLEU tokenises references twice. That matters to --ter-normalized alone: 'a.,1' is first cut into a .
// ,1 and then into a . , 1.
std::string prepared_reference(std::string_view line, const TercomOptions& options) {
  std::string once = prepared(line, options);
  if (!options.normalized) return once;
  thread_local std::vector<std::string_view> words;
  python_split(once, words);
  std::string joined;
  for (const std::string_view word : words) {
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return prepared(joined, options);
}

template <class T>
T rate(T edits, T reference_length) {
  if (reference_length > 0.) return T(100.) * (edits / reference_length);
  return edits > 0. ? 100. : 0.;  // nothing to compare with
}

}  // namespace

void Ter::segment(std::string_view hypothesis, std::span<const std::string_view> references,
                  std::span<double> statistics) const {
  thread_local WordNumbers numbers;
  thread_local std::vector<std::string_view> words;
  std::vector<std::string> texts;  // that `numbers` points into
  texts.reserve(references.size() + 1);
  numbers.clear();
  const auto numbered = [&](std::string line) {
    python_split(texts.emplace_back(std::move(line)), words);
    std::vector<std::uint32_t> out;
    out.reserve(words.size());
    for (const std::string_view word : words) out.push_back(numbers.add(word));
    return out;
  };

  const std::vector<std::uint32_t> ours = numbered(prepared(hypothesis, options_));
  std::int64_t fewest = INT64_MAX;
  std::size_t lengths = 0;
  for (const std::string_view reference : references) {
    const std::vector<std::uint32_t> theirs = numbered(prepared_reference(reference, options_));
    lengths += theirs.size();
    fewest = std::min(fewest, translation_edits(ours, theirs));
  }
  statistics[0] = static_cast<double>(fewest);
  statistics[1] = static_cast<double>(lengths) / static_cast<double>(references.size());
}

MetricScore Ter::score(std::span<const double> statistics) const {
  return {"TER", rate<double>(statistics[0], statistics[1]), ""};
}

NumpyNumber Ter::score_of_singles(std::span<const double> statistics) const {
  return rate(NumpyNumber::float32(statistics[0]), NumpyNumber::float32(statistics[1]));
}

std::vector<SignatureField> Ter::signature() const {
  const auto yes_no = [](bool b) { return std::string(b ? "yes" : "no"); };
  return {{"case", "c", options_.case_sensitive ? "mixed" : "lc"},
          {"tok", "t", "tercom"},
          {"norm", "nr", yes_no(options_.normalized)},
          {"punct", "pn", yes_no(!options_.no_punctuation)},
          {"asian", "as", yes_no(options_.asian_support)}};
}

}  // namespace glossa
