#include "nn/causal.h"

#include "ops/ops.h"

namespace glossa {

CausalInput CausalInput::whole(const Tokens& tokens) {
  const auto starts = tokens.sequences.starts.span<std::int32_t>();
  Tensor lengths = Tensor::empty({tokens.sequences.tokens()}, DType::i32, tokens.ids.device());
  for (std::int32_t s = 0; s < tokens.sequences.count; ++s)
    for (std::int32_t t = starts[s]; t < starts[s + 1]; ++t) lengths.data<std::int32_t>()[t] = starts[s + 1] - starts[s];
  return {tokens, positions_of(tokens.sequences), lengths};
}

Tensor causal_attention(const CausalInput& in, const Tensor& q, const Tensor& k, const Tensor& v, const CausalAttention& options) {
  AttentionOptions how{.mask = {.causal = true, .window = options.window}, .scale = options.scale, .softcap = options.softcap,
                       .dropout = options.dropout};
  if (!in.cache) return attention(q, k, v, in.tokens.sequences, in.tokens.sequences, how);
  const std::int64_t count = k.size(1), width = count * k.size(2);
  in.cache->write(options.layer, k.view({k.size(0), width}), v.view({v.size(0), width}), in.new_rows);
  const KvCache::Layer& past = in.cache->layer(options.layer);
  how.key_rows = in.past.rows;
  return attention(q, heads(past.keys, count), heads(past.values, count), in.tokens.sequences, in.past.keys, how);
}

}  // namespace glossa
