// update.h -- one update of the weights: losses and gradients of some batches, clipping, the optimizer, and the guard
// against numbers that are none.
#pragma once
#include <span>

#include "train/optimizer.h"
#include "train/task.h"

namespace glossa {

struct UpdateResult {
  double loss = 0;           // mean cross entropy over all tokens of the update, smoothed as trained
  double gradient_norm = 0;  // before clipping
  std::int64_t tokens = 0;   // labels that count
  bool applied = false;      // false: a gradient was not finite, and the weights are as they were
};

class Updater {
 public:
  // `width`: of the model, for the learning rate. The parameters must outlive this.
  Updater(ParameterList& parameters, const TrainRecipe& recipe, std::int64_t width, bool bf16)
      : parameters_(parameters), recipe_(recipe), width_(width), bf16_(bf16), optimizer_(parameters, recipe) {}

  // Update number `step`, from 1, over `batches` (one, or as many as are accumulated), each weighing by its tokens.
  UpdateResult operator()(std::span<const Objective> batches, std::int64_t step);

  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  ParameterList& parameters_;
  TrainRecipe recipe_;
  std::int64_t width_;
  bool bf16_;
  Optimizer optimizer_;
};

}  // namespace glossa
