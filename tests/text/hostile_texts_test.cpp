// The cases D08 to D10, D15 and D20: long texts, texts that grow, texts of every byte.
#include <gmock/gmock.h>
#include <sys/mman.h>

#include <random>

#include "base/unicode.h"
#include "text/byte_level.h"
#include "text/train_tokenizer.h"
#include "tokenizers.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

Json byte_level(const Merges& merges = {}) {
  std::vector<std::string> pieces(byte_names().begin(), byte_names().end());
  for (const auto& [a, b] : merges) pieces.push_back(a + b);
  const Json step = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return with(with(bpe_json(pieces, merges), "/pre_tokenizer", step), "/decoder", step);
}

// A vocabulary of Llama's kind: some characters, and a piece for each byte.
Json byte_fallback() {
  std::vector<std::string> pieces = {"<unk>", "a", "b", "ab", "狗"};
  for (int b = 0; b < 256; ++b) pieces.push_back(fmt::format("<0x{:02X}>", b));
  return with(with(bpe_json(pieces, {{"a", "b"}}), "/model/byte_fallback", true), "/decoder",
              {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}});
}

std::string all_bytes() {
  std::string bytes(256, 0);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

// Characters of all planes, many of them Chinese or ASCII.
std::string random_text(std::mt19937& random, std::size_t length) {
  std::string text;
  while (length-- > 0) {
    char32_t c = random() % 0x110000;
    switch (random() % 4) {
      case 0:
        c = random() % 0x80;
        break;
      case 1:
        c = 0x4E00 + random() % 0x5200;
        break;
      case 2:
        c = random() % 0x3000;
        break;
      default:
        break;
    }
    utf8_append(text, c >= 0xD800 && c < 0xE000 ? U'狗' : c);
  }
  return text;
}

// ---- length

TEST(HostileTexts, D08_OneCharacterAMillionTimes) {
  Merges merges;
  for (const char* c : {"A", "^", "Z", "å"})  // å: a byte of many Chinese characters
    for (std::string piece = c; piece.size() < 64; piece += piece) merges.emplace_back(piece, piece);
  const Tokenizer bytes = tokenizer_of(byte_level(merges)), fallback = tokenizer_of(byte_fallback());
  const std::pair<std::string, std::size_t> cases[] = {
      {"A", 1'000'000}, {"^", 1'000'000},  {"Z", 131'072},        {"狗", 26'000}, {"学", 300'000},
      {" ", 1'000'000}, {"\n", 1'000'000}, {"\xCC\x81", 300'000}, {"ab", 500'000}};
  for (const auto& [unit, times] : cases) {
    const std::string text = repeated(unit, times);
    EXPECT_EQ(bytes.decode(bytes.encode(text)), text) << unit;
    EXPECT_EQ(fallback.decode(fallback.encode(text)), text) << unit;
  }
  EXPECT_EQ(bytes.encode(repeated("A", 64'000)).size(), 1000u);
}

TEST(HostileTexts, D08_EveryKindOfTrainedVocabularyTakesLongWords) {
  for (const TokenizerKind kind :
       {TokenizerKind::bpe, TokenizerKind::byte_bpe, TokenizerKind::chars, TokenizerKind::words}) {
    TokenizerTrainer trainer({.kind = kind, .vocab_size = 400});
    trainer.add("the dog and the cat AAAA AAAA ^^^^ ^^^^");
    trainer.add("一只狗跑过海滩, 一只狗");
    trainer.add(repeated("A", 100'000) + " " + repeated("狗", 100'000) + " " + repeated("\xCC\x81", 100'000));
    const Tokenizer tokenizer = trainer.train();
    for (const char* unit : {"A", "^", "狗", "\xCC\x81", " ", "a^"}) {
      const std::string text = repeated(unit, 200'000);
      const std::vector<Token> ids = tokenizer.encode(text);
      EXPECT_FALSE(ids.empty());
      EXPECT_EQ(tokenizer.encode_with_offsets(text).ids, ids);
      if (kind == TokenizerKind::byte_bpe) {
        EXPECT_EQ(tokenizer.decode(ids, true), text);
      }
    }
  }
}

// Merges of one long word of every kind take time that is all but linear; the result is that of short words.
TEST(HostileTexts, D09_OneWordOfManyMegabytes) {
  const Tokenizer tokenizer = tokenizer_of(byte_level(
      {{"a", "b"}, {"b", "a"}, {"ab", "ab"}, {"ab", "c"}, {"a", "a"}, {"aa", "aa"}, {"abab", "abab"}}));
  std::mt19937 random(1);
  std::string word;
  while (word.size() < 4u << 20) word += "abcaaab"[random() % 7];
  const std::vector<Token> ids = tokenizer.encode(word);
  EXPECT_EQ(tokenizer.decode(ids), word);
  // A number cuts the word in two, and what is in short words is found without the queue of the long one.
  for (std::size_t at = 0; at + 40 < 4000; at += 40) {
    const std::string part = word.substr(at, 40);
    std::vector<Token> twice = tokenizer.encode(part + "1" + part), once = tokenizer.encode(part);
    once.push_back(tokenizer.id("1").value());
    twice.resize(once.size());
    EXPECT_EQ(twice, once);
  }
}

TEST(HostileTexts, D09_DropoutOfALongWord) {
  const Tokenizer tokenizer = tokenizer_of(byte_level({{"a", "b"}, {"ab", "ab"}}));
  const std::string word = repeated("ab", 100'000);
  std::vector<Token> ids, again;
  tokenizer.encode(word, BpeDropout{0.1, 1, 1}, ids);
  tokenizer.encode(word, BpeDropout{0.1, 1, 1}, again);
  EXPECT_EQ(ids, again);
  EXPECT_EQ(tokenizer.decode(ids), word);
  EXPECT_GT(ids.size(), 50'500u);  // without dropout it is 50,000, with all merges passed over 200,000
  EXPECT_LT(ids.size(), 100'000u);
  ids.clear();
  tokenizer.encode(word, BpeDropout{1, 1, 1}, ids);
  EXPECT_EQ(ids.size(), word.size());
}

TEST(HostileTexts, D08_TokensWithoutAnyTextInAStream) {
  const Tokenizer tokenizer = tokenizer_of(with(bpe_json({"a", "", "b"}), "/decoder", {{"type", "Fuse"}}));
  Tokenizer::Stream stream(tokenizer);
  std::string text = stream.push(0);
  for (int i = 0; i < 200'000; ++i) text += stream.push(1);
  text += stream.push(2);
  EXPECT_EQ(text + stream.finish(), "ab");
}

// ---- growth

Json replacing(std::string_view pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

TEST(HostileTexts, D10_CompatibilityMakesALigatureEighteenCharacters) {
  const Json json =
      with(with(bpe_json({"<unk>", "ا"}), "/model/unk_token", "<unk>"), "/normalizer", {{"type", "NFKC"}});
  const Tokenizer tokenizer = tokenizer_of(json);
  EXPECT_EQ(tokenizer.encode("\xEF\xB7\xBA").size(), 18u);
  EXPECT_EQ(tokenizer.encode(repeated("\xEF\xB7\xBA", 200'000)).size(), 3'600'000u);
}

TEST(HostileTexts, D10_TextGrowsToThirtyTwoTimesItsSizeAtMost) {
  const Json plain = bpe_json({"a", "b", " "});
  Json doubled = Json::array(), renamed = Json::array();
  for (int i = 0; i < 30; ++i) doubled.push_back(replacing("a", "aa"));
  for (int i = 0; i < 30; ++i)
    renamed.push_back(
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  const Json cases[] = {
      with(plain, "/normalizer", replacing("a", std::string(1000, 'b'))),
      with(plain, "/normalizer", {{"type", "Prepend"}, {"prepend", std::string(4 << 20, 'b')}}),
      with(plain, "/normalizer", {{"type", "Sequence"}, {"normalizers", doubled}}),
      with(plain, "/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", renamed}}),
  };
  for (const Json& json : cases) {
    const Tokenizer tokenizer = tokenizer_of(json);
    for (const std::string& text : {std::string(10, 'a') + "狗", repeated("a\xFF ", 10'000)})
      EXPECT_THAT(error_of([&] { tokenizer.encode(text); }),
                  AllOf(StartsWith("E5002"), HasSubstr("at most 32 times as many")))
          << json.dump().substr(0, 200);
  }
  EXPECT_EQ(tokenizer_of(with(plain, "/normalizer", replacing("a", std::string(30, 'b'))))
                .encode(std::string(100'000, 'a'))
                .size(),
            3'000'000u);
}

TEST(HostileTexts, D10_DecodedTextGrowsToThirtyTwoTimesItsSizeAtMost) {
  const std::vector<Token> ids(100'000, 0);
  const Tokenizer bounded =
      tokenizer_of(with(bpe_json({"a"}), "/decoder", replacing("a", std::string(30, 'b'))));
  EXPECT_EQ(bounded.decode(ids).size(), 3'000'000u);
  const Tokenizer hostile =
      tokenizer_of(with(bpe_json({"a"}), "/decoder", replacing("a", std::string(1 << 20, 'b'))));
  EXPECT_THAT(error_of([&] { hostile.decode(ids); }),
              AllOf(StartsWith("E5002"), HasSubstr("more than 32 times longer"), HasSubstr("\"a\"")));
}

// ---- bytes

TEST(HostileTexts, D15_EveryByteComesBack) {
  const Tokenizer bytes = tokenizer_of(byte_level({{"Ġ", "a"}, {"ç", "ĭ"}}));
  const std::string all = all_bytes();
  EXPECT_EQ(bytes.decode_bytes(bytes.encode(all)), all);
  for (const char byte : all) {
    const std::string one(1, byte), many(1000, byte);
    EXPECT_EQ(bytes.decode_bytes(bytes.encode(one)), one);
    EXPECT_EQ(bytes.decode_bytes(bytes.encode(many)), many);
    EXPECT_EQ(bytes.decode(bytes.encode(one)), utf8_repaired(one));
  }
  const Tokenizer fallback = tokenizer_of(byte_fallback());
  for (char32_t c = 0; c < 0x80; ++c)
    EXPECT_EQ(fallback.decode(fallback.encode(std::string(1, static_cast<char>(c)))),
              std::string(1, static_cast<char>(c)));
  EXPECT_EQ(fallback.decode(fallback.encode(all)), utf8_repaired(all));
}

TEST(HostileTexts, D15_EveryTextComesBack) {
  const Tokenizer tokenizers[] = {tokenizer_of(byte_level({{"Ġ", "a"}, {"ç", "ĭ"}})),
                                  tokenizer_of(byte_fallback())};
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = random_text(random, random() % 60);
    for (const Tokenizer& tokenizer : tokenizers) {
      const std::vector<Token> ids = tokenizer.encode(text);
      EXPECT_EQ(tokenizer.decode(ids), text);
      std::vector<Token> dropped;
      tokenizer.encode(text, BpeDropout{0.5, 1, static_cast<std::uint64_t>(i)}, dropped);
      EXPECT_EQ(tokenizer.decode(dropped), text);
      Tokenizer::Stream stream(tokenizer);
      std::string streamed;
      for (const Token id : ids) streamed += stream.push(id);
      EXPECT_EQ(streamed + stream.finish(), text);
    }
  }
}

// As the library has it: a byte without a name is unknown, and left out where nothing stands for the unknown.
TEST(HostileTexts, D15_BytesThatAVocabularyLacks) {
  const auto lacking = [](Json json, const char* piece,
                          int last_id) {  // the last piece takes the id of the one that goes
    Json& vocabulary = json["model"]["vocab"];
    const Json id = vocabulary[piece];
    vocabulary.erase(piece);
    for (auto& [name, value] : vocabulary.items())
      if (value == last_id) value = id;
    return json;
  };
  const Json bytes = lacking(byte_level(), "x", 255);
  EXPECT_EQ(tokenizer_of(bytes).decode(tokenizer_of(bytes).encode("axb")), "ab");
  const Tokenizer unknown = tokenizer_of(with(bytes, "/model/unk_token", "?"));
  EXPECT_EQ(unknown.decode(unknown.encode("axxb")), "a??b");
  const Tokenizer fused = tokenizer_of(with(with(bytes, "/model/unk_token", "?"), "/model/fuse_unk", true));
  EXPECT_EQ(fused.decode(fused.encode("axxb")), "a?b");
  // Of a character all bytes are there, or it is unknown.
  const Tokenizer fallback =
      tokenizer_of(with(lacking(byte_fallback(), "<0xAD>", 260), "/model/unk_token", "<unk>"));
  EXPECT_THAT(fallback.encode("ab中ab"), ElementsAre(3, 0, 3));
  EXPECT_EQ(fallback.decode(fallback.encode("é")), "é");
}

TEST(HostileTexts, D15_FallbackBytesThatFormNoCharacter) {
  const Tokenizer tokenizer = tokenizer_of(byte_fallback());
  const auto byte = [&](int b) { return tokenizer.id(fmt::format("<0x{:02X}>", b)).value(); };
  const std::vector<Token> ids = {1,          byte(0xE7), byte(0x8B), 2,
                                  byte(0xFF), byte(0xE7), byte(0x8B), byte(0x97)};
  EXPECT_EQ(tokenizer.decode(ids), "a\uFFFD\uFFFDb\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer.decode_bytes(ids),
            "a\xE7\x8B"
            "b\xFF\xE7\x8B\x97");
}

// ---- size

TEST(HostileTexts, D20_TextsOfTwoGibibytes) {
  const std::size_t size = std::size_t{1} << 31;
  void* const zeros = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                           0);  // takes no memory until read
  ASSERT_NE(zeros, MAP_FAILED);
  const std::string_view text(static_cast<const char*>(zeros), size);
  const Tokenizer tokenizer = tokenizer_of(byte_level());
  const auto refused =
      AllOf(StartsWith("E5002"), HasSubstr("2147483648 bytes"), HasSubstr("at most 2147483647"));
  std::vector<Token> ids;
  EXPECT_THAT(error_of([&] { tokenizer.encode(text, ids); }), refused);
  EXPECT_THAT(error_of([&] { tokenizer.encode(text, BpeDropout{0.1, 1, 1}, ids); }), refused);
  EXPECT_THAT(error_of([&] { tokenizer.encode_with_offsets(text); }), refused);
  EXPECT_THAT(error_of([&] { tokenizer.encode_lines(std::span(&text, 1)); }), refused);
  munmap(zeros, size);
}

}  // namespace
}  // namespace glossa::test
