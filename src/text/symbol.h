// symbol.h -- a token and how much of a word it stands for: what the models make of words.
#pragma once
#include <cstdint>
#include <string>

#include "text/vocabulary.h"

namespace glossa {

inline const std::string kWordMark = "\xE2\x96\x81";  // U+2581, which SentencePiece's vocabularies have for a space

struct Symbol {
  Token id;
  std::uint32_t size;  // in bytes of the word
};

}  // namespace glossa
