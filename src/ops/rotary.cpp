#include "ops/ops.h"

namespace glossa {

Tensor rotary(const Tensor& x, const Tensor& angles) {
  check(x.rank() == 3 && angles.rank() == 2 && angles.size(0) == x.size(0) && angles.cols() % 2 == 0 && angles.cols() <= x.cols(),
        Code::shape, "rotary: angles {} do not fit {}", angles.shape(), x.shape());
  refuse_gradient("rotary, for its angles,", {angles});
  Tensor y = x.like(x.shape());
  Backend::of(x.device()).rotate(x, angles, false, y, false);
  return recorded("rotary", y, {x}, [angles](const Tensor& dy, Grads& dx) {
    auto [out, add] = dx[0].into();
    Backend::of(dy.device()).rotate(dy, angles, true, out, add);
  });
}

}  // namespace glossa
