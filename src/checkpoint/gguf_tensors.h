// gguf_tensors.h -- what the weights of Hugging Face's models are called in GGUF files, and how they lie
// there.
#pragma once
#include <string>

#include "base/json.h"
#include "tensor/tensor.h"

namespace glossa {

// The place of a weight: its name in the file, "" if the format has none for it, and what is done to it.
struct GgufPlace {
  enum class Layout : std::uint8_t {
    same,
    neighbours,  // rows of queries and keys: what rotary positions turn together are neighbours, not halves
                 // of a head
    gains,       // factors of a norm themselves, where Hugging Face's Gemma has their distance from one
    transposed   // [out, in], where Hugging Face's GPT-2 has [in, out]
  };
  std::string name;
  Layout layout = Layout::same;
  std::int64_t heads = 0;  // of `neighbours`

  Shape shape(const Shape& hugging_face) const;  // in the file
};

// Of the weight that the model of this configuration (config.json) calls `name`.
GgufPlace gguf_place(const std::string& name, const Json& config);
Tensor to_gguf(const GgufPlace& place, const Tensor& hugging_face);
Tensor from_gguf(const GgufPlace& place, const Tensor& gguf);

}  // namespace glossa
