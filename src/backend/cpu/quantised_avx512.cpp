// The products with quantised weights for processors with AVX512-VNNI: sums of four products of bytes in 32 bits.
#include "backend/cpu/quantised_kernels.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own headers (its bug 105593)
#endif
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,bmi2,fma")
namespace glossa::cpu {
namespace {

__m512 sixteen_halves(const char* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

std::int32_t four_bytes(const std::int8_t* from) {
  std::int32_t x;
  std::memcpy(&x, from, 4);
  return x;
}

// C [R, P * 16] over all groups. Whole numbers make the order of their sums free, so that one row may use two sums for
// each panel and still give the bits of a row among others.
template <int R, int P, int Bits, bool Halves, bool Minima>
HWY_NOINLINE void tile(const QuantisedRows& a, const char* band, std::int64_t panel, int zero, float* c, std::int64_t ldc) {
  constexpr BlockForm kForm{Bits, 0, Halves, Minima};
  const std::int64_t groups = a.k / kGroupLength;
  const __m512i low = _mm512_set1_epi8(15);
  __m512 sum[R][P];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int p = 0; p < P; ++p) sum[r][p] = _mm512_setzero_ps();
  }
  const char* at = band + sizeof(BandHeader);
  for (std::int64_t g = 0; g < groups; ++g, at += kForm.group_bytes()) {
    const char* const number = at + kForm.numbers(panel);
    for (int s = 0; s < kForm.sets(); ++s) {
      __m512i dot[R][P];
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        const std::int32_t* total = a.sum + (r * groups + g) * 2;
        const __m512i start = _mm512_set1_epi32(-zero * (Halves ? total[s] : total[0] + total[1]));
        HWY_UNROLL(4)
        for (int p = 0; p < P; ++p) dot[r][p] = start;
      }
      const auto multiply = [&](int chunk, const __m512i (&numbers)[P]) {
        HWY_UNROLL(16)
        for (int r = 0; r < R; ++r) {
          const __m512i x = _mm512_set1_epi32(four_bytes(a.q + r * a.k + g * kGroupLength + chunk * 4));
          HWY_UNROLL(4)
          for (int p = 0; p < P; ++p) dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], numbers[p], x);
        }
      };
      if constexpr (Bits == 8) {
        HWY_UNROLL(8)
        for (int chunk = s * 4; chunk < (Halves ? s * 4 + 4 : 8); ++chunk) {
          __m512i numbers[P];
          HWY_UNROLL(4)
          for (int p = 0; p < P; ++p) numbers[p] = _mm512_loadu_si512(number + kForm.numbers(p) - kForm.numbers(0) + chunk * 64);
          multiply(chunk, numbers);
        }
      } else {
        HWY_UNROLL(4)
        for (int chunk = 0; chunk < 4; ++chunk) {
          __m512i lower[P], upper[P];
          HWY_UNROLL(4)
          for (int p = 0; p < P; ++p) {
            const __m512i both = _mm512_loadu_si512(number + kForm.numbers(p) - kForm.numbers(0) + chunk * 64);
            lower[p] = _mm512_and_si512(both, low);
            upper[p] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
          }
          multiply(chunk, lower);
          multiply(chunk + 4, upper);
        }
      }
      HWY_UNROLL(4)
      for (int p = 0; p < P; ++p) {
        const __m512 scales = sixteen_halves(at + kForm.scales(s, panel + p));
        __m512 minima = _mm512_setzero_ps();
        if constexpr (Minima) minima = sixteen_halves(at + kForm.minima_at(s, panel + p));
        HWY_UNROLL(16)
        for (int r = 0; r < R; ++r) {
          const float scale = a.scale[r * groups + g];
          sum[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][p]), _mm512_mul_ps(scales, _mm512_set1_ps(scale)), sum[r][p]);
          if constexpr (Minima) {
            const std::int32_t* total = a.sum + (r * groups + g) * 2;
            const float shift = scale * static_cast<float>(Halves ? total[s] : total[0] + total[1]);
            sum[r][p] = _mm512_fnmadd_ps(minima, _mm512_set1_ps(shift), sum[r][p]);
          }
        }
      }
    }
  }
  HWY_UNROLL(4)
  for (int p = 0; p < P; ++p) {
    const __m512 unit = _mm512_set1_ps(reinterpret_cast<const BandHeader*>(band)->unit[panel + p]);
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(c + r * ldc + p * kColumns, _mm512_mul_ps(unit, sum[r][p]));
  }
}

