#include "kernels.h"

// Attention over caches, and its gradients with what ops leave alone.
namespace glossa::test {
namespace {

// Keys and values in rows of a cache, in no order, some of them shared by two sequences.
Kernel paged_attention(const char* what, const std::vector<std::int32_t>& queries,
                       const std::vector<std::int32_t>& keys, std::int64_t heads, std::int64_t kv_heads,
                       std::int64_t dim, Mask mask, DType key_type = DType::f32, DType value_type = DType::f32) {
  const auto run = [=](const On& on) {
    const Sequences q_sequences = on.lengths(queries), k_sequences = on.lengths(keys);
    const std::int64_t rows = 50;
    std::vector<std::int32_t> at(static_cast<std::size_t>(k_sequences.tokens()));
    for (std::size_t i = 0; i < at.size(); ++i) at[i] = static_cast<std::int32_t>(i * 17 % 43);
    const Tensor cache = on.numbers({rows, 2 * kv_heads * dim}, 1), key_rows = on.i32(at);
    const Tensor q = glossa::heads(on.part(q_sequences.tokens(), heads * dim, 2), heads);
    // In f64 the reference computes with what the narrow types hold of the same numbers.
    const auto kept = [&](std::int64_t first, DType type) {
      const Tensor x = cache.slice(1, first, first + kv_heads * dim);
      return glossa::heads(type == DType::f32 ? x : x.to(DType::f32).to(type), kv_heads);
    };
    const Tensor k = kept(0, key_type), v = kept(kv_heads * dim, value_type);
    Tensor out = on.numbers({q_sequences.tokens(), heads, dim}, 3);
    on.backend().attention({.q = q,
                            .k = k,
                            .v = v,
                            .queries = q_sequences,
                            .keys = k_sequences,
                            .mask = mask,
                            .scale = 0.3f,
                            .key_rows = key_rows},
                           out);
    return std::vector{out};
  };
  return {"attention", what, run};
}

Kernel attention_gradient(const char* what, bool add, float dropout) {
  const auto run = [=](const On& on) {
    const Sequences queries = on.lengths({3, 0, 40}), keys = on.lengths({5, 2, 33});
    const Mask mask{.causal = true};
    const Tensor q = on.numbers({43, 4, 24}, 1), k = on.numbers({40, 2, 24}, 2),
                 v = on.numbers({40, 2, 24}, 3);
    Tensor out = q.like(q.shape()), logsumexp = q.like({43, 4});
    Attention call{.q = q,
                   .k = k,
                   .v = v,
                   .queries = queries,
                   .keys = keys,
                   .mask = mask,
                   .scale = 0.2f,
                   .dropout = dropout > 0 ? Dropout{dropout, 3, 4} : Dropout{},
                   .logsumexp = &logsumexp};
    on.backend().attention(call, out);
    Tensor dq = on.numbers(q.shape(), 4), dk = on.numbers(k.shape(), 5), dv = on.numbers(v.shape(), 6);
    on.backend().attention_backward(call, out, on.numbers(out.shape(), 7), dq, dk, dv, add);
    return std::vector{out, dq, dk, dv};
  };
  return {"attention_backward", what, run};
}

}  // namespace

std::vector<Kernel> attention_kernels() {
  return {
      paged_attention("a cache, one new token each", {1, 1, 1, 1}, {1, 9, 30, 17}, 4, 4, 16,
                      {.causal = true}),
      paged_attention("a cache, several new tokens", {3, 1, 5, 0}, {8, 4, 30, 7}, 6, 2, 20, {.causal = true}),
      paged_attention("hypotheses that share memory", {4, 1, 8}, {12, 5, 9}, 3, 3, 11, {}),
      paged_attention("a window over a cache", {1, 2}, {40, 20}, 2, 1, 8, {.causal = true, .window = 5}),
      paged_attention("a cache of bf16", {1, 3, 1}, {30, 8, 9}, 6, 2, 20, {.causal = true}, DType::bf16, DType::bf16),
      paged_attention("keys of f16", {1, 3, 1}, {30, 8, 9}, 3, 3, 37, {.causal = true}, DType::f16),
      paged_attention("a cache of q8_0", {1, 3, 1}, {30, 8, 9}, 8, 2, 32, {.causal = true}, DType::q8_0, DType::q8_0),
      paged_attention("values of q8_0", {1, 3, 1}, {30, 8, 9}, 5, 1, 96, {.causal = true}, DType::bf16, DType::q8_0),
      attention_gradient("overwriting", false, 0),
      attention_gradient("adding", true, 0),
      attention_gradient("adding with dropout", true, 0.25f),
  };
}

}  // namespace glossa::test
