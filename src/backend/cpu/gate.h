// gate.h -- gated linear units on the CPU. Contracts are those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

void gate(const Tensor& x, Unary act, Tensor& y);
void gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add);

}  // namespace glossa::cpu
