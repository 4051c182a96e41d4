#include "train/estimate.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/cpu/cpu_features.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

namespace glossa {
namespace {

constexpr std::uint64_t kFloat = 4;  // bytes

}  // namespace

Estimate estimate(const EstimateInput& in) {
  Estimate e;
  const auto parameters = static_cast<std::uint64_t>(in.parameters);
  const std::uint64_t average = in.recipe.ema_decay > 0 ? parameters : 0;
  const std::uint64_t kept = parameters + static_cast<std::uint64_t>(in.state) + average;
  e.weights = kFloat * kept;
  e.checkpoint = kFloat * kept;
  const auto tokens = static_cast<std::uint64_t>(in.recipe.max_tokens);
  std::uint64_t activations = kFloat * tokens * in.batch.floats_per_token;
  if (in.recipe.gradient_checkpointing)  // the inputs of layers, and one layer in full
    activations = activations / static_cast<std::uint64_t>(in.batch.layers) +
                  kFloat * tokens * static_cast<std::uint64_t>(in.batch.layers * in.batch.width);
  // Gradients take the place of activations as these are freed, unless those of an earlier batch are there
  // already.
  const std::uint64_t gradients = kFloat * parameters;
  e.batch =
      in.recipe.gradient_accumulation_steps > 1 ? activations + gradients : std::max(activations, gradients);
  const double peak = cpu::measure_peak_flops(in.bf16, thread_count());
  e.seconds =
      static_cast<double>(in.steps * in.recipe.gradient_accumulation_steps) * in.batch.flops / (0.5 * peak);
  return e;
}

std::string Estimate::summary() const {
  return fmt::format(
      "about {:.0f} MiB of memory ({:.0f} for weights and optimizer, {:.0f} for a batch), {:.0f} MiB of disk "
      "for each "
      "checkpoint, {:.1f} minutes",
      as_mib(memory()), as_mib(weights), as_mib(batch), as_mib(checkpoint), seconds / 60);
}

void check_affordable(std::uint64_t parameters, const TrainRecipe& recipe, const char* keys) {
  const std::uint64_t moments = recipe.optim.starts_with("adam") ? 2 : recipe.optim == "sgd" ? 1 : 0;
  const std::uint64_t copies = 2 + moments + (recipe.ema_decay > 0);
  const std::uint64_t bytes = checked_mul(kFloat * copies, parameters), available = available_memory();
  check(bytes <= available, Code::memory,
        "a model of {} parameters (by {}) needs about {:.0f} MiB of memory for weights, gradients and {}, "
        "and {:.0f} are free",
        parameters, keys, as_mib(bytes), recipe.optim, as_mib(available));
}

}  // namespace glossa
