// The bf16 kernels of the matrix product, for processors with AVX512-BF16: products of pairs summed in f32.
#include "backend/cpu/gemm_kernels.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own headers (its bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,bmi2,fma")
namespace glossa::cpu {
namespace {

constexpr int kLanes = 16;
constexpr int kPanel = 2 * kLanes;
constexpr int kRows = 14;

__mmask16 first(std::int64_t count) {
  return static_cast<__mmask16>(_bzhi_u32(0xFFFF, static_cast<unsigned>(std::clamp<std::int64_t>(count, 0, 16))));
}

// C [R, Panels * kPanel] (+)= alpha * A strip x that many panels.
template <int R, int Panels, bool ByUnits>
HWY_NOINLINE void tile(const std::int32_t* a, const std::int32_t* b, std::int64_t panel_stride, std::int64_t units,
                       float* c, std::int64_t ldc, bool add, const float* alpha) {
  constexpr int kVectors = 2 * Panels;
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < kVectors; ++v) __builtin_prefetch(c + r * ldc + v * kLanes, 1);
  forget(ldc);
  __m512 sum[R][kVectors];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  for (std::int64_t u = 0; u < units; ++u) {
    __m512i row[kVectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v)
      row[v] = _mm512_load_si512(b + v / 2 * panel_stride + u * kPanel + v % 2 * kLanes);
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const __m512i x = _mm512_set1_epi32(ByUnits ? a[u * kRows + r] : a[r * kStripStride + u]);
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v)
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(row[v]));
    }
  }
  forget(ldc);
  const __m512 scale = _mm512_set1_ps(*alpha);
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * ldc + v * kLanes;
      _mm512_storeu_ps(to, add ? _mm512_fmadd_ps(scale, sum[r][v], _mm512_loadu_ps(to)) : _mm512_mul_ps(scale, sum[r][v]));
    }
  }
}

// The panel at C's right edge, whose last columns are not C's: through a tile of its own.
template <int R, bool ByUnits>
void edge(const StripProduct& p, const std::int32_t* b, float* c, std::int64_t columns) {
  alignas(64) float buffer[R * kPanel];
  const __mmask16 masks[2] = {first(columns), first(columns - kLanes)};
  if (p.add) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < 2; ++v)
        _mm512_store_ps(buffer + r * kPanel + v * kLanes, _mm512_maskz_loadu_ps(masks[v], c + r * p.ldc + v * kLanes));
  }
  tile<R, 1, ByUnits>(static_cast<const std::int32_t*>(p.a), b, 0, p.units, buffer, kPanel, p.add, &p.alpha);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < 2; ++v)
      _mm512_mask_storeu_ps(c + r * p.ldc + v * kLanes, masks[v], _mm512_load_ps(buffer + r * kPanel + v * kLanes));
}

template <int R, bool ByUnits>
void strip(const StripProduct& p) {
  const std::int32_t* a = static_cast<const std::int32_t*>(p.a);
  const std::int32_t* b = static_cast<const std::int32_t*>(p.b);
  const std::int64_t panel = p.units * kPanel;
  std::int64_t column = 0;
  // Few rows have too few sums to hide the latency of one: take two panels at once.
  if constexpr (R <= 6) {
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

// Sixteen units of a row: 32 consecutive numbers, of which `count` are there and the others are 0.
__m512i convert_row(const float* from, std::int64_t count) {
  const __m512 low = _mm512_maskz_loadu_ps(first(count), from);
  const __m512 high = _mm512_maskz_loadu_ps(first(count - kLanes), from + kLanes);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Sixteen units across two rows: number i of `even` and number i of `odd` make unit i. `odd` may be absent.
__m512i convert_pair(const float* even, const float* odd, __mmask16 mask) {
  static constexpr std::array<std::int16_t, 32> kInterleave = [] {
    std::array<std::int16_t, 32> order{};
    for (int i = 0; i < 32; ++i) order[i] = static_cast<std::int16_t>(i / 2 + i % 2 * 16);
    return order;
  }();
  const __m512 low = _mm512_maskz_loadu_ps(mask, even);
  const __m512 high = odd ? _mm512_maskz_loadu_ps(mask, odd) : _mm512_setzero_ps();
  return _mm512_permutexvar_epi16(_mm512_loadu_si512(kInterleave.data()),
                                  reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

// Rows become columns, 16 x 16: first 4 x 4 within blocks of 128 bits, then the blocks.
void transpose(__m512i (&x)[16]) {
  HWY_UNROLL(16)
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]), b = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]);
    const __m512i e = _mm512_unpackhi_epi32(x[i], x[i + 1]), f = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
    x[i] = _mm512_unpacklo_epi64(a, b), x[i + 1] = _mm512_unpackhi_epi64(a, b);
    x[i + 2] = _mm512_unpacklo_epi64(e, f), x[i + 3] = _mm512_unpackhi_epi64(e, f);
  }
  HWY_UNROLL(16)
  for (int i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(x[i], x[4 + i], 0x88), b = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0x88);
    const __m512i e = _mm512_shuffle_i32x4(x[i], x[4 + i], 0xDD), f = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0xDD);
    x[i] = _mm512_shuffle_i32x4(a, b, 0x88), x[8 + i] = _mm512_shuffle_i32x4(a, b, 0xDD);
    x[4 + i] = _mm512_shuffle_i32x4(e, f, 0x88), x[12 + i] = _mm512_shuffle_i32x4(e, f, 0xDD);
  }
}

