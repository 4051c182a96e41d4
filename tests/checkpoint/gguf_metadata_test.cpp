// The values of GGUF metadata, and the cases B20 to B23.
#include "checkpoint/gguf_metadata.h"

#include <gmock/gmock.h>

#include <cmath>

#include "files.h"
#include "gguf_files.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(GgufMetadata, KeepsEveryTypeOfValue) {
  GgufBytes g;
  g.key("u8", kU8, raw<std::uint8_t>(200)).key("i8", kI8, raw<std::int8_t>(-100));
  g.key("u16", kU16, raw<std::uint16_t>(60'000)).key("i16", kI16, raw<std::int16_t>(-30'000));
  g.key("u32", kU32, raw<std::uint32_t>(4'000'000'000)).key("i32", kI32, raw<std::int32_t>(-2'000'000'000));
  g.key("u64", kU64, raw<std::uint64_t>(UINT64_MAX)).key("i64", kI64, raw<std::int64_t>(INT64_MIN));
  g.key("f32", kF32, raw(0.1f)).key("f64", kF64, raw(0.1)).key("yes", kBool, "\1"s).key("no", kBool, "\0"s);
  g.text("text", "a\0\xFF b"s).strings("strings", {"", "x", "\xFE\0y"s});
  g.array("bytes", kU8, 3, "\1\2\3").array("truths", kBool, 2, "\1\0"s);
  g.array("whole", kI16, 2, all_of(std::vector<std::int16_t>{-5, 7})).array("none", kF64, 0, "");
  g.array("real", kF32, 2, all_of(std::vector<float>{0.5, -1}));
  const GgufHeader header = parse_gguf(as_bytes(g.file()), "f");
  const GgufMetadata& m = header.metadata;
  EXPECT_EQ(m.integer("u8"), 200);
  EXPECT_EQ(m.integer("i8"), -100);
  EXPECT_EQ(m.integer("u16"), 60'000);
  EXPECT_EQ(m.integer("i16"), -30'000);
  EXPECT_EQ(m.integer("u32"), 4'000'000'000);
  EXPECT_EQ(m.integer("i32"), -2'000'000'000);
  EXPECT_EQ(m.integer("i64"), INT64_MIN);
  EXPECT_EQ(std::get<std::uint64_t>(*m.find("u64")), UINT64_MAX);
  EXPECT_EQ(m.number("f32"), double{0.1f});
  EXPECT_EQ(m.number("f64"), 0.1);
  EXPECT_EQ(m.number("i8"), -100);
  EXPECT_TRUE(m.boolean("yes"));
  EXPECT_FALSE(m.boolean("no"));
  EXPECT_EQ(m.text("text"), "a\0\xFF b"s);
  const GgufArray& strings = m.strings("strings");
  ASSERT_EQ(strings.size(), 3u);
  EXPECT_EQ(strings.text(0), "");
  EXPECT_EQ(strings.text(1), "x");
  EXPECT_EQ(strings.text(2), "\xFE\0y"s);
  EXPECT_THAT(m.integers("bytes"), ElementsAre(1, 2, 3));
  EXPECT_EQ(std::get<GgufArray>(*m.find("truths")).integer(0), 1);
  EXPECT_THAT(m.integers("whole"), ElementsAre(-5, 7));
  EXPECT_THAT(m.numbers("real"), ElementsAre(0.5, -1));
  EXPECT_THAT(m.numbers("whole"), ElementsAre(-5, 7));
  EXPECT_THAT(m.numbers("none"), ElementsAre());
  std::vector<std::string> order;
  for (const auto& [key, value] : m.entries()) order.push_back(key);
  EXPECT_EQ(order.front(), "u8");
  EXPECT_EQ(order.back(), "real");
}

TEST(GgufMetadata, AVocabularyTakesLittleMoreThanItsText) {
  constexpr std::uint64_t kTokens = 262'144;
  std::string all;
  for (std::uint64_t i = 0; i < kTokens; ++i) all += counted(fmt::format("token{}", i));
  GgufBytes g;
  g.array("tokenizer.ggml.tokens", kString, kTokens, all);
  const std::string file = g.file();
  std::optional<GgufHeader> header;
  const double growth = peak_growth([&] { header = parse_gguf(as_bytes(file), "f"); });
  EXPECT_LT(growth, bound(8));  // 3 MB of text, and 2 MB to find it
  EXPECT_EQ(header->metadata.strings("tokenizer.ggml.tokens").text(kTokens - 1), "token262143");
}

GgufBytes vocabulary() {
  GgufBytes g;
  return g.strings("tokenizer.ggml.tokens", {"a", "b", "ab", "c d"});
}

TEST(GgufMetadata, B20_TablesOfTokensThatDoNotFit) {
  const std::string floats(16, '\0'), twelve(12, '\0');
  EXPECT_EQ(gguf_refusal(vocabulary()
                             .array("tokenizer.ggml.scores", kF32, 4, floats)
                             .array("tokenizer.ggml.token_type", kI32, 4, floats)
                             .file()),
            "");
  EXPECT_THAT(
      gguf_refusal(vocabulary().array("tokenizer.ggml.scores", kF32, 3, twelve).file()),
      AllOf(StartsWith("E3105"), HasSubstr("4 tokens, 3 scores and 4 token types do not fit each other")));
  EXPECT_THAT(gguf_refusal(vocabulary()
                               .array("tokenizer.ggml.scores", kF32, 4, floats)
                               .array("tokenizer.ggml.token_type", kI32, 3, twelve)
                               .file()),
              HasSubstr("4 tokens, 4 scores and 3 token types"));
  EXPECT_THAT(gguf_refusal(vocabulary().text("tokenizer.ggml.scores", "x").file()),
              HasSubstr("an array of numbers is wanted"));
  EXPECT_THAT(gguf_refusal(vocabulary().array("tokenizer.ggml.token_type", kF32, 4, floats).file()),
              HasSubstr("is an array of 4 FLOAT32, and an array of whole numbers is wanted"));
  EXPECT_THAT(
      gguf_refusal(vocabulary()
                       .array("tokenizer.ggml.scores", kF32, 4, all_of(std::vector<float>{0, 0, NAN, 0}))
                       .file()),
      HasSubstr("element 2 of \"tokenizer.ggml.scores\" is nan"));
  EXPECT_THAT(gguf_refusal(GgufBytes().array("tokenizer.ggml.tokens", kU8, 1, "x").file()),
              HasSubstr("array of strings is wanted"));
  EXPECT_THAT(gguf_refusal(vocabulary().file(), {.vocabulary = 3}), StartsWith("E5004"));
}

TEST(GgufMetadata, B20_MergesOfTokensThatThereAreNot) {
  const auto merges = [](std::vector<std::string> list) {
    return gguf_refusal(vocabulary().strings("tokenizer.ggml.merges", list).file());
  };
  EXPECT_EQ(merges({"a b", "ab c\u0120d"}), "");
  EXPECT_THAT(
      merges({"a b", "a z"}),
      AllOf(StartsWith("E3105"), HasSubstr("merge 1 is \"a z\", and \"z\" is not among the 4 tokens")));
  for (const char* merge : {"", "a", " ", "ab"}) EXPECT_THAT(merges({merge}), HasSubstr("not two tokens"));
  for (const char* merge : {"a ", "a  b", " a"}) EXPECT_THAT(merges({merge}), StartsWith("E3105"));
}

TEST(GgufMetadata, B21_SpecialTokensOutsideOfTheVocabulary) {
  for (const char* key :
       {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id"}) {
    EXPECT_EQ(gguf_refusal(vocabulary().key(key, kU32, u32(3)).file()), "");
    EXPECT_THAT(gguf_refusal(vocabulary().key(key, kU32, u32(4)).file()),
                AllOf(StartsWith("E3105"),
                      HasSubstr(fmt::format("the value of \"{}\" is 4, and 0 to 3 are allowed", key))));
    EXPECT_THAT(gguf_refusal(vocabulary().key(key, kI32, raw<std::int32_t>(-1)).file()),
                HasSubstr("is -1, and 0 to 3"));
    EXPECT_THAT(gguf_refusal(vocabulary().key(key, kU64, u64(UINT64_MAX)).file()),
                HasSubstr("is too large, and 0 to 3"));
    EXPECT_THAT(gguf_refusal(vocabulary().text(key, "3").file()), HasSubstr("a whole number is wanted"));
    EXPECT_EQ(gguf_refusal(GgufBytes().key(key, kU32, u32(4)).file()), "");  // no vocabulary here
  }
}

TEST(GgufMetadata, B22_KeysOfArchitecturesAreReadByTypeAndRange) {
  GgufBytes g;
  g.text("llama.block_count", "two")
      .key("llama.layers", kU32, u32(0x80000000))
      .key("llama.heads", kU32, u32(0));
  g.key("llama.eps", kF32, raw(NAN)).key("llama.rope", kF32, raw(0.0f)).key("llama.flag", kU8, "\1");
  g.array("llama.kv", kI32, 3, all_of(std::vector<std::int32_t>{4, 0, 2})).key("llama.all", kU32, u32(7));
  const GgufHeader header = parse_gguf(as_bytes(g.file()), "m.gguf");
  const GgufMetadata& m = header.metadata;
  const auto integer = [&](const char* key, Between<std::int64_t> allowed = {}) {
    return error_of([&] { m.integer(key, allowed); });
  };
  EXPECT_EQ(integer("llama.missing"), "E3105 m.gguf: the key \"llama.missing\" is missing");
  EXPECT_EQ(
      integer("llama.block_count"),
      "E3105 m.gguf: the value of \"llama.block_count\" is of type STRING, and a whole number is wanted");
  EXPECT_EQ(integer("llama.layers", {1, 1024}),
            "E3105 m.gguf: the value of \"llama.layers\" is 2147483648, and 1 to 1024 are allowed");
  EXPECT_EQ(integer("llama.heads", {.least = 1}),
            "E3105 m.gguf: the value of \"llama.heads\" is 0, and 1 or more is allowed");
  EXPECT_THAT(integer("llama.kv"), HasSubstr("is an array of 3 INT32, and a whole number is wanted"));
  EXPECT_THAT(integer("llama.eps"), HasSubstr("is of type FLOAT32, and a whole number is wanted"));
  EXPECT_THAT(error_of([&] { m.number("llama.eps"); }), HasSubstr("is nan, which is no finite number"));
  EXPECT_THAT(error_of([&] { m.number("llama.rope", {.least = 1}); }),
              HasSubstr("is 0, and 1 or more is allowed"));
  EXPECT_THAT(error_of([&] { m.number("llama.block_count"); }), HasSubstr("a number is wanted"));
  EXPECT_THAT(error_of([&] { m.boolean("llama.flag"); }),
              HasSubstr("is of type UINT8, and a truth value is wanted"));
  EXPECT_THAT(error_of([&] { m.text("llama.flag"); }), HasSubstr("a string is wanted"));
  EXPECT_THAT(error_of([&] { m.strings("llama.kv"); }), HasSubstr("an array of strings is wanted"));
  EXPECT_THAT(error_of([&] {
                m.integers("llama.kv", {1, 8});
              }),
              HasSubstr("element 1 of \"llama.kv\" is 0, and 1 to 8 are"));
  EXPECT_THAT(m.for_each("llama.kv", 3), ElementsAre(4, 0, 2));
  EXPECT_THAT(m.for_each("llama.all", 2), ElementsAre(7, 7));
  EXPECT_THAT(error_of([&] { m.for_each("llama.kv", 4); }), HasSubstr("has 3 elements, and 4 are wanted"));
  EXPECT_EQ(m.integer_or("llama.missing", 5), 5);
  EXPECT_EQ(m.integer_or("llama.all", 5), 7);
  EXPECT_EQ(m.number_or("llama.missing", 0.5), 0.5);
  EXPECT_EQ(m.boolean_or("llama.missing", true), true);
  EXPECT_EQ(m.text_or("llama.missing", "x"), "x");
  EXPECT_THAT(error_of([&] { m.integer_or("llama.block_count", 1); }), HasSubstr("a whole number is wanted"));
}

TEST(GgufMetadata, B23_TemplatesAreOnlyText) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{% if a %}";
  for (const std::string& text : {"{% for i in range(10**9) %}x{% endfor %}"s, deep,
                                  "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"s})
    EXPECT_EQ(parse_gguf(as_bytes(GgufBytes().text("tokenizer.chat_template", text).file()), "f")
                  .metadata.text("tokenizer.chat_template"),
              text);
}

TEST(GgufMetadata, KeysAreReplacedInPlaceAndErased) {
  GgufMetadata m;
  for (const char* key : {"a", "b", "c", "d"}) m.set(key, std::string(key));
  m.set("b", 7);
  m.erase("c");
  m.erase("x");
  ASSERT_EQ(m.entries().size(), 3u);
  EXPECT_EQ(m.entries()[1].first, "b");
  EXPECT_EQ(m.integer("b"), 7);
  EXPECT_FALSE(m.has("c"));
  EXPECT_EQ(m.text("a") + m.text("d"), "ad");
  m.erase("a");
  m.set("c", true);
  EXPECT_EQ(m.text("d"), "d");
  EXPECT_TRUE(m.boolean("c"));
  EXPECT_THAT(error_of([] { GgufArray(GgufType::string, Bytes()); }), StartsWith("E1000"));
}

}  // namespace
}  // namespace glossa
