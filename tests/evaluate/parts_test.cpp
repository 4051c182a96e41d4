// What the scores are made of: NumPy's random numbers and sums, Python's rounding and case, edits, threads.
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/parallel.h"
#include "evaluate/metric.h"
#include "evaluate/numpy.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

const Json& goldens() {
  static const Json all = read_json(GLOSSA_SOURCE_DIR "/tests/evaluate/goldens.json");
  return all;
}

TEST(Numpy, DrawsTheSameNumbersFromTheSameSeed) {
  for (const auto& [seed, draws] : goldens()["random"].items()) {
    NumpyRandom random(std::stoull(seed));  // one generator for all draws, in the order of the goldens' making
    for (const auto& [name, bound] : std::vector<std::pair<std::string, std::uint64_t>>{
             {"below 10", 10}, {"below 1", 1}, {"below 3000000000", 3'000'000'000}}) {
      const auto wanted = draws[name].get<std::vector<std::uint32_t>>();
      std::vector<std::uint32_t> found(wanted.size());
      random.below(bound, found);
      EXPECT_EQ(found, wanted) << seed << ": " << name;
    }
    const auto wanted = draws["coins"].get<std::vector<std::uint8_t>>();
    std::vector<std::uint8_t> found(wanted.size());
    const std::span<std::uint8_t> all(found);
    NumpyCoins coins(random);
    coins.fill(all.first(7)), coins.fill(all.subspan(7));  // in pieces, as one call fills its array
    EXPECT_EQ(found, wanted) << seed << ": coins";
  }
}

TEST(Numpy, MeansAreRoundedOnce) {
  EXPECT_EQ(exact_mean(std::vector<double>{1e16, 1, 1, 1e16}), (2e16 + 2) / 4);
  EXPECT_EQ(exact_mean(std::vector<double>{0.1, 0.1, 0.1}), 0.1);
  EXPECT_EQ(exact_mean(std::vector<double>{0, 0}), 0);
}

TEST(Score, DecimalsRoundTheExactValueHalfToEven) {
  EXPECT_EQ(fixed(0.5, 0), "0");
  EXPECT_EQ(fixed(1.5, 0), "2");
  EXPECT_EQ(fixed(2.675, 2), "2.67");  // less than 2.675, as a double
  EXPECT_EQ(fixed(0.125, 2), "0.12");
  EXPECT_EQ(fixed(100, 1), "100.0");
}

TEST(PythonText, LowerCaseIsPythons) {
  for (const Json& golden : goldens()["lines"])
    EXPECT_EQ(python_lower(golden["line"].get<std::string>()), golden["lower"].get<std::string>());
}

std::int64_t edits(const std::vector<std::uint32_t>& hypothesis, const std::vector<std::uint32_t>& reference) {
  return translation_edits(hypothesis, reference);
}

TEST(TranslationEdits, AShiftOfManyWordsIsOneEdit) {
  EXPECT_EQ(edits({1, 2, 3, 4, 5, 6}, {4, 5, 6, 1, 2, 3}), 1);
  EXPECT_EQ(edits({1, 2, 3}, {1, 2, 3}), 0);
  EXPECT_EQ(edits({1, 9, 3}, {1, 2, 3}), 1);
  EXPECT_EQ(edits({1, 2, 3, 4}, {1, 3, 4}), 1);
  EXPECT_EQ(edits({}, {1, 2}), 2);
  EXPECT_EQ(edits({1, 2}, {}), 2);
  EXPECT_EQ(edits({}, {}), 0);
}

// More segments than a task has, so that several threads take part.
std::vector<std::string> sentences(std::uint64_t seed) {
  NumpyRandom random(seed);
  std::vector<std::string> lines(500);
  for (std::string& line : lines) {
    std::vector<std::uint32_t> words(12);
    random.below(9, words);
    for (const std::uint32_t word : words) line += fmt::format("w{} ", word);
  }
  return lines;
}

TEST(Metrics, AreTheSameOnAnyNumberOfThreads) {
  const std::vector<std::string> hypotheses = sentences(1), references = sentences(2);
  const std::vector<std::string_view> views(hypotheses.begin(), hypotheses.end());
  for (const Metric& metric : {Metric(Bleu()), Metric(Chrf()), Metric(Ter())}) {
    std::vector<std::vector<double>> sums;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      sums.push_back(segment_statistics(metric, views, References{std::span(references)}).sum());
    }
    set_thread_count(hardware_threads());
    EXPECT_EQ(sums[0], sums[1]);
    EXPECT_EQ(sums[0], sums[2]);
  }
}

TEST(Metrics, ATextIsItsOwnBestTranslation) {
  const std::vector<std::string> text = sentences(3);
  const std::vector<std::string_view> views(text.begin(), text.end());
  const References references{std::span(text)};
  const auto value = [&](const Metric& metric) {
    return score(metric, segment_statistics(metric, views, references).sum()).value;
  };
  EXPECT_NEAR(value(Bleu()), 100, 1e-9);
  EXPECT_NEAR(value(Chrf()), 100, 1e-9);
  EXPECT_EQ(value(Ter()), 0);
  EXPECT_EQ(Bleu().corpus(text, text).brevity_penalty, 1);
}

TEST(References, MayDifferInNumberFromSegmentToSegment) {
  References references;
  const std::vector<std::string_view> two{"a b c d", "a b c e"}, one{"x y z w"};
  references.add_segment(two);
  EXPECT_EQ(references.count(), 2);
  references.add_segment(one);
  EXPECT_EQ(references.count(), -1);
  EXPECT_EQ(references[0].size(), 2u);
  EXPECT_EQ(references[1][0], "x y z w");
}

}  // namespace
}  // namespace glossa
