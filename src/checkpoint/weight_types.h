// weight_types.h -- which type each weight of a model becomes when one is asked for the whole, such as Q4_K_M: the rule of
// gguf_file_type.h, for files that are written and for models that are loaded in another type than theirs.
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "checkpoint/gguf_file_type.h"
#include "checkpoint/model_source.h"

namespace glossa {

class WeightTypes {
 public:
  // Of a model with this configuration in full (ModelPlan). Error(bad_value) for a type that is not known, Error(config) for
  // an architecture that GGUF files do not have.
  WeightTypes(std::string_view type, const Json& config, const std::string& config_origin);
  // Of the tensor that the file calls `name`, of this shape there and stored as `stored`.
  DType type_of(const std::string& name, const Shape& shape, DType stored);
  const GgufFileType& file_type() const { return file_type_; }
  // On what became another type than asked for so far, and on what was rounded twice; `path` is the model's.
  std::vector<std::string> notes(const fs::path& path) const;

 private:
  const GgufFileType& file_type_;
  QuantisedModel model_;
  bool again_ = false;  // blocks became other blocks
  std::map<std::tuple<std::int64_t, DType, DType>, std::vector<std::string>>
      misfits_;  // by columns, type asked for, type taken
};

// The model with its weights in another type, each made when it is asked for: bit for bit those that a model has which
// `convert_model` wrote as GGUF in that type. Errors as plan_of's and WeightTypes'; Error(weights) for a weight that GGUF
// has no place for.
ModelSource with_type(ModelSource source, std::string_view type);

}  // namespace glossa
