#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/widen.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"

namespace glossa::cpu {
namespace {

constexpr std::int64_t kUnitBytes = 4;
// An unpacked B is packed in parts of at most this size, which stay in the L3 cache while all rows of A pass.
constexpr std::int64_t kPartUnits = (8 << 20) / kUnitBytes;
constexpr std::int64_t kPartLength = 4096;  // units along k of one part
// Strips of a task: enough to pay for bringing B from L3 to L2. Columns: enough to pay for packing A.
constexpr std::int64_t kLeastStrips = 4, kLeastColumns = 128;
constexpr double kTaskCost = 2e6;  // operations that are worth a task of their own: some 20 us
constexpr std::int64_t kTasks = 16;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Cuts [0, size) into `parts` as equal as can be: where part i begins.
std::int64_t cut(std::int64_t size, std::int64_t parts, std::int64_t i) { return size * i / parts; }

std::int64_t units_of(std::int64_t k, bool bf16) { return bf16 ? (k + 1) / 2 : k; }

// The blocks of `units` units along k: equal, a multiple of 8 but for the last, and at most kBlockUnits.
std::int64_t block_length(std::int64_t units) {
  const std::int64_t blocks = std::max<std::int64_t>(ceil_div(units, kBlockUnits), 1);
  return ceil_div(ceil_div(units, blocks), 8) * 8;
}

// Memory of one thread that only grows, aligned to a cache line.
class Scratch {
 public:
  void* get(std::int64_t bytes) {
    if (bytes > bytes_) {
      data_.reset();
      bytes_ = 0;
      data_.reset(std::aligned_alloc(64, ceil_div(bytes, 4096) * 4096));
      check(data_ != nullptr, Code::memory, "no memory for {} bytes of scratch of a matrix product", bytes);
      bytes_ = bytes;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  std::int64_t bytes_ = 0;
};

thread_local Scratch scratch_a, scratch_b, scratch_wide;

const char* at(const void* base, std::int64_t units) { return static_cast<const char*>(base) + units * kUnitBytes; }

// Part of a product: units [begin, begin + units) along k, columns [column, column + columns), and B's part packed.
struct Part {
  const MatrixProduct& p;
  const Kernels& kernels;
  std::int64_t begin, units, block;
  std::int64_t column, columns;
  const void* b;
  bool first, last;  // along k
  DType narrow = DType::f32;  // of b's numbers

  std::int64_t panels() const { return ceil_div(columns, kernels.panel); }
};

bool has_epilogue(const MatrixProduct& p) {
  return p.bias || p.before_act || p.residual || p.act != Unary::none || p.dropout;
}

double operations(const MatrixProduct& p) {
  // The constant stands for the reading of B, which is what a product of one row consists of.
  return static_cast<double>(p.n) * static_cast<double>(p.k + 16) * (2.0 * static_cast<double>(p.m) + 16);
}

// Rows [row, row_end) and panels [panel, panel_end) of a part.
void run_task(const Part& part, std::int64_t row, std::int64_t row_end, std::int64_t panel, std::int64_t panel_end) {
  const MatrixProduct& p = part.p;
  const Kernels& kernels = part.kernels;
  const std::int64_t rows = row_end - row;
  Strips strips{.count = ceil_div(rows, kernels.rows), .begin = {}};
  for (std::int64_t i = 0; i <= strips.count; ++i) strips.begin[i] = cut(rows, strips.count, i);
  const std::int64_t strip_units = kernels.rows * kStripStride;
  const bool direct = rows == 1 && !p.transpose_a && !kernels.bf16;  // one row needs no packing
  char* packed = direct ? nullptr : static_cast<char*>(scratch_a.get(strips.count * strip_units * kUnitBytes + 64));
  // Panels whose block fills half of the L2 cache; the other half is for A and C. One row has no second use for them, and
  // what is made wide for it should not leave the L1 cache.
  const bool widens = part.narrow != DType::f32;
  const std::int64_t cache = widens && rows == 1 ? 32 << 10 : static_cast<std::int64_t>(l2_cache_bytes()) / 2;
  const std::int64_t panel_units = part.block * kernels.panel;
  const std::int64_t group = std::max<std::int64_t>(cache / (panel_units * kUnitBytes), 1);
  auto* const wide = static_cast<float*>(widens ? scratch_wide.get(group * panel_units * kUnitBytes) : nullptr);
  const std::int64_t groups = ceil_div(panel_end - panel, group);
  for (std::int64_t u = 0; u < part.units; u += part.block) {
    const std::int64_t units = std::min(part.block, part.units - u), begin = part.begin + u;
    const bool add = p.add || begin > 0, last = part.last && u + units == part.units;
    if (!direct)
      kernels.pack_a(p.transpose_a ? p.a + row : p.a + row * p.lda, p.lda, p.transpose_a, p.k, begin, units, strips, packed);
    const std::int64_t block = u * part.panels() * kernels.panel;
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t from = panel + cut(panel_end - panel, groups, g), to = panel + cut(panel_end - panel, groups, g + 1);
      const std::int64_t column = from * kernels.panel, columns = std::min(to * kernels.panel, part.columns) - column;
      const std::int64_t place = block + from * units * kernels.panel;
      if (widens) widen(part.narrow, static_cast<const std::uint16_t*>(part.b) + place, (to - from) * units * kernels.panel, wide);
      for (std::int64_t s = 0; s < strips.count; ++s) {
        const std::int64_t r = row + strips.begin[s], count = strips.rows(s);
        kernels.multiply({.a = direct ? static_cast<const void*>(p.a + r * p.lda + begin) : packed + s * strip_units * kUnitBytes,
                          .a_by_units = p.transpose_a,
                          .rows = count,
                          .b = widens ? static_cast<const void*>(wide) : at(part.b, place),
                          .units = units,
                          .columns = columns,
                          .c = p.c + r * p.ldc + part.column + column,
                          .ldc = p.ldc,
                          .add = add,
                          .alpha = p.alpha});
        if (last && has_epilogue(p)) kernels.finish({p, r, part.column + column, count, columns});
      }
    }
  }
}

void run_part(const Part& part) {
  const MatrixProduct& p = part.p;
  const double share = static_cast<double>(part.columns) / static_cast<double>(p.n) *
                       static_cast<double>(part.units) / static_cast<double>(units_of(p.k, part.kernels.bf16));
  const std::int64_t wanted = std::clamp(static_cast<std::int64_t>(operations(p) * share / kTaskCost), std::int64_t{1}, kTasks);
  const std::int64_t strips = ceil_div(p.m, part.kernels.rows), panels = part.panels();
  const std::int64_t row_tasks = std::max(ceil_div(strips, kMostStrips), std::min(wanted, ceil_div(strips, kLeastStrips)));
  const std::int64_t column_tasks =
      std::clamp(ceil_div(wanted, row_tasks), std::int64_t{1}, std::max<std::int64_t>(part.columns / kLeastColumns, 1));
  parallel_tasks(row_tasks * column_tasks, [&](std::int64_t task) {
    const std::int64_t i = task / column_tasks, j = task % column_tasks;
    run_task(part, cut(p.m, row_tasks, i), cut(p.m, row_tasks, i + 1), cut(panels, column_tasks, j),
             cut(panels, column_tasks, j + 1));
  });
}

// Packs units [begin, begin + units) of columns [column, column + columns) of op(B), block by block.
void pack_part(const Kernels& kernels, const float* b, std::int64_t ldb, bool transpose, std::int64_t k,
               std::int64_t begin, std::int64_t units, std::int64_t block, std::int64_t column, std::int64_t columns,
               void* memory) {
  const std::int64_t panels = ceil_div(columns, kernels.panel);
  const std::int64_t grain = std::max<std::int64_t>((64 << 10) / (units * kernels.panel), 1);
  parallel_for(panels, grain, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t u = 0; u < units; u += block) {
      const std::int64_t length = std::min(block, units - u);
      for (std::int64_t j = from; j < to; ++j) {
        const std::int64_t first = column + j * kernels.panel;
        kernels.pack_b(transpose ? b + first * ldb : b + first, ldb, transpose, k, begin + u, length,
                       std::min(kernels.panel, columns - j * kernels.panel),
                       static_cast<char*>(memory) + (u * panels + j * length) * kernels.panel * kUnitBytes);
      }
    }
  });
}

void check_product(const MatrixProduct& p) {
  check(p.m >= 0 && p.n >= 0 && p.k >= 0, Code::shape, "a matrix product of {} x {} by {} x {}", p.m, p.k, p.k, p.n);
  check(p.lda >= (p.transpose_a ? p.m : p.k) || p.m <= 1, Code::shape, "rows of A are {} apart, but {} long", p.lda,
        p.transpose_a ? p.m : p.k);
  check(p.packed || p.ldb >= (p.transpose_b ? p.k : p.n), Code::shape, "rows of B are {} apart, but {} long", p.ldb,
        p.transpose_b ? p.k : p.n);
  check(p.ldc >= p.n, Code::shape, "rows of C are {} apart, but {} long", p.ldc, p.n);
  check(!p.residual || p.ldr >= p.n, Code::shape, "rows of the residual are {} apart, but {} long", p.ldr, p.n);
  check(!p.packed || (p.packed->k == p.k && p.packed->n == p.n), Code::shape, "B was packed as {} x {}, wanted {} x {}",
        p.packed ? p.packed->k : 0, p.packed ? p.packed->n : 0, p.k, p.n);
  check(!p.c || (p.residual != p.c && p.before_act != p.c), Code::shape,
        "a matrix product's result may not lie on its residual or on what it keeps from before the activation");
}

// k = 0: the product is zero, and only what follows it is left.
void finish_empty(const MatrixProduct& p, const Kernels& kernels) {
  for (std::int64_t r = 0; r < p.m; ++r) {
    if (!p.add) std::fill_n(p.c + r * p.ldc, p.n, 0.0f);
    if (has_epilogue(p)) kernels.finish({p, r, 0, 1, p.n});
  }
}

}  // namespace

