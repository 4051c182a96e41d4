// norm.h -- layer norm and RMS norm on the CPU. Contracts are those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

struct NormBackward {
  const Tensor &x, &gain, &stats, &dy;
  bool centre;
  Tensor& dx;
  bool add;
  Tensor *dgain, *dbias;
};

void norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps, bool centre, Tensor& y, Tensor* stats);
void norm_backward(const NormBackward&);

}  // namespace glossa::cpu
