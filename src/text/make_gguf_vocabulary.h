// make_gguf_vocabulary.h -- a tokenizer as the vocabulary that a GGUF file carries.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace glossa {

// GgufVocabulary with texts of its own.
struct MadeGgufVocabulary {
  std::string model, pre;
  std::vector<std::string> tokens, merges;
  std::vector<float> scores;
  std::vector<std::int32_t> token_types;
  std::optional<std::int64_t> bos_token_id, eos_token_id, unknown_token_id, padding_token_id;
  bool add_bos_token = false, add_eos_token = false;
  std::optional<bool> add_space_prefix, remove_extra_whitespaces;
  std::string chat_template;
  std::vector<std::string> notes;  // on what the format does not keep

  GgufVocabulary view() const;
};

struct GgufVocabularyOptions {
  std::int64_t rows = 0;  // of the embedding: what has no token gets one that stands for nothing
  // Of a SentencePiece model's file, where there is one; else they are made from the order of the merges.
  std::map<std::string, float> scores = {};
};
// Of byte-level BPE and of SentencePiece's BPE. Error(tokenizer) for others, and if the vocabulary would give
// other ids: it is made a tokenizer again and compared on texts of many scripts.
MadeGgufVocabulary make_gguf_vocabulary(const Tokenizer& tokenizer, const GgufVocabularyOptions& options);

}  // namespace glossa
