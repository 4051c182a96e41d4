// quantised_kernels.h -- the packed form of quantised weights, and what an instruction set supplies to products with them.
// Not for use outside the quantised files.
//
// A panel is 16 columns of the product, and four panels make a band, which one row of A passes from its first byte to its
// last: processors fetch ahead of such a reader. A band: its header, then for each group of 32 along k the scales of its
// columns (panel by panel; then those of the second halves, where scales go by 16), the minima likewise, and the numbers of
// each panel in chunks of 4 along k. Of 8 bits, chunk c is 64 bytes, column by column; of 4 bits, chunks c and c + 4 share
// 64 bytes, the first in the lower halves.
#pragma once
#include <cstdint>

#include "backend/cpu/quantised.h"

namespace glossa::cpu {

constexpr std::int64_t kColumns = 16, kBandPanels = kBandColumns / kColumns, kGroupLength = 32, kChunks = 8;

// How a type is packed.
struct BlockForm {
  int bits;        // 4 or 8
  int zero;        // what is taken from u; where there are minima, the middle of u, so that these are small
  bool halves;     // scales for each 16 elements
  bool minima;
  // Within a group of a band, from its beginning:
  constexpr std::int64_t sets() const { return halves ? 2 : 1; }
  constexpr std::int64_t scales(std::int64_t set, std::int64_t panel) const { return (set * kBandPanels + panel) * kColumns * 2; }
  constexpr std::int64_t minima_at(std::int64_t set, std::int64_t panel) const { return scales(sets() + set, panel); }
  constexpr std::int64_t numbers(std::int64_t panel) const {
    return scales(minima ? 2 * sets() : sets(), 0) + panel * kGroupLength * kColumns * bits / 8;
  }
  constexpr std::int64_t group_bytes() const { return numbers(kBandPanels); }
};

constexpr BlockForm form_of(DType type) {
  switch (type) {
    case DType::q4_0: return {4, 8, false, false};
    case DType::q4_1:
    case DType::q4_k: return {4, 8, false, true};
    case DType::q5_1:
    case DType::q5_k: return {8, 16, false, true};
    case DType::q2_k: return {8, 2, true, true};
    case DType::q3_k:
    case DType::q6_k: return {8, 128, true, false};
    default: return {8, 128, false, false};  // q5_0, q8_0, iq4_nl
  }
}

struct BandHeader {
  alignas(64) float unit[kBandPanels];  // that scales and minima of a panel count in
};

// Rows of A in 8 bits: x = scale * q.
struct QuantisedRows {
  const std::int8_t* q;       // [rows, k]
  const float* scale;         // [rows, k / 32]
  const std::int32_t* sum;    // [rows, k / 16]: of q
  std::int64_t k;
};

struct PanelProduct {  // C [rows, count * 16] = A panels, without any epilogue
  QuantisedRows a;
  std::int64_t rows;
  const char* bands;
  std::int64_t band_bytes;
  std::int64_t first, count;  // panels; more than one only from the beginning of a band
  float* c;                   // columns past the weight's last may be written: up to a whole panel
  std::int64_t ldc;
};

struct BlockKernels {
  void (*multiply)(const BlockForm&, const PanelProduct&);
  // One row of k floats.
  void (*quantise)(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum);
};

const BlockKernels& portable_block_kernels();
const BlockKernels* avx2_block_kernels();    // null: not of this architecture
const BlockKernels* avx512_block_kernels();  // null: the processor has no VNNI

}  // namespace glossa::cpu
