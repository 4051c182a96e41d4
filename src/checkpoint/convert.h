// convert.h -- a model on disk written in another form: tensor by tensor, and so that it appears whole or not
// at all.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_source.h"

namespace glossa {

enum class ModelFormat : std::uint8_t {
  directory,  // Hugging Face's, with model.safetensors
  pytorch,    // the same with pytorch_model.bin
  gguf,
  llama2c  // and NAME.tokenizer.bin beside it
};

struct ConvertOptions {
  ModelFormat format = ModelFormat::directory;
  std::string type =
      {};  // one of all_gguf_file_types(); "": what the weights are, as far as the format has it
};

struct Conversion {
  std::uint64_t tensors = 0, bytes = 0;             // written
  std::map<std::string, std::uint64_t> types = {};  // how many tensors of each
  std::vector<std::string> notes = {};              // on what is another in the new form
};

// All paths that it writes.
std::vector<fs::path> outputs_of(const fs::path& out, ModelFormat format);

// Errors of plan_of; Error(config), Error(tokenizer) and Error(bad_value) for what the format cannot hold, by
// name, all before anything is written; Error(nonfinite) for values that are not finite, or not any more in
// the type asked for.
Conversion convert_model(const ModelSource& source, const fs::path& out, const ConvertOptions& options);

}  // namespace glossa
