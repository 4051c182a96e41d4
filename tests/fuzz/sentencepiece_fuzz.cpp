// sentencepiece_fuzz.cpp -- bytes as a SentencePiece model: refused by an Error, or a tokenizer of a class
// (their number decides which) is made, which encodes and decodes a text, and is the same when written and
// read again.
#include "text/sentencepiece.h"

#include <iterator>

#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/tokenizer_classes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  constexpr std::string_view kText = " A dog,  \xE7\x8B\x97! caf\xC3\xA9 e\xCC\x81 \xEF\xAC\x81\n<s>";
  constexpr const char* kClasses[] = {
      "", "LlamaTokenizer", "GemmaTokenizer", "", "T5Tokenizer", "XLMRobertaTokenizer", "AlbertTokenizer"};
  TokenizerConfig config;
  config.tokenizer_class = kClasses[size % std::size(kClasses)];
  try {
    const Tokenizer tokenizer(
        tokenizer_of_sentencepiece(parse_sentencepiece(fuzz_text(data, size), "fuzz.model"), config));
    const std::vector<Token> ids = tokenizer.encode(kText);
    for (const Token id : ids) require(id >= 0 && id < tokenizer.size());
    require(!utf8_error(tokenizer.decode(ids)).has_value());
    require(tokenizer.encode_with_offsets(kText).ids == ids);
    const std::string written = tokenizer.to_json();
    require(Tokenizer::parse(written, "written").to_json() == written);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
