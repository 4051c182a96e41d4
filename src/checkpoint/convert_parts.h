// convert_parts.h -- what the writers of models share.
#pragma once
#include "checkpoint/convert.h"
#include "checkpoint/tensor_table.h"
#include "text/make_gguf_vocabulary.h"

namespace glossa {

// A model to be written: opened, compared with its configuration, and the latter in full.
struct ModelToWrite {
  const ModelSource& source;
  ModelPlan plan;
  Json config;  // the plan's
};

// As `type`; Error(nonfinite) that names the tensor if a value is not finite, or would not be.
Tensor as_type(const Tensor& tensor, DType type, const std::string& name, const fs::path& origin);
void count(Conversion& conversion, std::string_view type, const Tensor& tensor);
// The vocabulary of the model, with scores of a SentencePiece model where one lies beside it.
MadeGgufVocabulary vocabulary_to_write(const ModelToWrite& model);

void write_gguf_model(const ModelToWrite& model, const fs::path& out, const ConvertOptions& options,
                      Conversion& conversion);
void write_llama2c_model(const ModelToWrite& model, const fs::path& out, const ConvertOptions& options,
                         Conversion& conversion);
void write_directory(const ModelToWrite& model, const fs::path& out, const ConvertOptions& options,
                     Conversion& conversion);

}  // namespace glossa