void gemm(const MatrixProduct& p) {
  check_product(p);
  if (p.m == 0 || p.n == 0) return;
  const Kernels& kernels = p.packed ? kernels_for(p.packed->instruction_set, p.packed->bf16)
                                    : kernels_for(instruction_set(), p.bf16);
  if (p.k == 0) return finish_empty(p, kernels);
  const std::int64_t units = units_of(p.k, kernels.bf16), block = block_length(units);
  if (p.packed) {
    run_part({p, kernels, 0, units, block, 0, p.n, p.packed->data, true, true, p.packed->narrow});
    return;
  }
  const std::int64_t length = std::max(kPartLength / block, std::int64_t{1}) * block;
  const std::int64_t longest = std::min(units, length);
  const std::int64_t all_panels = ceil_div(p.n, kernels.panel);
  const std::int64_t parts = ceil_div(all_panels, std::max<std::int64_t>(kPartUnits / (longest * kernels.panel), 1));
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t column = cut(all_panels, parts, i) * kernels.panel;
    const std::int64_t columns = std::min(cut(all_panels, parts, i + 1) * kernels.panel, p.n) - column;
    const std::int64_t panels = ceil_div(columns, kernels.panel);
    for (std::int64_t begin = 0; begin < units; begin += length) {
      const std::int64_t count = std::min(length, units - begin);
      void* memory = scratch_b.get(count * panels * kernels.panel * kUnitBytes);
      pack_part(kernels, p.b, p.ldb, p.transpose_b, p.k, begin, count, block, column, columns, memory);
      run_part({p, kernels, begin, count, block, column, columns, memory, begin == 0, begin + count == units});
    }
  }
}

