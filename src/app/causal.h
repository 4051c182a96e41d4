// causal.h -- what the commands that run language models share.
#pragma once
#include <functional>
#include <string>

#include "checkpoint/causal_model.h"
#include "generate/engine.h"

namespace CLI {
class App;
}

namespace glossa::app {

// What --model, --tokenizer and --type say.
struct ModelOptions {
  std::string model = {}, tokenizer = {};
  std::string type = {};  // of the weights; "": as they are in the files
};
void add_model_options(CLI::App& command, ModelOptions& options);
void add_type_option(CLI::App& command, std::string& type, const std::string& whose);  // which add_model_options adds

// How much is generated, and of how many tokens the context and a step are.
void add_length_options(CLI::App& command, std::int32_t& predict, EngineOptions& engine);

// Of what the cache of keys and values is made.
void add_cache_options(CLI::App& command, CacheTypes& types);

// The files that they name: of the cache too (model_path); with the weights in the type asked for.
ModelSource open_source(const ModelOptions& options);
// The model in them, with its notes printed.
LoadedCausalModel load_causal(const ModelOptions& options);

// Whether a token's text holds one of the strings that end what DRY compares. It keeps a copy of the tokenizer.
std::function<bool(std::int32_t)> sequence_breaks(const Tokenizer& tokenizer, const SamplingConfig& sampling);

// A whole file, or standard input ("-"); compressed ones too. Error(utf8) if it is not UTF-8.
std::string read_text(const std::string& path);

}  // namespace glossa::app
