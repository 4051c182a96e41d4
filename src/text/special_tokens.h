// special_tokens.h -- the tokens with a role, and what else tokenizer_config.json says of a tokenizer.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/limits.h"
#include "text/added_tokens.h"

namespace glossa {

// As tokenizer_config.json and special_tokens_map.json name them; "" where there is none.
struct SpecialTokens {
  std::string bos = {}, eos = {}, unk = {}, pad = {}, sep = {}, cls = {}, mask = {};
  std::optional<std::int64_t> model_max_length = {};  // in tokens
  bool add_bos = false, add_eos = false;
  bool clean_up_tokenization_spaces = false;
  std::string chat_template = {};
};

// What tokenizer_config.json, special_tokens_map.json and added_tokens.json say beside, for vocabularies that
// are not in a tokenizer.json.
struct TokenizerConfig {
  std::string origin = "tokenizer_config.json";  // for messages
  SpecialTokens special = {};
  std::string tokenizer_class = {};           // without Fast at its end; "" where none is named
  std::vector<AddedToken> added_tokens = {};  // with their ids, from the least on
  std::optional<bool> add_prefix_space = {}, legacy = {}, strip_accents = {}, keep_accents = {};
  bool do_lower_case = true, tokenize_chinese_chars = true;
  std::int64_t extra_ids = 100;
};

// From the files of a Hugging Face directory that are there. Error(tokenizer) with file and key.
TokenizerConfig read_tokenizer_config(const fs::path& directory, const Limits& limits = {});
TokenizerConfig parse_tokenizer_config(std::string_view json, std::string_view origin,
                                       const Limits& limits = {});
// The text of a tokenizer_config.json with which PreTrainedTokenizerFast loads the directory.
std::string to_tokenizer_config(const SpecialTokens& tokens);

}  // namespace glossa
