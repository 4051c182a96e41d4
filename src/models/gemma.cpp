#include "models/gemma.h"

#include <cmath>

#include "autograd/recompute.h"

namespace glossa {
namespace {

RmsNorm norm_of(const Scope& s, const GemmaConfig& c, std::int64_t width) { return {s, width, c.rms_norm_eps, true}; }

}  // namespace

GemmaBlock::GemmaBlock(const Scope& s, const GemmaConfig& c)
    : input_layernorm(norm_of(s / "input_layernorm", c, c.hidden_size)),
      qkv(Linear::stacked(s / "self_attn", {"q_proj", "k_proj", "v_proj"}, c.hidden_size,
                          {c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim, c.num_key_value_heads * c.head_dim},
                          {.bias = c.attention_bias, .init = c.init()})),
      out(s / "self_attn" / "o_proj", c.num_attention_heads * c.head_dim, c.hidden_size,
          {.bias = c.attention_bias, .init = c.init()}),
      q_norm(c.qk_norm() ? std::optional(norm_of(s / "self_attn" / "q_norm", c, c.head_dim)) : std::nullopt),
      k_norm(c.qk_norm() ? std::optional(norm_of(s / "self_attn" / "k_norm", c, c.head_dim)) : std::nullopt),
      post_attention_layernorm(norm_of(s / "post_attention_layernorm", c, c.hidden_size)),
      pre_feedforward_layernorm(norm_of(s / "pre_feedforward_layernorm", c, c.hidden_size)),
      gate_up(Linear::stacked(s / "mlp", {"gate_proj", "up_proj"}, c.hidden_size, {c.intermediate_size, c.intermediate_size},
                              {.bias = false, .init = c.init()})),
      down(s / "mlp" / "down_proj", c.intermediate_size, c.hidden_size, {.bias = false, .init = c.init()}),
      post_feedforward_layernorm(norm_of(s / "post_feedforward_layernorm", c, c.hidden_size)) {}

Gemma::Gemma(ParameterList& parameters, const GemmaConfig& config)
    : config_(config),
      device_(parameters.device()),
      dtype_(parameters.dtype()),
      tokens_((parameters.scope() / "model" / "embed_tokens")
                  .parameter("weight", {config.vocab_size, config.hidden_size}, config.init())),
      blocks_([&] {
        std::vector<GemmaBlock> blocks;
        for (int i = 0; i < config.num_hidden_layers; ++i) blocks.emplace_back(parameters.scope() / "model" / "layers" / i, config);
        return blocks;
      }()),
      norm_(norm_of(parameters.scope() / "model" / "norm", config, config.hidden_size)),
      head_(config.tie_word_embeddings
                ? tokens_
                : (parameters.scope() / "lm_head").parameter("weight", {config.vocab_size, config.hidden_size}, config.init())),
      rotary_(config.rope),
      local_rotary_(config.local_rope) {
  parameters.check_complete();
}

Tensor Gemma::block(int index, const Tensor& x, const CausalInput& in, const Tensor& angles) const {
  const GemmaConfig& c = config_;
  const GemmaBlock& b = blocks_[index];
  const std::int64_t queries = c.num_attention_heads, keys = c.num_key_value_heads;
  const Tensor all = heads(b.qkv(b.input_layernorm(x)), queries + 2 * keys);
  Tensor q = all.slice(1, 0, queries), k = all.slice(1, queries, queries + keys);
  const Tensor v = all.slice(1, queries + keys, queries + 2 * keys);
  if (b.q_norm) q = (*b.q_norm)(q), k = (*b.k_norm)(k);
  const Tensor a = causal_attention(in, rotary(q, angles), rotary(k, angles), v,
                                    {.layer = index,
                                     .window = static_cast<std::int32_t>(c.windowed[index] ? c.sliding_window : 0),
                                     .scale = static_cast<float>(1 / std::sqrt(c.query_pre_attn_scalar)),
                                     .softcap = static_cast<float>(c.attn_logit_softcapping),
                                     .dropout = static_cast<float>(c.attention_dropout)});
  const Tensor h = add(x, b.post_attention_layernorm(b.out(a)));
  const Tensor inner = gated(b.gate_up(b.pre_feedforward_layernorm(h)), c.hidden_activation);
  return add(h, b.post_feedforward_layernorm(b.down(inner)));
}

Tensor Gemma::hidden(const CausalInput& in, bool again) const {
  if (in.cache) in.cache->reserve();
  const Tensor angles = rotary_.angles(in.positions, in.lengths, dtype_, device_);
  const Tensor local = local_rotary_.angles(in.positions, in.lengths, dtype_, device_);
  Tensor x = embed(in.tokens.ids, tokens_, {.scale = static_cast<float>(std::sqrt(static_cast<double>(config_.hidden_size)))});
  for (int i = 0; i < static_cast<int>(blocks_.size()); ++i) {
    const auto run = [this, i, in, turn = config_.windowed[i] ? local : angles](const std::vector<Tensor>& inputs) {
      return block(i, inputs[0], in, turn);
    };
    x = again ? recompute(run, {x}) : run({x});
  }
  return norm_(x);
}

Tensor Gemma::logits(const Tensor& hidden) const {
  const double cap = config_.final_logit_softcapping;
  if (cap == 0) return linear(hidden, head_, {});
  refuse_gradient("capping of logits outside of the loss", {hidden, head_});
  Backend& backend = Backend::of(device_);
  Tensor smaller = hidden.like(hidden.shape());
  backend.scale(hidden, 1 / cap, smaller);
  Tensor y = linear(smaller, head_, {}, {.act = Unary::tanh});
  backend.scale(y, cap, y);
  return y;
}

Tensor Gemma::loss(const CausalBatch& batch, const LossOptions& options) const {
  return cross_entropy(hidden(CausalInput::whole(batch.tokens), options.recompute), head_, {}, batch.labels,
                       {.smoothing = options.label_smoothing,
                        .softcap = static_cast<float>(config_.final_logit_softcapping),
                        .denominator = options.denominator});
}

KvCache Gemma::make_cache(const CacheTypes& types) const {
  return {static_cast<int>(config_.num_hidden_layers), config_.num_key_value_heads, config_.head_dim, device_, dtype_, types};
}

}  // namespace glossa
