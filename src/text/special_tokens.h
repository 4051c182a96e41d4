// special_tokens.h -- the tokens with a role, and what else tokenizer_config.json says of a tokenizer.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/limits.h"

namespace glossa {

// As tokenizer_config.json and special_tokens_map.json name them; "" where there is none.
struct SpecialTokens {
  std::string bos = {}, eos = {}, unk = {}, pad = {}, sep = {}, cls = {}, mask = {};
  std::optional<std::int64_t> model_max_length = {};  // in tokens
  bool add_bos = false, add_eos = false;
  bool clean_up_tokenization_spaces = false;
  std::string chat_template = {};
};

// From the files of a Hugging Face directory that are there. Error(tokenizer) with file and key.
SpecialTokens read_special_tokens(const fs::path& directory, const Limits& limits = {});
// The text of a tokenizer_config.json with which PreTrainedTokenizerFast loads the directory.
std::string to_tokenizer_config(const SpecialTokens& tokens);

}  // namespace glossa
