// gguf_rotary.h -- rotary positions as GGUF files say them: keys under ARCHITECTURE.rope, and tensors where
// each frequency has a factor of its own.
#pragma once
#include <string>

#include "checkpoint/gguf_file.h"
#include "nn/rotary.h"

namespace glossa {

// A number of the metadata as people wrote it: one of 32 bits is the shortest decimal that becomes it.
double gguf_number(const GgufMetadata& metadata, const std::string& key, double otherwise,
                   Between<double> allowed);

// rope_parameters of a config.json. `prefix`: "llama."
Json gguf_rope_parameters(const GgufFile& file, const std::string& prefix, std::int64_t head_dim);
// The same the other way round. Error(config) for a scaling that the format does not have.
void put_gguf_rope(const RotaryConfig& rope, const std::string& prefix, const std::string& origin,
                   GgufMetadata& metadata, NamedTensors& tensors);

}  // namespace glossa
