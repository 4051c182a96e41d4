#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "evaluate/bootstrap.h"
#include "evaluate/numpy.h"
#include "evaluate/python_text.h"
#include "evaluate/tokenize.h"

// Against goldens.json, which tools/make_score_goldens.py wrote from sacreBLEU: equal to the last bit, not nearly.
namespace glossa::test {
namespace {

const Json& goldens() {
  static const Json all = read_json(GLOSSA_SOURCE_DIR "/tests/evaluate/goldens.json");
  return all;
}

// Words between single spaces.
std::string squeezed(std::string_view text) {
  std::string out;
  std::vector<std::string_view> words;
  python_split(text, words);
  for (const std::string_view word : words) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

Metric metric_of(const Json& c) {
  const Json& o = c["options"];
  if (c["metric"] == "BLEU") {
    BleuOptions b;
    b.tokenizer = bleu_tokenizer(o.value("tokenize", "13a"));
    b.lowercase = o.value("lowercase", false);
    b.effective_order = o.value("effective_order", false);
    b.max_order = o.value("max_ngram_order", 4);
    const std::string smoothing = o.value("smooth_method", "exp");
    b.smoothing = smoothing == "floor"   ? BleuSmoothing::floor
                  : smoothing == "add-k" ? BleuSmoothing::add_k
                  : smoothing == "none"  ? BleuSmoothing::none
                                         : BleuSmoothing::exp;
    if (o.contains("smooth_value")) b.smooth_value = o["smooth_value"].get<double>();
    return Bleu(b);
  }
  if (c["metric"] == "CHRF")
    return Chrf({.char_order = o.value("char_order", 6),
                 .word_order = o.value("word_order", 0),
                 .beta = o.value("beta", 2),
                 .lowercase = o.value("lowercase", false),
                 .whitespace = o.value("whitespace", false),
                 .eps_smoothing = o.value("eps_smoothing", false)});
  return Ter({.normalized = o.value("normalized", false),
              .no_punctuation = o.value("no_punct", false),
              .asian_support = o.value("asian_support", false),
              .case_sensitive = o.value("case_sensitive", false)});
}

struct Corpus {
  std::vector<std::vector<std::string>> texts;  // references, then systems
  std::vector<std::vector<std::string_view>> references, systems;
  explicit Corpus(const Json& c) {
    for (const char* kind : {"references", "systems"})
      for (const Json& lines : c[kind]) texts.push_back(lines.get<std::vector<std::string>>());
    for (std::size_t i = 0; i < texts.size(); ++i)
      (i < c["references"].size() ? references : systems).emplace_back(texts[i].begin(), texts[i].end());
  }
};

void expect_paired(const std::vector<PairedResult>& found, const Json& wanted, bool confidence) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].score, wanted[i][0].get<double>());
    EXPECT_EQ(found[i].p_value.has_value(), !wanted[i][1].is_null());
    if (found[i].p_value) {
      EXPECT_EQ(*found[i].p_value, wanted[i][1].get<double>());
    }
    if (!confidence) continue;
    ASSERT_TRUE(found[i].confidence.has_value());
    EXPECT_EQ(found[i].confidence->mean, wanted[i][2].get<double>());
    EXPECT_EQ(found[i].confidence->half_width, wanted[i][3].get<double>());
  }
}

TEST(Tokenization, IsThatOfSacrebleu) {
  for (const Json& golden : goldens()["lines"]) {
    const auto line = golden["line"].get<std::string>();
    const std::string_view stripped = python_rstrip(line);
    for (const char* name : {"13a", "intl", "zh", "char", "none"})
      EXPECT_EQ(squeezed(tokenized(stripped, bleu_tokenizer(name))), golden[name].get<std::string>()) << name << ": " << line;
    for (unsigned flags = 0; flags < 16; ++flags) {
      const TercomOptions options{.normalized = (flags & 1) != 0,
                                  .no_punctuation = (flags & 2) != 0,
                                  .asian_support = (flags & 4) != 0,
                                  .case_sensitive = (flags & 8) != 0};
      EXPECT_EQ(squeezed(tercom_tokenized(stripped, options)), golden[fmt::format("tercom{}", flags)].get<std::string>()) << flags << ": " << line;
    }
  }
}

TEST(Scores, EqualSacrebleusToTheLastBit) {
  const int resamples = goldens()["resamples"].get<int>();
  constexpr std::uint64_t kSeed = 12345;
  for (const Json& c : goldens()["corpora"]) {
    const Corpus corpus(c);
    const References references{std::span<const std::vector<std::string_view>>(corpus.references)};
    for (const Json& golden : c["cases"]) {
      SCOPED_TRACE(golden["metric"].dump() + golden["options"].dump());
      const Metric metric = metric_of(golden);
      std::vector<SegmentStatistics> systems;
      for (const auto& system : corpus.systems) systems.push_back(segment_statistics(metric, system, references));
      const MetricScore found = score(metric, systems[0].sum());
      EXPECT_EQ(found.name, golden["name"].get<std::string>());
      EXPECT_EQ(found.value, golden["score"].get<double>());
      EXPECT_EQ(found.verbose, golden["verbose"].get<std::string>());
      EXPECT_EQ(signature(metric, references.count()).text(), golden["signature"].get<std::string>());
      EXPECT_EQ(signature(metric, references.count()).text(true), golden["short"].get<std::string>());
      for (std::size_t i = 0; i < systems[0].segments(); ++i)
        EXPECT_EQ(score(metric, systems[0][i]).value, golden["segments"][i].get<double>()) << "segment " << i;
      if (golden.contains("confidence")) {
        const Confidence confidence = bootstrap_confidence(metric, systems[0], resamples, kSeed);
        EXPECT_EQ(confidence.mean, golden["confidence"][0].get<double>());
        EXPECT_EQ(confidence.half_width, golden["confidence"][1].get<double>());
      }
      expect_paired(paired_bootstrap(metric, systems, resamples, kSeed), golden["paired_bs"], true);
      expect_paired(paired_randomization(metric, systems, resamples, kSeed), golden["paired_ar"], false);
    }
  }
}

TEST(Scores, UnequalCountsAreRefusedWithBoth) {
  const std::vector<std::string> references{"a", "b"};
  const std::vector<std::string_view> one{"a"};
  try {
    segment_statistics(Bleu(), one, References(references));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::line_counts);
    EXPECT_EQ(std::string(e.what()), "1 hypotheses, but 2 segments of references");
  }
}

}  // namespace
}  // namespace glossa::test
