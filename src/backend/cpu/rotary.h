// rotary.h -- rotary positions on the CPU. Contracts are those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

void rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add);

}  // namespace glossa::cpu
