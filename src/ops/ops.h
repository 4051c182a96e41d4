// ops.h -- the vocabulary models are written in. Each op checks shapes (Code::shape), runs on the device of its first
// input, and knows its gradient. Activations are [tokens, width]; a batch is one flat run of tokens.
#pragma once
#include <array>

#include "autograd/tape.h"

namespace glossa {

struct Epilogue {  // what is folded into the end of a matrix product
  Unary act = Unary::none;
  float dropout = 0;
  Tensor residual = {};
};

// How a weight lies in memory: [out, in] as a rule, [in, out] in GPT-2's checkpoints.
enum class WeightLayout : std::uint8_t { out_in, in_out };
// residual + dropout(act(x weight^T + bias)): x [tokens, in], weight [out, in], bias [out] or absent.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& end = {},
              WeightLayout layout = WeightLayout::out_in);

// The same with weights that lie one under another in all but memory. It has no gradient.
Tensor linear(const Tensor& x, std::span<const Tensor> weights, const Tensor& bias, const Epilogue& end = {});

// [tokens, count * dim] read as [tokens, count, dim].
Tensor heads(const Tensor& x, std::int64_t count);
// Equal parts along the last dimension of a matrix: views, no copies.
template <int n>
std::array<Tensor, n> split(const Tensor& x) {
  check(x.rank() == 2 && x.cols() % n == 0, Code::shape, "shape {} cannot be split into {} parts", to_string(x.shape()), n);
  std::array<Tensor, n> parts;
  const std::int64_t width = x.cols() / n;
  for (int i = 0; i < n; ++i) parts[i] = x.slice(1, i * width, (i + 1) * width);
  return parts;
}

struct AttentionOptions {
  Mask mask = {};
  float scale = 0;       // 0: 1 / sqrt(dim)
  float softcap = 0;     // scores to softcap * tanh(score / softcap) (Gemma Team 2024, section 2); 0: as they are
  float dropout = 0;     // on the probabilities
  Tensor key_rows = {};  // see Attention in backend.h; no gradient
};
// Scaled dot-product attention (Vaswani et al. 2017, eq. 1): q [queries, heads, dim]; k, v [keys, kv heads, dim], each
// kv head serving heads / kv_heads heads. Result [queries, heads * dim].
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Sequences& queries, const Sequences& keys,
                 const AttentionOptions& options = {});

// Ba, Kiros & Hinton (2016): rows to mean 0 and variance 1, then gain and bias [width].
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps);
// Zhang & Sennrich (2019): rows to mean square 1, then gain + offset, gain [width]. x [tokens, heads, width] too: then each
// head is a row.
Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps, float offset = 0);

// Rotary positions (Su et al. 2021, eq. 34): x [tokens, heads, dim], angles [tokens, 2 n] (see rotary_angles in nn/rotary.h);
// of each head, elements i and i + n turn together, and those from 2 n on stay. Result dense.
Tensor rotary(const Tensor& x, const Tensor& angles);
// Gated linear unit (Shazeer 2020): x [tokens, 2 n], result [tokens, n] = act(first half) * second half.
Tensor gated(const Tensor& x, Unary act);

struct EmbedOptions {
  float scale = 1;
  Tensor positions = {};  // [longest, width], a table added by position
  Tensor position = {};   // i32 [tokens]: where each token stands in its sequence
  float dropout = 0;
};
// dropout(scale * table[ids] + positions[position]): ids i32 [tokens], table [vocabulary, width].
Tensor embed(const Tensor& ids, const Tensor& table, const EmbedOptions& options = {});

Tensor add(const Tensor& a, const Tensor& b);                 // of one shape
Tensor dropout(const Tensor& x, float p);                     // the identity unless a training tape is current
Tensor gather_rows(const Tensor& x, const Tensor& rows);      // x[rows], rows i32

struct CrossEntropyOptions {
  float smoothing = 0;
  float softcap = 0;       // of the logits, as of AttentionOptions
  double denominator = 0;  // what the sum is divided by; 0: the number of labels that count
};
// Mean loss, in nats, of predicting labels i32 [tokens] (-100: not counted) by softmax(hidden head^T + bias), a block of
// rows at a time: the logits of the whole batch never exist. Result [1].
Tensor cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& bias, const Tensor& labels,
                     const CrossEntropyOptions& options = {});

}  // namespace glossa
