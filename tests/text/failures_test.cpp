// The cases D01 to D07, D10, D11, D16, D17, D19, D21 and D22: what a hostile tokenizer.json gets.
// hostile_texts_test.cpp has the texts.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/base64.h"
#include "base/file.h"
#include "failures.h"
#include "support/in_folder.h"
#include "tokenizers.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(TokenizerJson, D01_AMergeLongerThanAnyPiece) {
  const std::string longest(300, 'a');
  expect_refused(
      {{bpe_json({"a", longest}, {{longest, longest}}), {"model.merges[0]", "not in the vocabulary"}}});
  EXPECT_EQ(refusal(bpe_json({"a", longest, longest + "a"}, {{longest, "a"}})), "");
}

TEST(TokenizerJson, D02_MergesOfWhatIsNotThere) {
  expect_refused({
      {bpe_json(kLetters, {{"a", "b"}, {"b", "x"}}),
       {"model.merges[1]", R"(the pair "b" "x": "x" is not in the vocabulary)"}},
      {bpe_json(kLetters, {{"", "a"}}), {"model.merges[0]", R"(the pair "" "a")"}},
      {bpe_json(kLetters, {{"b", "c"}}),
       {"model.merges[0]", R"("b" and "c" make "bc", which is not in the vocabulary)"}},
      {bpe_json(kLetters, {{"a", "b"}, {"ab", "c"}, {"a", "b"}}),
       {"model.merges[0] and [2]", "the same pair", R"("a" and "b")"}},
      {with(letters(), "/model/merges/1", "a b c"), {"model.merges[1]", "two pieces with a space between"}},
      {with(letters(), "/model/merges/1", "ab"), {"model.merges[1]", "two pieces with a space between"}},
      {with(letters(), "/model/merges/1", Json::array({"a"})), {"model.merges[1]", "two pieces"}},
      {with(letters(), "/model/merges/1", Json::array({"a", 1})), {"model.merges[1]", "two pieces"}},
      {with(letters(), "/model/merges", Json::object()), {"model.merges", "a list"}},
  });
}

TEST(TokenizerJson, D02_APieceMergesWithItself) {
  const Tokenizer tokenizer = tokenizer_of(bpe_json({"a", "aa", "aaaa"}, {{"a", "a"}, {"aa", "aa"}}));
  EXPECT_THAT(tokenizer.encode("aaaaaaa"), ElementsAre(2, 1, 0));
}

// Every merge shortens the word, whatever it makes.
TEST(TokenizerJson, D03_CyclicMergesEnd) {
  const std::vector<std::string> pieces = {"a", "b", "ab", "ba", "aba", "bab", "abab"};
  const Tokenizer tokenizer = tokenizer_of(
      bpe_json(pieces, {{"a", "b"}, {"b", "a"}, {"ab", "a"}, {"a", "ba"}, {"b", "ab"}, {"ab", "ab"}}));
  for (const std::size_t length : {1u, 2u, 63u, 64u, 65u, 66u, 1000u, 100001u}) {
    std::string word;
    for (std::size_t i = 0; i < length; ++i) word += i % 2 ? 'b' : 'a';
    const std::vector<Token> ids = tokenizer.encode(word);
    EXPECT_LE(ids.size(), length / 4 + 2);
    std::string back;
    for (const Token id : ids) back += tokenizer.piece(id);
    EXPECT_EQ(back, word);
  }
  // Without its prefix nothing is left of the second piece, and the merge makes the first one again.
  const Json same = with(bpe_json({"a", "##", "##a", "aa"}, {{"a", "##"}, {"a", "##a"}}),
                         "/model/continuing_subword_prefix", "##");
  EXPECT_THAT(tokenizer_of(same).encode("aaaa"), ElementsAre(3, 2, 2));
}

