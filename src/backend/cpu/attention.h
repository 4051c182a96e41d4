// attention.h -- attention on the CPU, both directions. Contracts are those of backend.h. Of the forward pass only the
// log-sum-exp of each query is kept; the backward pass computes probabilities again.
//
// A result depends on its own sequence alone: not on its neighbours in the batch, nor on the number of threads.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

void attention(const Attention& a, Tensor& out);
void attention_backward(const Attention& a, const Tensor& out, const Tensor& dout, Tensor& dq, Tensor& dk, Tensor& dv,
                        bool add);

}  // namespace glossa::cpu
