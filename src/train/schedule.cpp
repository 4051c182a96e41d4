#include "train/schedule.h"

#include <algorithm>
#include <cmath>

namespace glossa {

double learning_rate(const TrainRecipe& r, std::int64_t d_model, std::int64_t step) {
  const auto now = static_cast<double>(step), warmup = static_cast<double>(r.warmup_steps), last = static_cast<double>(r.max_steps);
  const double peak = r.learning_rate, low = r.min_learning_rate;
  const std::string& kind = r.lr_scheduler_type;
  if (kind == "noam") {
    const double w = std::max(warmup, 1.0);
    return peak / std::sqrt(static_cast<double>(d_model)) * std::min(1 / std::sqrt(now), now * std::pow(w, -1.5));
  }
  if (kind == "constant") return peak;
  if (now < warmup) return peak * now / warmup;
  if (kind == "constant_with_warmup") return peak;
  if (kind == "inverse_sqrt") return peak * std::sqrt(std::max(warmup, 1.0) / now);
  // How much of the decline is over, 0 to 1.
  const double begin = kind == "warmup_stable_decay" ? last - static_cast<double>(r.decay_steps) : warmup;
  const double share = std::clamp((now - begin) / std::max(last - begin, 1.0), 0.0, 1.0);
  if (kind == "cosine") return low + (peak - low) * 0.5 * (1 + std::cos(share * 3.141592653589793));
  return low + (peak - low) * (1 - share);
}

}  // namespace glossa
