#include "backend/cpu/quantised.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/quantised_kernels.h"
#include "backend/cpu/rows.h"
#include "base/checked.h"
#include "tensor/blocks.h"

namespace glossa::cpu {
namespace {

std::int64_t band_bytes(DType type, std::int64_t k) {
  return static_cast<std::int64_t>(sizeof(BandHeader)) + (k / kGroupLength * form_of(type).group_bytes() + 63) / 64 * 64;
}

std::int64_t bands_of(std::int64_t n) { return (n + kBandColumns - 1) / kBandColumns; }

const BlockKernels& kernels() {
  const InstructionSet set = instruction_set();
  if (set >= InstructionSet::avx512)
    if (const BlockKernels* found = avx512_block_kernels()) return *found;
  if (set >= InstructionSet::avx2)
    if (const BlockKernels* found = avx2_block_kernels()) return *found;
  return portable_block_kernels();
}

// Rows of a weight as small integers, scales and minima: what packing works on.
struct UnpackedRows {
  std::vector<std::int8_t> q;      // [16, k]
  std::vector<float> scale, min;  // [16, k / the group of the type]
};

// The numbers of a column within a group, whose first chunk belongs at `to`; memory is 0 so far.
template <BlockForm Form>
void pack_column(const std::int8_t* q, char* to) {
  constexpr std::uint32_t kFour = 0x01010101;  // as many numbers of a byte as a chunk has
  std::uint32_t chunks[kChunks];
  std::memcpy(chunks, q, sizeof chunks);
  // Numbers without a sign: in two's complement, adding a power of two that makes them so is an exclusive or with it.
  if constexpr (!Form.minima)
    for (std::uint32_t& chunk : chunks) chunk ^= Form.zero * kFour;
  for (int bit = 0; bit < Form.bits;) {
    const int width = wider_plane(Form.bits - bit);
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const ChunkPlace at = place_of(width, chunk, bit);
      std::uint32_t plane;
      std::memcpy(&plane, to + at.vector * kVector, sizeof plane);
      plane |= (chunks[chunk] & at.mask() * kFour) >> at.to << at.from;
      std::memcpy(to + at.vector * kVector, &plane, sizeof plane);
    }
    to += width * kVector, bit += width;
  }
}

// Packs one panel: `columns` rows of the weight, at most 16. What is missing stays 0.
template <class Block>
void pack_panel(const char* rows, std::int64_t row_bytes, std::int64_t columns, std::int64_t k, char* band, std::int64_t panel) {
  using U = Unpacked<Block>;
  constexpr BlockForm form = form_of(U::kType);
  const std::int64_t blocks = k / U::kElements, scales = k / U::kGroup;
  thread_local UnpackedRows all;
  all.q.resize(static_cast<std::size_t>(kColumns * k));
  all.scale.resize(static_cast<std::size_t>(kColumns * scales)), all.min.resize(all.scale.size());
  float most = 0;
  U u;
  for (std::int64_t column = 0; column < columns; ++column)
    for (std::int64_t b = 0; b < blocks; ++b) {
      unpack(reinterpret_cast<const Block*>(rows + column * row_bytes)[b], u);
      std::memcpy(all.q.data() + column * k + b * U::kElements, u.q, sizeof u.q);
      for (int g = 0; g < U::kGroups; ++g) {
        const std::int64_t at = column * scales + b * U::kGroups + g;
        all.scale[at] = u.scale[g], all.min[at] = u.min[g];
        most = std::max({most, std::fabs(u.scale[g]), std::fabs(u.min[g])});
      }
    }
  // A power of two, so that rounding is that of 16-bit numbers near 1, however small the weights are.
  const float unit = most > 0 && std::isfinite(most) ? std::exp2(std::floor(std::log2(most)) - 12) : 1;
  reinterpret_cast<BandHeader*>(band)->unit[panel] = unit;
  for (std::int64_t g = 0; g < k / kGroupLength; ++g) {
    char* const group = band + sizeof(BandHeader) + g * form.group_bytes();
    for (std::int64_t s = 0; s < form.sets(); ++s) {
      auto* const scale_at = reinterpret_cast<std::uint16_t*>(group + form.scales(s, panel));
      auto* const min_at = reinterpret_cast<std::uint16_t*>(group + form.minima_at(s, panel));
      for (std::int64_t column = 0; column < columns; ++column) {
        const std::int64_t from = column * scales + (g * kGroupLength + s * 16) / U::kGroup;
        scale_at[column] = float16::from(all.scale[from] / unit).bits;
        if (form.minima) min_at[column] = float16::from((all.min[from] - static_cast<float>(form.zero) * all.scale[from]) / unit).bits;
      }
    }
    for (std::int64_t column = 0; column < columns; ++column)
      pack_column<form>(all.q.data() + column * k + g * kGroupLength, group + form.numbers(panel) + column * 4);
  }
}

// Rows of A in 8 bits, in memory of this thread.
class Quantised {
 public:
  QuantisedRows rows(const MatrixProduct& p, const BlockKernels& k) {
    const std::int64_t groups = p.k / kGroupLength;
    numbers_.resize(static_cast<std::size_t>(p.m * p.k));
    scales_.resize(static_cast<std::size_t>(p.m * groups));
    sums_.resize(static_cast<std::size_t>(2 * p.m * groups));
    constexpr std::int64_t kElements = 32768;  // some 5 us
    for_rows(p.m, p.k, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        k.quantise(p.a + r * p.lda, p.k, numbers_.data() + r * p.k, scales_.data() + r * groups, sums_.data() + 2 * r * groups);
    }, kElements);
    return {numbers_.data(), scales_.data(), sums_.data(), p.k};
  }

