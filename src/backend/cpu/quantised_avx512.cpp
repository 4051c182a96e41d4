// The products with quantised weights for processors with AVX512-VNNI: sums of four products of bytes in 32 bits.
#include "backend/cpu/quantised_kernels.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own headers (its bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "backend/cpu/rows.h"
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

// A chunk's bits of the plane at `plane`, where they belong within the number; those of others are there too.
template <ChunkPlace At>
HWY_INLINE __m512i moved(const char* plane) {
  const __m512i x = _mm512_loadu_si512(plane + At.vector * kVector);
  if constexpr (At.from > At.to) return _mm512_srli_epi16(x, At.from - At.to);
  if constexpr (At.from < At.to) return _mm512_slli_epi16(x, At.to - At.from);
  return x;
}

template <int Bits, int Chunk>
HWY_INLINE __m512i numbers_of(const char* panel) {
  constexpr int kWide = wider_plane(Bits), kNarrow = Bits - kWide;
  constexpr ChunkPlace kFirst = place_of(kWide, Chunk, 0);
  __m512i x = moved<kFirst>(panel);
  if constexpr (Bits < 8) x = _mm512_and_si512(x, _mm512_set1_epi8(kFirst.mask()));
  if constexpr (kNarrow > 0) {
    constexpr ChunkPlace kSecond = place_of(kNarrow, Chunk, kWide);
    constexpr int kOrOfAnd = 0xF8;  // a | (b & c)
    x = _mm512_ternarylogic_epi32(x, moved<kSecond>(panel + kWide * kVector), _mm512_set1_epi8(kSecond.mask()), kOrOfAnd);
  }
  return x;
}

// What a tile has the processor fetch while it works: of each group of the pair of panels that comes next the cache lines
// first, first + step and so on.
struct Ahead {
  const char* pair;  // its band's first group; null: nothing
  std::int64_t panel, first, step;

  template <BlockForm Form>
  HWY_INLINE void fetch(std::int64_t group) const {
    constexpr std::int64_t kRuns = (Form.minima ? 2 : 1) * Form.sets(), kLines = kRuns + 2 * Form.bits;
    const char* const at = pair + group * Form.group_bytes();
    for (std::int64_t line = first; line < kLines; line += step)
      _mm_prefetch(at + (line < kRuns ? Form.scales(line, panel) : Form.numbers(panel) + (line - kRuns) * kVector), _MM_HINT_T1);
  }
};

// For tiles that pass a whole band: as far ahead of the group at `from`. 60 % faster than the processor's own guesses.
template <std::int64_t Bytes>
HWY_INLINE void fetch_ahead(const char* from) {
  constexpr std::int64_t kDistance = 8192;
  HWY_UNROLL(32)
  for (std::int64_t line = 0; line < Bytes; line += kVector) _mm_prefetch(from + kDistance + line, _MM_HINT_T0);
}

// What tiles need of the sums of rows of A, worked out once for all of them.
struct Corrections {
  const std::int32_t* start;  // [rows, sets of scales]: -zero times the sum of q
  const float* shift;         // likewise, where there are minima: what they are taken away times
};

struct Tile {  // of C
  QuantisedRows a;
  Corrections corrections;
  const char* band;
  std::int64_t panel;
  const char* numbers;  // of the first panel's first group
  std::int64_t stride;  // from group to group
  float* c;
  std::int64_t ldc;
  Ahead ahead;
};

