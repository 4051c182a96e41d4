// The cases D12 to D14: components and models that are not known, or whose parts contradict each other.
#include <cstring>

#include "base/base64.h"
#include "failures.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(TokenizerJson, D12_UnknownTypesAreNamedWithThoseThatAreRead) {
  const Json magic = {{"type", "Magic"}};
  expect_refused({
      {with(letters(), "/normalizer", magic),
       {R"(normalizer: the normalizer "Magic" is not supported; supported are NFC, )", "Sequence"}},
      {with(letters(), "/pre_tokenizer", magic),
       {R"(the pre-tokenizer "Magic" is not supported; supported are ByteLevel, )"}},
      {with(letters(), "/post_processor", magic),
       {R"(the post-processor "Magic" is not supported; supported are TemplateProcessing, )"}},
      {with(letters(), "/decoder", magic),
       {R"(the decoder "Magic" is not supported; supported are ByteLevel, )"}},
      {with(letters(), "/model", magic),
       {R"(the model "Magic" is not supported; supported are BPE, WordPiece, WordLevel, Unigram)"}},
      {with(letters(), "/normalizer", {{"type", "Sequence"}, {"normalizers", {magic}}}),
       {"normalizer.normalizers[0]"}},
      {with(letters(), "/normalizer", Json::object()), {"normalizer", R"("type" is missing)"}},
      {with(letters(), "/normalizer", "NFC"), {"normalizer", "wanted an object"}},
      {with(letters(), "/version", "2.0"), {"version", "2.0", "wanted 1.0"}},
      {with(letters(), "/model", nullptr), {R"("model" is missing)"}},
      {with(letters(), "/model/dropout", 1.5), {"model.dropout", "a number from 0 to 1"}},
      {Json::parse(R"({"a":0,"b":1})"), {R"("model" is missing)"}},  // a vocab.json
  });
}

