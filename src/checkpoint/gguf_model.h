// gguf_model.h -- a GGUF file as a decoder-only language model: its metadata as the config.json of Hugging
// Face's model, and the other way round.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/gguf_file.h"

namespace glossa {

// general.architecture of the models of a model_type. Error(config) for one that is not there.
std::string gguf_architecture(const std::string& model_type, const std::string& origin);

// query_pre_attn_scalar of Gemma 2 (`second`) and 3, which files do not say: that of the largest model is
// another.
double gemma_score_scale(bool second, std::int64_t layers, std::int64_t width, std::int64_t heads,
                         std::int64_t head_dim);

// ---- reading ----

// Error(config) for an architecture that this program does not have.
Json gguf_config(const GgufFile& file);

// ---- writing ----

struct GgufModelKeys {
  GgufMetadata metadata;           // of the architecture
  NamedTensors tensors;            // of rotary positions, which Hugging Face has in its configuration
  std::vector<std::string> notes;  // on what llama.cpp does otherwise
};
// Error(config) names what the format cannot say.
GgufModelKeys gguf_keys(const Json& config, const std::string& origin);

}  // namespace glossa
