#include "ops/ops.h"

namespace glossa {

Tensor heads(const Tensor& x, std::int64_t count) {
  check(x.rank() == 2 && count > 0 && x.cols() % count == 0, Code::shape, "shape {} does not hold {} heads",
        x.shape(), count);
  return x.view({x.size(0), count, x.cols() / count});
}

}  // namespace glossa
