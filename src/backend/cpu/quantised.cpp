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

std::int64_t panel_bytes(DType type, std::int64_t k) {
  return static_cast<std::int64_t>(sizeof(PanelHeader)) + (k / kGroupLength * form_of(type).group_bytes() + 63) / 64 * 64;
}

std::int64_t panels_of(std::int64_t n) { return (n + kColumns - 1) / kColumns; }

const BlockKernels& kernels() {
  const InstructionSet set = instruction_set();
  if (set >= InstructionSet::avx512)
    if (const BlockKernels* found = avx512_block_kernels()) return *found;
  if (set >= InstructionSet::avx2)
    if (const BlockKernels* found = avx2_block_kernels()) return *found;
  return portable_block_kernels();
}

// Packs one panel: `columns` rows of the weight, at most 16; what is missing is 0.
template <class Block>
void pack_panel(const char* rows, std::int64_t row_bytes, std::int64_t columns, std::int64_t k, char* out) {
  using U = Unpacked<Block>;
  const BlockForm form = form_of(U::kType);
  const std::int64_t blocks = k / U::kElements;
  std::memset(out, 0, static_cast<std::size_t>(panel_bytes(U::kType, k)));
  U u;
  float most = 0;
  for (std::int64_t column = 0; column < columns; ++column)
    for (std::int64_t b = 0; b < blocks; ++b) {
      unpack(reinterpret_cast<const Block*>(rows + column * row_bytes)[b], u);
      for (int g = 0; g < U::kGroups; ++g) most = std::max({most, std::fabs(u.scale[g]), std::fabs(u.min[g])});
    }
  // A power of two, so that rounding is that of 16-bit numbers near 1, however small the weights are.
  const float unit = most > 0 && std::isfinite(most) ? std::exp2(std::floor(std::log2(most)) - 12) : 1;
  reinterpret_cast<PanelHeader*>(out)->unit = unit;
  char* const groups = out + sizeof(PanelHeader);
  const int low = form.minima ? 0 : form.zero;  // what makes q a number without a sign
  const auto shifted_min = [&form](const U& from, int g) { return from.min[g] - static_cast<float>(form.zero) * from.scale[g]; };
  for (std::int64_t column = 0; column < columns; ++column)
    for (std::int64_t b = 0; b < blocks; ++b) {
      unpack(reinterpret_cast<const Block*>(rows + column * row_bytes)[b], u);
      for (int e = 0; e < U::kElements; e += kGroupLength) {
        char* const group = groups + (b * U::kElements + e) / kGroupLength * form.group_bytes();
        auto* const scales = reinterpret_cast<std::uint16_t*>(group);
        for (std::int64_t s = 0; s < form.sets(); ++s) {
          const int from = (e + static_cast<int>(s) * 16) / U::kGroup;
          scales[s * kColumns + column] = float16::from(u.scale[from] / unit).bits;
          if (form.minima) scales[(form.sets() + s) * kColumns + column] = float16::from(shifted_min(u, from) / unit).bits;
        }
        auto* const numbers = reinterpret_cast<std::uint8_t*>(group + (form.minima ? 2 : 1) * form.scale_bytes());
        for (int i = 0; i < kGroupLength; ++i) {
          const auto value = static_cast<std::uint8_t>(u.q[e + i] + low);
          const std::int64_t chunk = i / 4, place = column * 4 + i % 4;
          if (form.bits == 8)
            numbers[chunk * 64 + place] = value;
          else
            numbers[chunk % 4 * 64 + place] |= static_cast<std::uint8_t>(chunk < 4 ? value : value << 4);
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
  return checked_mul(static_cast<std::size_t>(panels_of(n)), static_cast<std::size_t>(panel_bytes(type, k)));
}

PackedBlocks pack_blocks(const void* rows, std::int64_t row_bytes, DType type, std::int64_t k, std::int64_t n, void* memory) {
  check(is_quantised(type) && k % block_of(type).elements == 0, Code::shape, "rows of {} elements cannot be of {}", k, name_of(type));
  const std::int64_t bytes = panel_bytes(type, k);
  parallel_for(panels_of(n), std::max<std::int64_t>(1, 65536 / (k * kColumns)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel)
      with_block(type, [&](auto block) {
        pack_panel<decltype(block)>(static_cast<const char*>(rows) + panel * kColumns * row_bytes, row_bytes,
                                    std::min(kColumns, n - panel * kColumns), k, static_cast<char*>(memory) + panel * bytes);
      });
  });
  return {memory, type, k, n};
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
  const std::int64_t bytes = panel_bytes(b.type, b.k), panels = panels_of(p.n);
  // Rows whose numbers stay in half of the L2 cache while all panels of a task pass.
  const std::int64_t most = std::max<std::int64_t>(static_cast<std::int64_t>(l2_cache_bytes()) / 2 / p.k / 6 * 6, 6);
  const std::int64_t row_parts = (p.m + most - 1) / most;
  // Four panels are what the kernel for one row takes at once.
  const std::int64_t work = p.m * p.k * kColumns * 4, quads = (panels + 3) / 4;
  const std::int64_t wanted = std::clamp<std::int64_t>(work * quads / (1 << 20), 1, 64);
  const std::int64_t column_parts = std::min(quads, std::max<std::int64_t>(1, wanted / row_parts));
  parallel_tasks(row_parts * column_parts, [&](std::int64_t task) {
    thread_local ScratchFloats edge;
    const std::int64_t i = task / column_parts, j = task % column_parts;
    const std::int64_t row = p.m * i / row_parts, row_end = p.m * (i + 1) / row_parts;
    const std::int64_t from = std::min(4 * (quads * j / column_parts), panels), to = std::min(4 * (quads * (j + 1) / column_parts), panels);
    const std::int64_t column = from * kColumns, columns = std::min(to * kColumns, p.n) - column;
    PanelProduct product{.a = from_row(a, row), .rows = row_end - row, .panels = static_cast<const char*>(b.data) + from * bytes,
                         .panel_bytes = bytes, .count = columns / kColumns, .c = p.c + row * p.ldc + column, .ldc = p.ldc};
    if (product.count > 0) k.multiply(form, product);
    if (const std::int64_t rest = columns % kColumns) {  // through memory of its own, not past C's edge
      const std::int64_t first = product.count * kColumns;
      product.panels += product.count * bytes;
      product.count = 1, product.c = edge.get(product.rows * kColumns), product.ldc = kColumns;
      k.multiply(form, product);
      for (std::int64_t r = 0; r < product.rows; ++r)
        std::copy_n(product.c + r * kColumns, rest, p.c + (row + r) * p.ldc + column + first);
    }
    if (finishes) epilogue.finish({p, row, column, row_end - row, columns});
  });
}

}  // namespace glossa::cpu
