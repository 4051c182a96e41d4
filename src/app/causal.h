// causal.h -- what the commands that run language models share.
#pragma once
#include <functional>
#include <string>

#include "checkpoint/causal_directory.h"
#include "generate/engine.h"

namespace glossa::app {

// A model from a directory or a .gguf file, or one of the cache by its name (model_path). Errors as load_causal_directory's and load_gguf_model's.
LoadedCausalModel load_causal(const std::string& path);

// Whether a token's text holds one of the strings that end what DRY compares. It keeps a copy of the tokenizer.
std::function<bool(std::int32_t)> sequence_breaks(const Tokenizer& tokenizer, const SamplingConfig& sampling);

// A whole file, or standard input ("-"); compressed ones too. Error(utf8) if it is not UTF-8.
std::string read_text(const std::string& path);

}  // namespace glossa::app
