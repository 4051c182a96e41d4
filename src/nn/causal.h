// causal.h -- decoder-only language models, as those see them who train them or generate with them.
#pragma once
#include "base/json.h"
#include "nn/kv_cache.h"

namespace glossa {

// Text to learn from.
struct CausalBatch {
  Tokens tokens;
  Tensor labels;  // i32 [tokens]: the token that comes next; -100: not counted
};

// New tokens of some sequences: whole sequences, or what comes after a past that a cache holds.
struct CausalInput {
  Tokens tokens;
  Tensor positions;  // i32 [tokens]: of each in its sequence
  Tensor lengths;    // i32 [tokens]: of its sequence so far, the new tokens included
  KvCache* cache = nullptr;  // none: whole sequences
  Tensor new_rows = {};      // i32 [tokens]: rows of the cache that the new keys and values go to
  CachedKeys past = {};      // for each sequence: its rows, the new ones last

  static CausalInput whole(const Tokens& tokens);
};

// Attention of the new tokens over their sequences, after their keys and values went into layer `layer` of the cache, if
// there is one. q [tokens, heads, dim]; k, v [tokens, kv heads, dim].
struct CausalAttention {
  int layer;
  std::int32_t window = 0;  // as Mask has it
  float scale = 0, softcap = 0, dropout = 0;
};
Tensor causal_attention(const CausalInput& in, const Tensor& q, const Tensor& k, const Tensor& v, const CausalAttention& options);

class CausalModel {
 public:
  virtual ~CausalModel() = default;
  // After the last norm, [tokens, width]. `recompute` as in LossOptions.
  virtual Tensor hidden(const CausalInput& in, bool recompute = false) const = 0;
  virtual Tensor logits(const Tensor& hidden) const = 0;  // [rows, vocabulary]
  // Mean cross entropy of the labels in nats, [1].
  virtual Tensor loss(const CausalBatch& batch, const LossOptions& options = {}) const = 0;
  // Error(bad_value) if the heads are no whole blocks of a type.
  virtual KvCache make_cache(const CacheTypes& types = {}) const = 0;
  virtual std::int64_t vocabulary() const = 0;
  virtual std::int64_t longest() const = 0;  // how many tokens a sequence may have
  virtual OrderedJson config() const = 0;    // config.json
};

}  // namespace glossa
