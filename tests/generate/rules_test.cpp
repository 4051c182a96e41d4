#include "generate/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Ids = std::vector<std::int32_t>;

GenerationConfig plain() {
  GenerationConfig config;
  config.eos_token_id = {1};
  config.decoder_start_token_id = 0;
  return config;
}

Ids forbidden(const GenerationConfig& config, const Ids& tokens, const LengthLimits& limits = {1, 0, 100}) {
  std::vector<float> row(10, 0.5f);
  std::vector<Removed> removed;
  Rules(config).remove(tokens, limits, row, removed);
  Ids ids;
  for (const Removed& r : removed) {
    EXPECT_EQ(r.logit, 0.5f);
    EXPECT_EQ(row[static_cast<std::size_t>(r.token)], -INFINITY);
    if (r.forbidden) ids.push_back(r.token);
  }
  return ids;
}

TEST(Rules, NothingIsForbiddenByDefault) {
  EXPECT_THAT(forbidden(plain(), {0, 3, 4}), IsEmpty());
}

TEST(Rules, TheEndWaitsForTheMinimum) {
  GenerationConfig config = plain();
  config.eos_token_id = {1, 7};
  EXPECT_THAT(forbidden(config, {0, 3}, {1, 3, 100}), ElementsAre(1, 7));
  EXPECT_THAT(forbidden(config, {0, 3, 4}, {1, 3, 100}), IsEmpty());
}

TEST(Rules, NgramsAreNotRepeated) {
  GenerationConfig config = plain();
  config.no_repeat_ngram_size = 3;
  EXPECT_THAT(forbidden(config, {0, 3, 4, 5, 3, 4}), ElementsAre(5));
  EXPECT_THAT(forbidden(config, {0, 3, 4, 5, 3, 4, 6, 3, 4}), ElementsAre(5, 6));
  EXPECT_THAT(forbidden(config, {0, 3, 4}), IsEmpty());
  EXPECT_THAT(forbidden(config, {0, 3}), IsEmpty());
  config.no_repeat_ngram_size = 1;
  EXPECT_THAT(forbidden(config, {0, 3, 4, 3}), ElementsAre(0, 3, 4));
  config.no_repeat_ngram_size = 2;
  EXPECT_THAT(forbidden(config, {4, 4}), ElementsAre(4));
}

TEST(Rules, BadWordsAreNotCompleted) {
  GenerationConfig config = plain();
  config.bad_words_ids = {{9}, {3, 4}, {5, 3, 6}, {1}};
  EXPECT_THAT(forbidden(config, {0}), ElementsAre(9));  // the end token may always end
  EXPECT_THAT(forbidden(config, {0, 3}), ElementsAre(9, 4));
  EXPECT_THAT(forbidden(config, {0, 5, 3}), ElementsAre(9, 4, 6));
}

TEST(Rules, SomeTokensMayNotBegin) {
  GenerationConfig config = plain();
  config.suppress_tokens = {8};
  config.begin_suppress_tokens = {4};
  EXPECT_THAT(forbidden(config, {0}), ElementsAre(8, 4));
  EXPECT_THAT(forbidden(config, {0, 5}), ElementsAre(8));
  EXPECT_THAT(forbidden(config, {0, 5}, {2, 0, 100}), ElementsAre(8, 4));  // after a prompt of two
  config.forced_bos_token_id = 5;
  EXPECT_THAT(forbidden(config, {0, 5}), ElementsAre(8, 4));
}

TEST(Rules, SomeTokensAreForced) {
  GenerationConfig config = plain();
  config.forced_bos_token_id = 5;
  config.forced_eos_token_id = {1, 2};
  const Rules rules(config);
  EXPECT_THAT(rules.forced(Ids{0}, {1, 0, 6}), ElementsAre(5));
  EXPECT_THAT(rules.forced(Ids{0, 5}, {1, 0, 6}), IsEmpty());
  EXPECT_THAT(rules.forced(Ids{0, 5, 3, 4, 3}, {1, 0, 6}), ElementsAre(1, 2));
}

