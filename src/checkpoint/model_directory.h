// model_directory.h -- a Hugging Face directory as a model that can be used, and the other way round: config.json,
// model.safetensors (or what else tensor_directory.h reads), tokenizer.json, tokenizer_config.json,
// generation_config.json.
#pragma once
#include <memory>
#include <string>

#include "base/json.h"
#include "checkpoint/tensor_directory.h"
#include "models/transformer.h"
#include "text/tokenizer.h"

namespace glossa {

struct LoadOptions {
  bool training = false;  // weights are copied and have gradients; else they stay in the mapped files
  Device device = {};
  Limits limits = {};
};

// A model and what it needs to work with text.
struct LoadedModel {
  TransformerConfig config;
  std::unique_ptr<ParameterList> parameters;
  std::unique_ptr<Transformer> model;
  Tokenizer tokenizer;
  std::vector<std::string> notes = {};  // on what was passed over
};

// Error(config) for an architecture that this program does not have, Error(weights) for tensors that are missing or of
// another shape (one message for all), Error(tokenizer) for a vocabulary larger than the model's.
LoadedModel load_model_directory(const fs::path& directory, const LoadOptions& options = {});

struct ModelFiles {
  const OrderedJson& config;
  NamedTensors weights;
  const Tokenizer& tokenizer;
  const OrderedJson& generation_config;
};

// Writes the files into a directory that exists, each atomically.
void save_model_directory(const fs::path& directory, const ModelFiles& files);

}  // namespace glossa
