// causal_directory.h -- a Hugging Face directory as a decoder-only language model that can be used.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/model_directory.h"
#include "nn/causal.h"

namespace glossa {

struct LoadedCausalModel {
  std::unique_ptr<ParameterList> parameters;
  std::unique_ptr<CausalModel> model;
  Tokenizer tokenizer;
  std::vector<Token> stop_tokens;        // that end a text, or a turn of a conversation
  std::vector<std::string> notes = {};   // on what was passed over
};

// The tokens among `ids`, and those that end a text or a turn by their names, each once.
std::vector<Token> stop_tokens(std::vector<Token> ids, const Tokenizer& tokenizer, std::int64_t vocabulary);

// Errors as load_model_directory's.
LoadedCausalModel load_causal_directory(const fs::path& directory, const LoadOptions& options = {});

}  // namespace glossa
