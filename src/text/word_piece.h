// word_piece.h -- WordPiece (Wu et al., 2016, as BERT has it): of a word the longest piece at its beginning,
// then of the rest the longest that continues a word, and so on; a word that does not come out even is
// unknown.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece_trie.h"
#include "text/symbol.h"

namespace glossa {

struct WordPieceModel {  // as tokenizer.json has it
  Vocabulary vocabulary;
  std::string unk_token = "[UNK]", continuing_subword_prefix = "##";
  std::int64_t max_input_chars_per_word = 100;  // longer words are unknown
};

// A model made ready to encode. Immutable.
class WordPiece {
 public:
  // The model and `origin`, the file for messages, must outlive this.
  WordPiece(const WordPieceModel& model, std::string_view origin);
  // The symbols of a word of UTF-8. Error(tokenizer) if it is unknown and nothing stands for the unknown.
  void encode(std::string_view word, std::vector<Symbol>& symbols) const;

 private:
  Symbol unknown(std::string_view word) const;

  const WordPieceModel& model_;
  const std::string_view origin_;
  PieceTrie beginning_, continuing_;
};

}  // namespace glossa