std::size_t packed_b_bytes(std::int64_t k, std::int64_t n, bool bf16) {
  check(k >= 0 && n >= 0, Code::shape, "a matrix of {} x {}", k, n);
  const Kernels& kernels = kernels_for(instruction_set(), bf16);
  const std::int64_t columns = ceil_div(n, kernels.panel) * kernels.panel;
  return checked_mul(checked_mul(units_of(k, kernels.bf16), columns), kUnitBytes);
}

PackedB pack_b(const float* b, std::int64_t ldb, bool transpose, std::int64_t k, std::int64_t n, bool bf16,
               void* memory) {
  check(k >= 0 && n >= 0 && ldb >= (transpose ? k : n), Code::shape,
        "a matrix of {} x {} whose rows are {} apart cannot be packed", transpose ? n : k, transpose ? k : n, ldb);
  const InstructionSet set = instruction_set();
  const Kernels& kernels = kernels_for(set, bf16);
  const std::int64_t units = units_of(k, kernels.bf16);
  if (k > 0 && n > 0) pack_part(kernels, b, ldb, transpose, k, 0, units, block_length(units), 0, n, memory);
  return {memory, k, n, kernels.bf16, set};
}

namespace {

// 16-bit numbers stay so: for bf16 products two make a unit, for f32 products each is one that will be widened.
bool pairs(const NarrowB& b) { return b.type == DType::bf16 && kernels_for(instruction_set(), true).bf16; }

}  // namespace

