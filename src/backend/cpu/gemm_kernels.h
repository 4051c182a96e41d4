// gemm_kernels.h -- what an instruction set supplies to the matrix product. Not for use outside the gemm files.
//
// Everything is counted in units of 32 bits along k: one f32, or a pair of bf16 (k odd: the last pair ends with 0).
// Units are cut into blocks of at most kBlockUnits, the same way for every m and n; sums over a block start from 0 and
// blocks are added to C in order, so that an element's bits do not depend on the tile it lies in.
//
// Packed B: block by block; within one, panels of `panel` columns; within one, for each unit its `panel` columns, those
// past n being 0.
// Packed A: strips of up to `rows` rows. From a row-major A: the rows themselves, kStripStride units apart (constant, so
// that one register addresses all of them; not a multiple of a page, so that rows do not share a cache set). From a
// transposed A: for each unit its rows, `rows` apart.
#pragma once
#include <cstdint>

#include "backend/cpu/gemm.h"

namespace glossa::cpu {

// A panel of A of 14 rows takes 21 KiB of the 32 KiB L1 cache; B streams by.
constexpr std::int64_t kBlockUnits = 384;
constexpr std::int64_t kStripStride = kBlockUnits + 16;

// How far ahead packing asks for A, whose rows are too short for the processor to see a stream in them.
constexpr std::int64_t kPrefetchUnits = 8, kPrefetchRows = 2;

// Rows of A that a task packs at once, as strips of nearly equal size.
constexpr std::int64_t kMostStrips = 8;
struct Strips {
  std::int64_t count;
  std::int64_t begin[kMostStrips + 1];  // of each strip within the rows; the last is their number
  std::int64_t rows(std::int64_t strip) const { return begin[strip + 1] - begin[strip]; }
};

struct StripProduct {  // C [rows, columns] (+)= alpha * A strip x B panels, over one block
  const void* a;
  bool a_by_units;         // packed from a transposed A
  std::int64_t rows;       // at most Kernels::rows
  const void* b;           // the first panel's block
  std::int64_t units;      // of the block
  std::int64_t columns;    // over all panels; the last may be partly filled
  float* c;
  std::int64_t ldc;
  bool add;
  float alpha;
};

struct StripEpilogue {  // what MatrixProduct says after the product, in place on C [rows, columns]
  const MatrixProduct& product;
  std::int64_t row, column;  // of the first element within the whole of C
  std::int64_t rows, columns;
};

struct Kernels {
  std::int64_t rows;   // most rows of a strip
  std::int64_t panel;  // columns of a panel
  bool bf16;
  // Units [begin, begin + units) of op(B)'s columns [0, columns), at most `panel`; b points at column 0, k at its end.
  void (*pack_b)(const float* b, std::int64_t ldb, bool transpose, std::int64_t k, std::int64_t begin,
                 std::int64_t units, std::int64_t columns, void* packed);
  // Units [begin, begin + units) of op(A)'s rows; a points at row 0. Strips come rows * kStripStride units apart.
  void (*pack_a)(const float* a, std::int64_t lda, bool transpose, std::int64_t k, std::int64_t begin,
                 std::int64_t units, const Strips& strips, void* packed);
  void (*multiply)(const StripProduct&);
  void (*finish)(const StripEpilogue&);
  double (*spin)(std::int64_t steps);                    // arithmetic in registers; how many operations that was
  void (*read)(const float* data, std::int64_t count);  // reads memory and does nothing with it
};

// Hides from the compiler what it knows of `x`. Tiles fill the registers to the last one; what a compiler computes before
// their loop for use after it (addresses of rows of C) would push operands of the loop out to the stack.
template <class T>
inline __attribute__((always_inline)) void forget(T& x) {
  asm volatile("" : "+r"(x));
}

// bf16 falls back to f32 where the instruction set has none.
const Kernels& kernels_for(InstructionSet, bool bf16);

}  // namespace glossa::cpu