// P panels at a time, as long as there are so many; tiles of `Most` rows, and what is left in one smaller tile.
template <int P, int Most, int Bits, bool Halves, bool Minima>
void by_panels(const BlockForm& form, PanelProduct& p) {
  const std::int64_t groups = p.a.k / kGroupLength;
  for (; p.count >= P; p.count -= P, p.first += P, p.c += P * kColumns) {
    const auto rows = [&]<int R>(std::integral_constant<int, R>, std::int64_t row) {
      tile<R, P, Bits, Halves, Minima>({p.a.q + row * p.a.k, p.a.scale + row * groups, p.a.sum + row * groups * 2, p.a.k},
                                       p.bands + p.first / kBandPanels * p.band_bytes, p.first % kBandPanels, form.zero,
                                       p.c + row * p.ldc, p.ldc);
    };
    std::int64_t row = 0;
    for (; row + Most <= p.rows; row += Most) rows(std::integral_constant<int, Most>(), row);
    const auto rest = [&]<int... R>(std::integer_sequence<int, R...>) {
      (void)((p.rows - row == R + 1 && (rows(std::integral_constant<int, R + 1>(), row), true)) || ...);
    };
    rest(std::make_integer_sequence<int, Most - 1>());
  }
}

template <int Bits, bool Halves, bool Minima>
void multiply_as(const BlockForm& form, PanelProduct p) {
  if (p.rows == 1) by_panels<4, 1, Bits, Halves, Minima>(form, p);
  by_panels<2, 6, Bits, Halves, Minima>(form, p);
  by_panels<1, 6, Bits, Halves, Minima>(form, p);
}

void multiply(const BlockForm& form, const PanelProduct& p) {
  if (form.bits == 4) return form.minima ? multiply_as<4, false, true>(form, p) : multiply_as<4, false, false>(form, p);
  if (form.halves) return form.minima ? multiply_as<8, true, true>(form, p) : multiply_as<8, true, false>(form, p);
  form.minima ? multiply_as<8, false, true>(form, p) : multiply_as<8, false, false>(form, p);
}

void quantise(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum) {
  for (std::int64_t g = 0; g < k / kGroupLength; ++g, x += kGroupLength, q += kGroupLength) {
    const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
    const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
    const bool bad = _mm512_cmp_ps_mask(_mm512_sub_ps(a, a), _mm512_sub_ps(b, b), _CMP_NEQ_UQ) != 0;  // x - x is 0 unless it is none
    if (bad) {
      portable_block_kernels().quantise(x, kGroupLength, q, scale + g, sum + 2 * g);
      continue;
    }
    scale[g] = most / 127;
    const __m512 inverse = _mm512_set1_ps(most > 0 ? 127 / most : 0);
    const __m512i qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(qa));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtepi32_epi8(qb));
    sum[2 * g] = _mm512_reduce_add_epi32(qa);
    sum[2 * g + 1] = _mm512_reduce_add_epi32(qb);
  }
}

}  // namespace

const BlockKernels* avx512_block_kernels() {
  static constexpr BlockKernels kKernels{multiply, quantise};
  static const bool supported = __builtin_cpu_supports("avx512vnni");
  return supported ? &kKernels : nullptr;
}

}  // namespace glossa::cpu
HWY_POP_ATTRIBUTES

#else

namespace glossa::cpu {
const BlockKernels* avx512_block_kernels() { return nullptr; }
}  // namespace glossa::cpu

#endif
