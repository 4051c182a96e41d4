#include "ops/ops.h"

namespace glossa {

Tensor heads(const Tensor& x, std::int64_t count) {
  check(x.rank() == 2 && count > 0 && x.cols() % count == 0, Code::shape, "shape {} does not hold {} heads",
        to_string(x.shape()), count);
  return x.view({x.size(0), count, x.cols() / count});
}

Tensor gather_rows(const Tensor& x, const Tensor& rows) {
  check(x.rank() == 2 && rows.rank() == 1, Code::shape, "gather_rows: {} of {}", to_string(rows.shape()),
        to_string(x.shape()));
  Tensor y = x.like({rows.size(0), x.cols()});
  Backend::of(x.device()).gather_rows(x, rows, y);
  return recorded("gather_rows", y, {x}, [rows](const Tensor& dy, Grads& dx) {
    Tensor out = dx[0].into_sum();
    Backend::of(dy.device()).scatter_add_rows(dy, rows, out);
  });
}

}  // namespace glossa
