// attention_rows.h -- what the kernels of attention work on: tensors as heads of tokens, and one head of one sequence.
#pragma once
#include <algorithm>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/widen.h"

namespace glossa::cpu {

// A tensor read as [tokens, heads, dim], where a token's heads may be part of a longer row.
struct HeadRows {
  float* data = nullptr;
  std::int64_t heads = 0, dim = 0, stride = 0, head_stride = 0;

  HeadRows() = default;
  explicit HeadRows(const Tensor& x)
      : data(x.data<float>()), heads(x.size(1)), dim(x.size(2)), stride(x.stride(0)), head_stride(x.stride(1)) {}
  float* at(std::int64_t token, std::int64_t head) const { return data + token * stride + head * head_stride; }
};

// Keys or values, read alike, whose type may be a narrower one.
struct KeyRows {
  const char* data = nullptr;
  DType type = DType::f32;
  std::int64_t heads = 0, dim = 0, stride = 0, head_stride = 0;  // strides: bytes

  KeyRows() = default;
  explicit KeyRows(const Tensor& x)
      : data(static_cast<const char*>(x.raw())), type(x.dtype()), heads(x.size(1)), dim(x.size(2)),
        stride(bytes_of(type, x.stride(0))), head_stride(bytes_of(type, x.stride(1))) {}
  const void* at(std::int64_t token, std::int64_t head) const { return data + token * stride + head * head_stride; }
  // Where `dim` floats are: in place, or in `buffer`.
  const float* floats(std::int64_t token, std::int64_t head, float* buffer) const {
    if (type == DType::f32) return static_cast<const float*>(at(token, head));
    widen(type, at(token, head), dim, buffer);
    return buffer;
  }
};

// All sequences of a call.
struct AttentionRows {
  HeadRows q, out;
  KeyRows k, v;
  const std::int32_t *queries, *keys, *key_rows;  // where sequences begin; key_rows: null where keys lie in order
  Mask mask;
  float scale, softcap;
  Dropout dropout;
  Rows logsumexp;  // no data where it is not kept
  // Of the backward pass.
  HeadRows dout, dq, dk, dv;
  bool add;
};

struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

// The keys of its sequence that a query sees; they are neighbours. `position`: of the query among the keys.
inline Range seen(const Mask& mask, std::int64_t position, std::int64_t keys) {
  Range range{0, keys};
  if (mask.causal) range.end = std::min(range.end, position + 1);
  if (mask.window > 0) {
    range.begin = std::max<std::int64_t>(range.begin, position - mask.window + 1);
    range.end = std::min(range.end, position + mask.window);
  }
  range.end = std::max(range.end, range.begin);
  return range;
}

// One head of one sequence.
struct Item {
  const AttentionRows& a;
  std::int64_t head, kv_head;
  Range queries, keys;  // among all tokens

  std::int64_t shift() const { return keys.size() - queries.size(); }
  Range seen_by(std::int64_t query) const { return seen(a.mask, query + shift(), keys.size()); }
  std::int64_t key_row(std::int64_t key) const {
    return a.key_rows ? a.key_rows[keys.begin + key] : keys.begin + key;
  }
  // The element of the dropout mask for the first key.
  std::uint64_t element(std::int64_t query) const {
    return static_cast<std::uint64_t>((queries.begin + query) * a.q.heads + head) << 20;
  }
};

inline Item item_of(const AttentionRows& r, std::int64_t sequence, std::int64_t head) {
  return {.a = r,
          .head = head,
          .kv_head = head / (r.q.heads / r.k.heads),
          .queries = {r.queries[sequence], r.queries[sequence + 1]},
          .keys = {r.keys[sequence], r.keys[sequence + 1]}};
}

}  // namespace glossa::cpu
