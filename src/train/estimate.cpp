#include "train/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "backend/cpu/cpu_features.h"
#include "base/error.h"
#include "base/parallel.h"

namespace glossa {
namespace {

constexpr std::uint64_t kFloat = 4;  // bytes

// The number in a file of /proc or /sys after `key`; 0 if there is none.
std::uint64_t number_in(const char* path, const std::string& key) {
  std::ifstream in(path);
  std::string word;
  while (in >> word) {
    if (!key.empty() && word != key) continue;
    std::uint64_t value = 0;
    if (!key.empty() ? static_cast<bool>(in >> value) : std::isdigit(static_cast<unsigned char>(word[0])) != 0)
      return key.empty() ? std::stoull(word) : value;
    return 0;
  }
  return 0;
}

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
  // Gradients take the place of activations as these are freed, unless those of an earlier batch are there already.
  const std::uint64_t gradients = kFloat * parameters;
  e.batch = in.recipe.gradient_accumulation_steps > 1 ? activations + gradients : std::max(activations, gradients);
  const double peak = cpu::measure_peak_flops(in.bf16, thread_count());
  e.seconds = static_cast<double>(in.steps * in.recipe.gradient_accumulation_steps) * in.batch.flops / (0.5 * peak);
  return e;
}

std::string Estimate::summary() const {
  const auto mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return fmt::format("about {:.0f} MiB of memory ({:.0f} for weights and optimizer, {:.0f} for a batch), {:.0f} MiB of disk for each "
                     "checkpoint, {:.1f} minutes",
                     mib(memory()), mib(weights), mib(batch), mib(checkpoint), seconds / 60);
}

void check_affordable(std::int64_t parameters, const TrainRecipe& recipe, const char* keys) {
  const double moments = recipe.optim.starts_with("adam") ? 2 : recipe.optim == "sgd" ? 1 : 0;
  const double bytes = static_cast<double>(kFloat) * static_cast<double>(parameters) * (2 + moments + (recipe.ema_decay > 0));
  const double available = static_cast<double>(available_memory()), mib = 1 << 20;
  check(bytes <= available, Code::memory,
        "a model of {} parameters needs about {:.0f} MiB of memory for weights, gradients and {}, {:.0f} are free; {} change that",
        parameters, bytes / mib, recipe.optim, available / mib, keys);
}

std::uint64_t available_memory() {
  std::uint64_t available = number_in("/proc/meminfo", "MemAvailable:") * 1024;
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max", "");
  const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
  if (limit > 0) available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

}  // namespace glossa