// C [R, P * 16] over all groups, numbers being of so many bits. Whole numbers make the order of their sums free; those of
// floats go along k, so that a row alone gives the bits of a row among others.
template <int R, int P, int Bits, BlockForm Form>
HWY_NOINLINE void tile(const Tile& t) {
  constexpr std::int64_t kSets = Form.sets();
  const QuantisedRows& a = t.a;
  const std::int64_t groups = a.k / kGroupLength;
  __m512 sum[R][P];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int p = 0; p < P; ++p) sum[r][p] = _mm512_setzero_ps();
  }
  const char *at = t.band + sizeof(BandHeader), *panels = t.numbers;
  for (std::int64_t g = 0; g < groups; ++g, at += Form.group_bytes(), panels += t.stride) {
    if constexpr (P == kBandPanels)
      fetch_ahead<Form.group_bytes()>(at);
    else if (t.ahead.pair)
      t.ahead.fetch<Form>(g);
    const auto set = [&]<int S, int... C>(std::integral_constant<int, S>, std::integer_sequence<int, C...>) {
      __m512i dot[R][P];
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) {
        const __m512i start = _mm512_set1_epi32(t.corrections.start[(r * groups + g) * kSets + S]);
        HWY_UNROLL(4)
        for (int p = 0; p < P; ++p) dot[r][p] = start;
      }
      const auto multiply = [&]<int Chunk>(std::integral_constant<int, Chunk>) {
        __m512i numbers[P];
        HWY_UNROLL(4)
        for (int p = 0; p < P; ++p) numbers[p] = numbers_of<Bits, Chunk>(panels + p * kVector * Bits);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const __m512i x = _mm512_set1_epi32(four_bytes(a.q + r * a.k + g * kGroupLength + Chunk * 4));
          HWY_UNROLL(4)
          for (int p = 0; p < P; ++p) dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], numbers[p], x);
        }
      };
      (multiply(std::integral_constant<int, C + S * 4>()), ...);
      HWY_UNROLL(4)
      for (int p = 0; p < P; ++p) {
        const __m512 scales = sixteen_halves(at + Form.scales(S, t.panel + p));
        __m512 minima = _mm512_setzero_ps();
        if constexpr (Form.minima) minima = sixteen_halves(at + Form.minima_at(S, t.panel + p));
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const __m512 by = _mm512_mul_ps(scales, _mm512_set1_ps(a.scale[r * groups + g]));
          sum[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][p]), by, sum[r][p]);
          if constexpr (Form.minima)
            sum[r][p] = _mm512_fnmadd_ps(minima, _mm512_set1_ps(t.corrections.shift[(r * groups + g) * kSets + S]), sum[r][p]);
        }
      }
    };
    using Chunks = std::make_integer_sequence<int, Form.halves ? 4 : 8>;
    set(std::integral_constant<int, 0>(), Chunks());
    if constexpr (Form.halves) set(std::integral_constant<int, 1>(), Chunks());
  }
  HWY_UNROLL(4)
  for (int p = 0; p < P; ++p) {
    const __m512 unit = _mm512_set1_ps(reinterpret_cast<const BandHeader*>(t.band)->unit[t.panel + p]);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(t.c + r * t.ldc + p * kColumns, _mm512_mul_ps(unit, sum[r][p]));
  }
}

// Memory of a thread.
struct Scratch {
  std::vector<std::int32_t> start;
  std::vector<float> shift;
  ScratchFloats pair;

  template <BlockForm Form>
  Corrections corrections(const QuantisedRows& a, std::int64_t rows) {
    const std::int64_t count = rows * (a.k / kGroupLength);
    start.resize(static_cast<std::size_t>(count * Form.sets()));
    if constexpr (Form.minima) shift.resize(start.size());
    for (std::int64_t g = 0; g < count; ++g)
      for (std::int64_t s = 0; s < Form.sets(); ++s) {
        const std::int32_t total = Form.halves ? a.sum[2 * g + s] : a.sum[2 * g] + a.sum[2 * g + 1];
        start[g * Form.sets() + s] = -Form.zero * total;
        if constexpr (Form.minima) shift[g * Form.sets() + s] = a.scale[g] * static_cast<float>(total);
      }
    return {start.data(), shift.data()};
  }

