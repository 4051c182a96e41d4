// quantised.h -- products with weights of block types (tensor/blocks.h) on the CPU, in whole numbers: rows of the other
// operand are rounded to 8 bits by groups of 32 on the way in, each with a scale of its own.
//
// Every type is brought to one form when it is packed: x = scale * (u - zero) - min, u without a sign and of as many bits as
// the type has, a scale (and for some a minimum) for each 16 or 32 elements of a column, rounded to 16 bits in units of their panel.
// An element of the result depends on its row, its column and k alone.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/cpu/gemm.h"

namespace glossa::cpu {

constexpr std::int64_t kBandColumns = 64;  // columns of the product, rows of the weight, that lie together when packed

// A weight [n, k] in bands of its rows.
struct PackedBlocks {
  const void* data = nullptr;
  DType type = DType::q8_0;
  std::int64_t k = 0, n = 0;
};

std::size_t packed_blocks_bytes(DType type, std::int64_t k, std::int64_t n);
// Packs n rows of k elements, `row_bytes` apart, into memory of packed_blocks_bytes(type, k, n) bytes aligned to 64. Whole
// bands may be packed by themselves, each after those of the rows before.
void pack_blocks(const void* rows, std::int64_t row_bytes, DType type, std::int64_t k, std::int64_t n, void* memory);
// C = epilogue(A b^T) as `gemm`, b being weights that lie under one another, so that each gives its columns of C; p.b and
// p.packed are not read, and nothing is added to C.
void gemm_blocks(const MatrixProduct& p, std::span<const PackedBlocks* const> weights);

}  // namespace glossa::cpu