void pack_b(const float* b, std::int64_t ldb, bool transposed, std::int64_t k, std::int64_t begin, std::int64_t units,
            std::int64_t columns, void* packed) {
  std::int32_t* to = static_cast<std::int32_t*>(packed);
  if (!transposed) {
    const __mmask16 masks[2] = {first(columns), first(columns - kLanes)};
    for (std::int64_t u = 0; u < units; ++u) {
      const float* even = b + 2 * (begin + u) * ldb;
      for (int v = 0; v < kPanel; v += kLanes) {
        __builtin_prefetch(even + 2 * kPrefetchUnits * ldb + v);
        __builtin_prefetch(even + (2 * kPrefetchUnits + 1) * ldb + v);
      }
      const bool odd = 2 * (begin + u) + 1 < k;
      for (int v = 0; v < 2; ++v)
        _mm512_store_si512(to + u * kPanel + v * kLanes,
                           convert_pair(even + v * kLanes, odd ? even + ldb + v * kLanes : nullptr, masks[v]));
    }
    return;
  }
  for (std::int64_t u = 0; u < units; u += kLanes) {
    const std::int64_t count = std::min<std::int64_t>(units - u, kLanes), left = std::min(k - 2 * (begin + u), 2 * count);
    for (int v = 0; v < kPanel; v += kLanes) {
      __m512i x[kLanes];
      HWY_UNROLL(16)
      for (int i = 0; i < kLanes; ++i)
        x[i] = v + i < columns ? convert_row(b + (v + i) * ldb + 2 * (begin + u), left) : _mm512_setzero_si512();
      transpose(x);
      HWY_UNROLL(16)
      for (int i = 0; i < kLanes; ++i)
        if (i < count) _mm512_store_si512(to + (u + i) * kPanel + v, x[i]);
    }
  }
}

void pack_a(const float* a, std::int64_t lda, bool transposed, std::int64_t k, std::int64_t begin, std::int64_t units,
            const Strips& strips, void* packed) {
  std::int32_t* to = static_cast<std::int32_t*>(packed);
  if (transposed) {  // all strips together, as memory has them; whole vectors are stored: the next unit overwrites what is too much
    for (std::int64_t u = 0; u < units; ++u)
      for (std::int64_t s = 0; s < strips.count; ++s) {
        const float* even = a + 2 * (begin + u) * lda + strips.begin[s];
        __builtin_prefetch(even + 2 * kPrefetchUnits * lda);
        __builtin_prefetch(even + (2 * kPrefetchUnits + 1) * lda);
        _mm512_storeu_si512(to + s * kRows * kStripStride + u * kRows,
                            convert_pair(even, 2 * (begin + u) + 1 < k ? even + lda : nullptr, first(strips.rows(s))));
      }
    return;
  }
  for (std::int64_t s = 0; s < strips.count; ++s)
    for (std::int64_t r = 0; r < strips.rows(s); ++r)
      for (std::int64_t u = 0; u < units; u += kLanes) {
        const float* from = a + (strips.begin[s] + r) * lda + 2 * (begin + u);
        __builtin_prefetch(from + kPrefetchRows * lda);
        __builtin_prefetch(from + kPrefetchRows * lda + kLanes);
        _mm512_store_si512(to + (s * kRows + r) * kStripStride + u,
                           convert_row(from, std::min(k - 2 * (begin + u), 2 * (units - u))));
      }
}

double spin(std::int64_t steps) {
  constexpr int kSums = 12;
  volatile int one = 0x3F003F00;
  const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(one));
  __m512 sum[kSums];
  HWY_UNROLL(16)
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (std::int64_t s = 0; s < steps; ++s) {
    HWY_UNROLL(16)
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  volatile float sink = _mm512_cvtss_f32(sum[0]);
  (void)sink;
  return 4.0 * kSums * kLanes * static_cast<double>(steps);
}

}  // namespace

const Kernels& bf16_kernels() {
  const Kernels& f32 = kernels_for(InstructionSet::avx512, false);
  static const Kernels kernels = {kRows, kPanel, true, pack_b, pack_a, multiply, f32.finish, spin, f32.read};
  return kernels;
}

}  // namespace glossa::cpu
HWY_POP_ATTRIBUTES
#endif
