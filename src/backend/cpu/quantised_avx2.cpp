// The products with quantised weights for processors with AVX2: products of bytes in pairs of 16 bits, then in 32.
#include "backend/cpu/quantised_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,bmi2")
namespace glossa::cpu {
namespace {

__m256 eight_halves(const char* from) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }
__m256i load(const char* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

std::int32_t four_bytes(const std::int8_t* from) {
  std::int32_t x;
  std::memcpy(&x, from, 4);
  return x;
}

// C [R, 16] over all groups, in two vectors of 8 columns. Pairs of products must fit into 16 bits: numbers of at most 7
// bits do without a sign (127 * 127 * 2), those of 8 bits are taken as a size and a sign that goes to the other factor.
template <int R, int Bits, bool Halves, bool Minima>
HWY_NOINLINE void tile(const QuantisedRows& a, const char* panel, int zero, float* c, std::int64_t ldc) {
  constexpr std::int64_t kSets = Halves ? 2 : 1, kScaleBytes = kSets * kColumns * 2;
  constexpr std::int64_t kNumbers = (Minima ? 2 : 1) * kScaleBytes, kGroupBytes = kNumbers + kGroupLength * kColumns * Bits / 8;
  constexpr bool kSigned = Bits == 8 && !Minima;  // zero is 128
  const std::int64_t groups = a.k / kGroupLength;
  const __m256i low = _mm256_set1_epi8(15), sign = _mm256_set1_epi8(-128), ones = _mm256_set1_epi16(1);
  __m256 sum[R][2];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
  const char* at = panel + sizeof(PanelHeader);
  for (std::int64_t g = 0; g < groups; ++g, at += kGroupBytes) {
    HWY_UNROLL(2)
    for (int s = 0; s < kSets; ++s) {
      __m256i dot[R][2];
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) {
        const std::int32_t* total = a.sum + (r * groups + g) * 2;
        const int start = kSigned ? 0 : -zero * (Halves ? total[s] : total[0] + total[1]);
        dot[r][0] = dot[r][1] = _mm256_set1_epi32(start);
      }
      const auto multiply = [&](int chunk, __m256i left, __m256i right) {
        if constexpr (kSigned) left = _mm256_xor_si256(left, sign), right = _mm256_xor_si256(right, sign);
        __m256i size_left = left, size_right = right;
        if constexpr (kSigned) size_left = _mm256_abs_epi8(left), size_right = _mm256_abs_epi8(right);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const __m256i x = _mm256_set1_epi32(four_bytes(a.q + r * a.k + g * kGroupLength + chunk * 4));
          const __m256i x_left = kSigned ? _mm256_sign_epi8(x, left) : x, x_right = kSigned ? _mm256_sign_epi8(x, right) : x;
          dot[r][0] = _mm256_add_epi32(dot[r][0], _mm256_madd_epi16(_mm256_maddubs_epi16(size_left, x_left), ones));
          dot[r][1] = _mm256_add_epi32(dot[r][1], _mm256_madd_epi16(_mm256_maddubs_epi16(size_right, x_right), ones));
        }
      };
      if constexpr (Bits == 8) {
        HWY_UNROLL(8)
        for (int chunk = s * 4; chunk < (Halves ? s * 4 + 4 : 8); ++chunk)
          multiply(chunk, load(at + kNumbers + chunk * 64), load(at + kNumbers + chunk * 64 + 32));
      } else {
        HWY_UNROLL(4)
        for (int chunk = 0; chunk < 4; ++chunk) {
          const __m256i left = load(at + kNumbers + chunk * 64), right = load(at + kNumbers + chunk * 64 + 32);
          multiply(chunk, _mm256_and_si256(left, low), _mm256_and_si256(right, low));
          multiply(chunk + 4, _mm256_and_si256(_mm256_srli_epi16(left, 4), low), _mm256_and_si256(_mm256_srli_epi16(right, 4), low));
        }
      }
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const __m256 scales = eight_halves(at + s * kColumns * 2 + half * 16);
        __m256 minima = _mm256_setzero_ps();
        if constexpr (Minima) minima = eight_halves(at + kScaleBytes + s * kColumns * 2 + half * 16);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const float scale = a.scale[r * groups + g];
          sum[r][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][half]), _mm256_mul_ps(scales, _mm256_set1_ps(scale)), sum[r][half]);
          if constexpr (Minima) {
            const std::int32_t* total = a.sum + (r * groups + g) * 2;
            const float shift = scale * static_cast<float>(Halves ? total[s] : total[0] + total[1]);
            sum[r][half] = _mm256_fnmadd_ps(minima, _mm256_set1_ps(shift), sum[r][half]);
          }
        }
      }
    }
  }
  const __m256 unit = _mm256_set1_ps(reinterpret_cast<const PanelHeader*>(panel)->unit);
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    _mm256_storeu_ps(c + r * ldc, _mm256_mul_ps(unit, sum[r][0]));
    _mm256_storeu_ps(c + r * ldc + 8, _mm256_mul_ps(unit, sum[r][1]));
  }
}