  // The numbers of a pair of panels, a byte each: group by group, panel by panel.
  template <BlockForm Form>
  const char* widened(const char* band, std::int64_t panel, std::int64_t groups) {
    char* const all = reinterpret_cast<char*>(pair.get(groups * kWideGroup / static_cast<std::int64_t>(sizeof(float))));
    const char* from = band + sizeof(BandHeader) + Form.numbers(panel);
    for (char* to = all; to < all + groups * kWideGroup; to += kWideGroup, from += Form.group_bytes())
      [&]<int... C>(std::integer_sequence<int, C...>) {
        (_mm512_store_si512(to + C * kVector, numbers_of<Form.bits, C % kChunks>(from + C / kChunks * kVector * Form.bits)), ...);
      }(std::make_integer_sequence<int, 2 * kChunks>());
    return all;
  }
  static constexpr std::int64_t kWideGroup = 2 * kChunks * kVector;
};

// With f(First), ... f(Last) as constants.
template <int First, int Last, class F>
HWY_INLINE void with_count(std::int64_t count, F&& f) {
  [&]<int... N>(std::integer_sequence<int, N...>) {
    (void)((count == First + N && (f(std::integral_constant<int, First + N>()), true)) || ...);
  }(std::make_integer_sequence<int, Last - First + 1>());
}

// Up to three rows take all four panels of a band at once. More take a pair of panels, whose numbers are made bytes first if
// they lie in two planes, by tiles of nearly as many rows each, at most 6, which fetch the next pair meanwhile.
template <BlockForm Form>
void multiply_as(PairProduct p) {
  constexpr std::int64_t kMostRows = 6;
  constexpr bool kWidens = wider_plane(Form.bits) != Form.bits;
  thread_local Scratch scratch;
  const std::int64_t groups = p.a.k / kGroupLength, tiles = (p.rows + kMostRows - 1) / kMostRows;
  const Corrections all = scratch.corrections<Form>(p.a, p.rows);
  const auto advance = [&p](std::int64_t pairs) { p.first += pairs, p.count -= pairs, p.c += pairs * kPairColumns; };
  while (p.count > 0) {
    const char* const band = p.bands + p.first / kBandPairs * p.band_bytes;
    const std::int64_t panel = p.first % kBandPairs * 2;
    Tile t{.a = p.a, .corrections = all, .band = band, .panel = panel, .numbers = band + sizeof(BandHeader) + Form.numbers(panel),
           .stride = Form.group_bytes(), .c = p.c, .ldc = p.ldc, .ahead = {}};
    if (p.rows <= kFewRows) {
      const bool whole = panel == 0 && p.count >= kBandPairs;
      with_count<1, kFewRows>(p.rows, [&](auto rows) { whole ? tile<rows, kBandPanels, Form.bits, Form>(t) : tile<rows, 2, Form.bits, Form>(t); });
      advance(whole ? kBandPairs : 1);
      continue;
    }
    if constexpr (kWidens) t.numbers = scratch.widened<Form>(band, panel, groups), t.stride = Scratch::kWideGroup;
    if (p.count > 1)
      t.ahead = {.pair = p.bands + (p.first + 1) / kBandPairs * p.band_bytes + sizeof(BandHeader), .panel = (p.first + 1) % kBandPairs * 2,
                 .first = 0, .step = tiles};
    for (; t.ahead.first < tiles; ++t.ahead.first) {
      const std::int64_t row = p.rows * t.ahead.first / tiles, end = p.rows * (t.ahead.first + 1) / tiles;
      t.a = p.a.from(row), t.c = p.c + row * p.ldc;
      t.corrections = {all.start + row * groups * Form.sets(), Form.minima ? all.shift + row * groups * Form.sets() : nullptr};
      with_count<kFewRows, kMostRows>(end - row, [&](auto rows) { tile<rows, 2, kWidens ? 8 : Form.bits, Form>(t); });
    }
    advance(1);
  }
}

void multiply(const BlockForm& form, const PairProduct& p) {
  with_form(form, [&]<BlockForm Form>() { multiply_as<Form>(p); });
}

