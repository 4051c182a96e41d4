// model_source.h -- a decoder-only model on disk, of whatever files it consists: what it is, its weights by
// Hugging Face's names, its tokenizer.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/gguf_file.h"
#include "checkpoint/tensor_directory.h"
#include "checkpoint/tensor_table.h"
#include "nn/parameter.h"
#include "text/tokenizer.h"

namespace glossa {

struct ModelSource {
  enum class Kind : std::uint8_t { directory, gguf, torch_file, llama2c } kind = Kind::directory;
  fs::path path;
  Json config;                // config.json
  std::string config_origin;  // for messages
  WeightSource weight;        // as it is stored, block types too; memory of the file where it can be
  // The type of what `weight` gives, without the work of making that; none if it gives nothing.
  std::function<std::optional<DType>(const std::string& name)> type_of = {};
  std::vector<std::string> offered = {};  // names that the files have, if they are Hugging Face's
  Tokenizer tokenizer;
  std::vector<Token> ends = {};  // tokens that the configuration says to end a text
  std::shared_ptr<const GgufFile> gguf = {};
  std::function<void()> check_intact = {};  // Error(changed) if a file was written to since it was opened
  bool own_tokenizer = true;  // false: another was asked for in its place
  std::vector<std::string> notes = {};

  bool is_hugging_face() const { return kind == Kind::directory || kind == Kind::torch_file; }
  fs::path directory() const { return kind == Kind::directory ? path : path.parent_path(); }  // of the other files
};

// A tokenizer of any kind of file or directory: GGUF, and llama2.c's .bin too.
Tokenizer open_tokenizer(const fs::path& path, const Limits& limits = {});

struct SourceOptions {
  fs::path tokenizer = {};  // in the place of the model's own; files of llama2.c have none
  Limits limits = {};
};

// Opens
//   a directory   config.json, weights (safetensors or torch.save), a tokenizer
//   a GGUF file   or the first of its parts
//   a file of torch.save or of safetensors, with the other files of a directory beside it
//   a file of llama2.c, with its tokenizer beside it (NAME.tokenizer.bin, tokenizer.bin, tokenizer.json,
//   tokenizer.model)
// Nothing of the weights is read yet. Errors of the formats; Error(config) for an architecture that is not
// there; Error(tokenizer) for a vocabulary larger than the model's.
ModelSource open_model(const fs::path& path, const SourceOptions& options = {});

// The names, shapes and types of all weights of the model, in its order, and its configuration in full.
// Error(weights) if a weight is missing, of another shape, no floating-point numbers, or too much.
struct ModelPlan {
  std::vector<TensorPlan> weights;
  OrderedJson config;
  std::int64_t vocabulary = 0;
  std::vector<std::string> notes = {};
};
ModelPlan plan_of(const ModelSource& source);
// Error(weights) if the files have a tensor of a layer that the model's list does not; of those whose names
// are Hugging Face's the list itself says so.
void check_all_asked_for(const ModelSource& source, const ParameterList& list);

}  // namespace glossa
