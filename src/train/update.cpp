#include "train/update.h"

#include <algorithm>
#include <cmath>

#include "train/schedule.h"

namespace glossa {

UpdateResult Updater::operator()(std::span<const Objective> batches, std::int64_t step) {
  UpdateResult result;
  for (const Objective& b : batches) result.tokens += b.tokens;
  parameters_.clear_gradients();
  const Bf16Products precision(bf16_);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    // Each micro-batch draws dropout of its own: its number extends the step's.
    Tape tape({.seed = static_cast<std::uint64_t>(recipe_.seed),
               .step = static_cast<std::uint64_t>(step) * static_cast<std::uint64_t>(recipe_.gradient_accumulation_steps) + i});
    const Tensor loss = batches[i].loss({.label_smoothing = static_cast<float>(recipe_.label_smoothing_factor),
                                         .denominator = static_cast<double>(std::max<std::int64_t>(result.tokens, 1)),
                                         .recompute = recipe_.gradient_checkpointing});
    result.loss += loss.item<float>();
    tape.backward(loss);
  }
  result.gradient_norm = optimizer_.gradient_norm();
  if (!std::isfinite(result.gradient_norm) || !std::isfinite(result.loss)) return result;
  const double limit = recipe_.max_grad_norm;
  const double scale = limit > 0 && result.gradient_norm > limit ? limit / result.gradient_norm : 1.0;
  optimizer_.update(learning_rate(recipe_, width_, step), scale, step);
  result.applied = true;
  return result;
}

}  // namespace glossa
