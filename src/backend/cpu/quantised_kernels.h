// quantised_kernels.h -- the packed form of quantised weights, and what an instruction set supplies to products with them.
// Not for use outside the quantised files.
//
// A panel is 16 columns of the product, and four panels make a band, which one row of A passes from its first byte to its
// last: processors fetch ahead of such a reader. A band: its header, then for each group of 32 along k the scales of its
// columns (panel by panel; then those of the second halves, where scales go by 16), the minima likewise, and the numbers of
// each panel in chunks of 4 along k.
//
// Numbers lie in planes, widest first: of 5 bits, one plane with the lower 4 and one with the fifth. A plane of w bits has w
// vectors of 64 bytes, column by column the 4 bytes of a chunk; chunk c is in vector c % w, from bit c / w * w of each byte.
#pragma once
#include <bit>
#include <cstdint>

#include "backend/cpu/quantised.h"

namespace glossa::cpu {

constexpr std::int64_t kColumns = 16, kBandPanels = kBandColumns / kColumns, kGroupLength = 32, kChunks = 8, kVector = 64;
constexpr std::int64_t kPairColumns = 2 * kColumns, kBandPairs = kBandPanels / 2;  // products go by pairs of panels
constexpr std::int64_t kFewRows = 3;  // up to so many pass whole bands

// How a type is packed.
struct BlockForm {
  int bits;     // 2 to 6, or 8
  int zero;     // what is taken from u; where there are minima, the middle of u, so that these are small
  bool halves;  // scales for each 16 elements
  bool minima;
  // Within a group of a band, from its beginning:
  constexpr std::int64_t sets() const { return halves ? 2 : 1; }
  constexpr std::int64_t scales(std::int64_t set, std::int64_t panel) const { return (set * kBandPanels + panel) * kColumns * 2; }
  constexpr std::int64_t minima_at(std::int64_t set, std::int64_t panel) const { return scales(sets() + set, panel); }
  constexpr std::int64_t numbers(std::int64_t panel) const {
    return scales(minima ? 2 * sets() : sets(), 0) + panel * kVector * bits;
  }
  constexpr std::int64_t group_bytes() const { return numbers(kBandPanels); }
};

constexpr BlockForm form_of(DType type) {
  switch (type) {
    case DType::q4_0: return {4, 8, false, false};
    case DType::q4_1:
    case DType::q4_k: return {4, 8, false, true};
    case DType::q5_0: return {5, 16, false, false};
    case DType::q5_1:
    case DType::q5_k: return {5, 16, false, true};
    case DType::q2_k: return {2, 2, true, true};
    case DType::q3_k: return {3, 4, true, false};
    case DType::q6_k: return {6, 32, true, false};
    default: return {8, 128, false, false};  // q8_0, iq4_nl
  }
}

// Calls f.template operator()<Form>() with the form as a constant: for kernels that are compiled for each.
template <class F>
void with_form(const BlockForm& form, F&& f) {
  if (form.bits == 2) return f.template operator()<BlockForm{2, 2, true, true}>();
  if (form.bits == 3) return f.template operator()<BlockForm{3, 4, true, false}>();
  if (form.bits == 6) return f.template operator()<BlockForm{6, 32, true, false}>();
  if (form.bits == 8) return f.template operator()<BlockForm{8, 128, false, false}>();
  if (form.bits == 4)
    return form.minima ? f.template operator()<BlockForm{4, 8, false, true}>() : f.template operator()<BlockForm{4, 8, false, false}>();
  form.minima ? f.template operator()<BlockForm{5, 16, false, true}>() : f.template operator()<BlockForm{5, 16, false, false}>();
}

// Where a chunk lies within a plane, and the plane's place within the number.
struct ChunkPlace {
  int width, vector, from, to;  // bits; from the plane's beginning; bit of each byte; bit of the number
  constexpr std::uint8_t mask() const { return static_cast<std::uint8_t>(((1 << width) - 1) << to); }
};
constexpr ChunkPlace place_of(int width, int chunk, int to) { return {width, chunk % width, chunk / width * width, to}; }
constexpr int wider_plane(int bits) { return static_cast<int>(std::bit_floor(static_cast<unsigned>(bits))); }

struct BandHeader {
  alignas(kVector) float unit[kBandPanels];  // that scales and minima of a panel count in
};

// Rows of A in 8 bits: x = scale * q.
struct QuantisedRows {
  const std::int8_t* q;       // [rows, k]
  const float* scale;         // [rows, k / 32]
  const std::int32_t* sum;    // [rows, k / 16]: of q
  std::int64_t k;
  QuantisedRows from(std::int64_t row) const {
    return {q + row * k, scale + row * (k / kGroupLength), sum + row * (k / 16), k};
  }
};

struct PairProduct {  // C [rows, count * 32] = A panels, without any epilogue
  QuantisedRows a;
  std::int64_t rows;
  const char* bands;
  std::int64_t band_bytes;
  std::int64_t first, count;  // pairs of panels
  float* c;
  std::int64_t ldc;
};

struct BlockKernels {
  void (*multiply)(const BlockForm&, const PairProduct&);
  // One row of k floats.
  void (*quantise)(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum);
};

const BlockKernels& portable_block_kernels();
const BlockKernels* avx2_block_kernels();    // null: not of this architecture
const BlockKernels* avx512_block_kernels();  // null: the processor has no VNNI

}  // namespace glossa::cpu
