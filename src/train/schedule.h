// schedule.h -- the course of the learning rate over the steps of a run.
#pragma once
#include <cstdint>

#include "train/recipe.h"

namespace glossa {

// The learning rate of update `step`, counted from 1. noam: Vaswani et al. 2017, eq. 3, times train.learning_rate;
// inverse_sqrt: linear to the peak, then falling with the root of the step; warmup_stable_decay: linear up, constant,
// linear down over the last decay_steps.
double learning_rate(const TrainRecipe& recipe, std::int64_t d_model, std::int64_t step);

}  // namespace glossa
