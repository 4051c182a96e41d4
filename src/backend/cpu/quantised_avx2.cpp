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

// C [R, P * 16] over all groups, a panel as two vectors of 8 columns. Pairs of products must fit into 16 bits: numbers of at
// most 7 bits do without a sign (127 * 127 * 2), those of 8 bits are taken as a size and a sign that goes to the other
// factor.
template <int R, int P, int Bits, bool Halves, bool Minima>
HWY_NOINLINE void tile(const QuantisedRows& a, const char* band, std::int64_t panel, int zero, float* c, std::int64_t ldc) {
  constexpr BlockForm kForm{Bits, 0, Halves, Minima};
  constexpr bool kSigned = Bits == 8 && !Minima;  // zero is 128
  const std::int64_t groups = a.k / kGroupLength;
  const __m256i low = _mm256_set1_epi8(15), sign = _mm256_set1_epi8(-128), ones = _mm256_set1_epi16(1);
  __m256 sum[R][P][2];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p) sum[r][p][0] = sum[r][p][1] = _mm256_setzero_ps();
  const char* at = band + sizeof(BandHeader);
  for (std::int64_t g = 0; g < groups; ++g, at += kForm.group_bytes()) {
    HWY_UNROLL(4)
    for (int p = 0; p < P; ++p) {
      const char* const number = at + kForm.numbers(panel + p);
      for (int s = 0; s < kForm.sets(); ++s) {
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
            multiply(chunk, load(number + chunk * 64), load(number + chunk * 64 + 32));
        } else {
          HWY_UNROLL(4)
          for (int chunk = 0; chunk < 4; ++chunk) {
            const __m256i left = load(number + chunk * 64), right = load(number + chunk * 64 + 32);
            multiply(chunk, _mm256_and_si256(left, low), _mm256_and_si256(right, low));
            multiply(chunk + 4, _mm256_and_si256(_mm256_srli_epi16(left, 4), low), _mm256_and_si256(_mm256_srli_epi16(right, 4), low));
          }
        }
        HWY_UNROLL(2)
        for (int half = 0; half < 2; ++half) {
          const __m256 scales = eight_halves(at + kForm.scales(s, panel + p) + half * 16);
          __m256 minima = _mm256_setzero_ps();
          if constexpr (Minima) minima = eight_halves(at + kForm.minima_at(s, panel + p) + half * 16);
          HWY_UNROLL(8)
          for (int r = 0; r < R; ++r) {
            const float scale = a.scale[r * groups + g];
            __m256& into = sum[r][p][half];
            into = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][half]), _mm256_mul_ps(scales, _mm256_set1_ps(scale)), into);
            if constexpr (Minima) {
              const std::int32_t* total = a.sum + (r * groups + g) * 2;
              const float shift = scale * static_cast<float>(Halves ? total[s] : total[0] + total[1]);
              into = _mm256_fnmadd_ps(minima, _mm256_set1_ps(shift), into);
            }
          }
        }
      }
    }
  }
  HWY_UNROLL(4)
  for (int p = 0; p < P; ++p) {
    const __m256 unit = _mm256_set1_ps(reinterpret_cast<const BandHeader*>(band)->unit[panel + p]);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      _mm256_storeu_ps(c + r * ldc + p * kColumns, _mm256_mul_ps(unit, sum[r][p][0]));
      _mm256_storeu_ps(c + r * ldc + p * kColumns + 8, _mm256_mul_ps(unit, sum[r][p][1]));
    }
  }
}

template <int Bits, bool Halves, bool Minima>
void multiply_as(const BlockForm& form, PanelProduct p) {
  constexpr int kMost = 3;
  const std::int64_t groups = p.a.k / kGroupLength;
  const auto tile_of = [&]<int R, int P>(std::integral_constant<int, R>, std::integral_constant<int, P>, std::int64_t row) {
    tile<R, P, Bits, Halves, Minima>({p.a.q + row * p.a.k, p.a.scale + row * groups, p.a.sum + row * groups * 2, p.a.k},
                                     p.bands + p.first / kBandPanels * p.band_bytes, p.first % kBandPanels, form.zero,
                                     p.c + row * p.ldc, p.ldc);
  };
  constexpr std::integral_constant<int, 1> kOne;
  const auto advance = [&p](std::int64_t panels) { p.count -= panels, p.first += panels, p.c += panels * kColumns; };
  if (p.rows == 1)
    for (; p.count >= kBandPanels; advance(kBandPanels)) tile_of(kOne, std::integral_constant<int, kBandPanels>(), 0);
  for (; p.count > 0; advance(1)) {
    std::int64_t row = 0;
    for (; row + kMost <= p.rows; row += kMost) tile_of(std::integral_constant<int, kMost>(), kOne, row);
    if (p.rows - row == 2) tile_of(std::integral_constant<int, 2>(), kOne, row);
    if (p.rows - row == 1) tile_of(kOne, kOne, row);
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
