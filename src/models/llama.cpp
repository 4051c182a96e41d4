#include "models/llama.h"

#include <algorithm>

#include "autograd/recompute.h"

namespace glossa {

LlamaBlock::LlamaBlock(const Scope& s, const LlamaConfig& c)
    : input_layernorm(s / "input_layernorm", c.hidden_size, c.rms_norm_eps),
      qkv(c.one_tensor()
              ? Linear(s / "self_attn" / "qkv_proj", c.hidden_size, (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim,
                       {.bias = false, .init = c.init()})
              : Linear::stacked(s / "self_attn", {"q_proj", "k_proj", "v_proj"}, c.hidden_size,
                                {c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim,
                                 c.num_key_value_heads * c.head_dim},
                                {.bias = c.qkv_bias, .init = c.init()})),
      out(s / "self_attn" / "o_proj", c.num_attention_heads * c.head_dim, c.hidden_size,
          {.bias = c.o_bias, .init = c.init()}),
      q_norm(c.qk_norm() ? std::optional(RmsNorm(s / "self_attn" / "q_norm", c.head_dim, c.rms_norm_eps)) : std::nullopt),
      k_norm(c.qk_norm() ? std::optional(RmsNorm(s / "self_attn" / "k_norm", c.head_dim, c.rms_norm_eps)) : std::nullopt),
      post_attention_layernorm(s / "post_attention_layernorm", c.hidden_size, c.rms_norm_eps),
      gate_up(c.one_tensor()
                  ? Linear(s / "mlp" / "gate_up_proj", c.hidden_size, 2 * c.intermediate_size,
                           {.bias = false, .init = c.init()})
                  : Linear::stacked(s / "mlp", {"gate_proj", "up_proj"}, c.hidden_size, {c.intermediate_size, c.intermediate_size},
                                    {.bias = c.mlp_bias, .init = c.init()})),
      down(s / "mlp" / "down_proj", c.intermediate_size, c.hidden_size,
           {.bias = c.mlp_bias, .init = c.init()}) {}

Llama::Llama(ParameterList& parameters, const LlamaConfig& config)
    : config_(config),
      device_(parameters.device()),
      dtype_(parameters.dtype()),
      tokens_((parameters.scope() / "model" / "embed_tokens")
                  .parameter("weight", {config.vocab_size, config.hidden_size},
                             config.init())),
      blocks_([&] {
        std::vector<LlamaBlock> blocks;
        for (int i = 0; i < config.num_hidden_layers; ++i) blocks.emplace_back(parameters.scope() / "model" / "layers" / i, config);
        return blocks;
      }()),
      norm_(parameters.scope() / "model" / "norm", config.hidden_size, config.rms_norm_eps),
      head_(config.tie_word_embeddings ? tokens_
                                       : (parameters.scope() / "lm_head")
                                             .parameter("weight", {config.vocab_size, config.hidden_size},
                                                        config.init())),
      rotary_(config.rope) {
  parameters.check_complete();
}

Tensor Llama::block(int index, const Tensor& x, const CausalInput& in, const Tensor& angles) const {
  const LlamaConfig& c = config_;
  const LlamaBlock& b = blocks_[index];
  const std::int64_t queries = c.num_attention_heads, keys = c.num_key_value_heads;
  const Tensor all = heads(b.qkv(b.input_layernorm(x)), queries + 2 * keys);
  Tensor q = all.slice(1, 0, queries), k = all.slice(1, queries, queries + keys);
  const Tensor v = all.slice(1, queries + keys, queries + 2 * keys);
  if (b.q_norm) q = (*b.q_norm)(q), k = (*b.k_norm)(k);
  const Tensor a = causal_attention(in, rotary(q, angles), rotary(k, angles), v,
                                    {.layer = index,
                                     .window = static_cast<std::int32_t>(c.windowed[index] ? c.sliding_window : 0),
                                     .dropout = static_cast<float>(c.attention_dropout)});
  const auto p = static_cast<float>(c.resid_pdrop);
  const Tensor h = b.out(a, {.dropout = p, .residual = x});
  return b.down(gated(b.gate_up(b.post_attention_layernorm(h)), c.hidden_act), {.dropout = p, .residual = h});
}

Tensor Llama::hidden(const CausalInput& in, bool again) const {
  if (in.cache) in.cache->reserve();
  const Tensor angles = rotary_.angles(in.positions, in.lengths, dtype_, device_);
  Tensor x = embed(in.tokens.ids, tokens_, {.dropout = static_cast<float>(config_.embd_pdrop)});
  for (int i = 0; i < static_cast<int>(blocks_.size()); ++i) {
    const auto run = [this, i, in, angles](const std::vector<Tensor>& inputs) { return block(i, inputs[0], in, angles); };
    x = again ? recompute(run, {x}) : run({x});
  }
  return norm_(x);
}

Tensor Llama::loss(const CausalBatch& batch, const LossOptions& options) const {
  return cross_entropy(hidden(CausalInput::whole(batch.tokens), options.recompute), head_, {}, batch.labels,
                       {.smoothing = options.label_smoothing, .denominator = options.denominator});
}

KvCache Llama::make_cache(const CacheTypes& types) const {
  return {static_cast<int>(config_.num_hidden_layers), config_.num_key_value_heads, config_.head_dim, device_, dtype_, types};
}

}  // namespace glossa