std::size_t packed_narrow_bytes(const NarrowB& b) {
  check(b.type == DType::bf16 || b.type == DType::f16, Code::shape, "a weight of {} is not one of 16 bits", name_of(b.type));
  return packed_b_bytes(b.k, b.n, pairs(b)) / (pairs(b) ? 1 : 2);
}

PackedB pack_narrow(const NarrowB& b, std::int64_t column, std::int64_t columns, void* memory) {
  check(column % kPieceColumns == 0 && column + columns <= b.n && b.ldb >= (b.transpose ? b.k : b.n), Code::shape,
        "columns {} to {} of a weight of {} x {} cannot be packed", column, column + columns, b.k, b.n);
  const InstructionSet set = instruction_set();
  const Kernels& kernels = kernels_for(set, pairs(b));
  const std::int64_t in_unit = kernels.bf16 ? 2 : 1, units = units_of(b.k, kernels.bf16), block = block_length(units);
  const std::int64_t panels = ceil_div(b.n, kernels.panel), first = column / kernels.panel;
  const std::int64_t column_stride = b.transpose ? b.ldb : 1, k_stride = b.transpose ? 1 : b.ldb;
  const auto* const from = static_cast<const std::uint16_t*>(b.data);
  auto* const to = static_cast<std::uint16_t*>(memory);
  parallel_for(ceil_div(columns, kernels.panel), std::max<std::int64_t>((64 << 10) / (units * kernels.panel), 1),
               [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t u = 0; u < units; u += block) {
      const std::int64_t length = std::min(block, units - u);
      for (std::int64_t j = first + begin; j < first + end; ++j) {
        std::uint16_t* const panel = to + (u * panels + j * length) * kernels.panel * in_unit;
        for (std::int64_t c = 0; c < kernels.panel; ++c)
          for (std::int64_t i = 0; i < length * in_unit; ++i) {
            const std::int64_t row = u * in_unit + i, source = j * kernels.panel + c;
            const bool there = row < b.k && source < b.n;
            panel[(i / in_unit * kernels.panel + c) * in_unit + i % in_unit] = there ? from[source * column_stride + row * k_stride] : 0;
          }
      }
    }
  });
  return {memory, b.k, b.n, kernels.bf16, set, kernels.bf16 ? DType::f32 : b.type};
}

}  // namespace glossa::cpu
