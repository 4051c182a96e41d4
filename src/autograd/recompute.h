// recompute.h -- activation checkpointing: "Training Deep Nets with Sublinear Memory Cost" (Chen et al., 2016).
#pragma once
#include <functional>

#include "autograd/tape.h"

namespace glossa {

// Runs `f(x)` without remembering its insides, and runs it again, with the same dropout, when the gradient is wanted.
// Parameters that `f` uses get their gradients as usual, and so do `inputs`; other tensors it captures are constants.
Tensor recompute(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs);

}  // namespace glossa
