#include "generate/rules.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace glossa {
namespace {

using Ids = std::span<const std::int32_t>;

constexpr float kNever = -std::numeric_limits<float>::infinity();

bool ends_with(Ids tokens, Ids end) {
  return tokens.size() >= end.size() && std::equal(end.begin(), end.end(), tokens.end() - end.size());
}

}  // namespace

Rules::Rules(const GenerationConfig& config) : config_(config) {
  // Forbidding the end token as a word would forbid to end, so Hugging Face does not.
  std::erase_if(config_.bad_words_ids,
                [this](const auto& word) { return word.size() == 1 && ends(word[0]); });
}

LengthLimits Rules::limits(std::int64_t source, std::int64_t prompt, std::int64_t positions) const {
  std::int64_t most = config_.max_length > 0 ? config_.max_length : positions;
  if (config_.max_new_tokens > 0) most = prompt + config_.max_new_tokens;
  if (config_.max_length_ratio > 0)
    most =
        std::min(most, prompt + 10 +
                           static_cast<std::int64_t>(config_.max_length_ratio * static_cast<double>(source)));
  std::int64_t least = config_.min_length;
  if (config_.min_new_tokens > 0) least = std::max(least, prompt + config_.min_new_tokens);
  return {.prompt = static_cast<std::int32_t>(prompt),
          .least = static_cast<std::int32_t>(std::min(least, positions)),
          .most = static_cast<std::int32_t>(std::min(most, positions))};
}

bool Rules::ends(std::int32_t token) const {
  return std::find(config_.eos_token_id.begin(), config_.eos_token_id.end(), token) !=
         config_.eos_token_id.end();
}

Ids Rules::forced(Ids tokens, const LengthLimits& limits) const {
  const auto length = static_cast<std::int32_t>(tokens.size());
  if (length + 1 == limits.most && !config_.forced_eos_token_id.empty()) return config_.forced_eos_token_id;
  if (length == 1 && config_.forced_bos_token_id >= 0) return {&config_.forced_bos_token_id, 1};
  return {};
}

void Rules::remove(Ids tokens, const LengthLimits& limits, std::span<float> row,
                   std::vector<Removed>& removed) const {
  const auto take = [&](std::int32_t token, bool forbidden) {
    float& logit = row[static_cast<std::size_t>(token)];
    if (logit == kNever) return;  // taken already
    removed.push_back({token, logit, forbidden});
    logit = kNever;
  };
  const auto length = static_cast<std::int32_t>(tokens.size());
  if (length < limits.least)
    for (std::int32_t token : config_.eos_token_id) take(token, true);
  for (std::int32_t token : config_.suppress_tokens) take(token, true);
  // The first place that is free to choose.
  const std::int32_t begin = limits.prompt + (limits.prompt == 1 && config_.forced_bos_token_id >= 0 ? 1 : 0);
  if (length == begin)
    for (std::int32_t token : config_.begin_suppress_tokens) take(token, true);
  for (const auto& word : config_.bad_words_ids)
    if (ends_with(tokens, Ids(word).first(word.size() - 1))) take(word.back(), true);
  if (const auto n = static_cast<std::size_t>(config_.no_repeat_ngram_size); n > 0 && tokens.size() >= n) {
    const Ids last = tokens.last(n - 1);
    for (std::size_t i = 0; i + n <= tokens.size(); ++i)
      if (std::equal(last.begin(), last.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i)))
        take(tokens[i + n - 1], true);
  }
  if (config_.repetition_penalty != 1)
    for (std::int32_t token : tokens) take(token, false);
}

float Rules::repeated(float score) const {
  const auto penalty = static_cast<float>(config_.repetition_penalty);
  return score < 0 ? score * penalty : score / penalty;
}

float whole_log_sum_exp(float rest, std::span<const Removed> removed) {
  float largest = rest;
  for (const Removed& r : removed) largest = std::max(largest, r.logit);
  if (largest == kNever) return kNever;
  double sum = std::exp(static_cast<double>(rest) - largest);
  for (const Removed& r : removed) sum += std::exp(static_cast<double>(r.logit) - largest);
  return largest + static_cast<float>(std::log(sum));
}

}  // namespace glossa