TEST(TokenizerJson, D12_CharsmapsAreCheckedWhole) {
  const auto map = [](std::string_view bytes) {
    return with(letters(), "/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(bytes)}});
  };
  // A trie of one rule: units for the root, for the byte 'a' with a value, and for the value.
  const auto trie = [&](std::uint32_t root, std::uint32_t leaf, std::uint32_t value, std::string_view texts) {
    std::vector<std::uint32_t> units(512, 0);
    units[0] = root;
    units[256 + 'a'] = leaf;
    units[257] = value;
    std::string bytes(4 + units.size() * 4, 0);
    const std::uint32_t size = 2048;
    std::memcpy(bytes.data(), &size, 4);
    std::memcpy(bytes.data() + 4, units.data(), size);
    return bytes + std::string(texts);
  };
  const std::uint32_t root = 256 << 10, leaf = (1u << 8) | 'a' | ((256 + 'a') ^ 257) << 10;
  const std::string_view text("c\0", 2);
  const Tokenizer tokenizer = tokenizer_of(map(trie(root, leaf, 1u << 31, text)));
  EXPECT_THAT(tokenizer.encode("aab"), ElementsAre(2, 2, 1));
  const std::string place = "normalizer.precompiled_charsmap";
  expect_refused({
      {with(letters(), "/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "a?=="}}), {place, "not base64"}},
      {with(letters(), "/normalizer", {{"type", "Precompiled"}}), {R"("precompiled_charsmap" is missing)"}},
      {map(""), {place, "0 bytes, at least 4"}},
      {map(std::string("\x05\0\0\0abcde", 9)), {place, "a trie of 5 bytes"}},
      {map(std::string("\0\0\0\0", 4)), {place, "a trie of 0 bytes"}},
      {map("\xFC\xFF\xFF\xFF" "abcd"), {place, "a trie of 4294967292 bytes; it has 4 after its size"}},
      {map(trie(root, leaf, 1u << 31, "c\xFF")), {place, "byte 2053 is not UTF-8"}},
      {map(trie(root, leaf, 1u << 31, "c")), {place, "the text of a rule begins at 0", "a zero must follow"}},
      {map(trie(root, leaf, 1u << 31 | 2, text)), {place, "the text of a rule begins at 2; there are 2 bytes"}},
      {map(trie(root, leaf, 1u << 31 | 1, std::string_view("\xC3\xA9\0", 3))), {place, "the text of a rule begins at 1"}},
      {map(trie(root, (1u << 8) | 'a' | 600u << 10, 0, text)), {place, "unit ", "does not exist; there are 512"}},
  });
}

Json unigram(const std::string& pieces, const Json& unk = 0) {
  return with(letters(), "/model", {{"type", "Unigram"}, {"unk_id", unk}, {"vocab", Json::parse(pieces)}});
}

TEST(TokenizerJson, D13_UnigramPiecesAndScores) {
  const auto second = [](const std::string& piece) { return unigram(R"([["<unk>",0],)" + piece + "]"); };
  const std::string good = R"([["<unk>",0],["a",-1]])";
  EXPECT_EQ(refusal(unigram(good)), "");
  expect_refused({
      {second(R"(["a",0.5])"), {R"(model.vocab[1]: the score 0.5 of "a")", "0 at most"}},
      {second(R"(["a","NaN"])"), {"model.vocab[1]", "a piece and its score"}},
      {second(R"(["a"])"), {"model.vocab[1]", "a piece and its score"}},
      {second(R"([1,1])"), {"model.vocab[1]", "a piece and its score"}},
      {second(R"(["",-1])"), {"model.vocab[1]", "an empty piece"}},
      {second("[\"" + std::string(1025, 'a') + "\",-1]"), {"model.vocab[1]", "1025 bytes, at most 1024"}},
      {unigram(good, 2), {"model.unk_id", "a whole number from 0 to 1"}},
      {unigram(good, -1), {"model.unk_id", "a whole number"}},
      {unigram("[]"), {"model.unk_id", "there is no piece"}},
      {unigram("{}"), {"model.vocab", "a list of pieces and scores"}},
  });
  EXPECT_THAT(refusal(std::string(R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["a",-1e999]]}})")), StartsWith("E3001"));
  EXPECT_THAT(refusal(std::string(R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["a",NaN]]}})")), StartsWith("E3001"));
  Limits few;
  few.json_values = 1000;
  std::string pieces;
  for (int i = 0; i < 500; ++i) pieces += R"(["a",-1],)";
  EXPECT_THAT(refusal(R"({"model":{"type":"Unigram","vocab":[)" + pieces + R"(["b",-2]]}})", few),
              AllOf(StartsWith("E5004 tokenizer.json: "), HasSubstr("1000 values")));
  few = {};
  few.vocabulary = 4;
  EXPECT_THAT(refusal(letters().dump(), few),
              AllOf(StartsWith("E5004 tokenizer.json: model.vocab"), HasSubstr("5 pieces, at most 4")));
  EXPECT_THAT(refusal(R"({"model":{"type":"Unigram","vocab":[)" + pieces + R"(["b",-2]]}})", few),
              AllOf(StartsWith("E5004 tokenizer.json: model.vocab"), HasSubstr("501 pieces, at most 4")));
}

TEST(TokenizerJson, D13_UnknownCharactersNeedAPiece) {
  const Tokenizer without = tokenizer_of(unigram(R"([["a",-1],["b",-1]])", nullptr));
  EXPECT_THAT(without.encode("ab"), ElementsAre(0, 1));
  EXPECT_THAT(error_of([&] { without.encode("axb"); }), AllOf(StartsWith("E3201 "), HasSubstr("no unk_id")));
  // Of equal pieces the last one counts, and both keep their texts.
  const Tokenizer twice = tokenizer_of(unigram(R"([["<unk>",0],["a",-1],["a",-2]])"));
  EXPECT_THAT(twice.encode("axxa"), ElementsAre(2, 0, 2));
  EXPECT_EQ(twice.piece(1), "a");
  EXPECT_EQ(Json::parse(twice.to_json())["model"]["vocab"].size(), 3u);
}

TEST(TokenizerJson, D14_WordPieceAndWordLevel) {
  const Json piece = with(letters(), "/model",
                          {{"type", "WordPiece"},
                           {"unk_token", "[UNK]"},
                           {"continuing_subword_prefix", "##"},
                           {"max_input_chars_per_word", 4},
                           {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##b", 2}, {"##", 3}}}});
  expect_refused({
      {with(letters(), "/model/type", "WordPiece"), {R"("unk_token" is missing)"}},
      {with(letters(), "/model/type", "WordLevel"), {R"("unk_token" is missing)"}},
      {with(piece, "/model/max_input_chars_per_word", std::uint64_t{1} << 40),
       {"model.max_input_chars_per_word", "a whole number from 0 to 2147483647"}},
      {with(piece, "/model/max_input_chars_per_word", -1), {"model.max_input_chars_per_word"}},
      {with(piece, "/model/continuing_subword_prefix", nullptr), {R"("continuing_subword_prefix" is missing)"}},
      {with(piece, "/model/vocab", {{std::string(1025, 'a'), 0}}), {"model.vocab", "1025 bytes, at most 1024"}},
  });
  EXPECT_THAT(tokenizer_of(piece).encode("abbb"), ElementsAre(1, 2, 2, 2));
  EXPECT_THAT(tokenizer_of(piece).encode("abbbb"), ElementsAre(0));
  EXPECT_THAT(tokenizer_of(piece).encode("abx"), ElementsAre(0));
  const Json huge = with(with(piece, "/model/max_input_chars_per_word", INT32_MAX), "/model/vocab/b", 4);
  EXPECT_EQ(tokenizer_of(huge).encode("a" + std::string(3'000'000, 'b')).size(), 3'000'001u);
  const Json words = with(with(letters(), "/model/type", "WordLevel"), "/model/unk_token", "[UNK]");
  EXPECT_EQ(tokenizer_of(words).encode("abc"), std::vector<Token>{4});
  EXPECT_THAT(error_of([&] { tokenizer_of(words).encode("x"); }),
              AllOf(StartsWith("E3201 tokenizer.json: "), HasSubstr(R"("x" is not in the vocabulary)"),
                    HasSubstr(R"(unk_token "[UNK]")")));
  const Json unknown = with(piece, "/model/unk_token", "?");
  EXPECT_THAT(error_of([&] { tokenizer_of(unknown).encode("x"); }),
              AllOf(StartsWith("E3201 tokenizer.json: "), HasSubstr(R"(the word "x" is unknown)"), HasSubstr(R"("?")")));
  const Json bpe = with(letters(), "/model/unk_token", "[UNK]");
  EXPECT_THAT(error_of([&] { tokenizer_of(bpe).encode("x"); }),
              AllOf(StartsWith("E3201 tokenizer.json: "), HasSubstr(R"(unk_token "[UNK]" is needed)")));
}

TEST(TokenizerJson, D14_BpeDropoutIsOfBpeAlone) {
  const Tokenizer words = tokenizer_of(with(with(letters(), "/model/type", "WordLevel"), "/model/unk_token", "a"));
  std::vector<Token> ids;
  words.encode("abc", BpeDropout{0, 1, 1}, ids);
  EXPECT_THAT(ids, ElementsAre(4));
  EXPECT_THAT(error_of([&] { words.encode("abc", BpeDropout{0.1, 1, 1}, ids); }),
              AllOf(StartsWith("E2002 "), HasSubstr("no model of byte-pair encoding")));
}

}  // namespace
}  // namespace glossa::test
