// gguf_file_type.h -- the types that a whole GGUF file is said to be of, such as Q4_K_M, and which type each
// of its tensors has then: llama.cpp's rule without an importance matrix (github.com/ggml-org/llama.cpp,
// src/llama-quant.cpp), by which tensors that bear rounding badly get more bits.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace glossa {

struct GgufFileType {
  std::string_view name;  // "Q4_K_M"
  std::uint32_t number;   // general.file_type
  DType type;             // of tensors that nothing else is said of
};

// By its name, whatever the case; Q3_K, Q4_K and Q5_K are the middle ones (..._M). Error(bad_value) with all
// names.
const GgufFileType& gguf_file_type(std::string_view name);
// The one of which all matrices have this type, as far as it can be said so.
const GgufFileType& gguf_file_type(DType type);
std::string all_gguf_file_types();

// What the rule asks of a model.
struct QuantisedModel {
  std::string architecture;  // general.architecture
  std::int64_t layers = 0, heads = 1, kv_heads = 1;
  bool tied = false;  // the embedding is the head
};

// Whether the tensor of that name and shape is one that is quantised; others are of 32 bits.
bool is_matrix(const std::string& name, const Shape& shape);

struct ChosenType {
  DType type = DType::f32;
  DType asked = DType::f32;  // another one if the rows are no multiple of its block
};
// Of the tensor of that name and shape in the file.
ChosenType choose_type(const GgufFileType& file, const QuantisedModel& model, const std::string& name,
                       const Shape& shape);

}  // namespace glossa
