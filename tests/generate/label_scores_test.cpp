#include "generate/label_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "causal_golden.h"
#include "generate/few_shot_classifier.h"
#include "support/error_of.h"

// Labels scored by the small random models of tests/golden, against whole passes without any cache.
namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<Token>;
using Texts = std::vector<std::string>;

// Letters, the space (26), the line feed (27), and two that are joined: " a" (28) and "ab" (29).
Tokenizer letters() {
  std::string vocabulary = R"("\u0120": 26, "\u010a": 27, "\u0120a": 28, "ab": 29, "<30>": 30)";
  for (int i = 0; i < 26; ++i) vocabulary += fmt::format(R"(, "{}": {})", static_cast<char>('a' + i), i);
  return Tokenizer::parse(
      fmt::format(
          R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
        "post_processor": null, "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
        "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                   "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {{{}}},
                   "merges": [["\u0120", "a"], ["a", "b"]]}}}})",
          vocabulary),
      "letters");
}

Ids some(std::size_t length, std::int32_t first) {
  Ids ids;
  for (std::size_t i = 0; i < length; ++i)
    ids.push_back(static_cast<Token>((static_cast<std::size_t>(first) + i * 7) % 31));
  return ids;
}

// The sum of log-probabilities of `completion` after `prompt`, of one whole pass.
double by_whole_pass(const CausalModel& model, Ids prompt, const Ids& completion) {
  const std::size_t start = prompt.size();
  prompt.insert(prompt.end(), completion.begin(), completion.end());
  const Tensor logits = model.logits(model.hidden(CausalInput::whole(
      {Tensor::of(prompt), Sequences::of_lengths({static_cast<std::int32_t>(prompt.size())})})));
  double sum = 0;
  for (std::size_t t = start; t < prompt.size(); ++t) {
    const float* row = logits.data<float>() + static_cast<std::int64_t>(t - 1) * logits.cols();
    double total = 0;
    for (std::int64_t v = 0; v < logits.cols(); ++v) total += std::exp(static_cast<double>(row[v]));
    sum += row[prompt[t]] - std::log(total);
  }
  return sum;
}

std::vector<Completions> cases(std::size_t count) {
  std::vector<Completions> all;
  const Ids beginning = some(4, 3);
  for (std::size_t i = 0; i < count; ++i) {
    Completions c{.prompt = beginning, .shared = i % 4 == 3 ? 2u : 4u};
    if (i % 3 == 2) c.prompt[0] = 9;  // another beginning
    const Ids rest = some(1 + i * 3 % 7, static_cast<std::int32_t>(i));
    c.prompt.insert(c.prompt.end(), rest.begin(), rest.end());
    c.tokens = {{5}, {6, 1, 2}, {6, 4}};
    all.push_back(std::move(c));
  }
  return all;
}

class ScorerOf : public testing::TestWithParam<const char*> {};

TEST_P(ScorerOf, GivesWhatWholePassesGive) {
  const CausalGolden c(GetParam());
  const auto inputs = cases(7);
  for (const std::int64_t batch : {1, 3, 16, 512}) {
    CompletionScorer scorer(*c.model, batch);
    for (int again = 0; again < 2; ++again) {
      const auto found = scorer.score(inputs);
      ASSERT_EQ(found.size(), inputs.size());
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        ASSERT_EQ(found[i].size(), 3u);
        for (std::size_t l = 0; l < 3; ++l)
          EXPECT_NEAR(found[i][l], by_whole_pass(*c.model, inputs[i].prompt, inputs[i].tokens[l]), 2e-5)
              << i << " " << l << " " << batch;
      }
    }
    EXPECT_LE(
        scorer.rows_in_use(),
        static_cast<std::int64_t>(inputs.back().prompt.size()));  // all but the beginning was given back
  }
}

