// tokenizer_classes.h -- the tokenizer classes of Hugging Face: what each puts around a vocabulary that comes
// in files of its own, and not in a tokenizer.json.
#pragma once
#include "text/parts.h"
#include "text/sentencepiece.h"

namespace glossa {

// Of the class that the configuration names; without one what the file itself says, GPT-2's or BERT's.
// Error(tokenizer) names the class and those that are supported.
TokenizerParts tokenizer_of_sentencepiece(SentencePieceModel model, const TokenizerConfig& config);
TokenizerParts tokenizer_of_byte_bpe(BpeModel model, std::string_view origin, const TokenizerConfig& config);
TokenizerParts tokenizer_of_word_piece(WordPieceModel model, std::string_view origin,
                                       const TokenizerConfig& config);

// The merges of byte-pair encoding that pieces of characters stand for: all ways to make a piece of two
// others, those of higher scores first, then those of lower ids, then those of shorter left halves.
std::vector<std::pair<Token, Token>> merges_of_scores(const Vocabulary& vocabulary,
                                                      const std::vector<double>& scores);

}  // namespace glossa
