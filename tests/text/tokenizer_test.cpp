#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "text/tokenizer.h"
#include "text/train_tokenizer.h"

// Against golden/*.json, which tools/make_tokenizer_goldens.py wrote with the library `tokenizers`.
namespace glossa::test {
namespace {

std::vector<fs::path> golden_files() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(GLOSSA_SOURCE_DIR "/tests/text/golden")) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

class Golden : public testing::TestWithParam<fs::path> {
 protected:
  void SetUp() override {
    golden_ = read_json(GetParam());
    tokenizer_.emplace(Tokenizer::parse(golden_["tokenizer"].dump(), "golden"));
  }
  Json golden_;
  std::optional<Tokenizer> tokenizer_;
};

TEST_P(Golden, IdsOffsetsAndTextsAreTheLibrarys) {
  for (const Json& c : golden_["cases"]) {
    const auto text = c["text"].get<std::string>();
    SCOPED_TRACE(text);
    const auto ids = c["ids"].get<std::vector<Token>>();
    EXPECT_EQ(tokenizer_->encode(text), ids);
    const Encoding encoding = tokenizer_->encode_with_offsets(text);
    EXPECT_EQ(encoding.ids, ids);
    if (c.contains("offsets")) {
      ASSERT_EQ(encoding.offsets.size(), c["offsets"].size());
      for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(encoding.offsets[i].begin, c["offsets"][i][0].get<std::size_t>()) << "token " << i;
        EXPECT_EQ(encoding.offsets[i].end, c["offsets"][i][1].get<std::size_t>()) << "token " << i;
      }
    }
    EXPECT_EQ(tokenizer_->decode(ids, true), c["decoded"].get<std::string>());
  }
}

TEST_P(Golden, WhatWeWriteWeReadAsTheSame) {
  const std::string written = tokenizer_->to_json();
  const Tokenizer again = Tokenizer::parse(written, "written");
  EXPECT_EQ(again.to_json(), written);
  EXPECT_EQ(again.hash(), tokenizer_->hash());
  for (const Json& c : golden_["cases"])
    EXPECT_EQ(again.encode(c["text"].get<std::string>()), c["ids"].get<std::vector<Token>>());
}

TEST_P(Golden, LinesTogetherAreLinesAlone) {
  std::vector<std::string> texts;
  for (const Json& c : golden_["cases"]) texts.push_back(c["text"].get<std::string>());
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto together = tokenizer_->encode_lines(views);
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(together[i], tokenizer_->encode(texts[i]));
}

// Arriving token by token, text is what it is at once, and never ends within a character.
TEST_P(Golden, StreamsOfTokensGiveTheSameText) {
  for (const Json& c : golden_["cases"]) {
    const auto ids = c["ids"].get<std::vector<Token>>();
    Tokenizer::Stream stream(*tokenizer_);
    std::string text;
    for (const Token id : ids) {
      text += stream.push(id);
      EXPECT_FALSE(utf8_error(text).has_value());
    }
    EXPECT_EQ(text + stream.finish(), tokenizer_->decode(ids, true));
  }
}

// Tokens that no text has in this order, such as the bytes of half a character.
TEST_P(Golden, StreamsOfAnyTokensGiveTheTextOfThemAll) {
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    std::vector<Token> ids(random() % 12);
    for (Token& id : ids) id = static_cast<Token>(random() % static_cast<std::uint64_t>(tokenizer_->size()));
    Tokenizer::Stream stream(*tokenizer_, false);
    std::string text;
    for (const Token id : ids) text += stream.push(id);
    EXPECT_EQ(text + stream.finish(), utf8_repaired(tokenizer_->decode_bytes(ids)));
  }
}

TEST_P(Golden, TrainingLearnsWhatTheLibraryLearns) {
  if (!golden_.contains("trained")) return;  // made of components that training here does not use
  const Json& t = golden_["trained"];
  TokenizerTraining how;
  how.kind = t["type"] == "bpe" ? TokenizerKind::bpe : t["type"] == "byte_bpe" ? TokenizerKind::byte_bpe : TokenizerKind::words;
  how.vocab_size = t["vocab_size"].get<std::int64_t>();
  TokenizerTrainer trainer(how);
  for (const Json& text : t["texts"]) trainer.add(text.get<std::string>());
  const Tokenizer trained = trainer.train();
  for (const Json& c : golden_["cases"])
    EXPECT_EQ(trained.encode(c["text"].get<std::string>()), c["ids"].get<std::vector<Token>>()) << c["text"];
}

