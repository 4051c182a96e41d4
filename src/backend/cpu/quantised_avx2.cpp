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

// A chunk's bits of the plane at `plane`, where they belong within the number; those of others are there too.
template <ChunkPlace At>
HWY_INLINE __m256i moved(const char* plane) {
  const __m256i x = load(plane + At.vector * kVector);
  if constexpr (At.from > At.to) return _mm256_srli_epi16(x, At.from - At.to);
  if constexpr (At.from < At.to) return _mm256_slli_epi16(x, At.to - At.from);
  return x;
}

// Of eight columns; those of 8 bits with a sign, which their zero of 128 stands for.
template <int Bits, int Chunk>
HWY_INLINE __m256i numbers_of(const char* half_panel) {
  if constexpr (Bits == 8) return _mm256_xor_si256(load(half_panel + Chunk * kVector), _mm256_set1_epi8(-128));
  constexpr int kWide = wider_plane(Bits), kNarrow = Bits - kWide;
  constexpr ChunkPlace kFirst = place_of(kWide, Chunk, 0);
  const __m256i x = _mm256_and_si256(moved<kFirst>(half_panel), _mm256_set1_epi8(static_cast<char>(kFirst.mask())));
  if constexpr (kNarrow == 0) return x;
  constexpr ChunkPlace kSecond = place_of(kNarrow > 0 ? kNarrow : 1, Chunk, kWide);
  const __m256i upper = moved<kSecond>(half_panel + kWide * kVector);
  return _mm256_or_si256(x, _mm256_and_si256(upper, _mm256_set1_epi8(static_cast<char>(kSecond.mask()))));
}

// C [R, P * 16] over all groups, a panel as two vectors of 8 columns. Pairs of products must fit into 16 bits: numbers of at
// most 7 bits do without a sign (127 * 127 * 2), those of 8 bits are taken as a size and a sign that goes to the other
// factor.
template <int R, int P, BlockForm Form>
HWY_NOINLINE void tile(const QuantisedRows& a, const char* band, std::int64_t panel, float* c, std::int64_t ldc) {
  constexpr bool kSigned = Form.bits == 8;
  const std::int64_t groups = a.k / kGroupLength;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256 sum[R][P][2];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p) sum[r][p][0] = sum[r][p][1] = _mm256_setzero_ps();
  const char* at = band + sizeof(BandHeader);
  for (std::int64_t g = 0; g < groups; ++g, at += Form.group_bytes()) {
    const auto set = [&]<int S, int... C>(int p, std::integral_constant<int, S>, std::integer_sequence<int, C...>) {
      const char* const number = at + Form.numbers(panel + p);
      __m256i dot[R][2];
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) {
        const std::int32_t* total = a.sum + (r * groups + g) * 2;
        dot[r][0] = dot[r][1] = _mm256_set1_epi32(kSigned ? 0 : -Form.zero * (Form.halves ? total[S] : total[0] + total[1]));
      }
      const auto multiply = [&]<int Chunk>(std::integral_constant<int, Chunk>) {
        HWY_UNROLL(2)
        for (int half = 0; half < 2; ++half) {
          const __m256i numbers = numbers_of<Form.bits, Chunk>(number + half * 32);
          const __m256i size = kSigned ? _mm256_abs_epi8(numbers) : numbers;
          HWY_UNROLL(8)
          for (int r = 0; r < R; ++r) {
            const __m256i x = _mm256_set1_epi32(four_bytes(a.q + r * a.k + g * kGroupLength + Chunk * 4));
            const __m256i pairs = _mm256_maddubs_epi16(size, kSigned ? _mm256_sign_epi8(x, numbers) : x);
            dot[r][half] = _mm256_add_epi32(dot[r][half], _mm256_madd_epi16(pairs, ones));
          }
        }
      };
      (multiply(std::integral_constant<int, C + S * 4>()), ...);
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const __m256 scales = eight_halves(at + Form.scales(S, panel + p) + half * 16);
        __m256 minima = _mm256_setzero_ps();
        if constexpr (Form.minima) minima = eight_halves(at + Form.minima_at(S, panel + p) + half * 16);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const float scale = a.scale[r * groups + g];
          __m256& into = sum[r][p][half];
          into = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][half]), _mm256_mul_ps(scales, _mm256_set1_ps(scale)), into);
          if constexpr (Form.minima) {
            const std::int32_t* total = a.sum + (r * groups + g) * 2;
            const float shift = scale * static_cast<float>(Form.halves ? total[S] : total[0] + total[1]);
            into = _mm256_fnmadd_ps(minima, _mm256_set1_ps(shift), into);
          }
        }
      }
    };
    using Chunks = std::make_integer_sequence<int, Form.halves ? 4 : 8>;
    HWY_UNROLL(4)
    for (int p = 0; p < P; ++p) {
      set(p, std::integral_constant<int, 0>(), Chunks());
      if constexpr (Form.halves) set(p, std::integral_constant<int, 1>(), Chunks());
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

// One row takes all four panels of a band at once; more are cut into tiles of one panel and nearly as many rows each.
template <BlockForm Form>
void multiply_as(PairProduct p) {
  constexpr std::int64_t kMostRows = 3;
  const std::int64_t tiles = (p.rows + kMostRows - 1) / kMostRows;
  while (p.count > 0) {
    const char* const band = p.bands + p.first / kBandPairs * p.band_bytes;
    const std::int64_t panel = p.first % kBandPairs * 2;
    std::int64_t done = 1;
    if (p.rows == 1 && panel == 0 && p.count >= kBandPairs) {
      tile<1, kBandPanels, Form>(p.a, band, 0, p.c, p.ldc);
      done = kBandPairs;
    } else {
      for (std::int64_t side = 0; side < 2; ++side)
        for (std::int64_t t = 0; t < tiles; ++t) {
          const std::int64_t row = p.rows * t / tiles;
          float* const c = p.c + row * p.ldc + side * kColumns;
          switch (p.rows * (t + 1) / tiles - row) {
            case 1: tile<1, 1, Form>(p.a.from(row), band, panel + side, c, p.ldc); break;
            case 2: tile<2, 1, Form>(p.a.from(row), band, panel + side, c, p.ldc); break;
            default: tile<kMostRows, 1, Form>(p.a.from(row), band, panel + side, c, p.ldc);
          }
        }
    }
    p.first += done, p.count -= done, p.c += done * kPairColumns;
  }
}

void multiply(const BlockForm& form, const PairProduct& p) {
  with_form(form, [&]<BlockForm Form>() { multiply_as<Form>(p); });
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