template <int Bits, bool Halves, bool Minima>
void multiply_as(const BlockForm& form, const PanelProduct& p) {
  constexpr int kMost = 3;
  const std::int64_t groups = p.a.k / kGroupLength;
  for (std::int64_t panel = 0; panel < p.count; ++panel) {
    const char* at = p.panels + panel * p.panel_bytes;
    const auto rows = [&]<int R>(std::integral_constant<int, R>, std::int64_t row) {
      tile<R, Bits, Halves, Minima>({p.a.q + row * p.a.k, p.a.scale + row * groups, p.a.sum + row * groups * 2, p.a.k}, at, form.zero,
                                    p.c + row * p.ldc + panel * kColumns, p.ldc);
    };
    std::int64_t row = 0;
    for (; row + kMost <= p.rows; row += kMost) rows(std::integral_constant<int, kMost>(), row);
    if (p.rows - row == 2) rows(std::integral_constant<int, 2>(), row);
    if (p.rows - row == 1) rows(std::integral_constant<int, 1>(), row);
  }
}

void multiply(const BlockForm& form, const PanelProduct& p) {
  if (form.bits == 4) return form.minima ? multiply_as<4, false, true>(form, p) : multiply_as<4, false, false>(form, p);
  if (form.halves) return form.minima ? multiply_as<8, true, true>(form, p) : multiply_as<8, true, false>(form, p);
  form.minima ? multiply_as<8, false, true>(form, p) : multiply_as<8, false, false>(form, p);
}

void quantise(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum) {
  const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (std::int64_t g = 0; g < k / kGroupLength; ++g, x += kGroupLength, q += kGroupLength) {
    __m256 v[4], most = _mm256_setzero_ps(), apart = _mm256_setzero_ps();
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + 8 * i);
      most = _mm256_max_ps(most, _mm256_and_ps(v[i], no_sign));
      apart = _mm256_add_ps(apart, _mm256_sub_ps(v[i], v[i]));  // 0 unless one is no finite number
    }
    if (_mm256_movemask_ps(_mm256_cmp_ps(apart, _mm256_setzero_ps(), _CMP_NEQ_UQ))) {
      portable_block_kernels().quantise(x, kGroupLength, q, scale + g, sum + 2 * g);
      continue;
    }
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    const float largest = _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
    scale[g] = largest / 127;
    const __m256 inverse = _mm256_set1_ps(largest > 0 ? 127 / largest : 0);
    __m256i n[4];
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
    const __m256i numbers = _mm256_permutevar8x32_epi32(bytes, order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), numbers);
    alignas(32) std::int32_t parts[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts),
                       _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), numbers), _mm256_set1_epi16(1)));
    sum[2 * g] = parts[0] + parts[1] + parts[2] + parts[3];
    sum[2 * g + 1] = parts[4] + parts[5] + parts[6] + parts[7];
  }
}

}  // namespace

const BlockKernels* avx2_block_kernels() {
  static constexpr BlockKernels kKernels{multiply, quantise};
  return &kKernels;
}

}  // namespace glossa::cpu
HWY_POP_ATTRIBUTES

#else

namespace glossa::cpu {
const BlockKernels* avx2_block_kernels() { return nullptr; }
}  // namespace glossa::cpu

#endif