TEST(TokenizerJson, D04_AffixesLongerThanTheirTokens) {
  const Json json = with(letters(), "/model/continuing_subword_prefix", "####");
  const std::string too_long(257, '#');
  expect_refused({
      {json, {"model.merges[0]", R"("b" is shorter than the continuing_subword_prefix "####")"}},
      {with(letters(), "/model/continuing_subword_prefix", too_long),
       {"model.continuing_subword_prefix", "257 bytes", "at most 256"}},
      {with(letters(), "/model/end_of_word_suffix", too_long),
       {"model.end_of_word_suffix", "257 bytes", "at most 256"}},
      {with(letters(), "/model/end_of_word_suffix", 7), {"model.end_of_word_suffix", "wanted a text"}},
  });
}

TEST(TokenizerJson, D05_IdsThatCannotBe) {
  const auto id = [](Json value) { return with(letters(), "/model/vocab/abc", std::move(value)); };
  const std::string place = R"(model.vocab["abc"])";
  expect_refused({
      {id(2), {R"(the id 2 is also that of)", R"("c")"}},
      {id(-1), {place, "found \"-1\"", "a whole number from 0 to 2147483647"}},
      {id(1048581), {place, "the id 1048581 leaves too large a gap", "5 pieces", "ids go to 1048580"}},
      {id(2147483647), {place, "leaves too large a gap"}},
      {id(2147483648), {place, "a whole number from 0 to 2147483647"}},
      {id(4.0), {place, "a whole number"}},
      {id("4"), {place, "a whole number"}},
      {id(nullptr), {place, "a whole number"}},
      {with(letters(), "/model/vocab", Json::array()), {"model.vocab", "an object of pieces and ids"}},
  });
}

TEST(TokenizerJson, D05_GapsThatAreListedAreKept) {
  const Json json = with(letters(), "/model/vocab/abc", 9);
  const Tokenizer tokenizer = tokenizer_of(json);
  EXPECT_EQ(tokenizer.size(), 10);
  EXPECT_THAT(tokenizer.encode("abcab"), ElementsAre(9, 3));
  EXPECT_EQ(tokenizer.id("abc"), 9);
  EXPECT_EQ(tokenizer.id(""), std::nullopt);
  EXPECT_THAT(error_of([&] {
                tokenizer.decode(std::vector<Token>{9, 4});
              }),
              AllOf(StartsWith("E3201 "), HasSubstr("there is no token 4; ids go from 0 to 9, with gaps")));
  EXPECT_EQ(Json::parse(tokenizer.to_json())["model"]["vocab"], json["model"]["vocab"]);
  // The library gives an added token the number of pieces, whatever their ids are.
  EXPECT_EQ(refusal(with(json, "/added_tokens", {added_token(5, "x")})), "");
  expect_refused(
      {{with(json, "/added_tokens", {added_token(10, "x")}), {"added_tokens[0]", "the next free one is 5"}},
       {with(with(json, "/model/vocab/ab", 5), "/added_tokens", {added_token(5, "x")}),
        {"added_tokens[0]", "the next free one is 5"}}});
}

TEST(TokenizerJson, D06_AddedTokensThatContradict) {
  const auto added = [](std::vector<Json> tokens) { return with(letters(), "/added_tokens", tokens); };
  expect_refused({
      {added({added_token(5, "ab")}),
       {"added_tokens[0]", R"("ab" has the id 5; in the vocabulary it has 3)"}},
      {added({added_token(5, "")}), {"added_tokens[0]", "cannot be empty"}},
      {added({added_token(6, "x")}), {"added_tokens[0]", "the next free one is 5"}},
      {added({added_token(2, "x")}), {"added_tokens[0]", "the next free one is 5"}},
      {added({added_token(5, "x"), added_token(6, "x")}), {"added_tokens[1]", R"("x" is there twice)"}},
      {added({added_token(5, "x"), added_token(5, "y")}), {"added_tokens[1]", "the next free one is 6"}},
      {added({added_token(5, std::string(4097, 'x'))}), {"added_tokens[0]", "4097 bytes", "at most 4096"}},
      {with(added({added_token(5, "x")}), "/added_tokens/0/id", -1),
       {"added_tokens[0].id", "a whole number"}},
      {with(added({added_token(5, "x")}), "/added_tokens/0/special", "yes"),
       {"added_tokens[0].special", "true or false"}},
      {with(letters(), "/added_tokens", "x"), {"added_tokens", "a list"}},
  });
}

TEST(TokenizerJson, D06_AHundredThousandAddedTokens) {
  Json json = letters();
  const int count = 100'000;
  for (int i = 0; i < count; ++i)
    json["added_tokens"].push_back(
        added_token(5 + static_cast<std::size_t>(i), fmt::format("<extra_{}>", i)));
  const Tokenizer tokenizer = tokenizer_of(json);
  EXPECT_EQ(tokenizer.size(), 5 + count);
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("abc<extra_{}>a<extra_", count - 1 - i);
  const std::vector<Token> ids = tokenizer.encode(text);
  ASSERT_GT(ids.size(), 4u);
  EXPECT_THAT(std::vector(ids.begin(), ids.begin() + 3), ElementsAre(4, 5 + count - 1, 0));
}

// Where a long token almost fits at every byte, none is read again for the next byte.
TEST(TokenizerJson, D06_AddedTokensThatAlmostFitEverywhere) {
  Json json = letters();
  json["added_tokens"] = {added_token(5, std::string(4095, 'a') + "x"),
                          added_token(6, "x" + std::string(4095, 'a')), added_token(7, "aa")};
  const Tokenizer tokenizer = tokenizer_of(json);
  EXPECT_EQ(tokenizer.encode(std::string(1'000'000, 'a')), std::vector<Token>(500'000, 7));
  EXPECT_EQ(tokenizer.encode(std::string(5001, 'a') + "x").back(), 5);
  EXPECT_EQ(tokenizer.encode("x" + std::string(5000, 'a')).front(), 6);
}

TEST(TokenizerJson, D06_AddedTokensThatTakeSpacesAlong) {
  Json json = with(letters(), "/added_tokens", {added_token(5, " "), added_token(1, "b")});
  for (const char* side : {"lstrip", "rstrip"})
    for (Json& token : json["added_tokens"]) token[side] = true;
  const Tokenizer tokenizer = tokenizer_of(json);
  const std::string spaces(500'000, ' ');
  EXPECT_EQ(tokenizer.encode("a" + spaces + "b" + spaces).size(), 2 * spaces.size() + 2);
}

Json splitting(const std::string& expression) {
  return with(
      letters(), "/pre_tokenizer",
      {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}});
}

TEST(TokenizerJson, D07_RegularExpressionsThatAreWrongOrNotSupported) {
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += "(?=";
  const std::pair<std::string, std::string> cases[] = {
      {"a(", "byte 1: \"(\": a ( without its )"},
      {"ab)c", "byte 2: \")c\": a ) without its ("},
      {nested, "more than 100 groups within each other"},
      {"a|*", "byte 2: \"*\": nothing to repeat"},
      {"(a)\\1", "byte 3: \"\\\\1\": back references are not supported"},
      {"(?<x>a)\\k<x>", "byte 7: \"\\\\k<x>\": \\k is not supported"},
      {"a\\Gb", "byte 1: \"\\\\Gb\": \\G is not supported"},
      {"(?<=ab)c", "byte 0: \"(?<=ab)c\": a look back at more than one character is not supported"},
      {"(?>a|b+)c", "byte 0: \"(?>a|b+)c\": atomic groups of more than one character's repetition"},
      {"(?:ab)*+c", "byte 6: \"*+c\": a possessive quantifier on more than one character"},
      {"(?(1)a|b)", "byte 0: \"(?(1)a|b)\": this kind of group is not supported; supported are (?:"},
      {"(*FAIL)", "callouts are not supported"},
      {"[a", "byte 0: \"[a\": a [ without its ]"},
      {"[b-a]", "byte 1: \"b-a]\": a range from more to less"},
      {"[\\w-a]", "byte 1: \"\\\\w-a]\": a range that begins with a class"},
      {"[a-\\w]", "a range that ends with a class"},
      {"\\p{Klingon}", "byte 0: \"\\\\p{Klingon}\": the property \"Klingon\" is not known"},
      {"a{3,2}", "byte 1: \"{3,2}\": an interval from more to less"},
      {"a{100001}", "byte 2: \"100001}\": more than 100000 times"},
      {"(?i:ss)", "byte 5: \"s)\": without regard to case this is also the character U+00DF"},
      {"a\\", "byte 1: \"\\\\\": a \\ at the end"},
  };
  for (const auto& [expression, part] : cases) {
    expect_refused({{splitting(expression), {"pre_tokenizer.pattern.Regex: the regular expression", part}},
                    {with(letters(), "/normalizer",
                          {{"type", "Replace"}, {"pattern", {{"Regex", expression}}}, {"content", ""}}),
                     {"normalizer.pattern.Regex", part}},
                    {with(letters(), "/decoder",
                          {{"type", "Replace"}, {"pattern", {{"Regex", expression}}}, {"content", ""}}),
                     {"decoder.pattern.Regex", part}}});
  }
  expect_refused({
      {with(letters(), "/pre_tokenizer",
            {{"type", "Sequence"}, {"pretokenizers", {splitting("(")["pre_tokenizer"]}}}),
       {"pre_tokenizer.pretokenizers[0].pattern"}},
      {with(splitting("a"), "/pre_tokenizer/pattern", {{"String", ""}}),
       {"pre_tokenizer.pattern.String", "an empty pattern"}},
      {with(splitting("a"), "/pre_tokenizer/pattern", {{"Glob", "*"}}),
       {"pre_tokenizer.pattern", R"("Regex" is missing)"}},
      {with(splitting("a"), "/pre_tokenizer/behavior", "Sideways"),
       {"pre_tokenizer.behavior", "Sideways", "Removed, Isolated, MergedWithPrevious"}},
      {with(splitting("a"), "/pre_tokenizer/invert", 0), {"pre_tokenizer.invert", "true or false"}},
  });
}

TEST(TokenizerJson, D07_RegularExpressionsThatAreTooLarge) {
  for (const char* expression : {"a{1000}{1000}", "(?:a{0,100}){0,100}", "((a{30}){30}){30}"})
    expect_refused(
        {{splitting(expression), {"pre_tokenizer.pattern.Regex", "more than 8192 instructions"}, "E5002"}});
}

TEST(TokenizerJson, D10_ReplacementsOfNothing) {
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}};
  expect_refused(
      {{with(letters(), "/normalizer", replace), {"normalizer.pattern.String", "an empty pattern"}},
       {with(letters(), "/decoder", replace), {"decoder.pattern.String", "an empty pattern"}}});
}

TEST(TokenizerJson, D11_NestedSequences) {
  for (const auto& [part, list] : {std::pair("normalizer", "normalizers"),
                                   {"pre_tokenizer", "pretokenizers"},
                                   {"decoder", "decoders"}}) {
    const auto nested = [&](int depth) {
      std::string text = R"({"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":[]},")" +
                         std::string(part) + "\":";
      for (int i = 0; i < depth; ++i) text += fmt::format(R"({{"type":"Sequence","{}":[)", list);
      for (int i = 0; i < depth; ++i) text += "]}";
      return text + "}";
    };
    EXPECT_THAT(refusal(nested(10'000)),
                AllOf(StartsWith("E5003 tokenizer.json: byte "), HasSubstr("64 levels")));
    EXPECT_EQ(refusal(nested(20)), "");
  }
  const Json lower = {{"type", "Lowercase"}};
  const auto steps = [&](std::size_t count) {
    return with(letters(), "/normalizer", {{"type", "Sequence"}, {"normalizers", Json(count, lower)}});
  };
  EXPECT_EQ(refusal(steps(64)), "");
  expect_refused({{steps(65), {"normalizer: more than the 64 steps allowed"}}});
}

TEST(TokenizerJson, D16_TemplatesOfWhatIsNotThere) {
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
             special = {{"SpecialToken", {{"id", "x"}, {"type_id", 0}}}};
  const auto of = [&](Json single, Json specials) {
    return with(letters(), "/post_processor",
                {{"type", "TemplateProcessing"},
                 {"single", std::move(single)},
                 {"pair", {text}},
                 {"special_tokens", std::move(specials)}});
  };
  const auto names = [](Json ids, Json tokens) {
    return Json{{"x", {{"id", "x"}, {"ids", std::move(ids)}, {"tokens", std::move(tokens)}}}};
  };
  const Json good = names({1}, {"b"});
  EXPECT_THAT(tokenizer_of(of({text, special}, good)).encode("abc"), ElementsAre(4, 1));
  expect_refused({
      {of({text, special}, Json::object()),
       {"post_processor", R"(the template names "x", which special_tokens does not have)"}},
      {of({text, special}, names({99}, {"b"})),
       {"post_processor", "the id 99 does not exist", "from 0 to 4"}},
      {of({text, special}, names({-1}, {"b"})), {"special_tokens", "a whole number"}},
      {of({text, special}, names({1, 2}, {"b"})), {"2 ids and 1 tokens"}},
      {of(Json(100'000, special), good), {"post_processor.single", "100000 pieces, at most 1024"}},
      {of({special}, good), {"post_processor.single", "sequence A once"}},
      {of({text, text}, good), {"post_processor.single", "sequence A once"}},
      {of({text, special, special}, names(Json(1000, 1), Json(1000, "b"))),
       {"2000 tokens around each text", "at most 1024"}},
      {of("$A x", good), {"post_processor.single", "a list"}},
      {with(letters(), "/post_processor",
            {{"type", "BertProcessing"}, {"sep", {"b", 99}}, {"cls", {"a", 0}}}),
       {"the id 99 does not exist"}},
      {with(letters(), "/post_processor", {{"type", "BertProcessing"}, {"sep", {"b"}}, {"cls", {"a", 0}}}),
       {"post_processor.sep", "a token and its id"}},
  });
}

// Length is the business of the model that reads a text: both are kept as they are, and change no ids.
TEST(TokenizerJson, D17_TruncationAndPaddingAreKeptAndChecked) {
  const Json truncation = {
      {"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}};
  const Json padding = {{"strategy", {{"Fixed", 9}}}, {"direction", "Left"},
                        {"pad_to_multiple_of", 8},    {"pad_id", 0},
                        {"pad_type_id", 0},           {"pad_token", "a"}};
  const Json both = with(with(letters(), "/truncation", truncation), "/padding", padding);
  const Tokenizer tokenizer = tokenizer_of(both);
  EXPECT_THAT(tokenizer.encode("abcabca"), ElementsAre(4, 4, 0));
  EXPECT_EQ(Json::parse(tokenizer.to_json())["truncation"], truncation);
  EXPECT_EQ(Json::parse(tokenizer.to_json())["padding"], padding);
  const std::uint64_t huge = std::uint64_t{1} << 63;
  expect_refused({
      {with(both, "/truncation/max_length", huge),
       {"truncation.max_length", "9223372036854775808", "a whole number from 0 to 2147483647"}},
      {with(both, "/truncation/stride", -1), {"truncation.stride", "a whole number"}},
      {with(both, "/truncation/strategy", "Fastest"),
       {"truncation.strategy", "one of LongestFirst, OnlyFirst, OnlySecond"}},
      {with(both, "/truncation/direction", "Up"), {"truncation.direction", "one of Left, Right"}},
      {with(both, "/padding/strategy/Fixed", huge), {"padding.strategy.Fixed", "a whole number"}},
      {with(both, "/padding/strategy", "Longest"), {"padding.strategy", "one of BatchLongest"}},
      {with(both, "/padding/pad_to_multiple_of", -8), {"padding.pad_to_multiple_of", "a whole number"}},
      {with(both, "/padding/pad_id", 1e3), {"padding.pad_id", "a whole number"}},
  });
}

TEST(TokenizerJson, D19_IdsOutsideTheVocabulary) {
  const Tokenizer tokenizer = tokenizer_of(with(letters(), "/added_tokens", {added_token(5, "x")}));
  for (const Token id : {6, -1, INT32_MAX, INT32_MIN}) {
    const Token ids[] = {0, id};
    Tokenizer::Stream stream(tokenizer);
    const auto refused = AllOf(StartsWith("E3201 tokenizer.json: "),
                               HasSubstr(fmt::format("there is no token {}; ids go from 0 to 5", id)));
    EXPECT_THAT(error_of([&] { tokenizer.decode(ids); }), refused);
    EXPECT_THAT(error_of([&] { tokenizer.decode_bytes(ids); }), refused);
    EXPECT_THAT(error_of([&] { tokenizer.piece(id); }), refused);
    EXPECT_THAT(error_of([&] { stream.push(id); }), refused);
    EXPECT_FALSE(tokenizer.is_special(id));
  }
  EXPECT_EQ(tokenizer.decode(std::vector<Token>{5}), "x");
}

TEST(TokenizerJson, D21_WhatIsNotJson) {
  const std::string good = letters().dump(), rest = good.substr(1);
  const std::pair<std::string, std::string> cases[] = {
      {"\xEF\xBB\xBF" + good, "byte order mark"},
      {good.substr(0, good.size() - 1) + ",}", "not JSON"},
      {"{/* a comment */" + rest, "not JSON"},
      {"{// a comment\n" + rest, "not JSON"},
      {R"({"padding":NaN,)" + rest, "not JSON"},
      {R"({"padding":Infinity,)" + rest, "not JSON"},
      {R"({"version":"1.0",)" + rest, "duplicate key"},
      {R"({"\u0076ersion":"1.0",)" + rest, "duplicate key"},
      {good + "x", "not JSON"},
      {good + good, "not JSON"},
      {good + std::string(1, '\0'), "NUL"},
      {R"({"x":")"
       "\xFF"
       R"(",)" +
           rest,
       "not JSON"},
      {R"({"x":"\ud800",)" + rest, "not JSON"},
      {"", "not JSON"},
      {"{", "not JSON"},
  };
  for (const auto& [text, part] : cases)
    EXPECT_THAT(refusal(text), AllOf(StartsWith("E3001 tokenizer.json: byte "), HasSubstr(part)))
        << quoted(text);
  EXPECT_THAT(refusal(R"({"x":)" + std::string(100'000, '[')), StartsWith("E5003"));
  Limits small;
  small.json_bytes = 10;
  EXPECT_THAT(refusal(good, small), AllOf(StartsWith("E5002 tokenizer.json: "), HasSubstr("at most 10")));
}

class TokenizerFiles : public InFolder {
 protected:
  std::string load(const fs::path& path) const {
    return error_of([&] { Tokenizer::load(path); });
  }
};

TEST_F(TokenizerFiles, D21_AFileOfAGigabyteIsNotRead) {
  put("tokenizer.json", "{");
  fs::resize_file(folder / "tokenizer.json", 1u << 30);
  EXPECT_THAT(load(folder),
              AllOf(StartsWith("E5002"), HasSubstr("tokenizer.json"), HasSubstr("1073741824 bytes")));
}

// Under their own names these files are read as what they are; vocabulary_files_test.cpp has more of them.
TEST_F(TokenizerFiles, D22_OtherFilesUnderTheNameOfATokenizerJson) {
  for (const std::string& text : {std::string("\x0A\x0E\x0A\x05<unk>\x15\0\0\0\0\x18\x02", 16),
                                  std::string("#version: 0.2\na b\n"), std::string("PAD\nUNK\nthe\n")}) {
    put("tokenizer.json", text);
    EXPECT_THAT(load(folder), AllOf(StartsWith("E3201 "), HasSubstr("a tokenizer.json begins with {"),
                                    HasSubstr("*.model, vocab.json with merges.txt, vocab.txt")))
        << quoted(text);
  }
}

TEST_F(TokenizerFiles, D22_DirectoriesWithoutATokenizer) {
  EXPECT_THAT(load(folder), AllOf(StartsWith("E4001"), HasSubstr("tokenizer.json")));
  for (const char* name : {"source.spm", "vocab.json"}) {
    put(name, "{}");
    EXPECT_THAT(load(folder),
                AllOf(StartsWith("E3201"), HasSubstr(std::string("has ") + name + " and none of the files"),
                      HasSubstr("sentencepiece.bpe.model, vocab.json with merges.txt, vocab.txt")));
    fs::remove(folder / name);
  }
  put("tokenizer.json", letters().dump());
  EXPECT_EQ(load(folder), "");
  EXPECT_THAT(load(fs::path(std::string(5000, 'x'))), StartsWith("E4001"));
  fs::create_symlink("loop", folder / "loop");
  EXPECT_THAT(load(folder / "loop"), StartsWith("E4001"));
  EXPECT_THAT(load("/dev/zero"), StartsWith("E3003"));
}

}  // namespace
}  // namespace glossa::test
