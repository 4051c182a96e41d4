// The f32 kernels of the matrix product, one set for each instruction set.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm_f32.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <array>
#include <utility>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/partial-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void finish_strip(const StripEpilogue&);  // gemm_epilogue.cpp

namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = HWY_LANES(float);
constexpr int kPanel = 2 * kLanes;

// Most rows of a tile of two vectors: what the registers hold beside two vectors of B and an element of A.
#if HWY_TARGET == HWY_AVX3
constexpr int kRows = 14;
#elif HWY_TARGET == HWY_AVX2
constexpr int kRows = 6;
#elif HWY_TARGET == HWY_SCALAR
constexpr int kRows = 4;
#else
constexpr int kRows = 12;
#endif

// C [R, Panels * kPanel] (+)= alpha * A strip x that many panels.
template <int R, int Panels, bool ByUnits>
HWY_NOINLINE void tile(const float* a, const float* b, std::int64_t panel_stride, std::int64_t units, float* c,
                       std::int64_t ldc, bool add, const float* alpha) {
  constexpr int kVectors = 2 * Panels;
  const D d;
  for (int r = 0; r < R; ++r) {
    for (int i = 0; i < kVectors * kLanes; i += 16) hwy::Prefetch(c + r * ldc + i);
  }
  forget(ldc);
  V sum[R][kVectors];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (std::int64_t u = 0; u < units; ++u) {
    V row[kVectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v)
      row[v] = hn::Load(d, b + v / 2 * panel_stride + u * kPanel + v % 2 * kLanes);
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const V x = hn::Set(d, ByUnits ? a[u * kRows + r] : a[r * kStripStride + u]);
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(x, row[v], sum[r][v]);
    }
  }
  forget(ldc);
  const V scale = hn::Set(d, *alpha);
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * ldc + v * kLanes;
      hn::StoreU(add ? hn::MulAdd(scale, sum[r][v], hn::LoadU(d, to)) : hn::Mul(scale, sum[r][v]), d, to);
    }
  }
}

// The panel at C's right edge, whose last columns are not C's: through a tile of its own.
template <int R, bool ByUnits>
void edge(const StripProduct& p, const float* b, float* c, std::int64_t columns) {
  const D d;
  HWY_ALIGN float buffer[R * kPanel];
  const auto count = [&](int v) HWY_ATTR { return std::clamp<std::int64_t>(columns - v * kLanes, 0, kLanes); };
  if (p.add) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < 2; ++v)
        hn::Store(load_partial(d, c + r * p.ldc + v * kLanes, count(v)), d, buffer + r * kPanel + v * kLanes);
  }
  tile<R, 1, ByUnits>(static_cast<const float*>(p.a), b, 0, p.units, buffer, kPanel, p.add, &p.alpha);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < 2; ++v)
      store_partial(hn::Load(d, buffer + r * kPanel + v * kLanes), d, c + r * p.ldc + v * kLanes, count(v));
}

template <int R, bool ByUnits>
void strip(const StripProduct& p) {
  const float* a = static_cast<const float*>(p.a);
  const float* b = static_cast<const float*>(p.b);
  const std::int64_t panel = p.units * kPanel;  // elements
  std::int64_t column = 0;
  // Few rows have too few sums to hide the latency of one: take two panels at once.
  if constexpr (3 * R <= kRows + 4) {
    for (; column + 2 * kPanel <= p.columns; column += 2 * kPanel, b += 2 * panel)
      tile<R, 2, ByUnits>(a, b, panel, p.units, p.c + column, p.ldc, p.add, &p.alpha);
  }
  for (; column + kPanel <= p.columns; column += kPanel, b += panel)
    tile<R, 1, ByUnits>(a, b, panel, p.units, p.c + column, p.ldc, p.add, &p.alpha);
  if (column < p.columns) edge<R, ByUnits>(p, b, p.c + column, p.columns - column);
}

template <bool ByUnits, int... I>
constexpr auto strips(std::integer_sequence<int, I...>) {
  return std::array<void (*)(const StripProduct&), sizeof...(I)>{&strip<I + 1, ByUnits>...};
}

void multiply(const StripProduct& p) {
  static constexpr auto kByRows = strips<false>(std::make_integer_sequence<int, kRows>());
  static constexpr auto kByUnits = strips<true>(std::make_integer_sequence<int, kRows>());
  (p.a_by_units ? kByUnits : kByRows)[p.rows - 1](p);
}

// Rows become columns, kLanes x kLanes: first 4 x 4 within blocks of 128 bits, then the blocks.
HWY_INLINE void transpose(V (&x)[kLanes]) {
#if HWY_TARGET != HWY_SCALAR
  const D d;
  const hn::Repartition<double, D> d64;
  const auto pairs = [&](auto interleave, V a, V b) HWY_ATTR {
    return hn::BitCast(d, interleave(hn::BitCast(d64, a), hn::BitCast(d64, b)));
  };
  const auto lower = [&](auto a, auto b) HWY_ATTR { return hn::InterleaveLower(d64, a, b); };
  const auto upper = [&](auto a, auto b) HWY_ATTR { return hn::InterleaveUpper(d64, a, b); };
  for (int i = 0; i < kLanes; i += 4) {
    const V a = hn::InterleaveLower(d, x[i], x[i + 1]), b = hn::InterleaveLower(d, x[i + 2], x[i + 3]);
    const V e = hn::InterleaveUpper(d, x[i], x[i + 1]), f = hn::InterleaveUpper(d, x[i + 2], x[i + 3]);
    x[i] = pairs(lower, a, b), x[i + 1] = pairs(upper, a, b);
    x[i + 2] = pairs(lower, e, f), x[i + 3] = pairs(upper, e, f);
  }
#if HWY_TARGET == HWY_AVX2
  for (int i = 0; i < 4; ++i) {
    const V a = x[i], b = x[4 + i];
    x[i] = hn::ConcatLowerLower(d, b, a), x[4 + i] = hn::ConcatUpperUpper(d, b, a);
  }
#elif HWY_TARGET == HWY_AVX3
  for (int i = 0; i < 4; ++i) {
    const V a = hn::ConcatLowerLower(d, x[8 + i], x[i]), b = hn::ConcatLowerLower(d, x[12 + i], x[4 + i]);
    const V e = hn::ConcatUpperUpper(d, x[8 + i], x[i]), f = hn::ConcatUpperUpper(d, x[12 + i], x[4 + i]);
    x[i] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a);
    x[4 + i] = hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a));
    x[8 + i] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(f), e);
    x[12 + i] = hn::OddEvenBlocks(f, hn::SwapAdjacentBlocks(e));
  }
