#include "checkpoint/gguf_tensors.h"

#include <cstring>

#include "base/error.h"
#include "checkpoint/llama2c.h"

namespace glossa {
namespace {

using Layout = GgufPlace::Layout;

struct Rename {
  std::string_view hugging_face, gguf;
};
constexpr Rename kOutside[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                               {"model.norm.weight", "output_norm.weight"},
                               {"lm_head.weight", "output.weight"},
                               {"transformer.wte.weight", "token_embd.weight"},
                               {"transformer.wpe.weight", "position_embd.weight"},
                               {"transformer.ln_f.weight", "output_norm.weight"},
                               {"transformer.ln_f.bias", "output_norm.bias"}};
constexpr Rename kInLayers[] = {{"self_attn.q_proj", "attn_q"},
                                {"self_attn.k_proj", "attn_k"},
                                {"self_attn.v_proj", "attn_v"},
                                {"self_attn.qkv_proj", "attn_qkv"},
                                {"self_attn.o_proj", "attn_output"},
                                {"self_attn.q_norm", "attn_q_norm"},
                                {"self_attn.k_norm", "attn_k_norm"},
                                {"mlp.gate_proj", "ffn_gate"},
                                {"mlp.up_proj", "ffn_up"},
                                {"mlp.gate_up_proj", "ffn_up"},
                                {"mlp.down_proj", "ffn_down"},
                                {"input_layernorm", "attn_norm"},
                                {"post_attention_layernorm", "ffn_norm"},
                                {"pre_feedforward_layernorm", "ffn_norm"},
                                {"post_feedforward_layernorm", "post_ffw_norm"},
                                {"ln_1", "attn_norm"},
                                {"ln_2", "ffn_norm"},
                                {"attn.c_attn", "attn_qkv"},
                                {"attn.c_proj", "attn_output"},
                                {"mlp.c_fc", "ffn_up"},
                                {"mlp.c_proj", "ffn_down"}};

std::string gguf_name(const std::string& name, bool gemma) {
  for (const auto& [from, to] : kOutside)
    if (name == from) return std::string(to);
  for (const std::string_view prefix : {"model.layers.", "transformer.h."}) {
    if (!name.starts_with(prefix)) continue;
    const std::size_t dot = name.find('.', prefix.size()), last = name.rfind('.');
    if (dot == name.npos || last <= dot) return "";
    const std::string layer = name.substr(prefix.size(), dot - prefix.size()),
                      part = name.substr(dot + 1, last - dot - 1);
    if (gemma && part == "post_attention_layernorm")
      return "blk." + layer + ".post_attention_norm" + name.substr(last);
    for (const auto& [from, to] : kInLayers)
      if (part == from) return "blk." + layer + "." + std::string(to) + name.substr(last);
  }
  return "";
}

// Rows of each head: row i * dim / 2 + j has the two that turn together half a head apart, row 2 j + i side
// by side.
Tensor reordered(const Tensor& t, std::int64_t heads, bool to_neighbours) {
  const bool cut = t.rank() < 2 && is_quantised(t.dtype());  // the blocks of a vector are no rows
  const Tensor x = (cut ? t.to(DType::f32) : t).contiguous();
  const std::int64_t rows = x.size(0), dim = rows / heads;
  check(rows % heads == 0 && dim % 2 == 0, Code::weights,
        "{} rows of queries or keys are not {} heads of even size", rows, heads);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const std::size_t row_bytes = x.bytes() / static_cast<std::size_t>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t other = interleaved_row(r, dim);
    const std::int64_t from = to_neighbours ? r : other, to = to_neighbours ? other : r;
    std::memcpy(static_cast<char*>(y.raw()) + static_cast<std::size_t>(to) * row_bytes,
                static_cast<const char*>(x.raw()) + static_cast<std::size_t>(from) * row_bytes, row_bytes);
  }
  return y;
}

template <class T>
Tensor transposed_as(const Tensor& x) {
  Tensor y = Tensor::empty({x.size(1), x.size(0)}, x.dtype());
  const T* from = static_cast<const T*>(x.raw());
  T* to = static_cast<T*>(y.raw());
  for (std::int64_t r = 0; r < y.size(0); ++r)
    for (std::int64_t c = 0; c < y.size(1); ++c) to[r * y.size(1) + c] = from[c * y.size(0) + r];
  return y;
}

// Blocks lie along rows, so of block types the values are transposed.
Tensor transposed(const Tensor& t) {
  const Tensor x = (t.dtype() == DType::f16 || t.dtype() == DType::bf16 ? t : t.to(DType::f32)).contiguous();
  return size_of(x.dtype()) == 2 ? transposed_as<std::uint16_t>(x) : transposed_as<float>(x);
}

Tensor plus(const Tensor& t, float number) {
  const Tensor x = t.to(DType::f32).contiguous();
  Tensor y = Tensor::empty(x.shape());
  for (std::int64_t i = 0; i < x.elements(); ++i) y.data<float>()[i] = x.data<float>()[i] + number;
  return y;
}

}  // namespace

Shape GgufPlace::shape(const Shape& hugging_face) const {
  return layout == Layout::transposed ? Shape{hugging_face[1], hugging_face[0]} : hugging_face;
}

GgufPlace gguf_place(const std::string& name, const Json& config) {
  const std::string type = config.at("model_type");
  const bool gemma = type.starts_with("gemma");
  GgufPlace place{.name = gguf_name(name, gemma)};
  const bool query = name.find(".q_proj.") != name.npos, key = name.find(".k_proj.") != name.npos;
  if ((type == "llama" || type == "mistral") && (query || key)) {
    place.layout = Layout::neighbours;
    const bool all =
        query || !config.contains("num_key_value_heads") || config.at("num_key_value_heads").is_null();
    place.heads = config.at(all ? "num_attention_heads" : "num_key_value_heads");
  } else if (gemma && name.find("norm.weight") != name.npos) {
    place.layout = Layout::gains;
  } else if (type == "gpt2" && name.starts_with("transformer.h.") && name.ends_with(".weight") &&
             name.find(".ln_") == name.npos) {
    place.layout = Layout::transposed;
  }
  return place;
}

Tensor to_gguf(const GgufPlace& place, const Tensor& t) {
  switch (place.layout) {
    case Layout::same:
      return t;
    case Layout::neighbours:
      return reordered(t, place.heads, true);
    case Layout::gains:
      return plus(t, 1);
    case Layout::transposed:
      return transposed(t);
  }
  fail(Code::internal, "no such layout");
}

Tensor from_gguf(const GgufPlace& place, const Tensor& t) {
  switch (place.layout) {
    case Layout::same:
      return t;
    case Layout::neighbours:
      return reordered(t, place.heads, false);
    case Layout::gains:
      return plus(t, -1);
    case Layout::transposed:
      return transposed(t);
  }
  fail(Code::internal, "no such layout");
}

}  // namespace glossa
