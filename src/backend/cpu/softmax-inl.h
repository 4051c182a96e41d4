// softmax-inl.h -- a row of attention's scores to exponentials, whose shares of their sum are probabilities. Per-target
// header: include it after highway.h within a foreach_target translation unit.
#include <cmath>
#include <cstdint>
#include <limits>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/partial-inl.h"

#if defined(GLOSSA_BACKEND_CPU_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GLOSSA_BACKEND_CPU_SOFTMAX_INL_H_
#undef GLOSSA_BACKEND_CPU_SOFTMAX_INL_H_
#else
#define GLOSSA_BACKEND_CPU_SOFTMAX_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

struct Exponentials {
  float top, sum;  // the largest score, minus infinity for no scores; the sum of exp(score - top)
  float logsumexp() const { return (std::isinf(top) ? 0 : top) + std::log(sum); }
};

// x [count] to exp(s - top), s = scale * x, or softcap * tanh(scale * x / softcap) where softcap is not 0; in place.
inline Exponentials exponentials(float* x, std::int64_t count, float scale, float softcap) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V lowest = hn::Set(d, -std::numeric_limits<float>::infinity()), cap = hn::Set(d, softcap);
  const V factor = hn::Set(d, softcap > 0 ? scale / softcap : scale);
  // Lanes past the row's end do not count.
  const auto real = [&](V v, std::int64_t left, V otherwise) {
    return left >= lanes ? v : hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(left)), v, otherwise);
  };
  V most = lowest;
  for (std::int64_t i = 0; i < count; i += lanes) {
    V s = hn::Mul(factor, load_partial(d, x + i, count - i));
    if (softcap > 0) s = hn::Mul(cap, tanh(d, s));
    store_partial(s, d, x + i, count - i);
    most = hn::Max(most, real(s, count - i, lowest));
  }
  const float top = hn::GetLane(hn::MaxOfLanes(d, most));
  const V shift = hn::Set(d, std::isinf(top) ? 0 : top);
  V sum = hn::Zero(d);
  for (std::int64_t i = 0; i < count; i += lanes) {
    const V e = exp(d, hn::Sub(load_partial(d, x + i, count - i), shift));
    store_partial(e, d, x + i, count - i);
    sum = hn::Add(sum, real(e, count - i, hn::Zero(d)));
  }
  return {top, hn::GetLane(hn::SumOfLanes(d, sum))};
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