// Four vectors of which each gives its largest element, to all four elements of one quarter of the result.
__m512 largest_of_each(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
  const __m512 cd = _mm512_max_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
  __m512 x = _mm512_max_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
  x = _mm512_max_ps(x, _mm512_permute_ps(x, 0xB1));
  return _mm512_max_ps(x, _mm512_permute_ps(x, 0x4E));
}

// The sum of each 16 bytes, to all four elements of their quarter.
__m512i sum_of_quarters(__m512i bytes) {
  __m512i x = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
  x = _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_CDAB));
  return _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
}

constexpr std::int64_t kFour = 4;  // groups

// Four groups; whether all of their numbers are finite: else nothing is written.
bool quantise_four(const float* x, std::int8_t* q, float* scale, std::int32_t* sum) {
  __m512 v[8], most[kFour], apart = _mm512_setzero_ps();
  HWY_UNROLL(8)
  for (int i = 0; i < 8; ++i) v[i] = _mm512_loadu_ps(x + 16 * i);
  HWY_UNROLL(8)
  for (int i = 0; i < 8; ++i) apart = _mm512_add_ps(apart, _mm512_sub_ps(v[i], v[i]));  // x - x is 0 unless it is none
  if (_mm512_cmp_ps_mask(apart, _mm512_setzero_ps(), _CMP_NEQ_UQ)) return false;
  HWY_UNROLL(4)
  for (int g = 0; g < kFour; ++g) most[g] = _mm512_max_ps(_mm512_abs_ps(v[2 * g]), _mm512_abs_ps(v[2 * g + 1]));
  const __m512 all = largest_of_each(most[0], most[1], most[2], most[3]), whole = _mm512_set1_ps(127);
  const __m512 inverse = _mm512_maskz_div_ps(_mm512_cmp_ps_mask(all, _mm512_setzero_ps(), _CMP_GT_OQ), whole, all);
  // Of each quarter its i-th element, as the i-th quarter.
  const __m512i across = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm_storeu_ps(scale, _mm512_castps512_ps128(_mm512_permutexvar_ps(across, _mm512_div_ps(all, whole))));
  HWY_UNROLL(2)
  for (int i = 0; i < 2; ++i) {  // two groups
    __m512i n[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      const __m512 by = _mm512_permutexvar_ps(_mm512_set1_epi32(8 * i + j / 2 * 4), inverse);
      n[j] = _mm512_cvtps_epi32(_mm512_mul_ps(v[4 * i + j], by));
    }
    const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(n[0], n[1]), _mm512_packs_epi32(n[2], n[3]));
    const __m512i numbers = _mm512_permutexvar_epi32(across, bytes), sums = sum_of_quarters(numbers);
    _mm512_storeu_si512(q + 64 * i, numbers);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sum + 4 * i), _mm512_castsi512_si128(_mm512_permutexvar_epi32(across, sums)));
  }
  return true;
}

void quantise(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum) {
  const std::int64_t groups = k / kGroupLength;
  for (std::int64_t g = 0; g < groups; g += kFour) {
    const std::int64_t count = std::min(kFour, groups - g);
    const float* from = x + g * kGroupLength;
    std::int8_t* const to = q + g * kGroupLength;
    if (count == kFour) {
      if (quantise_four(from, to, scale + g, sum + 2 * g)) continue;
    } else {  // the last ones, beside zeros
      float padded[kFour * kGroupLength] = {}, scales[kFour];
      std::int8_t numbers[kFour * kGroupLength];
      std::int32_t sums[2 * kFour];
      std::copy_n(from, count * kGroupLength, padded);
      if (quantise_four(padded, numbers, scales, sums)) {
        std::copy_n(numbers, count * kGroupLength, to), std::copy_n(scales, count, scale + g), std::copy_n(sums, 2 * count, sum + 2 * g);
        continue;
      }
    }
    portable_block_kernels().quantise(from, count * kGroupLength, to, scale + g, sum + 2 * g);
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
