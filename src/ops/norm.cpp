#include "ops/ops.h"

namespace glossa {

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  check(x && gain && bias && gain.elements() == x.cols() && bias.elements() == x.cols(), Code::shape,
        "layer_norm: gain {} and bias {} do not fit {}", to_string(gain.shape()), to_string(bias.shape()),
        to_string(x.shape()));
  Tensor y = x.like(x.shape());
  const bool keeps = recording({x, gain, bias});
  Tensor stats;
  if (keeps) stats = x.like({x.rows(), 2});
  Backend::of(x.device()).norm(x, gain, bias, eps, true, y, keeps ? &stats : nullptr);
  if (!keeps) return y;
  return recorded("layer_norm", y, {x, gain, bias},
                  [x = x.detach(), gain = gain.detach(), stats](const Tensor& dy, Grads& dx) {
    Tensor dgain, dbias;
    if (dx[1]) dgain = dx[1].into_sum();
    if (dx[2]) dbias = dx[2].into_sum();
    Grads::Into into = dx[0] ? dx[0].into() : Grads::Into{x.like(x.shape()), false};
    Backend::of(dy.device()).norm_backward(x, gain, stats, dy, true, into.out, into.add, dgain ? &dgain : nullptr,
                                           dbias ? &dbias : nullptr);
  });
}

}  // namespace glossa
