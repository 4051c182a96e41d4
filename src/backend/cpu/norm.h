// norm.h -- layer norm and RMS norm on the CPU. Contracts are those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

struct NormBackward {
  const Norm& kind;
  const Tensor &x, &gain, &stats, &dy;
  Tensor& dx;
  bool add;
  Tensor *dgain, *dbias;
};

void norm(const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y, Tensor* stats);
void norm_backward(const NormBackward&);

}  // namespace glossa::cpu
