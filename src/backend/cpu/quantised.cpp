#include "backend/cpu/quantised.h"

#include <algorithm>
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
    char* const numbers = group + form.numbers(panel);
    for (std::int64_t column = 0; column < columns; ++column) {
      std::uint32_t chunks[kChunks];  // four numbers each
      std::memcpy(chunks, all.q.data() + column * k + g * kGroupLength, sizeof chunks);
      // Numbers without a sign: in two's complement, adding a power of two that makes them so is an exclusive or with it.
      if constexpr (!form.minima)
        for (std::uint32_t& chunk : chunks) chunk = (chunk ^ static_cast<std::uint32_t>(form.zero) * 0x01010101u) & (form.bits == 8 ? ~0u : 0x0F0F0F0Fu);
      if constexpr (form.bits == 8) {
        for (std::int64_t chunk = 0; chunk < kChunks; ++chunk) std::memcpy(numbers + chunk * 64 + column * 4, &chunks[chunk], 4);
      } else {
        for (std::int64_t chunk = 0; chunk < 4; ++chunk) {
          const std::uint32_t both = chunks[chunk] | chunks[chunk + 4] << 4;
          std::memcpy(numbers + chunk * 64 + column * 4, &both, 4);
        }
      }
    }
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
    for_rows(p.m, p.k, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        k.quantise(p.a + r * p.lda, p.k, numbers_.data() + r * p.k, scales_.data() + r * groups, sums_.data() + 2 * r * groups);
    });
    return {numbers_.data(), scales_.data(), sums_.data(), p.k};
  }

 private:
  std::vector<std::int8_t> numbers_;
  std::vector<float> scales_;
  std::vector<std::int32_t> sums_;
};

QuantisedRows from_row(const QuantisedRows& a, std::int64_t row) {
  return {a.q + row * a.k, a.scale + row * (a.k / kGroupLength), a.sum + row * (a.k / 16), a.k};
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

void gemm_blocks(const MatrixProduct& p, const PackedBlocks& b) {
  check(b.k == p.k && b.n == p.n && !p.transpose_a && !p.add && p.alpha == 1, Code::shape,
        "a product of [{}, {}] with a weight of {} [{}, {}] is not one that quantised kernels know", p.m, p.k, name_of(b.type), b.n, b.k);
  if (p.m == 0 || p.n == 0) return;
  const BlockKernels& k = kernels();
  const Kernels& epilogue = kernels_for(instruction_set(), false);
  const bool finishes = p.bias || p.before_act || p.residual || p.act != Unary::none || p.dropout;
  thread_local Quantised quantised;
  const QuantisedRows a = quantised.rows(p, k);
  const BlockForm form = form_of(b.type);
  const std::int64_t bytes = band_bytes(b.type, b.k), bands = bands_of(p.n);
  // Rows whose numbers stay in half of the L2 cache while all panels of a task pass.
  const std::int64_t most = std::max<std::int64_t>(static_cast<std::int64_t>(l2_cache_bytes()) / 2 / p.k / 6 * 6, 6);
  const std::int64_t row_parts = (p.m + most - 1) / most;
  const std::int64_t work = p.m * p.k * kBandColumns;
  const std::int64_t wanted = std::clamp<std::int64_t>(work * bands / (1 << 20), 1, 64);
  const std::int64_t column_parts = std::min(bands, std::max<std::int64_t>(1, wanted / row_parts));
  parallel_tasks(row_parts * column_parts, [&](std::int64_t task) {
    thread_local ScratchFloats edge;
    const std::int64_t i = task / column_parts, j = task % column_parts;
    const std::int64_t row = p.m * i / row_parts, row_end = p.m * (i + 1) / row_parts;
    const std::int64_t from = bands * j / column_parts, to = bands * (j + 1) / column_parts;
    const std::int64_t column = from * kBandColumns, columns = std::min(to * kBandColumns, p.n) - column;
    PanelProduct product{.a = from_row(a, row), .rows = row_end - row, .bands = static_cast<const char*>(b.data) + from * bytes,
                         .band_bytes = bytes, .first = 0, .count = columns / kColumns, .c = p.c + row * p.ldc + column, .ldc = p.ldc};
    if (product.count > 0) k.multiply(form, product);
    if (const std::int64_t rest = columns % kColumns) {  // through memory of its own, not past C's edge
      const std::int64_t first = product.count * kColumns;
      product.first = product.count, product.count = 1;
      product.c = edge.get(product.rows * kColumns), product.ldc = kColumns;
      k.multiply(form, product);
      for (std::int64_t r = 0; r < product.rows; ++r)
        std::copy_n(product.c + r * kColumns, rest, p.c + (row + r) * p.ldc + column + first);
    }
    if (finishes) epilogue.finish({p, row, column, row_end - row, columns});
  });
}

}  // namespace glossa::cpu
