#include "generate/translator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kVocabulary = 37;

// Words w2, w3, ...; a sentence ends in </s>.
Tokenizer words(std::int64_t count) {
  std::string vocabulary = R"("<pad>": 0, "</s>": 1)";
  for (std::int64_t i = 2; i < count; ++i) vocabulary += fmt::format(R"(, "w{}": {})", i, i);
  const auto special = [](int id, const char* text) {
    return fmt::format(R"({{"id": {}, "content": "{}", "single_word": false, "lstrip": false, "rstrip": false,
                           "normalized": false, "special": true}})",
                       id, text);
  };
  return Tokenizer::parse(
      fmt::format(
          R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{}, {}], "normalizer": null,
                      "pre_tokenizer": {{"type": "WhitespaceSplit"}},
                      "post_processor": {{"type": "TemplateProcessing", "single": [{{"Sequence": {{"id": "A", "type_id": 0}}}},
                        {{"SpecialToken": {{"id": "</s>", "type_id": 0}}}}], "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}},
                        {{"Sequence": {{"id": "B", "type_id": 0}}}}],
                        "special_tokens": {{"</s>": {{"id": "</s>", "ids": [1], "tokens": ["</s>"]}}}}}},
                      "decoder": null, "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "w2"}}}})",
          special(0, "<pad>"), special(1, "</s>"), vocabulary),
      "words");
}

std::string text_of(const Ids& ids) {
  std::string text;
  for (std::int32_t id : ids)
    if (id > 1) text += fmt::format("{}w{}", text.empty() ? "" : " ", id);
  return text;
}

