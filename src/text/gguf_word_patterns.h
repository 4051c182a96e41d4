// gguf_word_patterns.h -- how the tokenizers that a GGUF file names under tokenizer.ggml.pre cut texts into
// words.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "text/parts.h"

namespace glossa {

struct GgufWordPattern {
  Normalizer normalizer = {};
  PreTokenizer pre_tokenizer = {};
  bool ignore_merges = false, add_bos = false, add_sep = false;
};

// Error(tokenizer) for a name that is not known, with those that are.
GgufWordPattern gguf_word_pattern(std::string_view pre, std::string_view origin);

// The name under which a file has a byte-level tokenizer that cuts these texts as `parts` does; "" if there
// is none.
std::string gguf_pre_of(const TokenizerParts& parts, std::span<const std::string_view> texts);

}  // namespace glossa
