// estimate.h -- what a run will need, before its first step.
#pragma once
#include <cstdint>
#include <string>

#include "train/recipe.h"
#include "train/task.h"

namespace glossa {

struct Estimate {
  std::uint64_t weights = 0;  // bytes of weights, moments and averages
  std::uint64_t batch = 0;    // bytes of what the largest batch keeps for the backward pass, and of gradients
  std::uint64_t checkpoint = 0;  // bytes of one checkpoint
  double seconds = 0;            // of updates, if half of the processor's measured peak is used

  std::uint64_t memory() const { return weights + batch; }
  std::string summary() const;
};

// `parameters`: elements of all weights; `state`: of what the optimizer keeps.
struct EstimateInput {
  const TrainRecipe& recipe;
  std::int64_t parameters, state;
  BatchCost batch;
  bool bf16;
  std::int64_t steps;  // still to come
};
Estimate estimate(const EstimateInput& input);

// Error(memory) if weights, gradients and moments alone exceed what there is: asked before they are
// allocated. `keys`: those of the recipe that the model's size follows from.
void check_affordable(std::uint64_t parameters, const TrainRecipe& recipe, const char* keys);

}  // namespace glossa
