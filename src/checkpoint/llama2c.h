// llama2c.h -- the files of llama2.c (github.com/karpathy/llama2.c): a LLaMA model in one .bin file, and its
// vocabulary in another. Given and taken with Hugging Face's names and layout.
//
// A model is a header of seven int32 and the weights in a fixed order. Version 0 has nothing else, a negative
// vocab_size if the head is not the embedding, and tables of cosines and sines that are not read. Versions 1
// (f32) and 2 (int8 with a scale for each group) begin with "ak42" and have a header of 256 bytes.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "checkpoint/tensor_table.h"

namespace glossa {

// Names as in Hugging Face's config.json of a LLaMA model.
struct Llama2cConfig {
  std::int64_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0, num_attention_heads = 0,
               num_key_value_heads = 0, vocab_size = 0, max_position_embeddings = 0;
  bool tie_word_embeddings = true;

  std::int64_t head_dim() const { return hidden_size / num_attention_heads; }
  OrderedJson to_json()
      const;  // config.json of LlamaForCausalLM, with what all of llama2.c's models have alike
};

struct Llama2cModel {
  Llama2cConfig config;
  int version = 0;
  NamedTensors tensors;  // of f32, with the names of LlamaForCausalLM
};

// Where the tensors are in a file.
struct Llama2cTensor {
  std::string name;
  Shape shape;
  std::int64_t heads = 0;   // rotary heads among the rows; 0: none
  std::uint64_t begin = 0;  // in the file
  std::int64_t group = 0;   // elements that share a scale; 0: f32
};
struct Llama2cLayout {
  Llama2cConfig config;
  int version = 0;
  std::vector<Llama2cTensor> tensors;
};
Llama2cLayout parse_llama2c(Bytes file, std::string_view origin, const Limits& limits = {});

// Error(llama2c) for what contradicts itself; the file must have the very size that its header asks for.
Llama2cModel read_llama2c(Bytes file, std::string_view origin, const Limits& limits = {});
// Whether the beginning of a file can be one of a model.
bool looks_like_llama2c(Bytes file);

// A model in a mapped file, whose tensors are made when they are asked for.
class Llama2cFile {
 public:
  explicit Llama2cFile(const fs::path& path, const Limits& limits = {});
  const Llama2cConfig& config() const { return layout_.config; }
  Tensor find(const std::string& name) const;  // no tensor if there is none
  void check_intact() const { file_.check_intact(); }

 private:
  MappedFile file_;
  Llama2cLayout layout_;
};

// Writes version 0. Error(weights) if a tensor is missing or of another shape.
void write_llama2c(const std::function<void(Bytes)>& write, const Llama2cConfig& config,
                   const NamedTensors& tensors);
// The same of tensors that are made one by one, by their names.
void write_llama2c(const std::function<void(Bytes)>& write, const Llama2cConfig& config,
                   const std::function<Tensor(const std::string&)>& find);

// The vocabulary: for each id its piece, with a space where SentencePiece has its lower block, and the score
// that decides which pieces are merged first.
struct Llama2cTokenizer {
  std::vector<std::string> pieces;
  std::vector<float> scores;
};
Llama2cTokenizer read_llama2c_tokenizer(Bytes file, std::string_view origin, const Limits& limits = {});
void write_llama2c_tokenizer(const std::function<void(Bytes)>& write, const Llama2cTokenizer& tokenizer);

// Rotary position embedding turns pairs of a head's dimensions. llama2.c pairs neighbours (2i, 2i + 1),
// Hugging Face's LLaMA pairs i with i + half. Rows of the query and key projections make these dimensions, so
// moving row 2i + j of each head to row i + j * half turns one into the other: queries and keys are permuted
// alike, and their products, which are all that attention sees of them, stay what they were. Values are not
// turned, and not moved. Returns the row of llama2.c that row `row` of Hugging Face is.
std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim);

}  // namespace glossa
