// partial-inl.h -- loads and stores of the first lanes of a vector, for the ends of rows, that touch nothing else.
// Per-target header: include it after foreach_target.h.
#include <cstdint>

#if defined(GLOSSA_BACKEND_CPU_PARTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GLOSSA_BACKEND_CPU_PARTIAL_INL_H_
#undef GLOSSA_BACKEND_CPU_PARTIAL_INL_H_
#else
#define GLOSSA_BACKEND_CPU_PARTIAL_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

// Lanes count and above are 0. Any count >= 0; a full vector's or more is a plain load.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::VFromD<D> load_partial(D d, const hwy::HWY_NAMESPACE::TFromD<D>* from,
                                                      std::int64_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (count >= lanes) return hn::LoadU(d, from);
#if HWY_TARGET == HWY_SCALAR
  return hn::Zero(d);  // Highway's scalar masked loads read even what they leave out
#elif HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN hn::TFromD<D> buffer[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)] = {};
  for (std::int64_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(count)), d, from);
#endif
}

template <class D>
HWY_INLINE void store_partial(hwy::HWY_NAMESPACE::VFromD<D> v, D d, hwy::HWY_NAMESPACE::TFromD<D>* to,
                              std::int64_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (count >= lanes) return hn::StoreU(v, d, to);
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN hn::TFromD<D> buffer[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
  hn::Store(v, d, buffer);
  for (std::int64_t i = 0; i < count; ++i) to[i] = buffer[i];
#else
  hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(count)), d, to);
#endif
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
