// optimizer.h -- Adam, AdamW, SGD with momentum, and Adafactor over a model's parameters.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "nn/parameter.h"
#include "train/recipe.h"

namespace glossa {

class Optimizer {
 public:
  Optimizer(const ParameterList& parameters, const TrainRecipe& recipe);

  // Euclidean norm of all gradients, summed in a fixed order; infinite or not a number if one of them is.
  double gradient_norm() const;
  // One update of every trainable parameter that has a gradient. `gradient_scale` is applied to gradients as they are
  // read; `step` counts from 1.
  void update(double learning_rate, double gradient_scale, std::int64_t step);

  // The moments by name, for checkpoints: views that may be written to.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  struct Item {
    Parameter parameter;
    Tensor first, second;  // Adam: both moments; SGD: momentum; Adafactor: moments of rows and of columns
  };
  TrainRecipe recipe_;
  std::vector<Item> items_;
};

}  // namespace glossa
