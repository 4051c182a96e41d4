#include <algorithm>

#include "ops/ops.h"

namespace glossa {

namespace {

// What a kernel can read as one matrix: x itself, or each head where heads are parts of longer rows.
std::int64_t matrices_of(const Tensor& x) { return x.rank() < 3 || x.dense() ? 1 : x.size(1); }
Tensor matrix(const Tensor& x, std::int64_t i, std::int64_t count) { return count == 1 ? x : x.slice(1, i, i + 1); }

Tensor norm(const char* op, const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& bias) {
  check(x && gain && gain.elements() == x.cols() && (!bias || bias.elements() == x.cols()), Code::shape,
        "{}: gain {} and bias {} do not fit {}", op, gain.shape(), bias.shape(), x.shape());
  Tensor y = x.like(x.shape());
  const bool keeps = recording({x, gain, bias});
  const std::int64_t count = matrices_of(x), rows = x.rows() / std::max<std::int64_t>(count, 1);
  Tensor stats;
  if (keeps) stats = x.like({count, rows, 2});
  for (std::int64_t i = 0; i < count; ++i) {
    Tensor out = matrix(y, i, count), kept = keeps ? stats.slice(0, i, i + 1) : Tensor();
    Backend::of(x.device()).norm(kind, matrix(x, i, count), gain, bias, out, keeps ? &kept : nullptr);
  }
  if (!keeps) return y;
  return recorded(op, y, {x, gain, bias}, [kind, x = x.detach(), gain = gain.detach(), stats, count](const Tensor& dy, Grads& dx) {
    Tensor dgain, dbias;
    if (dx[1]) dgain = dx[1].into_sum();
    if (dx[2]) dbias = dx[2].into_sum();
    Grads::Into into = dx[0] ? dx[0].into() : Grads::Into{x.like(x.shape()), false};
    for (std::int64_t i = 0; i < count; ++i) {
      Tensor out = matrix(into.out, i, count);
      Backend::of(dy.device()).norm_backward(kind, matrix(x, i, count), gain, stats.slice(0, i, i + 1), matrix(dy, i, count), out,
                                             into.add, dgain ? &dgain : nullptr, dbias ? &dbias : nullptr);
    }
  });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  check(bool(bias), Code::shape, "layer_norm: no bias");
  return norm("layer_norm", {.eps = eps}, x, gain, bias);
}

Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps, float offset) {
  return norm("rms_norm", {.eps = eps, .centre = false, .offset = offset}, x, gain, {});
}

}  // namespace glossa
