// symbol.h -- a token and how much of a word it stands for: what the models make of words.
#pragma once
#include <cstdint>

#include "text/vocabulary.h"

namespace glossa {

struct Symbol {
  Token id;
  std::uint32_t size;  // in bytes of the word
};

}  // namespace glossa
