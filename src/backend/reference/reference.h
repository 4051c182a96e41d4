// reference.h -- what the files of the reference backend share: its class, matrices as views, and the choice
// of the element type. Sums are kept in double, in the order of the indices, and rounded once when they are
// stored.
#pragma once
#include <cmath>
#include <cstdint>

#include "backend/backend.h"
#include "base/random.h"

namespace glossa {

class ReferenceBackend final : public Backend {
 public:
  void fill(Tensor& y, double value) override;
  void copy(const Tensor& x, Tensor& y) override;
  void add(const Tensor& a, const Tensor& b, Tensor& y) override;
  void scale(const Tensor& x, double factor, Tensor& y) override;
  double sum_of_squares(const Tensor& x) override;
  bool all_finite(const Tensor& x) override;

  void gemm(const Gemm&) override;
  void epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout&, Tensor& dz,
                         Tensor* dbias) override;

  void attention(const Attention&, Tensor& out) override;
  void attention_backward(const Attention&, const Tensor& out, const Tensor& dout, Tensor& dq, Tensor& dk,
                          Tensor& dv, bool add) override;

  void norm(const Norm&, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y, Tensor* stats) override;
  void norm_backward(const Norm&, const Tensor& x, const Tensor& gain, const Tensor& stats, const Tensor& dy, Tensor& dx,
                     bool add, Tensor* dgain, Tensor* dbias) override;
  void rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add) override;
  void gate(const Tensor& x, Unary act, Tensor& y) override;
  void gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add) override;

  void embed(const Tensor& ids, const Tensor& table, double scale, const Tensor& positions,
             const Tensor& position, const Dropout&, Tensor& y) override;
  void embed_backward(const Tensor& dy, const Tensor& ids, double scale, const Tensor& position,
                      const Dropout&, Tensor* dtable, Tensor* dpositions) override;
  void dropout(const Tensor& x, const Dropout&, Tensor& y) override;
  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y) override;
  void scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y) override;
  void scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y) override;

  void cross_entropy(Tensor& logits, const Tensor& labels, double smoothing, bool gradient,
                     double gradient_scale, Tensor& loss) override;
  void top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices, Tensor& logsumexp) override;

  void adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW&) override;
  void sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd&) override;
  void adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column,
                 const Adafactor&) override;
  void interpolate(Tensor& y, const Tensor& x, double share) override;
};

namespace reference {

// A tensor read as [rows, cols].
template <class T>
struct Matrix {
  explicit Matrix(const Tensor& x)
      : data(x.data<T>()), rows(x.rows()), cols(x.cols()), stride(x.row_stride()) {}
  T& operator()(std::int64_t r, std::int64_t c) const { return data[r * stride + c]; }
  T* data;
  std::int64_t rows, cols, stride;
};

// A tensor read as [tokens, heads, dim], where a token's heads may be part of a longer row.
template <class T>
struct Heads {
  explicit Heads(const Tensor& x)
      : data(x.data<T>()),
        tokens(x.size(0)),
        heads(x.size(1)),
        dim(x.size(2)),
        stride(x.stride(0)),
        head_stride(x.stride(1)) {}
  T& operator()(std::int64_t t, std::int64_t h, std::int64_t d) const {
    return data[t * stride + h * head_stride + d];
  }
  T* data;
  std::int64_t tokens, heads, dim, stride, head_stride;
};

// Calls f with a value of the element type of x: f32 or f64.
template <class F>
void in_type_of(const Tensor& x, F&& f) {
  if (x.dtype() == DType::f64) return f(double{});
  check(x.dtype() == DType::f32, Code::shape, "the reference backend computes in f32 and f64, not in {}",
        name_of(x.dtype()));
  f(float{});
}

// Calls f(row, column) for all of [rows, cols] in order.
template <class F>
void for_each(std::int64_t rows, std::int64_t cols, F&& f) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) f(r, c);
}

// x after dropout at `element`: 0 or x / (1 - p). A dropped element is 0 whatever it was.
inline double dropped(const Dropout& dropout, std::int64_t element, double x) {
  if (!dropout) return x;
  const auto e = static_cast<std::uint64_t>(element);
  const Philox::Block block = Philox(dropout.seed, Purpose::dropout, dropout.stream)(e / 8);
  const std::uint32_t number = block[e % 8 / 2] >> 16 * (e % 2) & 0xFFFF;
  const double p = dropout.p;
  return number >= std::lround(p * 65536) ? x / (1 - p) : 0;
}

}  // namespace reference
}  // namespace glossa
