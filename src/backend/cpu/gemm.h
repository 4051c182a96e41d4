// gemm.h -- the matrix product of the CPU backend on raw memory: f32, or bf16 products with f32 sums, with what follows
// a linear layer done while its output is still in the cache.
//
// An element of the result depends on its row of A, its column of B, k, the flags and the instruction set, and on
// nothing else: not on m, n, the other rows, whether B came packed, or the number of threads. A batch of one sentence
// gives the same bits as the same sentence among others.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/cpu_features.h"

namespace glossa::cpu {

// op(B) [k, n] in the layout its kernel reads fastest, in memory of the caller's (see pack_b), good for any number of
// products with the instruction set that was in use when it was packed.
struct PackedB {
  const void* data = nullptr;
  std::int64_t k = 0, n = 0;
  bool bf16 = false;  // for products in bf16
  InstructionSet instruction_set = InstructionSet::portable;
  DType narrow = DType::f32;  // f16, bf16: so it lies there, and is made f32 panel by panel as products go along
};

// C [m, n] = alpha * op(A) [m, k] op(B) [k, n], + C with `add`; then, each where given,
//   C += bias;  before_act = C;  C = act(C);  C = dropout(C);  C += residual.
// Matrices are row-major; lda, ldb, ldc, ldr are distances between rows in elements. No output may overlap an input.
// NaN and infinities propagate, except that a dropped element is 0 whatever it was.
struct MatrixProduct {
  std::int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // [m, k], or [k, m] with transpose_a
  std::int64_t lda = 0;
  bool transpose_a = false;
  const float* b = nullptr;  // [k, n], or [n, k] with transpose_b; not read when `packed` is set
  std::int64_t ldb = 0;
  bool transpose_b = false;
  const PackedB* packed = nullptr;
  float* c = nullptr;
  std::int64_t ldc = 0;
  bool add = false;
  float alpha = 1;

  const float* bias = nullptr;  // [n]
  Unary act = Unary::none;
  float* before_act = nullptr;  // [m, n], rows ldc apart
  Dropout dropout = {};         // element row * n + column of the logical [m, n], whatever ldc is
  const float* residual = nullptr;  // [m, n]
  std::int64_t ldr = 0;
  bool bf16 = false;  // of a packed B, its type decides. f32 where the processor has no bf16 dot products
};

// Uses the pool of base/parallel.h. Error(shape) when dimensions or distances contradict each other. After the largest
// product of a kind was seen once, allocates nothing.
void gemm(const MatrixProduct&);

std::size_t packed_b_bytes(std::int64_t k, std::int64_t n, bool bf16);
// Packs B [k, n] (or [n, k] with transpose) into `memory`: packed_b_bytes(k, n, bf16) bytes aligned to 64. Both follow
// the instruction set in use.
PackedB pack_b(const float* b, std::int64_t ldb, bool transpose, std::int64_t k, std::int64_t n, bool bf16,
               void* memory);

// A weight of 16 bits an element, which stays as exact as it is: of bf16 for products in bf16, where the processor has
// them; else for f32 products. Packs columns [column, column + columns) of B, `column` a multiple of kPieceColumns, so that
// a large one can be packed piece by piece.
constexpr std::int64_t kPieceColumns = 64;
struct NarrowB {
  const void* data;
  DType type;  // f16 or bf16
  std::int64_t ldb;
  bool transpose;
  std::int64_t k, n;
};
std::size_t packed_narrow_bytes(const NarrowB& b);
PackedB pack_narrow(const NarrowB& b, std::int64_t column, std::int64_t columns, void* memory);

}  // namespace glossa::cpu
