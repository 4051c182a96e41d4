#include "generate/text_stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace glossa::test {
namespace {

// A token for each byte, under GPT-2's names: "Ġ" is a space.
Tokenizer bytes() {
  std::string vocabulary;
  int id = 0;
  const auto add = [&](const std::string& piece) { vocabulary += fmt::format(R"({}"{}": {})", id ? ", " : "", piece, id), ++id; };
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (const char* piece : {"Ġ", "ä", "½", "ł", "å", "¥"}) add(piece);  // bytes 20 E4 BD A0 E5 A5
  return Tokenizer::parse(fmt::format(R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
      "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
      "post_processor": null, "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
      "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                 "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {{{}}}, "merges": []}}}})", vocabulary),
                          "bytes");
}

std::vector<std::string> pushed(TextStream& stream, std::string_view text, const Tokenizer& tokenizer) {
  std::vector<std::string> pieces;
  for (const Token token : tokenizer.encode(text)) pieces.push_back(stream.push(token));
  pieces.push_back(stream.finish());
  return pieces;
}

TEST(TextStream, HoldsBackHalfACharacter) {
  const Tokenizer tokenizer = bytes();
  TextStream stream(tokenizer, {});
  EXPECT_EQ(pushed(stream, "a你", tokenizer), (std::vector<std::string>{"a", "", "", "你", ""}));
}

TEST(TextStream, StopsAtAStringAndHoldsBackItsBeginning) {
  const Tokenizer tokenizer = bytes();
  TextStream stream(tokenizer, {"user", "end of"});
  EXPECT_EQ(pushed(stream, "us a userx", tokenizer), (std::vector<std::string>{"", "", "us ", "a", " ", "", "", "", "", "", ""}));
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStream, GivesWhatWasHeldBackIfNothingComesOfIt) {
  const Tokenizer tokenizer = bytes();
  TextStream stream(tokenizer, {"end"});
  EXPECT_EQ(pushed(stream, "been", tokenizer), (std::vector<std::string>{"b", "", "e", "", "en"}));
  EXPECT_FALSE(stream.stopped());
}

}  // namespace
}  // namespace glossa::test