TEST(Rules, RepeatedTokensAreTakenOutToBeAdjusted) {
  GenerationConfig config = plain();
  config.repetition_penalty = 2;
  config.suppress_tokens = {3};
  std::vector<float> row{1, 2, 3, 4, 5};
  std::vector<Removed> removed;
  const Rules rules(config);
  rules.remove(Ids{0, 3, 4, 0}, {1, 0, 100}, row, removed);
  ASSERT_EQ(removed.size(), 3u);  // each once, and what is forbidden stays so
  EXPECT_TRUE(removed[0].forbidden && removed[0].token == 3);
  EXPECT_TRUE(!removed[1].forbidden && removed[1].token == 0);
  EXPECT_TRUE(!removed[2].forbidden && removed[2].token == 4);
  EXPECT_EQ(rules.repeated(3), 1.5f);
  EXPECT_EQ(rules.repeated(-3), -6);
}

TEST(Rules, TheLogSumExpOfARowCountsWhatWasRemoved) {
  const std::vector<Removed> removed{{0, 2.0f, true}, {1, -3.0f, false}};
  EXPECT_NEAR(whole_log_sum_exp(1.5f, removed), std::log(std::exp(1.5) + std::exp(2.0) + std::exp(-3.0)),
              1e-6);
  EXPECT_NEAR(whole_log_sum_exp(-INFINITY, removed), std::log(std::exp(2.0) + std::exp(-3.0)), 1e-6);
  EXPECT_EQ(whole_log_sum_exp(-INFINITY, {}), -INFINITY);
  const std::vector<Removed> large{{0, 2000.0f, true}};
  EXPECT_NEAR(whole_log_sum_exp(2000.0f, large), 2000 + std::log(2.0), 1e-3);
}

TEST(Rules, LimitsFollowTheConfiguration) {
  GenerationConfig config = plain();
  const auto limits = [&] { return Rules(config).limits(10, 3, 50); };
  EXPECT_EQ(limits().most, 50);
  config.max_length = 20;
  EXPECT_EQ(limits().most, 20);
  config.max_new_tokens = 5;
  EXPECT_EQ(limits().most, 8);
  config.max_new_tokens = 500;
  EXPECT_EQ(limits().most, 50);
  config.max_length_ratio = 2;
  EXPECT_EQ(limits().most, 33);
  config.min_length = 4;
  EXPECT_EQ(limits().least, 4);
  config.min_new_tokens = 4;
  EXPECT_EQ(limits().least, 7);
}

// ---- generation_config.json

GenerationConfig read(const char* json, std::vector<std::string>* notes = nullptr) {
  GenerationConfig config = GenerationConfig::from_json(parse_json(json, "test"), "test", plain(), notes);
  config.validate(10, "test", Code::config);
  return config;
}

std::string refusal(const char* json) {
  try {
    read(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.exit(), Exit::input);
    return e.what();
  }
  return "accepted";
}

TEST(GenerationConfig, ReadsHuggingFacesKeys) {
  std::vector<std::string> notes;
  const GenerationConfig c = read(
      R"({"_from_model_config": true, "bad_words_ids": [[9]], "bos_token_id": 0, "decoder_start_token_id": 9,
          "eos_token_id": [0, 3], "forced_eos_token_id": 0, "max_length": 512, "num_beams": 6, "pad_token_id": 9,
          "early_stopping": "never", "length_penalty": 0.6, "renormalize_logits": false, "penalty_alpha": null,
          "transformers_version": "5.23.0", "num_beems": 4})",
      &notes);
  EXPECT_EQ(c.bad_words_ids, (std::vector<Ids>{{9}}));
  EXPECT_EQ(c.decoder_start_token_id, 9);
  EXPECT_THAT(c.eos_token_id, ElementsAre(0, 3));
  EXPECT_THAT(c.forced_eos_token_id, ElementsAre(0));
  EXPECT_EQ(c.max_length, 512);
  EXPECT_EQ(c.num_beams, 6);
  EXPECT_EQ(c.early_stopping, EarlyStopping::never);
  EXPECT_EQ(c.length_penalty, 0.6);
  EXPECT_EQ(c.pad_token_id, 9);
  EXPECT_THAT(notes, ElementsAre("test: unknown key \"num_beems\" has no effect; did you mean num_beams?"));
}

