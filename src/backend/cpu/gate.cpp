#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gate.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/activation-inl.h"
#include "backend/cpu/gate.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_GATE_ONCE
#define GLOSSA_BACKEND_CPU_GATE_ONCE
namespace glossa::cpu {
namespace {

struct Gate {
  Rows x, y;  // y: dy in the backward pass
  Rows dx;
  bool add;
};

}  // namespace
}  // namespace glossa::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

template <Unary U>
struct Forward {
  static void run(const Gate& g, std::int64_t begin, std::int64_t end) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t cols = g.y.cols;
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t i = 0; i < cols; i += lanes) {
        const V gate = load_partial(d, g.x[r] + i, cols - i), value = load_partial(d, g.x[r] + cols + i, cols - i);
        store_partial(hn::Mul(activate<U>(d, gate), value), d, g.y[r] + i, cols - i);
      }
  }
};

template <Unary U>
struct Backward {
  static void run(const Gate& g, std::int64_t begin, std::int64_t end) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t cols = g.y.cols;
    const auto store = [&](V v, float* to, std::int64_t left) HWY_ATTR {
      store_partial(g.add ? hn::Add(v, load_partial(d, to, left)) : v, d, to, left);
    };
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t i = 0; i < cols; i += lanes) {
        const std::int64_t left = cols - i;
        const V gate = load_partial(d, g.x[r] + i, left), value = load_partial(d, g.x[r] + cols + i, left);
        const V upper = load_partial(d, g.y[r] + i, left);
        store(hn::Mul(hn::Mul(upper, value), derivative<U>(d, gate)), g.dx[r] + i, left);
        store(hn::Mul(upper, activate<U>(d, gate)), g.dx[r] + cols + i, left);
      }
  }
};

template <template <Unary> class Pass>
void run(const Gate& g, Unary act, std::int64_t begin, std::int64_t end) {
  switch (act) {
    case Unary::none: return Pass<Unary::none>::run(g, begin, end);
    case Unary::relu: return Pass<Unary::relu>::run(g, begin, end);
    case Unary::gelu: return Pass<Unary::gelu>::run(g, begin, end);
    case Unary::gelu_tanh: return Pass<Unary::gelu_tanh>::run(g, begin, end);
    case Unary::silu: return Pass<Unary::silu>::run(g, begin, end);
    case Unary::tanh: return Pass<Unary::tanh>::run(g, begin, end);
    case Unary::sigmoid: return Pass<Unary::sigmoid>::run(g, begin, end);
  }
}

void gate_range(const Gate& g, Unary act, std::int64_t begin, std::int64_t end) { run<Forward>(g, act, begin, end); }
void gate_backward_range(const Gate& g, Unary act, std::int64_t begin, std::int64_t end) { run<Backward>(g, act, begin, end); }

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(gate_range);
HWY_EXPORT(gate_backward_range);

void gate(const Tensor& x, Unary act, Tensor& y) {
  const Gate g{.x = Rows(x), .y = Rows(y), .dx = {}, .add = false};
  for_rows(g.x.count, g.x.cols,
           [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(gate_range)(g, act, begin, end); });
}

void gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add) {
  const Gate g{.x = Rows(x), .y = Rows(dy), .dx = Rows(dx), .add = add};
  for_rows(g.x.count, g.x.cols,
           [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(gate_backward_range)(g, act, begin, end); });
}

}  // namespace glossa::cpu
#endif
