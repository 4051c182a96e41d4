// tokenize.h -- the tokenisers that scores are defined with, as sacreBLEU 2.6 has them to the character:
// mteval-v13a and mteval-v14 (NIST), the Chinese one of WMT, single characters, and tercom's. Pure functions
// of well-formed UTF-8; words are separated by white space in what they return.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace glossa {

enum class BleuTokenizer : std::uint8_t { mteval13a, international, chinese, characters, none };

// Its name in signatures and on the command line: 13a, intl, zh, char, none.
std::string_view name_of(BleuTokenizer tokenizer);
// Error(bad_value) for a name it does not know; tokenisers that need a model or a dictionary are refused by
// name.
BleuTokenizer bleu_tokenizer(std::string_view name);

std::string tokenized(std::string_view line, BleuTokenizer tokenizer);

struct TercomOptions {
  bool normalized = false;      // unescape entities, split punctuation
  bool no_punctuation = false;  // remove it
  bool asian_support = false;   // extends both of the above to CJK characters and punctuation
  bool case_sensitive = false;
};

std::string tercom_tokenized(std::string_view line, const TercomOptions& options);

}  // namespace glossa
