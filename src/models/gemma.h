// gemma.h -- Gemma 2 and the text model of Gemma 3 (Gemma Team, 2024 and 2025). Parameters carry Hugging Face's names.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/config_keys.h"
#include "nn/causal.h"
#include "nn/layers.h"
#include "nn/rotary.h"

namespace glossa {

// Fields carry the names of config.json. gemma2 caps scores and logits; gemma3_text has norms of queries and keys instead,
// and other rotary positions in the layers that see a window.
struct GemmaConfig {
  std::string model_type = "gemma3_text";
  std::int64_t vocab_size = 262144, hidden_size = 640, intermediate_size = 2048, num_hidden_layers = 18;
  std::int64_t num_attention_heads = 4, num_key_value_heads = 1, head_dim = 256;
  Unary hidden_activation = Unary::gelu_tanh;
  std::int64_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-6, initializer_range = 0.02;
  RotaryConfig rope = {}, local_rope = {};  // of layers that see everything, and of those that see a window
  bool attention_bias = false;
  double query_pre_attn_scalar = 256;
  std::int64_t sliding_window = 512;
  std::vector<bool> windowed = {};  // [layers]
  double attn_logit_softcapping = 0, final_logit_softcapping = 0;  // 0: none
  double attention_dropout = 0;
  bool tie_word_embeddings = true;

  bool qk_norm() const { return model_type == "gemma3_text"; }
  Init init() const { return {Init::normal, static_cast<float>(initializer_range)}; }

  // As TransformerConfig::from_json.
  static GemmaConfig from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes = nullptr);
  OrderedJson to_json() const;
};

struct GemmaBlock {
  RmsNorm input_layernorm;
  Linear qkv, out;
  std::optional<RmsNorm> q_norm, k_norm;
  RmsNorm post_attention_layernorm, pre_feedforward_layernorm;
  Linear gate_up, down;
  RmsNorm post_feedforward_layernorm;
  GemmaBlock(const Scope& s, const GemmaConfig& c);
};

class Gemma final : public CausalModel {
 public:
  Gemma(ParameterList& parameters, const GemmaConfig& config);

  Tensor hidden(const CausalInput& in, bool recompute) const override;
  Tensor logits(const Tensor& hidden) const override;
  Tensor loss(const CausalBatch& batch, const LossOptions& options) const override;
  KvCache make_cache(const CacheTypes& types) const override;
  std::int64_t vocabulary() const override { return config_.vocab_size; }
  std::int64_t longest() const override { return config_.max_position_embeddings; }
  OrderedJson config() const override { return config_.to_json(); }

 private:
  Tensor block(int index, const Tensor& x, const CausalInput& in, const Tensor& angles) const;

  GemmaConfig config_;
  Device device_;
  DType dtype_;
  Parameter tokens_;
  std::vector<GemmaBlock> blocks_;
  RmsNorm norm_;
  Parameter head_;
  Rotary rotary_, local_rotary_;
};

}  // namespace glossa
