#include "ops/ops.h"

namespace glossa {

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& end, WeightLayout layout) {
  const bool out_in = layout == WeightLayout::out_in;
  check(x && weight && x.rank() > 0 && weight.rank() == 2 && x.cols() == weight.size(out_in ? 1 : 0), Code::shape,
        "linear: input {} does not fit weight {}", x.shape(), weight.shape());
  const std::int64_t rows = x.rows(), width = weight.size(out_in ? 0 : 1);
  check(!bias || bias.elements() == width, Code::shape, "linear: bias {} does not fit weight {}", bias.shape(),
        weight.shape());
  check(!end.residual || (end.residual.rows() == rows && end.residual.cols() == width), Code::shape,
        "linear: residual {} does not fit the result [{}, {}]", end.residual.shape(), rows, width);

  Tensor y = x.like({rows, width});
  const bool keeps = recording({x, weight, bias, end.residual});
  // For the derivative of the activation. Where nothing is added to it, what relu gives tells as much as what it was given.
  const bool result_tells = end.act == Unary::relu && !end.residual;
  Tensor before_act;
  if (keeps && end.act != Unary::none && !result_tells) before_act = x.like({rows, width});
  const Dropout mask = current_dropout(end.dropout);
  const bool bf16 = bf16_products();
  Backend& backend = Backend::of(x.device());
  backend.gemm({.a = x, .b = weight, .y = y, .transpose_b = out_in, .bias = bias, .residual = end.residual,
                .act = end.act, .dropout = mask, .before_act = before_act ? &before_act : nullptr, .bf16 = bf16});
  if (!keeps) return y;

  return recorded("linear", y, {x, weight, bias, end.residual},
                  [x = recording({weight}) ? x.detach() : Tensor(), weight = recording({x}) ? weight.detach() : Tensor(),
                   before_act = result_tells ? y.detach() : before_act, mask, act = end.act, bf16, out_in](const Tensor& dy, Grads& dx) {
    Backend& on = Backend::of(dy.device());
    Tensor dz = dy;
    const bool changed = act != Unary::none || mask;
    if (changed) dz = dy.like(dy.shape());
    if (dx[2]) {
      Tensor dbias = dx[2].into_sum();
      on.epilogue_backward(dy, before_act, act, mask, dz, &dbias);
    } else if (changed) {
      on.epilogue_backward(dy, before_act, act, mask, dz, nullptr);
    }
    if (dx[0]) {
      auto [out, add] = dx[0].into();
      on.gemm({.a = dz, .b = weight, .y = out, .transpose_b = !out_in, .add = add, .bf16 = bf16});
    }
    if (dx[1]) {
      auto [out, add] = dx[1].into();
      on.gemm({.a = out_in ? dz : x, .b = out_in ? x : dz, .y = out, .transpose_a = true, .add = add, .bf16 = bf16});
    }
    if (dx[3]) dx[3] += dy;
  });
}

Tensor linear(const Tensor& x, std::span<const Tensor> weights, const Tensor& bias, const Epilogue& end) {
  refuse_gradient("linear with several weights", {x, bias, end.residual});
  std::int64_t width = 0;
  for (const Tensor& w : weights) {
    check(w && w.rank() == 2 && w.cols() == x.cols(), Code::shape, "linear: input {} does not fit weight {}", x.shape(),
          w.shape());
    width += w.size(0);
  }
  check(!bias || bias.elements() == width, Code::shape, "linear: bias {} does not fit {} outputs", bias.shape(), width);
  Tensor y = x.like({x.rows(), width});
  Backend::of(x.device()).gemm_stacked({.a = x, .b = Gemm::kNone, .y = y, .transpose_b = true, .bias = bias, .residual = end.residual,
                                        .act = end.act, .bf16 = bf16_products()}, weights);
  return y;
}

}  // namespace glossa
