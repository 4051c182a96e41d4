// Vocabularies that are not in a tokenizer.json: SentencePiece models (against sentencepiece/*.json, which
// tools/make_sentencepiece_goldens.py wrote), vocab.json with merges.txt, vocab.txt, and those of GGUF files
// (against the tokenizers of golden/*.json, which are the library's).
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "support/in_folder.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer_classes.h"
#include "text/vocabulary_files.h"
#include "tokenizers.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const fs::path kTests = GLOSSA_SOURCE_DIR "/tests/text";

class SentencePieceGolden : public testing::TestWithParam<const char*> {};

TEST_P(SentencePieceGolden, IdsAndTextsAreThoseOfTheClass) {
  const fs::path file = kTests / "sentencepiece" / (std::string(GetParam()) + ".model");
  for (const Json& way : read_json(kTests / "sentencepiece" / (std::string(GetParam()) + ".json"))) {
    SCOPED_TRACE(way["config"].dump());
    const TokenizerConfig config = parse_tokenizer_config(way["config"].dump(), "tokenizer_config.json");
    const Tokenizer tokenizer(
        tokenizer_of_sentencepiece(parse_sentencepiece(read_file(file), "model"), config));
    const Tokenizer again = Tokenizer::parse(tokenizer.to_json(), "written");
    for (const Json& c : way["cases"]) {
      const auto text = c["text"].get<std::string>();
      const auto ids = c["ids"].get<std::vector<Token>>();
      EXPECT_EQ(tokenizer.encode(text), ids) << text;
      EXPECT_EQ(again.encode(text), ids) << text;
      if (c.contains("decoded")) {
        EXPECT_EQ(tokenizer.decode(ids, true), c["decoded"].get<std::string>()) << text;
      }
      Tokenizer::Stream stream(tokenizer);
      std::string streamed;
      for (const Token id : ids) {
        streamed += stream.push(id);
        EXPECT_FALSE(utf8_error(streamed).has_value());
      }
      EXPECT_EQ(streamed + stream.finish(), tokenizer.decode(ids, true)) << text;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Models, SentencePieceGolden, testing::Values("bpe", "unigram"));

// ---- GGUF

// What a converter writes into a GGUF file for a tokenizer.json.
struct GgufSource {
  std::vector<std::string> tokens, merges;
  GgufVocabulary vocabulary;

  GgufSource(const Json& json, const std::string& model, const std::string& pre) {
    const Json& from = json["model"];
    const bool listed = from["vocab"].is_array();
    tokens.resize(from["vocab"].size());
    for (std::size_t i = 0; listed && i < tokens.size(); ++i) {
      tokens[i] = from["vocab"][i][0];
      vocabulary.scores.push_back(from["vocab"][i][1]);
    }
    if (!listed)
      for (const auto& [piece, id] : from["vocab"].items()) tokens[id.get<std::size_t>()] = piece;
    vocabulary.token_types.assign(tokens.size(), 1);
    for (const Json& added : json["added_tokens"])
      if (added["id"] < tokens.size()) vocabulary.token_types[added["id"].get<std::size_t>()] = 3;
    if (model == "bert")
      for (std::size_t i = 0; i < tokens.size(); ++i)
        if (vocabulary.token_types[i] == 1)
          tokens[i] = tokens[i].starts_with("##") ? tokens[i].substr(2) : "\xE2\x96\x81" + tokens[i];
    if (from.contains("merges"))
      for (const Json& m : from["merges"])
        merges.push_back(m[0].get<std::string>() + " " + m[1].get<std::string>());
    vocabulary.model = model;
    vocabulary.pre = pre;
    for (const std::string& t : tokens) vocabulary.tokens.push_back(t);
    for (const std::string& m : merges) vocabulary.merges.push_back(m);
  }
};

struct GgufCase {
  const char *golden, *model, *pre;
};

class GgufGolden : public testing::TestWithParam<GgufCase> {};

TEST_P(GgufGolden, IdsAreThoseOfTheTokenizerJson) {
  const auto [golden, model, pre] = GetParam();
  const Json json = read_json(kTests / "golden" / (std::string(golden) + ".json"));
  GgufSource source(json["tokenizer"], model, pre);
  GgufVocabulary& v = source.vocabulary;
  v.add_bos_token = v.add_eos_token = false;
  v.unknown_token_id = 2;
  v.cls_token_id = 0, v.seperator_token_id = 1, v.mask_token_id = 0;
  const Tokenizer tokenizer(tokenizer_of_gguf(v)), peer = tokenizer_of(json["tokenizer"]);
  for (const Json& c : json["cases"]) {
    const auto text = c["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, false), peer.encode(text, false)) << text;
  }
}
INSTANTIATE_TEST_SUITE_P(
    Files, GgufGolden,
    testing::Values(GgufCase{"byte_bpe", "gpt2", "gpt-2"}, GgufCase{"cl100k", "gpt2", "llama-bpe"},
                    GgufCase{"qwen2", "gpt2", "stablelm2"}, GgufCase{"o200k", "gpt2", "gpt-4o"},
                    GgufCase{"deepseek", "gpt2", "deepseek-v3"}, GgufCase{"bloom", "gpt2", "bloom"},
                    GgufCase{"falcon", "gpt2", "falcon"}));

TEST(GgufVocabulary, WordPieceIsTheTokenizerJsons) {
  Json json = read_json(kTests / "golden" / "word_piece.json");
  json["tokenizer"]["model"]["max_input_chars_per_word"] = 100;
  GgufSource source(json["tokenizer"], "bert", "");
  GgufVocabulary& v = source.vocabulary;
  v.unknown_token_id = 2, v.cls_token_id = 0, v.seperator_token_id = 1, v.mask_token_id = 0,
  v.padding_token_id = 0;
  const Tokenizer tokenizer(tokenizer_of_gguf(v)), peer = tokenizer_of(json["tokenizer"]);
  for (const Json& c : json["cases"])
    EXPECT_EQ(tokenizer.encode(c["text"].get<std::string>()), peer.encode(c["text"].get<std::string>()))
        << c["text"];
}

// A SentencePiece model, as its vocabulary, scores and types go into a GGUF file; the kind t5 is read as the
// class of T5 does, which takes line ends and tabs for spaces whether or not the charsmap does.
TEST(GgufVocabulary, LlamaAndT5AreSentencePieces) {
  for (const auto& [kind, way] : {std::pair("bpe", 0), {"unigram", 1}}) {
    const fs::path file = kTests / "sentencepiece" / (std::string(kind) + ".model");
    const SentencePieceModel model = parse_sentencepiece(read_file(file), "model");
    GgufVocabulary v;
    v.model = way == 0 ? "llama" : "t5";
    v.add_bos_token = false;
    v.add_eos_token = way == 1;
    v.eos_token_id = 2;
    v.unknown_token_id = way == 0 ? 0 : 2;  // where the class has it whatever the model says
    v.add_space_prefix = model.add_dummy_prefix;
    v.remove_extra_whitespaces = model.remove_extra_whitespaces;
    v.precompiled_charsmap = model.precompiled_charsmap;
    for (const auto& piece : model.pieces) {
      v.tokens.push_back(piece.text);
      v.scores.push_back(static_cast<float>(piece.score));
      v.token_types.push_back(static_cast<std::int32_t>(piece.kind));
    }
    const Tokenizer tokenizer(tokenizer_of_gguf(v));
    const Json golden = read_json(kTests / "sentencepiece" / (std::string(kind) + ".json"));
    for (const Json& c : golden[way]["cases"]) {
      const auto text = c["text"].get<std::string>();
      if (text.find("</s>") != text.npos) continue;  // a class finds its own tokens in texts
      EXPECT_EQ(tokenizer.encode(text), c["ids"].get<std::vector<Token>>()) << text;
    }
  }
}

// Files hold them with spaces for the marks; the published tokenizers find marks in texts, too.
TEST(GgufVocabulary, RunsOfSpacesAreMarks) {
  const std::string mark = "\xE2\x96\x81";
  GgufVocabulary v;
  v.model = "llama";
  v.add_bos_token = v.add_space_prefix = false;
  const std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "  ", "   ", mark, "a", "b", mark + "a", mark + "b"};
  v.tokens = {tokens.begin(), tokens.end()};
  v.scores = {0, 0, 0, -1000, -1000, -5, -6, -7, -1, -2};
  v.token_types = {2, 3, 3, 4, 4, 1, 1, 1, 1, 1};
  const Tokenizer tokenizer(tokenizer_of_gguf(v));
  const std::pair<std::string, std::vector<Token>> cases[] = {
      {"a b", {6, 9}},
      {"a  b", {6, 3, 7}},
      {"a   b", {6, 4, 7}},
      {"a    b", {6, 4, 9}},
      {"a " + mark + "b", {6, 3, 7}},
      {"a" + mark + mark + " b", {6, 3, 9}},
      {mark + "a", {8}},
  };
  for (const auto& [text, ids] : cases) EXPECT_EQ(tokenizer.encode(text), ids) << text;
  EXPECT_EQ(tokenizer.decode(std::vector<Token>{6, 4, 9}, false), "a    b");
}

// As special tokens of the published tokenizers are.
TEST(GgufVocabulary, TheUnknownTokenIsFoundInTexts) {
  GgufVocabulary v{.model = "llama", .tokens = {"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a", "[PAD5]"}};
  v.scores = {0, 0, 0, -1, -2, -9};
  v.token_types = {2, 3, 3, 1, 1, 2};
  v.add_bos_token = v.add_space_prefix = false;
  EXPECT_EQ(Tokenizer(tokenizer_of_gguf(v)).encode("a[PAD5]"), (std::vector<Token>{4, 0}));
  EXPECT_EQ(Tokenizer(tokenizer_of_gguf(v)).encode("a<unk>a</s>"), (std::vector<Token>{4, 0, 4, 2}));
}

TEST(GgufVocabulary, TextIsNormalizedWhereThePublishedTokenizersDo) {
  const auto ids = [](const char* pre, const char* text) {
    GgufVocabulary v{.model = "gpt2", .pre = pre, .tokens = {"e", "\xC3\x83", "\xC2\xA9", "\xC3\x8C", "\xC4\xA3"}};
    v.add_bos_token = false;
    return Tokenizer(tokenizer_of_gguf(v)).encode(text);
  };
  for (const char* pre : {"mpt", "olmo", "modern-bert", "command-r", "qwen2", "qwen35"})
    EXPECT_EQ(ids(pre, "e\xCC\x81"), (std::vector<Token>{1, 2})) << pre;
  for (const char* pre : {"gpt-2", "smollm", "starcoder", "llama-bpe"})
    EXPECT_EQ(ids(pre, "e\xCC\x81"), (std::vector<Token>{0, 3, 4})) << pre;
}

std::string refused_gguf(const std::function<void(GgufVocabulary&)>& change) {
  GgufVocabulary v{
      .origin = "model.gguf", .model = "llama", .tokens = {"<unk>", "<s>", "</s>", "a", "b", "ab"}};
  v.scores = {0, 0, 0, -1, -2, -3};
  v.token_types = {2, 3, 3, 1, 1, 1};
  change(v);
  return error_of([&] { Tokenizer(tokenizer_of_gguf(v)); });
}

TEST(GgufVocabulary, B20_CountsThatDiffer) {
  EXPECT_EQ(refused_gguf([](GgufVocabulary&) {}), "");
  const auto expect = [](const std::function<void(GgufVocabulary&)>& change, const char* part) {
    EXPECT_THAT(refused_gguf(change), AllOf(StartsWith("E3201 model.gguf: "), HasSubstr(part)));
  };
  expect([](auto& v) { v.scores.pop_back(); }, "6 tokenizer.ggml.tokens, 5 scores and 6 token_type");
  expect([](auto& v) { v.token_types.push_back(1); }, "6 tokenizer.ggml.tokens, 6 scores and 7 token_type");
  expect([](auto& v) { v.scores.clear(); }, "scores is missing");
  expect([](auto& v) { v.scores[3] = NAN; }, "tokenizer.ggml.scores[3]: nan");
  expect(
      [](auto& v) {
        v.tokens = {};
        v.scores = {};
        v.token_types = {};
      },
      "0 tokens");
  expect([](auto& v) { v.tokens[4] = "a"; }, "tokenizer.ggml.tokens[3] and [4] are the same, \"a\"");
  expect([](auto& v) { v.tokens[4] = "\xFF"; }, "tokenizer.ggml.tokens[4]: \"\\xff\" is not UTF-8");
  expect(
      [](auto& v) {
        v.model = "gpt2";
        v.merges = {"a b", "a c"};
      },
      "tokenizer.ggml.merges[1]: \"a c\" names a piece");
  expect(
      [](auto& v) {
        v.model = "gpt2";
        v.merges = {"ab"};
      },
      "tokenizer.ggml.merges[0]: \"ab\" is not two pieces");
  expect(
      [](auto& v) {
        v.model = "t5";
        v.scores[3] = 1;
      },
      "tokenizer.ggml.scores[3]: 1; scores of model t5");
}

TEST(GgufVocabulary, B21_IdsOfSpecialTokens) {
  const auto expect = [](const std::function<void(GgufVocabulary&)>& change, const char* part) {
    EXPECT_THAT(refused_gguf(change), AllOf(StartsWith("E3201 model.gguf: "), HasSubstr(part)));
  };
  expect([](auto& v) { v.bos_token_id = 6; }, "tokenizer.ggml.bos_token_id is 6; there are 6 tokens");
  expect([](auto& v) { v.eos_token_id = -1; }, "tokenizer.ggml.eos_token_id is -1");
  expect(
      [](auto& v) {
        v.model = "gpt2";
        v.add_bos_token = true;
      },
      "without the id of that token");
  expect([](auto& v) { v.model = "bert"; }, "needs unknown_token_id, cls_token_id and seperator_token_id");
}

TEST(GgufVocabulary, D12_ModelsAndPreTokenizersThatAreNotKnown) {
  EXPECT_THAT(
      refused_gguf([](auto& v) { v.model = "rwkv"; }),
      HasSubstr("tokenizer.ggml.model \"rwkv\" is not supported; supported: gpt2, llama, gemma4, t5, bert"));
  for (const char* pre : {"magic", "gpt-2 phi-2", " ", "gpt"})
    EXPECT_THAT(refused_gguf([&](auto& v) { v.model = "gpt2", v.pre = pre; }),
                AllOf(HasSubstr("is not supported; supported: default gpt-2 "), HasSubstr(" tekken ")))
        << pre;
}

// ---- directories

class VocabularyFiles : public InFolder {
 protected:
  std::string load(const fs::path& path) const {
    return error_of([&] { Tokenizer::load(path); });
  }
};

TEST_F(VocabularyFiles, VocabTxtIsBerts) {
  put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncafe\n##s \r\n中\n");
  const auto encode = [&](const char* text) { return Tokenizer::load(folder).encode(text); };
  EXPECT_THAT(encode("The CAF\xC3\x89s [MASK]"), ElementsAre(2, 5, 6, 7, 4, 3));
  EXPECT_THAT(encode("the中中"), ElementsAre(2, 5, 8, 8, 3));
  EXPECT_EQ(Tokenizer::load(folder / "vocab.txt").encode("the"), encode("the"));
  put("tokenizer_config.json",
      R"({"tokenizer_class":"BertTokenizerFast","do_lower_case":false,"strip_accents":true,)"
      R"("tokenize_chinese_chars":false,"unk_token":"[PAD]"})");
  EXPECT_THAT(encode("The caf\xC3\x89 cafe\xCC\x81s the中"), ElementsAre(2, 0, 0, 6, 7, 0, 3));
  const Tokenizer tokenizer = Tokenizer::load(folder);
  EXPECT_EQ(tokenizer.decode(std::vector<Token>{5, 6, 7}), "the cafes");
  put("tokenizer_config.json", R"({"tokenizer_class":"MPNetTokenizer"})");
  EXPECT_THAT(load(folder), AllOf(StartsWith("E3201 "),
                                  HasSubstr("tokenizer_config.json: tokenizer_class: \"MPNetTokenizer\""),
                                  HasSubstr("supported are BertTokenizer, ")));
}

TEST_F(VocabularyFiles, VocabJsonAndMergesAreGpt2s) {
  put("vocab.json", R"({"a":0,"b":1,"ab":2,"Ġ":3,"Ġa":4,"<|endoftext|>":5,"1":6,"<s>":7,"</s>":8})");
  put("merges.txt", "#version: 0.2\na b\n\xC4\xA0 a\n");
  const auto encode = [&](const char* text) { return Tokenizer::load(folder).encode(text); };
  EXPECT_THAT(encode("ab a11"), ElementsAre(2, 4, 6, 6));
  EXPECT_EQ(Tokenizer::load(folder / "merges.txt").encode("ab"), encode("ab"));
  EXPECT_EQ(Tokenizer::load(folder / "vocab.json").encode("ab"), encode("ab"));
  put("tokenizer_config.json",
      R"({"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true,"add_bos_token":true})");
  EXPECT_THAT(encode("ab<|endoftext|>a"), ElementsAre(5, 3, 2, 5, 4));
  put("tokenizer_config.json", R"({"tokenizer_class":"RobertaTokenizer"})");
  EXPECT_THAT(encode("ab</s>"), ElementsAre(7, 2, 8, 8));
  put("added_tokens.json", R"({"<x>":9})");
  put("tokenizer_config.json", R"({"tokenizer_class":"Qwen2TokenizerFast"})");
  EXPECT_THAT(encode("ab<x>1"), ElementsAre(2, 9, 6));
  put("added_tokens.json", R"({"<x>":12})");
  EXPECT_THAT(load(folder), HasSubstr("the added token \"<x>\" has the id 12; the next free one is 9"));
}

TEST_F(VocabularyFiles, D05_D06_VocabulariesThatContradict) {
  put("vocab.json", R"({"a":0,"b":0})");
  put("merges.txt", "");
  EXPECT_THAT(load(folder),
              AllOf(StartsWith("E3201 "), HasSubstr("vocab.json: "), HasSubstr("is also that of")));
  put("vocab.json", R"({"a":0,"b":1})");
  EXPECT_EQ(load(folder), "");
  put("merges.txt", "#version: 0.2\na c\n");
  EXPECT_THAT(load(folder),
              AllOf(StartsWith("E3201 "), HasSubstr("merges.txt: line 2: the piece \"c\" is not in ")));
  put("merges.txt", "a b\n");
  EXPECT_THAT(load(folder),
              AllOf(StartsWith("E3201 "), HasSubstr("make \"ab\", which is not in the vocabulary")));
  put("merges.txt", "a b c\n");
  EXPECT_THAT(load(folder), HasSubstr("merges.txt: line 1: found \"a b c\", wanted two pieces"));
  put("merges.txt", "a \xFF\n");
  EXPECT_THAT(load(folder), AllOf(StartsWith("E3002 "), HasSubstr("merges.txt: byte 2 is not UTF-8")));
  put("merges.txt", "");
  put("tokenizer_config.json", R"({"added_tokens_decoder":{"7":{"content":"<x>"}}})");
  EXPECT_THAT(load(folder), HasSubstr("the added token \"<x>\" has the id 7; the next free one is 2"));
  put("tokenizer_config.json", R"({"added_tokens_decoder":{"x":{"content":"<x>"}}})");
  EXPECT_THAT(load(folder), HasSubstr("added_tokens_decoder[\"x\"]: an id is a whole number"));
  put("tokenizer_config.json", R"({"tokenizer_class":"RobertaTokenizer","cls_token":7})");
  EXPECT_THAT(load(folder), HasSubstr("cls_token: found \"7\", wanted a text"));
}

TEST_F(VocabularyFiles, D14_VocabTxtThatIsNone) {
  put("vocab.txt", "");
  EXPECT_THAT(load(folder), AllOf(StartsWith("E3201 "), HasSubstr("vocab.txt: no pieces")));
  put("vocab.txt", "a\n\xFF\n");
  EXPECT_THAT(load(folder), AllOf(StartsWith("E3002 "), HasSubstr("vocab.txt: byte 2 is not UTF-8")));
  put("vocab.txt", "a\n" + std::string(2000, 'b') + "\n");
  EXPECT_THAT(load(folder), HasSubstr("vocab.txt: line 2: a piece of 2000 bytes, at most 1024"));
}

// ---- SentencePiece's protobuf

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string field(int number, std::string_view bytes) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string number(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
std::string piece(std::string_view text, float score, std::uint64_t kind = 1) {
  std::string four(4, 0);
  std::memcpy(four.data(), &score, 4);
  return field(1, field(1, text) + varint(2 << 3 | 5) + four + number(3, kind));
}

std::string refused_model(const std::string& bytes) {
  return error_of([&] { Tokenizer(tokenizer_of_sentencepiece(parse_sentencepiece(bytes, "x.model"), {})); });
}

TEST(SentencePieceFile, D22_ProtobufsThatAreDamaged) {
  const std::string good = piece("<unk>", 0, 2) + piece("a", -1) + piece("b", -2);
  EXPECT_EQ(refused_model(good), "");
  EXPECT_EQ(refused_model(good + field(99, "unknown") + number(98, 7)), "");
  const std::pair<std::string, std::string> cases[] = {
      {"", "no pieces"},
      {good + "\x0A", "byte 40: a number that the message ends in"},
      {good + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", "byte 40: a number of more than 64 bits"},
      {good + "\x0A" + std::string(11, '\xFF'), "byte 40: a number of more than 64 bits"},
      {good + "\x0A\x7F", "byte 40: field 1 has 127 bytes, and the message has 0 after it"},
      {good + "\x0E\x01", "byte 40: field 1 has the wire type 6; known are 0, 1, 2 and 5"},
      {good + std::string(10'000, '\x0B') + "\x0C", "field 1 has the wire type 3"},
      {good + std::string("\x00\x01", 2), "byte 40: the number of a field is 0"},
      {good + number(1, 5), "field 1 has the wire type 0, wanted 2"},
      {good + field(1, number(3, 1)), "a piece without a text"},
      {good + piece("", -1), "an empty piece"},
      {good + piece("\xFF", -1), "the piece \"\\xff\" is not UTF-8"},
      {good + piece(std::string(1025, 'a'), -1), "a piece of 1025 bytes, at most 1024"},
      {good + piece("c", INFINITY), "the score inf"},
      {good + piece("c", -1, 7), "the kind 7 of a piece; kinds are 1 to 6"},
      {good + piece("c", 1), "the score 1 of \"c\""},
      {good + field(2, number(3, 9)), "the type 9 of a model"},
      {good + field(2, number(3, 3)), "a model of type word; supported are unigram and bpe"},
      {good + field(2, number(40, 3)), "trainer_spec.unk_id is 3, and pieces go from 0 to 2"},
      {good + field(2, number(40, UINT64_MAX)), "trainer_spec.unk_id is -1"},
      {good + field(2, number(24, 1)), "marks behind words are not supported"},
      {good + field(2, number(3, 2)) + piece("a", -3), "the piece \"a\" is there twice, as 1 and as 3"},
      {good + field(3, field(2, "abc")), "normalizer_spec.precompiled_charsmap: 3 bytes, at least 4"},
      {std::string(10'000, '\x0A'), "x.model: byte "},
  };
  for (const auto& [bytes, part] : cases)
    EXPECT_THAT(refused_model(bytes), AllOf(StartsWith("E3201 x.model: "), HasSubstr(part))) << quoted(bytes);
  Limits few;
  few.vocabulary = 2;
  EXPECT_THAT(error_of([&] { parse_sentencepiece(good, "x.model", few); }),
              AllOf(StartsWith("E5004 x.model: "), HasSubstr("more than 2 pieces")));
  for (std::size_t size = 0; size < good.size(); ++size) refused_model(good.substr(0, size));
}

TEST_F(VocabularyFiles, D22_ClassesThatArrangeIdsOtherwise) {
  put("spiece.model", piece("<unk>", 0, 2) + piece("a", -1) + piece("\xE2\x96\x81", -2));
  EXPECT_THAT(Tokenizer::load(folder).encode("a a"), ElementsAre(2, 1, 2, 1));
  EXPECT_EQ(Tokenizer::load(folder / "spiece.model").encode("a"), Tokenizer::load(folder).encode("a"));
  put("tokenizer_config.json", R"({"tokenizer_class":"PegasusTokenizer"})");
  EXPECT_THAT(
      load(folder),
      AllOf(StartsWith("E3201 "), HasSubstr("\"PegasusTokenizer\" is not supported with a SentencePiece"),
            HasSubstr("LlamaTokenizer, GemmaTokenizer, T5Tokenizer"), HasSubstr("save_pretrained")));
  put("tokenizer_config.json", R"({"tokenizer_class":"LlamaTokenizer"})");
  EXPECT_THAT(load(folder), HasSubstr("a model of type unigram, and "));
}

}  // namespace
}  // namespace glossa::test
