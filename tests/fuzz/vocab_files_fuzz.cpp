// vocab_files_fuzz.cpp -- bytes as a vocab.json, a merges.txt (or a vocab.txt and nothing), a
// tokenizer_config.json and a text, with zero bytes between: refused by an Error, or a tokenizer that encodes
// and decodes the text.
#include <array>

#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/tokenizer_classes.h"
#include "text/vocabulary_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  std::array<std::string_view, 4> parts;
  std::string_view rest = fuzz_text(data, size);
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  const auto [vocabulary, merges, given, text] = parts;
  try {
    const TokenizerConfig config =
        given.empty() ? TokenizerConfig{} : parse_tokenizer_config(given, "config");
    const Tokenizer tokenizer(
        merges.empty()
            ? tokenizer_of_word_piece(parse_vocab_txt(vocabulary, "vocab.txt"), "vocab.txt", config)
            : tokenizer_of_byte_bpe(parse_vocab_json(vocabulary, merges, "vocab.json", "merges.txt"),
                                    "vocab.json", config));
    const std::vector<Token> ids = tokenizer.encode(text);
    for (const Token id : ids) require(id >= 0 && id < tokenizer.size());
    require(!utf8_error(tokenizer.decode(ids)).has_value());
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
