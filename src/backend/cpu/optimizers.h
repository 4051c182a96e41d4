// optimizers.h -- the updates of weights on the CPU, each in one pass over memory where the method allows. Contracts are
// those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

void adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW& o);
void sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd& o);
void adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column, const Adafactor& o);

}  // namespace glossa::cpu
