// gguf_model.h -- a GGUF file as a decoder-only language model that can be used: its metadata as the config.json of Hugging
// Face's model, its tensors under that model's names.
#pragma once
#include "checkpoint/causal_directory.h"
#include "checkpoint/gguf_file.h"

namespace glossa {

// Weights of block types stay what they are. Error(config) for an architecture that this program does not have.
LoadedCausalModel load_gguf_model(const fs::path& path, const LoadOptions& options = {});

// A directory or a .gguf file, as it is.
LoadedCausalModel load_causal(const fs::path& path, const LoadOptions& options = {});

// The parts of load_gguf_model: the configuration, and where the weights come from.
Json gguf_config(const GgufFile& file);
// The tensor that Hugging Face's model calls `name`; no tensor if there is none.
Tensor gguf_weight(const GgufFile& file, const Json& config, const std::string& name);

}  // namespace glossa
