// cost.h -- what models cost by their shapes: floating-point operations of an update, and what is kept for
// the backward pass.
#pragma once
#include "base/json.h"
#include "models/transformer_config.h"
#include "nn/causal.h"

namespace glossa {

// Floating-point operations of matrix products and attention in one update (forward and backward) over such a
// batch.
double update_flops(const TransformerConfig& config, const Seq2SeqBatch& batch);

// Floats that one token of each side keeps in all layers for the backward pass.
std::uint64_t floats_per_token(const TransformerConfig& config);

// The sizes of a decoder-only model, as its config.json has them under the names of one family or another.
struct CausalShape {
  std::int64_t layers = 0, width = 0, inner = 0, vocabulary = 0;
  std::int64_t queries = 0, keys = 0;  // heads * dim
  bool gated = false;
  // Sizes that are missing or no numbers count as 0: whoever makes the model says what is wrong.
  static CausalShape of(const Json& config);
  double update_flops(const Sequences& sequences) const;
  std::uint64_t floats_per_token() const;
};

}  // namespace glossa
