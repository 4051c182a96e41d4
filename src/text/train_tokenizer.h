// train_tokenizer.h -- a vocabulary learned from text: byte-pair encoding over characters or bytes,
// characters, or words.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unicode.h"
#include "text/tokenizer.h"

namespace glossa {

enum class TokenizerKind : std::uint8_t {
  bpe,       // characters joined within words; U+2581 marks where a word begins
  byte_bpe,  // bytes joined within GPT-2's words: no text is unknown, and every text comes back byte for byte
  chars,
  words,  // and marks of punctuation
};

struct TokenizerTraining {
  TokenizerKind kind = TokenizerKind::bpe;
  std::int64_t vocab_size = 8000;  // special tokens included; at least as many as these and the alphabet
  std::int64_t min_frequency =
      2;  // pairs (of chars: characters; of words: words) seen more seldom do not count
  // Of bpe and chars: how many different characters to keep at most, the most frequent ones (of equally
  // frequent ones those of lower code points). All others are unknown. Nothing: all; and for chars as many as
  // vocab_size allows.
  std::optional<std::int64_t> limit_alphabet = {};
  // What share of all characters of the texts those kept must make up: 0.9995 leaves out the rarest of
  // Chinese.
  double character_coverage = 1;
  std::optional<Normalization> normalization =
      Normalization::nfc;  // not of byte_bpe, which keeps texts as they are
  bool lowercase = false;
  // Of chars: white space is characters like any other, so that texts come back as they were.
  bool keep_white_space = false;
  SpecialTokens special_tokens = {.eos = "</s>", .unk = "<unk>", .pad = "<pad>"};
  // The pieces with the ids from 0 on; the special tokens must be among them.
  std::vector<std::string> first_pieces = {"<pad>", "</s>", "<unk>"};
  bool append_eos = true;  // encoding ends with the eos token
};

// Counts words, then learns. The result depends on the counts alone, and is what the trainers of the library
// make of the same words.
class TokenizerTrainer {
 public:
  explicit TokenizerTrainer(TokenizerTraining how);  // Error(bad_value)
  ~TokenizerTrainer();
  // Texts to learn from, each on its own. Counted on all threads. Ill-formed UTF-8 is taken as by encode.
  void add(std::span<const std::string_view> texts);
  void add(std::string_view text) { add(std::span(&text, 1)); }
  // Error(empty) without any text; Error(bad_value) if vocab_size is too small for the alphabet.
  Tokenizer train() const;

 private:
  class Counter;
  TokenizerTraining how_;
  std::unique_ptr<const TokenizerParts> pipeline_;
  std::vector<std::unique_ptr<Counter>> counters_;  // one for each thread
};

}  // namespace glossa
