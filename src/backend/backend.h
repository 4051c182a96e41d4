// backend.h -- everything a device must be able to do. Nothing here knows about gradients of gradients, modules or
// models. Tensors arrive shape-checked by ops/; outputs are allocated by the caller. `x` [rows, cols] may be any view
// whose rows are dense and evenly spaced.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace glossa {

// gelu: x Phi(x) with the error function; gelu_tanh: the approximation of Hendrycks & Gimpel (2016); silu: x sigmoid(x).
enum class Unary : std::uint8_t { none, relu, gelu, gelu_tanh, silu, tanh, sigmoid };

// Which elements dropout keeps: element e (row-major in the logical [rows, cols] tensor) is kept iff the 16-bit number
// e % 8 of Philox block e / 8 is at least round(p * 65536). A pure function, so nothing is stored for the backward pass.
struct Dropout {
  float p = 0;  // [0, 1); 0: everything is kept
  std::uint64_t seed = 0, stream = 0;
  explicit operator bool() const { return p > 0; }
};

// Which query may look at which key. Kernels visit only the tiles a mask leaves alive.
struct Mask {
  bool causal = false;     // query j of a sequence sees key i iff i <= j + (keys - queries): aligned at the end
  std::int32_t window = 0;  // 0: no limit; else also |query - key| < window, in the same alignment
};

// Sequences of a ragged batch: rows starts[i] .. starts[i + 1] of a [tokens, ...] tensor belong to sequence i.
struct Sequences {
  Tensor starts;  // i32 [count + 1]
  std::int32_t count = 0, longest = 0;
  static Sequences of_lengths(const std::vector<std::int32_t>& lengths, Device device = {});
  std::int64_t tokens() const { return starts.span<std::int32_t>().back(); }
};

// y = residual + dropout(act(alpha * op(a) op(b) + bias)); with `add`, y += alpha * op(a) op(b) and nothing else.
struct Gemm {
  // Matrices [rows, cols] before transposition. b may be of a block type, with transpose_b: then the CPU rounds rows of a to
  // 8 bits by groups of 32. Frozen, b may be of 16 bits too: of bf16, products are in bf16 where the device has it.
  const Tensor &a, &b;
  Tensor& y;            // [m, n]
  bool transpose_a = false, transpose_b = false, add = false;
  float alpha = 1;
  const Tensor& bias = kNone;      // [n]
  const Tensor& residual = kNone;  // [m, n]
  Unary act = Unary::none;
  Dropout dropout = {};
  Tensor* before_act = nullptr;  // [m, n]: where to keep the sum before the activation, for the backward pass
  bool bf16 = false;             // products in bfloat16, sums in f32, where the device has it

  static const Tensor kNone;
};

// out[t, h] = sum over keys of softmax(cap(scale * q . k)) v, h = head, cap(s) = softcap * tanh(s / softcap). q, out: [queries, heads, dim]; k, v: [keys, kv heads,
// dim], each kv head serving heads / kv_heads consecutive heads. Sequence i of the queries attends to sequence i of
// the keys.
struct Attention {
  const Tensor &q, &k, &v;
  const Sequences &queries, &keys;
  const Mask& mask;
  float scale;
  float softcap = 0;  // 0: scores are as they are
  // i32 [key tokens]: key j of the flattened sequences lies in row key_rows[j] of k and v (a paged cache, which may be of
  // f16, bf16 or q8_0). Absent: row j.
  const Tensor& key_rows = Gemm::kNone;
  Dropout dropout = {};  // on probabilities; element (query token * heads + head) * 2^20 + key within its sequence
  Tensor* logsumexp = nullptr;  // f32 [queries, heads]: all that the backward pass needs besides q, k, v, out
};

// y = (x - mean) / sqrt(variance + eps) * (gain + offset) + bias by rows; without `centre`, RMSNorm: no mean, no bias.
struct Norm {
  double eps;
  bool centre = true;
  float offset = 0;  // 1 where gains are kept as their distance from one
};

struct AdamW {  // Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2
  float learning_rate, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, weight_decay = 0;
  float gradient_scale = 1;      // clipping and averaging, applied to the gradient as it is read
  std::int64_t step = 1;         // from 1, for the correction of bias
};

struct Sgd {
  float learning_rate, momentum = 0, weight_decay = 0, gradient_scale = 1;
  bool nesterov = false;
};

struct Adafactor {  // Shazeer & Stern (2018), algorithm 4, without relative steps
  float learning_rate, decay = 0.8f, epsilon1 = 1e-30f, epsilon2 = 1e-3f, clip = 1.0f, weight_decay = 0, gradient_scale = 1;
  std::int64_t step = 1;
};

class Backend {
 public:
  static Backend& of(Device device);
  virtual ~Backend() = default;

