// What follows a matrix product: bias, activation, dropout and residual, on a strip of C that is still in the cache.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm_epilogue.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/philox-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {
namespace {

template <Unary U>
void finish(const StripEpilogue& s) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const MatrixProduct& p = s.product;
  DropoutRun run(p.dropout);
  for (std::int64_t r = s.row; r < s.row + s.rows; ++r) {
    for (std::int64_t piece = 0; piece < s.columns; piece += DropoutRun::kRun) {
      const std::int64_t first = s.column + piece, count = std::min<std::int64_t>(s.columns - piece, DropoutRun::kRun);
      float* c = p.c + r * p.ldc + first;
      if (p.dropout) run.fill(static_cast<std::uint64_t>(r * p.n + first), static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; i += lanes) {
        const std::int64_t left = count - i;
        auto x = load_partial(d, c + i, left);
        if (p.bias) x = hn::Add(x, load_partial(d, p.bias + first + i, left));
        if (p.before_act) store_partial(x, d, p.before_act + r * p.ldc + first + i, left);
        x = activate<U>(d, x);
        if (p.dropout) x = run.apply(d, x, static_cast<std::size_t>(i));
        if (p.residual) x = hn::Add(x, load_partial(d, p.residual + r * p.ldr + first + i, left));
        store_partial(x, d, c + i, left);
      }
    }
  }
}

}  // namespace

void finish_strip(const StripEpilogue& s) {
  switch (s.product.act) {
    case Unary::none: return finish<Unary::none>(s);
    case Unary::relu: return finish<Unary::relu>(s);
    case Unary::gelu: return finish<Unary::gelu>(s);
    case Unary::gelu_tanh: return finish<Unary::gelu_tanh>(s);
    case Unary::silu: return finish<Unary::silu>(s);
    case Unary::tanh: return finish<Unary::tanh>(s);
    case Unary::sigmoid: return finish<Unary::sigmoid>(s);
  }
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
