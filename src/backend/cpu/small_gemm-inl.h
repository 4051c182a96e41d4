// small_gemm-inl.h -- products of matrices that lie in the L1 and L2 caches, on one thread, for use within other kernels.
// Per-target header: include it after foreach_target.h.
#include <algorithm>
#include <cstdint>

#include "backend/cpu/partial-inl.h"

#if defined(GLOSSA_BACKEND_CPU_SMALL_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GLOSSA_BACKEND_CPU_SMALL_GEMM_INL_H_
#undef GLOSSA_BACKEND_CPU_SMALL_GEMM_INL_H_
#else
#define GLOSSA_BACKEND_CPU_SMALL_GEMM_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

// C [m, n] = A [m, k] B [k, n], or += with `add`. Element (i, l) of A is a[i * a_row + l * a_column], so A may be
// transposed. B comes in panels of two vectors of columns: column j of row l is at
// b[j / panel * b_panel + l * b_row + j % panel], so a row-major B has b_panel = panel.
struct SmallGemm {
  std::int64_t m, n, k;
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;
  std::int64_t b_row, b_panel;
  float* c;
  std::int64_t c_row;
  bool add;
};

constexpr std::int64_t kSmallPanel = 2 * HWY_LANES(float);

// `columns`: how many of the panel's are C's.
template <int R>
HWY_INLINE void small_tile(const SmallGemm& g, const float* a, const float* b, float* c, std::int64_t columns) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::int64_t kLanes = HWY_LANES(float);
  const std::int64_t second = columns - kLanes;  // of the second vector; it may be none
  V sum[R][2];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = hn::Zero(d);
  const auto multiply = [&](V b0, V b1, std::int64_t l) HWY_ATTR {
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      const V x = hn::Set(d, a[r * g.a_row + l * g.a_column]);
      sum[r][0] = hn::MulAdd(x, b0, sum[r][0]);
      sum[r][1] = hn::MulAdd(x, b1, sum[r][1]);
    }
  };
  if (second >= kLanes) {
    for (std::int64_t l = 0; l < g.k; ++l) multiply(hn::LoadU(d, b + l * g.b_row), hn::LoadU(d, b + l * g.b_row + kLanes), l);
  } else {
    for (std::int64_t l = 0; l < g.k; ++l) {
      const float* row = b + l * g.b_row;
      multiply(load_partial(d, row, columns), second > 0 ? load_partial(d, row + kLanes, second) : hn::Zero(d), l);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    float* to = c + r * g.c_row;
    if (g.add) sum[r][0] = hn::Add(sum[r][0], load_partial(d, to, columns));
    store_partial(sum[r][0], d, to, columns);
    if (second <= 0) continue;
    if (g.add) sum[r][1] = hn::Add(sum[r][1], load_partial(d, to + kLanes, second));
    store_partial(sum[r][1], d, to + kLanes, second);
  }
}

inline void small_gemm(const SmallGemm& g) {
#if HWY_TARGET == HWY_AVX3
  constexpr int kRows = 8;
#elif HWY_TARGET == HWY_SCALAR
  constexpr int kRows = 2;
#else
  constexpr int kRows = 6;
#endif
  for (std::int64_t j = 0; j < g.n; j += kSmallPanel) {
    const float* b = g.b + j / kSmallPanel * g.b_panel;
    const std::int64_t columns = std::min(g.n - j, kSmallPanel);
    for (std::int64_t i = 0; i < g.m;) {
      const float* a = g.a + i * g.a_row;
      float* c = g.c + i * g.c_row + j;
      const std::int64_t rows = g.m - i;
      if (rows >= kRows) {
        small_tile<kRows>(g, a, b, c, columns), i += kRows;
      } else if (rows >= 4) {
        small_tile<4>(g, a, b, c, columns), i += 4;
      } else if (rows >= 2) {
        small_tile<2>(g, a, b, c, columns), i += 2;
      } else {
        small_tile<1>(g, a, b, c, columns), i += 1;
      }
    }
  }
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
