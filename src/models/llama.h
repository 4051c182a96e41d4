// llama.h -- "LLaMA: Open and Efficient Foundation Language Models" (Touvron et al., 2023), and what differs from it in
// little: Llama 2 and 3, Mistral, Qwen2, Qwen3, Phi-3. Parameters carry Hugging Face's names.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/config_keys.h"
#include "nn/causal.h"
#include "nn/layers.h"
#include "nn/rotary.h"

namespace glossa {

// Fields carry the names of config.json. What the families change:
//   mistral  all layers see a window
//   qwen2    biases of queries, keys and values; perhaps a window in the later layers
//   qwen3    norms of queries and keys, head by head
//   phi3     queries, keys and values are one tensor, and so are the gate and what it lets through
struct LlamaConfig {
  std::string model_type = "llama";
  std::int64_t vocab_size = 32000, hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32;
  std::int64_t num_attention_heads = 32, num_key_value_heads = 32, head_dim = 128;
  Unary hidden_act = Unary::silu;
  std::int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-6, initializer_range = 0.02;
  RotaryConfig rope = {};
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  std::int64_t sliding_window = 0;     // 0: none
  std::vector<bool> windowed = {};     // [layers]; which of them see a window only
  double attention_dropout = 0, resid_pdrop = 0, embd_pdrop = 0;
  bool tie_word_embeddings = false;

  bool qk_norm() const { return model_type == "qwen3"; }
  bool one_tensor() const { return model_type == "phi3"; }
  Init init() const { return {Init::normal, static_cast<float>(initializer_range)}; }

  // As TransformerConfig::from_json.
  static LlamaConfig from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes = nullptr);
  OrderedJson to_json() const;
};

struct LlamaBlock {
  RmsNorm input_layernorm;
  Linear qkv, out;
  std::optional<RmsNorm> q_norm, k_norm;
  RmsNorm post_attention_layernorm;
  Linear gate_up, down;
  LlamaBlock(const Scope& s, const LlamaConfig& c);
};

class Llama final : public CausalModel {
 public:
  Llama(ParameterList& parameters, const LlamaConfig& config);

  Tensor hidden(const CausalInput& in, bool recompute) const override;
  Tensor logits(const Tensor& hidden) const override { return linear(hidden, head_, {}); }
  Tensor loss(const CausalBatch& batch, const LossOptions& options) const override;
  KvCache make_cache(const CacheTypes& types) const override;
  std::int64_t vocabulary() const override { return config_.vocab_size; }
  std::int64_t longest() const override { return config_.max_position_embeddings; }
  OrderedJson config() const override { return config_.to_json(); }

 private:
  Tensor block(int index, const Tensor& x, const CausalInput& in, const Tensor& angles) const;

  LlamaConfig config_;
  Device device_;
  DType dtype_;
  Parameter tokens_;
  std::vector<LlamaBlock> blocks_;
  RmsNorm norm_;
  Parameter head_;
  Rotary rotary_;
};

}  // namespace glossa