 private:
  std::vector<std::int8_t> numbers_;
  std::vector<float> scales_;
  std::vector<std::int32_t> sums_;
};

// One product with weights that lie under one another: what all of its tasks know.
struct StackedProduct {
  const MatrixProduct& p;
  QuantisedRows a;
  std::span<const PackedBlocks* const> weights;
  bool finishes;  // something follows the product
};

// Columns [from, to) of a weight, counted in pairs of panels, whose first column is `column` of the whole product.
void multiply_columns(const StackedProduct& all, const PackedBlocks& b, std::int64_t column, std::int64_t row, std::int64_t row_end,
                      std::int64_t from, std::int64_t to) {
  thread_local ScratchFloats edge;
  const MatrixProduct& p = all.p;
  const BlockForm form = form_of(b.type);
  const std::int64_t first = column + from * kPairColumns, columns = std::min(to * kPairColumns, b.n) - from * kPairColumns;
  PairProduct product{.a = all.a.from(row), .rows = row_end - row, .bands = static_cast<const char*>(b.data),
                      .band_bytes = band_bytes(b.type, b.k), .first = from, .count = columns / kPairColumns,
                      .c = p.c + row * p.ldc + first, .ldc = p.ldc};
  const BlockKernels& k = kernels();
  if (product.count > 0) k.multiply(form, product);
  if (const std::int64_t rest = columns % kPairColumns) {  // through memory of its own, not past C's edge
    float* const c = product.c + product.count * kPairColumns;
    product.first += product.count, product.count = 1;
    product.c = edge.get(product.rows * kPairColumns), product.ldc = kPairColumns;
    k.multiply(form, product);
    for (std::int64_t r = 0; r < product.rows; ++r) std::copy_n(product.c + r * kPairColumns, rest, c + r * p.ldc);
  }
  if (all.finishes) kernels_for(instruction_set(), false).finish({p, row, first, row_end - row, columns});
}

std::int64_t pairs_of(const PackedBlocks& b) { return (b.n + kPairColumns - 1) / kPairColumns; }

// How many tasks the columns are cut into: some microseconds each, of arithmetic or of reading the weights.
std::int64_t column_parts(const MatrixProduct& p, std::int64_t row_parts, std::int64_t units, std::int64_t unit, std::int64_t bytes) {
  constexpr std::int64_t kTaskProducts = 3 << 20, kTaskBytes = 256 << 10, kMost = 64;
  const std::int64_t wanted = std::max(p.m * p.k * units * unit * kPairColumns / kTaskProducts, bytes / kTaskBytes) / row_parts;
  // A power of two: two, four or eight threads find equal shares.
  return std::min(units, static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::clamp<std::int64_t>(wanted, 1, kMost)))));
}

}  // namespace