TEST_P(ScorerOf, DoesNotDependOnNeighbours) {
  const CausalGolden c(GetParam());
  const auto inputs = cases(6);
  CompletionScorer together(*c.model, 64);
  const auto all = together.score(inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CompletionScorer alone(*c.model, 64);
    EXPECT_EQ(alone.score(std::span(inputs).subspan(i, 1))[0], all[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ScorerOf, testing::Values("gpt2", "llama", "mistral", "gemma3", "qwen3"));

TEST(CompletionScorer, ReadsWhatPromptsShareOnce) {
  const CausalGolden c("llama");
  std::vector<Completions> inputs;
  for (Token t = 0; t < 5; ++t) {
    Completions input{.prompt = some(20, 1), .shared = 20, .tokens = {{1}, {2}}};
    input.prompt.push_back(t);
    inputs.push_back(std::move(input));
  }
  CompletionScorer scorer(*c.model, 64);
  scorer.score(inputs);
  EXPECT_EQ(scorer.counts().computed, 20u + 5u);
  EXPECT_EQ(scorer.counts().shared, 4u * 20u);
  scorer.score(inputs);
  EXPECT_EQ(scorer.counts().computed, 20u + 2 * 5u);
  EXPECT_EQ(scorer.rows_in_use(), 20);
}

TEST(CompletionScorer, RefusesWhatTheModelCannotRead) {
  const CausalGolden c("gpt2");  // 16 positions
  CompletionScorer scorer(*c.model, 64);
  const auto refusal = [&](const Completions& input) { return error_of([&] { scorer.score({&input, 1}); }); };
  EXPECT_THAT(refusal({.prompt = some(15, 1), .tokens = {{1, 2}}}),
              HasSubstr("has 17 tokens, and the model positions for 16"));
  EXPECT_EQ(refusal({.prompt = some(14, 1), .tokens = {{1, 2}}}), "");
  EXPECT_THAT(refusal({.prompt = {31}, .tokens = {{1}}}), HasSubstr("vocabulary of 31"));
  EXPECT_THAT(refusal({.prompt = {1}, .tokens = {{-1}}}), HasSubstr("token -1"));
  EXPECT_THAT(refusal({.prompt = {1}, .tokens = {{}}}), HasSubstr("without tokens"));
  EXPECT_THAT(refusal({.prompt = {}, .tokens = {{1}}}), HasSubstr("a prompt of 0 tokens"));
}

TEST(CompletionsOf, EncodesTextAsAWhole) {
  const Tokenizer tokenizer = letters();
  const Completions joined = completions_of(tokenizer, "xy", 1, Texts{" a", " ba"});
  EXPECT_THAT(joined.prompt, ElementsAre(23, 24));
  EXPECT_THAT(joined.tokens, ElementsAre(Ids{28}, (Ids{26, 1, 0})));
  EXPECT_EQ(joined.shared, 1u);
  // "xab" ends in a token of the prompt's end and the label: that end is scored, of all labels.
  const Completions across = completions_of(tokenizer, "xa", 0, Texts{"b", "c"});
  EXPECT_THAT(across.prompt, ElementsAre(23));
  EXPECT_THAT(across.tokens, ElementsAre(Ids{29}, (Ids{0, 2})));
  // All of the prompt is a beginning: its last token is left, after which labels are scored.
  EXPECT_EQ(completions_of(tokenizer, "xyz", 3, Texts{"b"}).shared, 2u);
  EXPECT_THAT(error_of([&] {
                completions_of(tokenizer, "", 0, Texts{"b", "c"});
              }),
              HasSubstr("an empty prompt before"));
  // A label that adds no token that the tokenizer knows.
  EXPECT_THAT(completions_of(tokenizer, "xy", 0, Texts{"?", "a"}).tokens, ElementsAre(Ids{24}, (Ids{24, 0})));
}

class Classifier : public testing::Test {
 protected:
  const CausalGolden c{"llama"};
  const Tokenizer tokenizer = letters();
  const FewShotTemplate form = FewShotTemplate::parse("{text}\nis {label}", "label");
  const Texts words{"ab", "good", "x"}, examples{"abc\nis x", "dd\nis good"}, values{"zebra"}, other{"q"};

  LabelScores one(const FewShotOptions& options, const Texts& shown) {
    FewShotClassifier classifier(*c.model, tokenizer, form, words, options);
    const FewShotCase item{values, shown, "here"};
    return classifier.classify({&item, 1})[0];
  }
  // By hand, with the tokens of texts that do not join.
  double sum(const std::string& prompt, const std::string& word) {
    return by_whole_pass(*c.model, tokenizer.encode(prompt), tokenizer.encode(" " + word));
  }
  std::vector<double> shares(std::vector<double> scores) {
    double total = 0;
    for (double& s : scores) s = std::exp(s), total += s;
    for (double& s : scores) s /= total;
    return scores;
  }
  void expect_near(const std::vector<double>& found, const std::vector<double>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-5) << i;
  }
};

TEST_F(Classifier, ChoosesByEachMeasure) {
  const std::string prompt = "abc\nis x\n\ndd\nis good\n\nzebra\nis";
  std::vector<double> sums, by_token, by_byte, unconditional;
  for (const std::string& word : words) {
    sums.push_back(sum(prompt, word));
    by_token.push_back(sums.back() / static_cast<double>(tokenizer.encode(" " + word).size()));
    by_byte.push_back(sums.back() / static_cast<double>(word.size()));
    unconditional.push_back(sums.back() - sum("is", word));
  }
  const LabelScores plain = one({}, examples);
  expect_near(plain.log_probabilities, sums);
  expect_near(plain.probabilities, shares(sums));
  EXPECT_EQ(plain.best, static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin()));
  EXPECT_EQ(plain.shots, 2u);
  EXPECT_EQ(plain.prompt_tokens, tokenizer.encode(prompt).size());
  expect_near(one({.measure = LabelMeasure::token}, examples).probabilities, shares(by_token));
  expect_near(one({.measure = LabelMeasure::byte}, examples).probabilities, shares(by_byte));
  expect_near(one({.measure = LabelMeasure::unconditional}, examples).probabilities, shares(unconditional));
}

TEST_F(Classifier, CalibratesByCasesThatSayNothing) {
  const std::string beginning = "abc\nis x\n\n";
  const Texts shown{examples[0]};
  std::vector<double> prior(3), sums;
  for (const char* free : {"N/A", "[MASK]", ""}) {
    std::vector<double> logs;
    for (const std::string& word : words) logs.push_back(sum(beginning + free + "\nis", word));
    const auto p = shares(logs);
    for (std::size_t l = 0; l < 3; ++l) prior[l] += p[l] / 3;
  }
  for (std::size_t l = 0; l < 3; ++l)
    sums.push_back(sum(beginning + "zebra\nis", words[l]) - std::log(prior[l]));
  expect_near(one({.calibrate = true}, shown).probabilities, shares(sums));

  // The prior is that of the examples shown, whether it was there or not.
  FewShotClassifier classifier(*c.model, tokenizer, form, words, {.calibrate = true});
  const std::vector<FewShotCase> cases{
      {values, shown, "1"}, {other, shown, "2"}, {values, examples, "3"}, {values, shown, "4"}};
  const auto all = classifier.classify(cases);
  expect_near(all[0].probabilities, shares(sums));
  expect_near(all[3].probabilities, shares(sums));
  expect_near(all[2].probabilities, one({.calibrate = true}, examples).probabilities);
  expect_near(classifier.classify(std::span(cases).first(1))[0].probabilities, shares(sums));
}

TEST_F(Classifier, LeavesExamplesOutThatDoNotFit) {
  const LabelScores both = one({}, examples);
  const auto all = static_cast<std::int64_t>(both.prompt_tokens) + 5;  // " good"
  EXPECT_EQ(one({.context = all}, examples).shots, 2u);
  const LabelScores fewer = one({.context = all - 1}, examples);
  EXPECT_EQ(fewer.shots, 1u);
  EXPECT_EQ(fewer.log_probabilities, one({}, Texts{examples[0]}).log_probabilities);
  EXPECT_EQ(one({.context = 13}, examples).shots, 0u);
  EXPECT_THAT(error_of([&] { one({.context = 12}, examples); }), HasSubstr("here: has 13 tokens"));
  EXPECT_THAT(error_of([&] { one({.context = 12}, {}); }), HasSubstr("here: has 13 tokens"));
}

TEST_F(Classifier, RefusesWhatDoesNotGoTogether) {
  const auto refusal = [&](const Texts& labels, const FewShotOptions& options,
                           const char* text = "{text}\nis {label}") {
    return error_of([&] {
      FewShotClassifier(*c.model, tokenizer, FewShotTemplate::parse(text, "label"), labels, options);
    });
  };
  EXPECT_THAT(refusal({"a"}, {}), HasSubstr("at least 2"));
  EXPECT_THAT(refusal(words, {.measure = LabelMeasure::unconditional, .calibrate = true}),
              HasSubstr("take one of them"));
  EXPECT_THAT(refusal(words, {.context = 65}), HasSubstr("positions for 64"));
  EXPECT_THAT(refusal(words, {.measure = LabelMeasure::unconditional}, "{text} {label}"),
              HasSubstr("no text between"));
  EXPECT_EQ(refusal(words, {}, "{text} {label}"), "");
}

}  // namespace
}  // namespace glossa::test
