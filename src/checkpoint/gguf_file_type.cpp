#include "checkpoint/gguf_file_type.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"

namespace glossa {
namespace {

// Numbers of llama.cpp's llama_ftype.
constexpr GgufFileType kTypes[] = {
    {"F32", 0, DType::f32},      {"F16", 1, DType::f16},      {"BF16", 32, DType::bf16},
    {"Q8_0", 7, DType::q8_0},    {"Q4_0", 2, DType::q4_0},    {"Q4_1", 3, DType::q4_1},
    {"Q5_0", 8, DType::q5_0},    {"Q5_1", 9, DType::q5_1},    {"Q2_K", 10, DType::q2_k},
    {"Q3_K_S", 11, DType::q3_k}, {"Q3_K_M", 12, DType::q3_k}, {"Q3_K_L", 13, DType::q3_k},
    {"Q4_K_S", 14, DType::q4_k}, {"Q4_K_M", 15, DType::q4_k}, {"Q5_K_S", 16, DType::q5_k},
    {"Q5_K_M", 17, DType::q5_k}, {"Q6_K", 18, DType::q6_k},   {"IQ4_NL", 25, DType::iq4_nl},
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

// The layer in "blk.N....", or -1.
std::int64_t layer_of(const std::string& name) {
  std::int64_t layer = -1;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

class Rule {
 public:
  Rule(const GgufFileType& file, const QuantisedModel& model, const std::string& name)
      : type_(file.type), file_(file.name), model_(model), name_(name), layer_(layer_of(name)) {}

  DType type(std::int64_t cols) const {
    if (name_ == "output.weight" || (model_.tied && name_ == "token_embd.weight"))
      return cols % block_of(type_).elements != 0 || type_ == DType::q8_0 ? DType::q8_0 : DType::q6_k;
    if (contains(name_, "attn_v.weight") || contains(name_, "attn_qkv.weight")) return values();
    if (contains(name_, "ffn_down")) return down();
    if (contains(name_, "attn_output.weight")) return output();
    return type_;
  }

 private:
  // The first and the last eighth, and of those between every third.
  bool with_more_bits() const {
    const std::int64_t n = model_.layers;
    return layer_ < n / 8 || layer_ >= 7 * n / 8 || (layer_ - n / 8) % 3 == 2;
  }

  DType values() const {
    const bool grouped = model_.heads / std::max<std::int64_t>(1, model_.kv_heads) >= 4;
    DType type = type_;
    if (file_ == "Q2_K") type = grouped ? DType::q4_k : DType::q3_k;
    if (file_ == "Q3_K_M") type = layer_ < 2 ? DType::q5_k : DType::q4_k;
    if (file_ == "Q3_K_L" || (file_ == "IQ4_NL" && grouped)) type = DType::q5_k;
    if ((file_ == "Q4_K_M" || file_ == "Q5_K_M") && with_more_bits()) type = DType::q6_k;
    if (file_ == "Q4_K_S" && layer_ < 4) type = DType::q5_k;
    const bool seventy =
        model_.layers == 80 && (model_.architecture == "llama" || model_.architecture == "qwen2");
    return seventy && (type == DType::q3_k || type == DType::q4_k) ? DType::q5_k : type;
  }

  DType down() const {
    const bool early = layer_ < model_.layers / 8;
    if (file_ == "Q2_K") return DType::q3_k;
    if (file_ == "Q3_K_M") return layer_ < model_.layers / 16 ? DType::q5_k : DType::q4_k;
    if (file_ == "Q3_K_L") return DType::q5_k;
    if ((file_ == "Q4_K_S" || file_ == "IQ4_NL") && early) return DType::q5_k;
    if ((file_ == "Q4_K_M" || file_ == "Q5_K_M") && with_more_bits()) return DType::q6_k;
    return type_;
  }

  DType output() const {
    if (file_ == "Q2_K") return DType::q3_k;
    if (file_ == "Q3_K_M") return DType::q4_k;
    if (file_ == "Q3_K_L") return DType::q5_k;
    return type_;
  }

  DType type_;
  std::string_view file_;
  const QuantisedModel& model_;
  const std::string& name_;
  std::int64_t layer_;
};

// For rows that are no multiple of the block: a type of about as many bits with blocks of 32, or 16 bits.
DType fitting(DType type, std::int64_t cols) {
  if (cols % block_of(type).elements == 0) return type;
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
      type = DType::q4_0;
      break;
    case DType::q4_k:
      type = DType::q5_0;
      break;
    case DType::q5_k:
      type = DType::q5_1;
      break;
    case DType::q6_k:
      type = DType::q8_0;
      break;
    default:
      break;
  }
  return cols % block_of(type).elements == 0 ? type : DType::f16;
}

}  // namespace

const GgufFileType& gguf_file_type(std::string_view name) {
  std::string wanted;
  for (const char c : name) wanted += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const std::string_view middle : {"Q3_K", "Q4_K", "Q5_K"})
    if (wanted == middle) wanted += "_M";
  for (const GgufFileType& type : kTypes)
    if (wanted == type.name) return type;
  fail(Code::bad_value, "the type {} is not known; there are {}", quoted(name), all_gguf_file_types());
}

const GgufFileType& gguf_file_type(DType wanted) {
  for (const GgufFileType& type : kTypes)
    if (type.type == wanted) return type;
  return kTypes[0];
}

std::string all_gguf_file_types() {
  std::string all;
  for (const GgufFileType& type : kTypes) all += (all.empty() ? "" : ", ") + std::string(type.name);
  return all;
}

bool is_matrix(const std::string& name, const Shape& shape) {
  return shape.rank() >= 2 && name.ends_with("weight") && !contains(name, "_norm.weight") && name != "position_embd.weight";
}

ChosenType choose_type(const GgufFileType& file, const QuantisedModel& model, const std::string& name,
                       const Shape& shape) {
  if (!is_matrix(name, shape)) return {DType::f32, DType::f32};
  if (!is_quantised(file.type)) return {file.type, file.type};
  const std::int64_t cols = shape[shape.rank() - 1];
  const DType asked = Rule(file, model, name).type(cols);
  return {fitting(asked, cols), asked};
}

}  // namespace glossa
