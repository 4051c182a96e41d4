#include "ops/ops.h"

namespace glossa {

Tensor gated(const Tensor& x, Unary act) {
  check(x.rank() == 2 && x.cols() % 2 == 0, Code::shape, "gated: shape {} has no two halves", x.shape());
  Tensor y = x.like({x.rows(), x.cols() / 2});
  Backend::of(x.device()).gate(x, act, y);
  return recorded("gated", y, {x}, [x = x.detach(), act](const Tensor& dy, Grads& dx) {
    auto [out, add] = dx[0].into();
    Backend::of(dy.device()).gate_backward(x, act, dy, out, add);
  });
}

Tensor add(const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), Code::shape, "add: {} and {}", a.shape(), b.shape());
  Tensor y = a.like(a.shape());
  Backend::of(a.device()).add(a, b, y);
  return recorded("add", y, {a, b}, [](const Tensor& dy, Grads& dx) {
    if (dx[0]) {  // not +=, which might adopt what the other is to have too
      auto [out, sum] = dx[0].into();
      sum ? Backend::of(dy.device()).add(out, dy, out) : Backend::of(dy.device()).copy(dy, out);
    }
    if (dx[1]) dx[1] += dy;
  });
}

Tensor dropout(const Tensor& x, float p) {
  const Dropout mask = current_dropout(p);
  if (!mask) return x;
  Tensor y = x.like(x.shape());
  Backend::of(x.device()).dropout(x, mask, y);
  return recorded("dropout", y, {x}, [mask](const Tensor& dy, Grads& dx) {
    Tensor g = dy.like(dy.shape());
    Backend::of(dy.device()).dropout(dy, mask, g);
    dx[0] += g;
  });
}

}  // namespace glossa