TEST(GenerationConfig, WritesWhatItReads) {
  GenerationConfig c = plain();
  c.num_beams = 5, c.early_stopping = EarlyStopping::yes, c.patience = 1.5, c.length_penalty = 0.8;
  c.length_penalty_form = LengthPenaltyForm::gnmt, c.coverage_penalty = 0.1, c.max_length = 99,
  c.min_new_tokens = 2;
  c.bad_words_ids = {{4}, {5, 6}}, c.forced_bos_token_id = 7, c.forced_eos_token_id = {1},
  c.suppress_tokens = {3};
  c.eos_token_id = {1, 2}, c.no_repeat_ngram_size = 3, c.repetition_penalty = 1.1;
  const OrderedJson once = c.to_json();
  const GenerationConfig again = read(once.dump().c_str());
  EXPECT_EQ(again.to_json(), once);
  EXPECT_EQ(again.patience, 1.5);
  EXPECT_EQ(again.length_penalty_form, LengthPenaltyForm::gnmt);
  // What is usual is not written, but for the few keys that everybody looks for.
  EXPECT_EQ(plain().to_json().dump(),
            R"({"eos_token_id":1,"decoder_start_token_id":0,"num_beams":1,"length_penalty":1.0})");
}

TEST(GenerationConfig, E14_IsValidatedWhenLoaded) {
  EXPECT_THAT(refusal(R"({"temperature": 0})"), HasSubstr("temperature is 0"));
  EXPECT_THAT(refusal(R"({"temperature": -1})"), HasSubstr("temperature"));
  EXPECT_THAT(refusal(R"({"temperature": "hot"})"), HasSubstr("temperature"));
  EXPECT_THAT(refusal(R"({"eos_token_id": 10})"),
              HasSubstr("eos_token_id is 10; the vocabulary has ids 0 to 9"));
  EXPECT_THAT(refusal(R"({"eos_token_id": [1, -1]})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(refusal(R"({"eos_token_id": 4294967297})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(refusal(R"({"eos_token_id": 1.0})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(refusal(R"({"eos_token_id": []})"), HasSubstr("eos_token_id is missing"));
  EXPECT_THAT(refusal(R"({"bad_words_ids": [[11]]})"), HasSubstr("bad_words_ids is 11"));
  EXPECT_THAT(refusal(R"({"bad_words_ids": [[]]})"), HasSubstr("empty list"));
  EXPECT_THAT(refusal(R"({"bad_words_ids": 3})"), HasSubstr("no list of lists"));
  EXPECT_THAT(refusal(R"({"forced_bos_token_id": 10})"), HasSubstr("forced_bos_token_id"));
  EXPECT_THAT(refusal(R"({"decoder_start_token_id": 10})"), HasSubstr("decoder_start_token_id"));
  EXPECT_THAT(refusal(R"({"early_stopping": "maybe"})"), HasSubstr("early_stopping"));
  EXPECT_THAT(refusal(R"({"num_beams": 0})"), HasSubstr("num_beams"));
  EXPECT_THAT(refusal(R"({"num_beams": 4, "num_beam_groups": 3})"), HasSubstr("no multiple"));
  EXPECT_THAT(refusal(R"({"num_beams": 2, "num_return_sequences": 3})"), HasSubstr("num_return_sequences"));
  EXPECT_THAT(refusal(R"({"num_beams": 2, "do_sample": true})"), HasSubstr("do_sample"));
  EXPECT_THAT(refusal(R"({"diversity_penalty": 1})"), HasSubstr("num_beam_groups"));
  EXPECT_THAT(refusal(R"({"num_beams": 2, "patience": 2})"), HasSubstr("early_stopping true"));
  EXPECT_THAT(refusal(R"({"top_p": 0})"), HasSubstr("top_p"));
  EXPECT_THAT(refusal(R"({"top_p": 1.5})"), HasSubstr("top_p"));
  EXPECT_THAT(refusal(R"({"repetition_penalty": 0})"), HasSubstr("repetition_penalty"));
  EXPECT_THAT(refusal(R"({"length_penalty": 1e30})"), HasSubstr("length_penalty"));
  // What would change the output in ways not known here is not passed over in silence.
  EXPECT_THAT(refusal(R"({"penalty_alpha": 0.6})"), HasSubstr("penalty_alpha"));
  EXPECT_THAT(refusal(R"({"renormalize_logits": true})"), HasSubstr("renormalize_logits"));
  EXPECT_THAT(refusal(R"({"encoder_no_repeat_ngram_size": 3})"), HasSubstr("encoder_no_repeat_ngram_size"));
}

}  // namespace
}  // namespace glossa::test