class Translating : public testing::Test {
 protected:
  Translating() : model_(random_model(kVocabulary, 3, {Device::cpu})), config_(config_of(*model_)) {
    config_.max_length = 16;
    config_.num_beams = 3;
    for (const Ids& ids : random_sources(30, kVocabulary)) lines_.push_back(text_of(ids));
  }
  Translator translator(const TranslatorOptions& options = {}, std::int64_t count = kVocabulary) const {
    return {{&model_->transformer}, words(count), words(count), config_, options};
  }
  static std::vector<Translation> all(Translator& translator, const std::vector<Translator::Line>& lines) {
    std::vector<Translation> out;
    std::size_t next = 0;
    translator.run(
        [&](Translator::Line& line, bool) {
          if (next == lines.size()) return Translator::Read::end;
          line = lines[next++];
          return Translator::Read::line;
        },
        [&](Translation t) { out.push_back(std::move(t)); });
    return out;
  }
  std::string refusal(Translator& translator, const std::vector<std::string>& lines) const {
    try {
      translator.translate(lines);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }

  std::unique_ptr<TinyModel> model_;
  GenerationConfig config_;
  std::vector<std::string> lines_;
};

TEST_F(Translating, IsTheSearchBetweenTwoTokenizers) {
  const auto found = search({&model_->transformer}, config_, random_sources(30, kVocabulary));
  std::vector<std::string> wanted;
  for (const SearchResult& r : found) {
    Ids ids = r.hypotheses[0].tokens;
    ids.erase(ids.begin());
    wanted.push_back(text_of(ids));
  }
  EXPECT_EQ(translator().translate(lines_), wanted);
  EXPECT_EQ(translator({.search = {.batch_size = 1}}).translate(lines_), wanted);
  EXPECT_EQ(translator({.search = {.batch_tokens = 9, .batch_size = 2}}).translate(lines_), wanted);
}

TEST_F(Translating, LinesStayInOrderAndEmptyOnesStayEmpty) {
  std::vector<std::string> lines{"", "w3 w4", "  \t", "w5", "", "\u3000"};
  const auto out = translator({.search = {.batch_size = 2}}).translate(lines);
  ASSERT_EQ(out.size(), 6u);
  for (std::size_t i : {0, 2, 4, 5}) EXPECT_EQ(out[i], "");
  EXPECT_EQ(out[1], translator().translate(std::vector<std::string>{"w3 w4"})[0]);
  EXPECT_EQ(out[3], translator().translate(std::vector<std::string>{"w5"})[0]);
  EXPECT_TRUE(translator().translate({}).empty());
}

// What is typed is answered before more is asked for; and lines that come while others are in work join them.
TEST_F(Translating, AnswersAtOnce) {
  Translator t = translator();
  std::size_t read = 0, written = 0, later = 0;
  t.run(
      [&](Translator::Line& line, bool wait) {
        if (read == lines_.size()) return Translator::Read::end;
        if (!wait && read % 3 == 0 && ++later % 5) return Translator::Read::later;
        EXPECT_TRUE(!wait || written == read);
        line.text = lines_[read++];
        return Translator::Read::line;
      },
      [&](const Translation& translation) { EXPECT_EQ(translation.line, written++); });
  EXPECT_EQ(written, lines_.size());
  EXPECT_GT(later, 5u);
}

TEST_F(Translating, ReadsAheadWithinBounds) {
  Translator t = translator({.search = {.batch_size = 2}});
  std::size_t read = 0, written = 0, most = 0;
  t.run(
      [&](Translator::Line& line, bool) {
        if (read == 500) return Translator::Read::end;
        // One in three lines is empty, and done at once, but must wait for those before it.
        line.text = read % 3 ? "" : lines_[read % lines_.size()];
        most = std::max(most, ++read - written);
        return Translator::Read::line;
      },
      [&](const Translation&) { ++written; });
  EXPECT_EQ(written, 500u);
  EXPECT_LE(most, 33u);
  EXPECT_GT(most, 6u);
}

TEST_F(Translating, GivesTheBestFirst) {
  config_.num_return_sequences = 3;
  Translator t = translator();
  for (const Translation& translation : all(t, {{lines_[0]}, {lines_[1]}})) {
    ASSERT_EQ(translation.best.size(), 3u);
    EXPECT_GE(translation.best[0].score, translation.best[1].score);
    EXPECT_GE(translation.best[1].score, translation.best[2].score);
    for (const Translated& one : translation.best) {
      EXPECT_EQ(one.text, text_of(one.tokens));
      EXPECT_LT(one.log_probability, 0);
    }
  }
}

TEST_F(Translating, BeginsWithThePrefix) {
  Translator t = translator();
  const auto out = all(t, {{lines_[0], "w7 w8"}, {lines_[0]}});
  EXPECT_TRUE(out[0].best[0].text.starts_with("w7 w8"));
  EXPECT_EQ(out[1].best[0].text, translator().translate(std::span(lines_).first(1))[0]);
}

TEST_F(Translating, AlignsPiecesOfText) {
  Translator t = translator({.alignment = true});
  for (const Translation& translation : all(t, {{lines_[0]}, {""}, {lines_[1]}})) {
    const Translated& best = translation.best[0];
    ASSERT_EQ(best.alignment.size(), best.tokens.size());
    for (std::size_t i = 0; i < best.alignment.size(); ++i) {
      EXPECT_EQ(best.alignment[i].second, static_cast<std::int32_t>(i));
      EXPECT_LT(best.alignment[i].first,
                static_cast<std::int32_t>(translation.source.size()) - 1);  // not to </s>
      EXPECT_GE(best.alignment[i].first, 0);
    }
  }
}

TEST_F(Translating, LongLinesAreRefusedByNumberOrCut) {
  std::string longest, longer;
  for (int i = 0; i < 39; ++i) longest += fmt::format("{}w{}", i ? " " : "", 2 + i % 30);
  longer = longest + " w3 w4 w5";
  Translator strict = translator({.origin = "test.en"});
  EXPECT_EQ(strict.translate(std::vector<std::string>{longest}).size(), 1u);
  EXPECT_EQ(refusal(strict, {"w2", "", longer}),
            "test.en: line 3: 43 tokens; the model's max_position_embeddings is 40 (--truncate cuts)");
  // It goes on as if nothing had happened.
  EXPECT_EQ(strict.translate(std::vector<std::string>{"w3"}),
            translator().translate(std::vector<std::string>{"w3"}));
  Translator cutting = translator({.truncate = true});
  const auto out = all(cutting, {{longest}, {longer}});
  EXPECT_FALSE(out[0].truncated);
  EXPECT_TRUE(out[1].truncated);
  EXPECT_EQ(out[0].best[0].text, out[1].best[0].text);
  EXPECT_EQ(out[1].source.back(), 1);  // the end stays
}

TEST_F(Translating, D18_TokensWithoutAMeaningAreNotGenerated) {
  // The model has more tokens than the tokenizer.
  for (const std::string& text :
       translator({}, 20).translate(std::vector<std::string>{"w3 w4", "w5 w6 w7", "w9"}))
    for (int id = 20; id < kVocabulary; ++id)
      EXPECT_THAT(text, testing::Not(HasSubstr(fmt::format("w{}", id))));
}

TEST_F(Translating, D18_ATokenizerOfAnotherModelIsRefused) {
  EXPECT_THROW(translator({}, kVocabulary + 1), Error);
}

TEST_F(Translating, AnErrorComesAfterTheLinesBeforeIt) {
  Translator t = translator({.search = {.batch_size = 2}});
  for (bool of_line : {false, true}) {
    std::size_t read = 0, written = 0;
    EXPECT_THROW(t.run(
                     [&](Translator::Line& line, bool) {
                       check(of_line || read != 5, Code::read, "broken");
                       if (read < 5) line.text = lines_[read];
                       for (int i = 0; read == 5 && i < 50; ++i) line.text += " too many";
                       ++read;
                       return Translator::Read::line;
                     },
                     [&](const Translation&) { ++written; }),
                 Error);
    EXPECT_EQ(written, 5u);
    EXPECT_EQ(t.translate(std::vector<std::string>{"w3"}),
              translator().translate(std::vector<std::string>{"w3"}));
  }
}

}  // namespace
}  // namespace glossa::test