  virtual void fill(Tensor& y, double value) = 0;
  virtual void copy(const Tensor& x, Tensor& y) = 0;                            // same shape and type
  virtual void add(const Tensor& a, const Tensor& b, Tensor& y) = 0;            // y = a + b; y may be a or b
  virtual void scale(const Tensor& x, double factor, Tensor& y) = 0;            // y may be x
  virtual double sum_of_squares(const Tensor& x) = 0;                           // fixed order, in f64
  virtual bool all_finite(const Tensor& x) = 0;

  virtual void gemm(const Gemm&) = 0;
  // y = residual + act(a b^T + bias) with frozen weights under one another, each [n_i, k], in the place of b. One product after
  // the other unless the device knows better.
  virtual void gemm_stacked(const Gemm&, std::span<const Tensor> weights);
  // dz = dropout'(dy) * act'(z), for the end of a Gemm; dz may be dy. dbias [cols] += column sums of dz, if given.
  virtual void epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout&, Tensor& dz,
                                 Tensor* dbias) = 0;

  virtual void attention(const Attention&, Tensor& out) = 0;
  // dq, dk, dv are added to when `add` is set, else overwritten.
  virtual void attention_backward(const Attention&, const Tensor& out, const Tensor& dout, Tensor& dq, Tensor& dk,
                                  Tensor& dv, bool add) = 0;

  // stats [rows, 2]: mean and reciprocal deviation, for the backward pass; may be absent.
  virtual void norm(const Norm&, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y, Tensor* stats) = 0;
  // dx overwritten (or added to, with add); dgain and dbias [cols] are added to, where given.
  virtual void norm_backward(const Norm&, const Tensor& x, const Tensor& gain, const Tensor& stats, const Tensor& dy,
                             Tensor& dx, bool add, Tensor* dgain, Tensor* dbias) = 0;

  // Turns pairs of elements (i, i + n), n = angles' columns / 2, of every head of x [tokens, heads, dim] by an angle whose
  // cosines are angles[token, 0 .. n) and sines angles[token, n .. 2 n); elements from 2 n on stay. `back`: by the angle's
  // negative, which is the gradient too. y is dense; added to with `add`.
  virtual void rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add) = 0;
  // x [rows, 2 n]: y [rows, n] = act(first half) * second half. dx overwritten, or added to.
  virtual void gate(const Tensor& x, Unary act, Tensor& y) = 0;
  virtual void gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add) = 0;

  // y[t] = dropout(scale * table[ids[t]] + positions[position[t]]); `positions` may be absent.
  virtual void embed(const Tensor& ids, const Tensor& table, double scale, const Tensor& positions,
                     const Tensor& position, const Dropout&, Tensor& y) = 0;
  // dtable[ids[t]] += scale * dropout'(dy[t]) and dpositions[position[t]] += dropout'(dy[t]), in a fixed order.
  virtual void embed_backward(const Tensor& dy, const Tensor& ids, double scale, const Tensor& position, const Dropout&,
                              Tensor* dtable, Tensor* dpositions) = 0;
  virtual void dropout(const Tensor& x, const Dropout&, Tensor& y) = 0;  // its own backward pass
  virtual void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y) = 0;  // y[i] = x[rows[i]]; any type
  virtual void scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y) = 0;  // y[rows[i]] = x[i], distinct rows
  virtual void scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y) = 0;  // y[rows[i]] += x[i]

  // Label-smoothed cross entropy of each row (Szegedy et al. 2016, section 7): target (1 - s) on the label and s / V
  // everywhere. Rows with label -100 count nothing. loss f32|f64 [rows]: in nats. When `gradient` is set the logits
  // become gradient_scale * d(loss)/d(logits) in place.
  virtual void cross_entropy(Tensor& logits, const Tensor& labels, double smoothing, bool gradient,
                             double gradient_scale, Tensor& loss) = 0;
  // The k largest of each row, largest first (ties: lower index first), and the row's log-sum-exp [rows].
  // values [rows, k], indices i32 [rows, k].
  virtual void top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices, Tensor& logsumexp) = 0;

  // One pass over weight, gradient and moments, which all have one shape.
  virtual void adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW&) = 0;
  virtual void sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd&) = 0;
  // Matrices keep row [rows] and column [cols] moments; vectors a full one, in `row`, with `column` absent.
  virtual void adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column, const Adafactor&) = 0;
  virtual void interpolate(Tensor& y, const Tensor& x, double share) = 0;  // y += share * (x - y)
};

// Whether matrix products use bfloat16 on this thread, where the device has it. Weights, sums and all other arithmetic
// stay f32.
bool bf16_products();
class Bf16Products {
 public:
  explicit Bf16Products(bool on);
  ~Bf16Products();
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;

 private:
  bool before_;
};

}  // namespace glossa
