// cut_words.h -- the regular expressions of well-known pre-tokenizers, each as a hand-written scanner: one
// pass, no backtracking, the same pieces as Oniguruma finds.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace glossa {

struct Piece {  // bytes [begin, end) of a text
  std::uint32_t begin, end;
};

enum class WordPattern : std::uint8_t {
  gpt2,    // of GPT-2, and of the pre-tokenizer ByteLevel
  cl100k,  // of GPT-4 and Llama 3: numbers in groups of three
  qwen2,   // the same with numbers digit by digit
};

// The regular expression as tokenizer.json files spell it.
std::string_view expression_of(WordPattern pattern);
// The pattern that an expression is, if it is one of these.
std::optional<WordPattern> known_pattern(std::string_view expression);
// Appends the pieces of `text`, which cover it without gaps, moved by `base`. Ill-formed bytes count as
// characters that are no letter, number or space.
void cut_words(WordPattern pattern, std::string_view text, std::uint32_t base, std::vector<Piece>& pieces);

}  // namespace glossa
