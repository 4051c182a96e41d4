// gguf_vocabulary.h -- the vocabulary that a GGUF file carries under tokenizer.ggml.*, made a tokenizer with
// the ids of the model's own.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/parts.h"

namespace glossa {

// What token_type counts.
namespace gguf_token_type {
enum : std::int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
}

// The file's keys without their prefix; views are read only while the tokenizer is made.
struct GgufVocabulary {
  std::string origin = "the GGUF file";  // for messages
  std::string model = {}, pre = {};      // "gpt2", "llama", ...; which expressions cut words
  std::vector<std::string_view> tokens = {};
  std::vector<float> scores = {};              // as many as tokens, or none
  std::vector<std::int32_t> token_types = {};  // likewise
  std::vector<std::string_view> merges = {};   // two pieces with a space between
  std::optional<std::int64_t> bos_token_id = {}, eos_token_id = {}, unknown_token_id = {},
                              seperator_token_id = {}, padding_token_id = {}, cls_token_id = {},
                              mask_token_id = {};
  std::optional<bool> add_bos_token = {}, add_eos_token = {}, add_sep_token = {}, add_space_prefix = {},
                      remove_extra_whitespaces = {};
  std::optional<bool> normalizer_lowercase = {}, normalizer_strip_accents = {};
  std::string_view precompiled_charsmap = {};
  std::string_view chat_template = {};
};

// Error(tokenizer) names the key and what is supported.
TokenizerParts tokenizer_of_gguf(const GgufVocabulary& vocabulary);

}  // namespace glossa
