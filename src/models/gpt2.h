// gpt2.h -- "Language Models are Unsupervised Multitask Learners" (Radford et al., 2019). Parameters carry Hugging Face's
// names; weights lie as [in, out] there.
#pragma once
#include <string>
#include <vector>

#include "models/config_keys.h"
#include "nn/causal.h"
#include "nn/layers.h"

namespace glossa {

// Fields carry the names of config.json.
struct Gpt2Config {
  std::int64_t vocab_size = 50257, n_positions = 1024, n_embd = 768, n_layer = 12, n_head = 12, n_inner = 3072;
  Unary activation_function = Unary::gelu_tanh;
  double embd_pdrop = 0.1, attn_pdrop = 0.1, resid_pdrop = 0.1;
  double layer_norm_epsilon = 1e-5, initializer_range = 0.02;
  bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;
  bool tie_word_embeddings = true;

  // As TransformerConfig::from_json.
  static Gpt2Config from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes = nullptr);
  OrderedJson to_json() const;
};

// A linear layer as this checkpoint has it.
struct Conv1D {
  Parameter weight, bias;  // [in, out], [out]
  Conv1D(const Scope& s, std::int64_t in, std::int64_t out, double init)
      : weight(s.parameter("weight", {in, out}, {Init::normal, static_cast<float>(init)})),
        bias(s.parameter("bias", {out}, {Init::zeros})) {}
  Tensor operator()(const Tensor& x, const Epilogue& end = {}) const { return linear(x, weight, bias, end, WeightLayout::in_out); }
};

struct Gpt2Block {
  LayerNorm ln_1;
  Conv1D c_attn, attn_proj;
  LayerNorm ln_2;
  Conv1D c_fc, mlp_proj;
  Gpt2Block(const Scope& s, const Gpt2Config& c);
};

class Gpt2 final : public CausalModel {
 public:
  Gpt2(ParameterList& parameters, const Gpt2Config& config);

  Tensor hidden(const CausalInput& in, bool recompute) const override;
  Tensor logits(const Tensor& hidden) const override { return linear(hidden, head_, {}); }
  Tensor loss(const CausalBatch& batch, const LossOptions& options) const override;
  KvCache make_cache(const CacheTypes& types) const override;
  std::int64_t vocabulary() const override { return config_.vocab_size; }
  std::int64_t longest() const override { return config_.n_positions; }
  OrderedJson config() const override { return config_.to_json(); }

 private:
  Tensor block(int index, const Tensor& x, const CausalInput& in) const;

  Gpt2Config config_;
  Device device_;
  DType dtype_;
  Parameter wte_, wpe_;
  std::vector<Gpt2Block> blocks_;
  LayerNorm ln_f_;
  Parameter head_;
};

}  // namespace glossa
