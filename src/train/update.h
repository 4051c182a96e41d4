// update.h -- one update of the weights: losses and gradients of some batches, clipping, the optimizer, and the guard
// against numbers that are none.
#pragma once
#include <span>

#include "models/transformer.h"
#include "train/optimizer.h"

namespace glossa {

struct UpdateResult {
  double loss = 0;           // mean cross entropy over all tokens of the update, smoothed as trained
  double gradient_norm = 0;  // before clipping
  std::int64_t tokens = 0;   // target tokens
  bool applied = false;      // false: a gradient was not finite, and the weights are as they were
};

class Updater {
 public:
  Updater(const Transformer& model, ParameterList& parameters, const TrainRecipe& recipe, bool bf16)
      : model_(model), parameters_(parameters), recipe_(recipe), bf16_(bf16), optimizer_(parameters, recipe) {}

  // Update number `step`, from 1, over `batches` (one, or as many as are accumulated), each weighing by its tokens.
  UpdateResult operator()(std::span<const Seq2SeqBatch> batches, std::int64_t step);

  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  const Transformer& model_;
  ParameterList& parameters_;
  TrainRecipe recipe_;
  bool bf16_;
  Optimizer optimizer_;
};

// Floating-point operations of matrix products and attention in one update (forward and backward) over such a batch.
double update_flops(const TransformerConfig& config, const Seq2SeqBatch& batch);

}  // namespace glossa