#endif
#else
  (void)x;
#endif
}

void pack_b(const float* b, std::int64_t ldb, bool transposed, std::int64_t, std::int64_t begin, std::int64_t units,
            std::int64_t columns, void* packed) {
  const D d;
  float* to = static_cast<float*>(packed);
  if (!transposed) {
    for (std::int64_t u = 0; u < units; ++u) {
      const float* from = b + (begin + u) * ldb;
      for (int v = 0; v < kPanel; v += kLanes)
        hn::Store(load_partial(d, from + v, std::clamp<std::int64_t>(columns - v, 0, kLanes)), d, to + u * kPanel + v);
    }
    return;
  }
  for (std::int64_t u = 0; u < units; u += kLanes) {
    const std::int64_t count = std::min<std::int64_t>(units - u, kLanes);
    for (int v = 0; v < kPanel; v += kLanes) {
      V x[kLanes];
      HWY_UNROLL(16)
      for (int i = 0; i < kLanes; ++i)
        x[i] = v + i < columns ? load_partial(d, b + (v + i) * ldb + begin + u, count) : hn::Zero(d);
      transpose(x);
      HWY_UNROLL(16)
      for (int i = 0; i < kLanes; ++i)
        if (i < count) hn::Store(x[i], d, to + (u + i) * kPanel + v);
    }
  }
}

void pack_a(const float* a, std::int64_t lda, bool transposed, std::int64_t, std::int64_t begin, std::int64_t units,
            const Strips& strips, void* packed) {
  const D d;
  float* to = static_cast<float*>(packed);
  if (transposed) {  // all strips together, as memory has them; whole vectors are stored: the next unit overwrites what is too much
    for (std::int64_t u = 0; u < units; ++u)
      for (std::int64_t s = 0; s < strips.count; ++s) {
        const float* from = a + (begin + u) * lda + strips.begin[s];
        hwy::Prefetch(from + kPrefetchUnits * lda);
        for (std::int64_t r = 0, rows = strips.rows(s); r < rows; r += kLanes)
          hn::StoreU(load_partial(d, from + r, std::min<std::int64_t>(rows - r, kLanes)), d,
                     to + s * kRows * kStripStride + u * kRows + r);
      }
    return;
  }
  for (std::int64_t s = 0; s < strips.count; ++s)
    for (std::int64_t r = 0; r < strips.rows(s); ++r)
      for (std::int64_t u = 0; u < units; u += kLanes) {
        const float* from = a + (strips.begin[s] + r) * lda + begin + u;
        hwy::Prefetch(from + kPrefetchRows * lda);
        hn::Store(load_partial(d, from, std::min<std::int64_t>(units - u, kLanes)), d,
                  to + (s * kRows + r) * kStripStride + u);
      }
}

double spin(std::int64_t steps) {
  constexpr int kSums = 12;
  const D d;
  volatile float one = 0.5f;
  const V x = hn::Set(d, one), y = hn::Set(d, one);
  V sum[kSums];
  HWY_UNROLL(16)
  for (int i = 0; i < kSums; ++i) sum[i] = hn::Set(d, static_cast<float>(i));
  for (std::int64_t s = 0; s < steps; ++s) {
    HWY_UNROLL(16)
    for (int i = 0; i < kSums; ++i) sum[i] = hn::MulAdd(sum[i], x, y);
  }
  for (int i = 1; i < kSums; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  one = hn::GetLane(sum[0]);
  return 2.0 * kSums * kLanes * static_cast<double>(steps);
}

void read(const float* data, std::int64_t count) {
  const D d;
  V sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (std::int64_t i = 0; i + 4 * kLanes <= count; i += 4 * kLanes) {
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) sum[j] = hn::Add(sum[j], hn::Load(d, data + i + j * kLanes));
  }
  volatile float sink = hn::GetLane(hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])));
  (void)sink;
}

}  // namespace

const Kernels& f32_kernels() {
  static constexpr Kernels kernels = {kRows, kPanel, false, pack_b, pack_a, multiply, finish_strip, spin, read};
  return kernels;
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

const Kernels& bf16_kernels();  // gemm_bf16.cpp

const Kernels& kernels_for(InstructionSet set, bool bf16) {
  switch (set) {
#if HWY_TARGETS & HWY_AVX3
    case InstructionSet::avx512_bf16:
      if (bf16) return bf16_kernels();
      [[fallthrough]];
    case InstructionSet::avx512:
      return N_AVX3::f32_kernels();
#endif
#if HWY_TARGETS & HWY_AVX2
    case InstructionSet::avx2:
      return N_AVX2::f32_kernels();
#endif
    default:
      (void)bf16;
      return HWY_NAMESPACE::f32_kernels();
  }
}

}  // namespace glossa::cpu
#endif
