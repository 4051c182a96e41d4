// causal_model.h -- a decoder-only language model from disk that can be used.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/model_directory.h"
#include "checkpoint/model_source.h"
#include "nn/causal.h"

namespace glossa {

struct LoadedCausalModel {
  std::unique_ptr<ParameterList> parameters;
  std::unique_ptr<CausalModel> model;
  Tokenizer tokenizer;
  std::vector<Token> stop_tokens;       // that end a text, or a turn of a conversation
  std::vector<std::string> notes = {};  // on what was passed over
};

// The tokens among `ids`, and those that end a text or a turn by their names, each once.
std::vector<Token> stop_tokens(std::vector<Token> ids, const Tokenizer& tokenizer, std::int64_t vocabulary);

// Weights of block types stay what they are. Errors as plan_of's; Error(memory), before weights are read, for a
// model that is to be used and is larger than what memory is free.
LoadedCausalModel load_causal_model(const ModelSource& source, const LoadOptions& options = {});
// The same of what open_model opens.
LoadedCausalModel load_causal_model(const fs::path& path, const LoadOptions& options = {},
                                    const fs::path& tokenizer = {});

}  // namespace glossa
