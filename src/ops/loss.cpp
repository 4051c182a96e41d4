#include <algorithm>

#include "ops/ops.h"

namespace glossa {
namespace {

// Rows whose logits exist at one time: few enough to bound memory, enough to keep the products efficient.
std::int64_t rows_at_a_time(std::int64_t vocabulary) {
  constexpr std::int64_t kLogits = std::int64_t{8} << 20;
  return std::clamp<std::int64_t>(kLogits / vocabulary / 32 * 32, 64, 1024);
}

double sum(const Tensor& x) {
  double total = 0;
  const std::int64_t n = x.elements();
  if (x.dtype() == DType::f64)
    for (std::int64_t i = 0; i < n; ++i) total += x.data<double>()[i];
  else
    for (std::int64_t i = 0; i < n; ++i) total += x.data<float>()[i];
  return total;
}

}  // namespace

Tensor cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& bias, const Tensor& labels,
                     const CrossEntropyOptions& options) {
  check(hidden.rank() == 2 && head.rank() == 2 && hidden.cols() == head.cols() && labels.shape() == Shape{hidden.rows()} &&
            (!bias || (bias.elements() == head.size(0) && options.softcap == 0)),
        Code::shape, "cross_entropy: hidden {}, head {}, labels {} do not fit", hidden.shape(),
        head.shape(), labels.shape());
  const std::int64_t rows = hidden.rows(), vocabulary = head.size(0);
  const auto all = labels.span<std::int32_t>();
  const auto bad = std::find_if(all.begin(), all.end(), [&](std::int32_t l) { return l != -100 && (l < 0 || l >= vocabulary); });
  check(bad == all.end(), Code::shape, "cross_entropy: label {} of a vocabulary of {}", bad == all.end() ? 0 : *bad, vocabulary);
  const double counted = static_cast<double>(all.size()) - static_cast<double>(std::count(all.begin(), all.end(), -100));
  const double denominator = options.denominator > 0 ? options.denominator : std::max(counted, 1.0);

  // The gradient is made together with the loss, while a block of logits is at hand: that saves a product.
  const bool keeps_hidden = recording({hidden}), keeps_head = recording({head}), keeps_bias = recording({bias});
  const bool keeps = keeps_hidden || keeps_head || keeps_bias, bf16 = bf16_products();
  Backend& backend = Backend::of(hidden.device());
  Tensor dhidden, dhead, dbias;
  if (keeps_hidden) dhidden = hidden.like(hidden.shape());
  if (keeps_head) dhead = head.like(head.shape());
  if (keeps_bias) {
    dbias = head.like({vocabulary});
    backend.fill(dbias, 0);
  }
  const std::int64_t block = std::min(rows, rows_at_a_time(vocabulary));
  Tensor scratch = hidden.like({std::max<std::int64_t>(block, 1), vocabulary});
  Tensor losses = hidden.like({rows});
  const float cap = options.softcap, inverse = cap > 0 ? 1 / cap : 1;
  Tensor uncapped = cap > 0 ? scratch.like(scratch.shape()) : Tensor();
  if (keeps_head && rows == 0) backend.fill(dhead, 0);
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    const std::int64_t end = std::min(rows, begin + block);
    Tensor logits = scratch.slice(0, 0, end - begin), loss = losses.slice(0, begin, end);
    const Tensor h = hidden.slice(0, begin, end);
    Tensor before = cap > 0 ? uncapped.slice(0, 0, end - begin) : Tensor();
    backend.gemm({.a = h, .b = head, .y = logits, .transpose_b = true, .alpha = inverse, .bias = bias,
                  .act = cap > 0 ? Unary::tanh : Unary::none, .before_act = cap > 0 ? &before : nullptr, .bf16 = bf16});
    if (cap > 0) backend.scale(logits, 1 / static_cast<double>(inverse), logits);
    backend.cross_entropy(logits, labels.slice(0, begin, end), options.smoothing, keeps, 1 / denominator, loss);
    if (cap > 0 && keeps) backend.epilogue_backward(logits, before, Unary::tanh, {}, logits, nullptr);
    if (keeps_hidden) {
      Tensor dh = dhidden.slice(0, begin, end);
      backend.gemm({.a = logits, .b = head, .y = dh, .bf16 = bf16});
    }
    if (keeps_head)
      backend.gemm({.a = logits, .b = h, .y = dhead, .transpose_a = true, .add = begin > 0, .bf16 = bf16});
    if (keeps_bias) backend.epilogue_backward(logits, {}, Unary::none, {}, logits, &dbias);
  }
  Tensor y = hidden.like({1});
  backend.fill(y, sum(losses) / denominator);
  return recorded("cross_entropy", y, {hidden, head, bias}, [dhidden, dhead, dbias](const Tensor& dy, Grads& dx) mutable {
    const double factor = dy.dtype() == DType::f64 ? dy.item<double>() : dy.item<float>();
    Tensor* gradients[] = {&dhidden, &dhead, &dbias};
    for (int i = 0; i < 3; ++i) {
      if (!dx[i]) continue;
      if (factor != 1) Backend::of(dy.device()).scale(*gradients[i], factor, *gradients[i]);
      dx[i] += *gradients[i];
    }
  });
}

}  // namespace glossa
