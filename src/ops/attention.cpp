#include <cmath>

#include "ops/ops.h"

namespace glossa {
namespace {

void check_shapes(const Tensor& q, const Tensor& k, const Tensor& v, const Sequences& queries, const Sequences& keys,
                  const Tensor& key_rows) {
  check(q.rank() == 3 && k.rank() == 3 && v.shape() == k.shape() && q.size(2) == k.size(2) && k.size(1) > 0 &&
            q.size(1) % k.size(1) == 0,
        Code::shape, "attention: queries {}, keys {}, values {} do not fit", q.shape(), k.shape(),
        v.shape());
  check(queries.count == keys.count, Code::shape, "attention: {} sequences of queries, {} of keys", queries.count,
        keys.count);
  check(queries.tokens() == q.size(0), Code::shape, "attention: sequences of {} tokens for {} queries", queries.tokens(),
        q.size(0));
  check(keys.tokens() == (key_rows ? key_rows.size(0) : k.size(0)), Code::shape,
        "attention: sequences of {} tokens for {} keys", keys.tokens(), key_rows ? key_rows.size(0) : k.size(0));
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Sequences& queries, const Sequences& keys,
                 const AttentionOptions& options) {
  check_shapes(q, k, v, queries, keys, options.key_rows);
  const std::int64_t tokens = q.size(0), count = q.size(1), dim = q.size(2);
  const float scale = options.scale != 0 ? options.scale : static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
  const Dropout mask = current_dropout(options.dropout);
  Tensor out = q.like({tokens, count, dim});
  const bool keeps = recording({q, k, v});
  Tensor logsumexp;
  if (keeps) {
    check(!options.key_rows, Code::internal, "attention over a paged cache has no gradient, and one would be needed here");
    logsumexp = q.like({tokens, count});
  }
  const Attention call{.q = q, .k = k, .v = v, .queries = queries, .keys = keys, .mask = options.mask, .scale = scale,
                       .softcap = options.softcap, .key_rows = options.key_rows, .dropout = mask, .logsumexp = keeps ? &logsumexp : nullptr};
  Backend::of(q.device()).attention(call, out);
  Tensor y = out.view({tokens, count * dim});
  if (!keeps) return y;

  return recorded("attention", y, {q, k, v},
                  [q = q.detach(), k = k.detach(), v = v.detach(), queries, keys, which = options.mask, scale, softcap = options.softcap, mask,
                   out, logsumexp](const Tensor& dy, Grads& dx) mutable {
    Backend& on = Backend::of(dy.device());
    auto parts = dx.into_parts({0, 1, 2});
    const Tensor* inputs[] = {&q, &k, &v};
    // The kernel writes or adds for all three alike; and it computes all three even if not all are wanted.
    bool all_fresh = true;
    for (const auto& part : parts) all_fresh &= !part.out || !part.add;
    for (int i = 0; i < 3; ++i) {
      const bool fresh = !parts[i].out || !parts[i].add;
      if (!parts[i].out) parts[i].out = inputs[i]->like(inputs[i]->shape());
      if (all_fresh || !fresh) continue;
      Tensor rows = parts[i].out.view({inputs[i]->size(0), inputs[i]->size(1) * inputs[i]->size(2)});
      on.fill(rows, 0);
    }
    const Attention again{.q = q, .k = k, .v = v, .queries = queries, .keys = keys, .mask = which, .scale = scale,
                          .softcap = softcap, .dropout = mask, .logsumexp = &logsumexp};
    on.attention_backward(again, out, dy.view(out.shape()), parts[0].out, parts[1].out, parts[2].out, !all_fresh);
  });
}

}  // namespace glossa
