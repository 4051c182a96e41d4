// logits.h -- what is done with rows of logits on the CPU: cross entropy, and the search for the largest. Contracts are
// those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

struct CrossEntropy {
  Tensor& logits;
  const Tensor& labels;
  double smoothing;
  bool gradient;
  double gradient_scale;
  Tensor& loss;
};

void cross_entropy(const CrossEntropy&);
void top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices, Tensor& logsumexp);

}  // namespace glossa::cpu
