// The cases B20 to B27 as far as they concern what a file says of a model: its vocabulary, its keys, its template.
#include "checkpoint/gguf.h"

#include <gmock/gmock.h>

#include <cmath>

#include "checkpoint/gguf_file.h"
#include "files.h"
#include "gguf_files.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kFloats24 = all_of(std::vector<float>{1, 2, 3, 4, 5, 6});

GgufBytes small() {
  GgufBytes g;
  g.text("general.architecture", "llama").key("llama.block_count", kU32, u32(2));
  g.tensor("a.weight", {3, 2}, kTensorF32, kFloats24).tensor("b", {4}, kTensorF16, std::string(8, '\1'));
  return g;
}

GgufBytes vocabulary() {
  GgufBytes g;
  return g.strings("tokenizer.ggml.tokens", {"a", "b", "ab", "c d"});
}

TEST(Gguf, B20_TablesOfTokensThatDoNotFit) {
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

TEST(Gguf, B20_MergesOfTokensThatThereAreNot) {
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

TEST(Gguf, B21_SpecialTokensOutsideOfTheVocabulary) {
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

TEST(Gguf, B22_KeysOfArchitecturesAreReadByTypeAndRange) {
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

TEST(Gguf, B23_TemplatesAreOnlyText) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{% if a %}";
  for (const std::string& text : {"{% for i in range(10**9) %}x{% endfor %}"s, deep,
                                  "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"s})
    EXPECT_EQ(parse_gguf(as_bytes(GgufBytes().text("tokenizer.chat_template", text).file()), "f")
                  .metadata.text("tokenizer.chat_template"),
              text);
}

TEST(Gguf, B25_BytesBehindTheTensors) {
  const std::string good = small().file() + std::string(24, '\0');
  EXPECT_THAT(gguf_refusal(good + "x"),
              AllOf(StartsWith("E3105"), HasSubstr("1 bytes after the last tensor")));
  EXPECT_THAT(gguf_refusal(good + good),
              HasSubstr(fmt::format("{} bytes after the last tensor", good.size())));
  EXPECT_THAT(gguf_refusal(GgufBytes().file() + "x"), HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(gguf_refusal(GgufBytes().header() + std::string(41, '\0')),
              HasSubstr("33 bytes after the last tensor"));
}

TEST(Gguf, B27_DataShorterThanDeclared) {
  const std::string good = GgufBytes().tensor("w", {256, 4}, kTensorQ8_0, std::string(1088, 'x')).file();
  EXPECT_EQ(gguf_refusal(good), "");
  EXPECT_THAT(
      gguf_refusal(good.substr(0, good.size() - 1)),
      AllOf(StartsWith("E3105"),
            HasSubstr(
                "cut short: tensor \"w\" needs 1088 bytes from byte 0 of the data on, and there are 1087")));
}

TEST(Gguf, ManyTensorsAreReadInLinearTime) {
  GgufBytes g;
  for (int i = 0; i < 200'000; ++i)
    g.line(fmt::format("blk.{}.weight", i), {1}, 24, static_cast<std::uint64_t>(i) * 32);
  const std::string file = g.file() + std::string(32 * 200'000, 'x');
  const double seconds = cpu_seconds([&] { EXPECT_EQ(gguf_refusal(file), ""); });
  EXPECT_LT(seconds, bound(1));
}

}  // namespace
}  // namespace glossa
