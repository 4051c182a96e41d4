// widen.h -- numbers of 16 bits, or in blocks, made f32.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace glossa::cpu {

// `count` numbers of f16, bf16 or whole blocks of a block type.
void widen(DType type, const void* from, std::int64_t count, float* to);

}  // namespace glossa::cpu
