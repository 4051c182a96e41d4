// read_components.h -- the parts of a tokenizer.json, each read from its place in the document. What is not
// supported is refused by name: Error(tokenizer).
#pragma once
#include "text/json_node.h"
#include "text/parts.h"

namespace glossa {

inline constexpr std::int64_t kMostTokens = INT32_MAX;

// Of the whole document.
Normalizer read_normalizer(const JsonNode& root);
PreTokenizer read_pre_tokenizer(const JsonNode& root);
PostProcessor read_post_processor(const JsonNode& root);
Decoder read_decoder(const JsonNode& root);
// Of its own object.
Model read_model(const JsonNode& node, const Limits& limits);
// An object of pieces and ids.
Vocabulary read_vocabulary(const JsonNode& node, const Limits& limits);

}  // namespace glossa
