#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rotary.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/rotary.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_ROTARY_ONCE
#define GLOSSA_BACKEND_CPU_ROTARY_ONCE
namespace glossa::cpu {
namespace {

struct Rotation {
  const float* x;
  std::int64_t token_stride, head_stride, heads, dim;
  Rows angles;
  bool back, add;
  float* y;
  std::int64_t y_token_stride, y_head_stride;
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

template <bool add>
void rotate_head(const Rotation& r, const float* x, const float* cosines, float* y) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t pairs = r.angles.cols / 2;
  const float* sines = cosines + pairs;
  const auto store = [&](V v, float* to, std::int64_t left) HWY_ATTR {
    store_partial(add ? hn::Add(v, load_partial(d, to, left)) : v, d, to, left);
  };
  for (std::int64_t i = 0; i < pairs; i += lanes) {
    const std::int64_t left = pairs - i;
    const V a = load_partial(d, x + i, left), b = load_partial(d, x + pairs + i, left), c = load_partial(d, cosines + i, left);
    const V s = r.back ? hn::Neg(load_partial(d, sines + i, left)) : load_partial(d, sines + i, left);
    store(hn::NegMulAdd(b, s, hn::Mul(a, c)), y + i, left);
    store(hn::MulAdd(a, s, hn::Mul(b, c)), y + pairs + i, left);
  }
  for (std::int64_t i = 2 * pairs; i < r.dim; i += lanes) store(load_partial(d, x + i, r.dim - i), y + i, r.dim - i);
}

void rotate_range(const Rotation& r, std::int64_t begin, std::int64_t end) {
  for (std::int64_t token = begin; token < end; ++token)
    for (std::int64_t head = 0; head < r.heads; ++head) {
      const float* x = r.x + token * r.token_stride + head * r.head_stride;
      float* y = r.y + token * r.y_token_stride + head * r.y_head_stride;
      r.add ? rotate_head<true>(r, x, r.angles[token], y) : rotate_head<false>(r, x, r.angles[token], y);
    }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(rotate_range);

void rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add) {
  const Rotation r{.x = x.data<float>(),
                   .token_stride = x.stride(0),
                   .head_stride = x.stride(1),
                   .heads = x.size(1),
                   .dim = x.size(2),
                   .angles = Rows(angles),
                   .back = back,
                   .add = add,
                   .y = y.data<float>(),
                   .y_token_stride = y.stride(0),
                   .y_head_stride = y.stride(1)};
  for_rows(x.size(0), r.heads * r.dim,
           [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(rotate_range)(r, begin, end); });
}

}  // namespace glossa::cpu
#endif