std::size_t packed_blocks_bytes(DType type, std::int64_t k, std::int64_t n) {
  return checked_mul(static_cast<std::size_t>(bands_of(n)), static_cast<std::size_t>(band_bytes(type, k)));
}

void pack_blocks(const void* rows, std::int64_t row_bytes, DType type, std::int64_t k, std::int64_t n, void* memory) {
  check(is_quantised(type) && k % block_of(type).elements == 0, Code::shape, "rows of {} elements cannot be of {}", k, name_of(type));
  const std::int64_t bytes = band_bytes(type, k);
  parallel_for(bands_of(n), std::max<std::int64_t>(1, 65536 / (k * kBandColumns)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t band = begin; band < end; ++band) {
      char* const at = static_cast<char*>(memory) + band * bytes;
      std::memset(at, 0, static_cast<std::size_t>(bytes));
      for (std::int64_t panel = 0; panel < kBandPanels && band * kBandColumns + panel * kColumns < n; ++panel) {
        const std::int64_t row = band * kBandColumns + panel * kColumns;
        with_block(type, [&](auto block) {
          pack_panel<decltype(block)>(static_cast<const char*>(rows) + row * row_bytes, row_bytes, std::min(kColumns, n - row), k, at, panel);
        });
      }
    }
  });
}

void gemm_blocks(const MatrixProduct& p, std::span<const PackedBlocks* const> weights) {
  // Few rows take whole bands, which they pass from end to end.
  const std::int64_t unit = p.m <= kFewRows ? kBandPairs : 1;
  const auto units_of = [unit](const PackedBlocks& b) { return (pairs_of(b) + unit - 1) / unit; };
  std::int64_t columns = 0, units = 0, bytes = 0;
  for (const PackedBlocks* b : weights) {
    check(b->k == p.k, Code::shape, "rows of {} elements with a weight of {} [{}, {}]", p.k, name_of(b->type), b->n, b->k);
    columns += b->n, units += units_of(*b), bytes += bands_of(b->n) * band_bytes(b->type, b->k);
  }
  check(columns == p.n && !p.transpose_a && !p.add && p.alpha == 1, Code::shape,
        "a product of [{}, {}] with {} rows of quantised weights is not one that their kernels know", p.m, p.n, columns);
  if (p.m == 0 || p.n == 0) return;
  thread_local Quantised quantised;
  const StackedProduct all{p, quantised.rows(p, kernels()), weights,
                           p.bias || p.before_act || p.residual || p.act != Unary::none || p.dropout};
  // Rows whose numbers stay in half of the L2 cache while all panels of a task pass.
  const std::int64_t most = std::max<std::int64_t>(static_cast<std::int64_t>(l2_cache_bytes()) / 2 / p.k, 6);
  const std::int64_t row_parts = (p.m + most - 1) / most, parts = column_parts(p, row_parts, units, unit, bytes);
  parallel_tasks(row_parts * parts, [&](std::int64_t task) {
    const std::int64_t i = task / parts, j = task % parts;
    const std::int64_t row = p.m * i / row_parts, row_end = p.m * (i + 1) / row_parts;
    // Longer ones first, so that the last to be taken are short.
    const auto begin_of = [&](std::int64_t part) { return units / parts * part + std::min(part, units % parts); };
    std::int64_t column = 0, first = 0;  // of the weight
    for (const PackedBlocks* b : weights) {
      const std::int64_t from = std::max<std::int64_t>(begin_of(j) - first, 0), to = std::min(begin_of(j + 1) - first, units_of(*b));
      if (from < to) multiply_columns(all, *b, column, row, row_end, from * unit, std::min(to * unit, pairs_of(*b)));
      column += b->n, first += units_of(*b);
    }
  });
}

}  // namespace glossa::cpu
