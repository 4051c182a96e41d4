#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/widen.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/widen.h"
#include "hwy/highway.h"
#include "tensor/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;

template <class Narrow, class Plain>
void widen_as(const Narrow* from, std::int64_t count, float* to) {
  const D d;
  const hn::Rebind<Narrow, D> dn;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::LoadU(dn, from + i)), d, to + i);
  for (; i < count; ++i) to[i] = static_cast<float>(reinterpret_cast<const Plain*>(from)[i]);
}

void widen(DType type, const void* from, std::int64_t count, float* to) {
  if (type == DType::f16)
    widen_as<hwy::float16_t, float16>(static_cast<const hwy::float16_t*>(from), count, to);
  else
    widen_as<hwy::bfloat16_t, bfloat16>(static_cast<const hwy::bfloat16_t*>(from), count, to);
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(widen);

void widen(DType type, const void* from, std::int64_t count, float* to) {
  is_quantised(type) ? decode(type, from, to, count) : HWY_DYNAMIC_DISPATCH(widen)(type, from, count, to);
}

}  // namespace glossa::cpu
#endif