std::string name_of_golden(const testing::TestParamInfo<fs::path>& info) { return info.param.stem().string(); }
INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(golden_files()), name_of_golden);

Tokenizer byte_level() {
  TokenizerTrainer trainer({.kind = TokenizerKind::byte_bpe, .vocab_size = 300});
  trainer.add("the dog and the cat");
  trainer.add("一只狗跑过海滩");
  return trainer.train();
}

// Random characters of all planes, with spaces and repetitions.
std::string random_text(std::mt19937& random) {
  std::string text;
  for (unsigned i = random() % 40; i > 0; --i) {
    char32_t c = random() % 0x110000;
    switch (random() % 4) {
      case 0: c = ' ' + random() % 95; break;
      case 1: c = 0x4E00 + random() % 0x5200; break;
      case 2: c = random() % 0x3000; break;
      default: break;
    }
    if (c >= 0xD800 && c < 0xE000) c = U'狗';
    utf8_append(text, c);
  }
  return text;
}

TEST(ByteLevel, EveryTextComesBackByteForByte) {
  const Tokenizer tokenizer = byte_level();
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = random_text(random);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, false)), text);
  }
  std::string bytes(256, 0);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<char>(i);
  EXPECT_EQ(tokenizer.decode_bytes(tokenizer.encode(bytes, false)), bytes);
}

TEST(ByteLevel, OffsetsCoverTheText) {
  const Tokenizer tokenizer = byte_level();
  const std::string text = "the 狗 and  the cat";
  const Encoding encoding = tokenizer.encode_with_offsets(text, false);
  std::size_t end = 0;
  for (const Offsets& o : encoding.offsets) {
    EXPECT_LE(o.begin, end);
    end = std::max<std::size_t>(end, o.end);
  }
  EXPECT_EQ(end, text.size());
}

TEST(BpeDropout, IsAFunctionOfSeedAndSampleAndAlwaysDecodesToTheText) {
  const Tokenizer tokenizer = byte_level();
  const std::string text = "the dog and the cat";
  std::set<std::vector<Token>> ways;
  for (std::uint64_t sample = 0; sample < 20; ++sample) {
    std::vector<Token> a, b;
    tokenizer.encode(text, BpeDropout{0.5, 1, sample}, a, false);
    tokenizer.encode(text, BpeDropout{0.5, 1, sample}, b, false);
    EXPECT_EQ(a, b);
    EXPECT_EQ(tokenizer.decode(a), text);
    ways.insert(a);
  }
  EXPECT_GT(ways.size(), 5u);
  std::vector<Token> none;
  tokenizer.encode(text, BpeDropout{0, 1, 0}, none, false);
  EXPECT_EQ(none, tokenizer.encode(text, false));
}

// Merges of one long word must not take quadratic time: this is seconds or microseconds.
TEST(Bpe, AVeryLongWordIsDoneAtOnce) {
  const Tokenizer tokenizer = byte_level();
  const std::string word(1 << 20, 'e');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(word, false)), word);
}

TEST(Damaged, FilesAreRefusedWithAReason) {
  const std::string good = byte_level().to_json();
  for (std::size_t length = 0; length < good.size() - 2; length += 97)
    EXPECT_THROW(Tokenizer::parse(std::string_view(good).substr(0, length), "cut"), Error) << length;
  Json json = Json::parse(good);
  json["model"]["merges"].push_back("no such");
  EXPECT_THAT([&] { Tokenizer::parse(json.dump(), "tokenizer.json"); }, testing::Throws<Error>(testing::Property(&Error::code, Code::tokenizer)));
  json = Json::parse(good);
  json["model"]["type"] = "Magic";
  EXPECT_THAT([&] { Tokenizer::parse(json.dump(), "tokenizer.json"); }, testing::Throws<Error>(testing::Property(&Error::code, Code::tokenizer)));
}

}  // namespace
}  // namespace glossa::test
