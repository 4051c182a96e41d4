#include "ops/ops.h"

namespace glossa {

Tensor gated(const Tensor& x, Unary act) {
  check(x.rank() == 2 && x.cols() % 2 == 0, Code::shape, "gated: shape {} has no two halves", to_string(x.shape()));
  Tensor y = x.like({x.rows(), x.cols() / 2});
  Backend::of(x.device()).gate(x, act, y);
  return recorded("gated", y, {x}, [x = x.detach(), act](const Tensor& dy, Grads& dx) {
    auto [out, add] = dx[0].into();
    Backend::of(dy.device()).gate_backward(x, act, dy, out, add);
  });
}

}  // namespace glossa
