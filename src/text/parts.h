// parts.h -- the components of a tokenizer as data: what a tokenizer.json says, no more and no less.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "text/added_tokens.h"
#include "text/decode.h"
#include "text/encoder.h"
#include "text/normalize.h"
#include "text/post_process.h"
#include "text/pre_tokenize.h"
#include "text/special_tokens.h"

namespace glossa {

// These two are the caller's to apply: how long a text may be is a matter of the model that reads it.
struct Truncation {
  std::string direction = "Right", strategy = "LongestFirst";
  std::int64_t max_length = 512, stride = 0;
};
struct Padding {
  std::optional<std::int64_t> fixed_length = {};  // nothing: to the longest of the batch
  std::string direction = "Right", pad_token = "[PAD]";
  std::optional<std::int64_t> pad_to_multiple_of = {};
  std::int64_t pad_id = 0, pad_type_id = 0;
};

struct TokenizerParts {
  std::string origin = "the tokenizer";  // for messages
  std::optional<Truncation> truncation = {};
  std::optional<Padding> padding = {};
  std::vector<AddedToken> added_tokens = {};  // by id
  Normalizer normalizer = {};
  PreTokenizer pre_tokenizer = {};
  PostProcessor post_processor = {};
  Decoder decoder = {};
  Model model = {};
  SpecialTokens special_tokens = {};  // of tokenizer_config.json

  const Vocabulary& vocabulary() const {
    return std::visit([](const auto& m) -> const Vocabulary& { return m.vocabulary; }, model);
  }
};

}  // namespace glossa
