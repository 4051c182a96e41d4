#include "generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"

namespace glossa {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// The last n of the tokens; all if n is negative.
std::span<const std::int32_t> last(const std::vector<std::int32_t>& tokens, std::int32_t n) {
  const std::size_t count = n < 0 ? tokens.size() : std::min<std::size_t>(static_cast<std::size_t>(n), tokens.size());
  return std::span(tokens).last(count);
}

void keep_top_n_sigma(double n, std::vector<Choice>& choices) {
  double largest = kNever, sum = 0, squares = 0;
  for (const Choice& c : choices) largest = std::max(largest, c.logit), sum += c.logit;
  const double mean = sum / static_cast<double>(choices.size());
  for (const Choice& c : choices) squares += (c.logit - mean) * (c.logit - mean);
  const double least = largest - n * std::sqrt(squares / static_cast<double>(choices.size()));
  std::erase_if(choices, [least](const Choice& c) { return c.logit < least; });
}

void exclude_top(double threshold, std::vector<Choice>& choices) {
  std::sort(choices.begin(), choices.end(), more_probable);
  const std::vector<double> p = probabilities(choices);
  std::size_t likely = 0;
  while (likely < p.size() && p[likely] >= threshold) ++likely;
  if (likely > 1) choices.erase(choices.begin(), choices.begin() + static_cast<std::ptrdiff_t>(likely) - 1);
}

}  // namespace

void SamplingConfig::validate() const {
  static const std::set<std::string> kSamplers{"penalties", "dry",   "top_n_sigma", "top_k", "typ_p",
                                               "top_p",     "min_p", "xtc",         "temperature"};
  for (const std::string& name : samplers) {
    const std::string meant = kSamplers.contains(name) ? "" : closest(name, kSamplers);
    check(kSamplers.contains(name), Code::bad_value, "--samplers: {} is not known; known: {}{}", quoted(name), fmt::join(kSamplers, ", "),
          meant.empty() ? "" : "; did you mean " + meant + "?");
  }
  const auto within = [](const char* flag, double value, double low, double high) {
    check(value >= low && value <= high, Code::bad_value, "{} must lie between {} and {}, found {}", flag, low, high, value);
  };
  within("--temp", temp, -1e3, 1e3);
  within("--dynatemp-range", dynatemp_range, 0, 1e3);
  within("--dynatemp-exp", dynatemp_exponent, 1e-3, 1e3);
  within("--top-k", top_k, 0, 1 << 30);
  within("--top-p", top_p, 0, 1);
  within("--min-p", min_p, 0, 1);
  within("--typical", typical, 0, 1);
  within("--top-nsigma", top_n_sigma, -1, 1e3);
  within("--xtc-probability", xtc_probability, 0, 1);
  within("--xtc-threshold", xtc_threshold, 0, 1);
  within("--repeat-last-n", repeat_last_n, -1, 1 << 30);
  within("--repeat-penalty", repeat_penalty, 1e-3, 1e3);
  within("--presence-penalty", presence_penalty, -1e3, 1e3);
  within("--frequency-penalty", frequency_penalty, -1e3, 1e3);
  within("--dry-multiplier", dry_multiplier, 0, 1e3);
  within("--dry-base", dry_base, 1, 1e3);
  within("--dry-allowed-length", dry_allowed_length, 0, 1 << 30);
  within("--dry-penalty-last-n", dry_penalty_last_n, -1, 1 << 30);
  check(mirostat == 0 || mirostat == 2, Code::bad_value, "--mirostat must be 0 or 2 (version 1 is not supported), found {}", mirostat);
  within("--mirostat-lr", mirostat_lr, 0, 10);
  within("--mirostat-ent", mirostat_ent, 0, 100);
}

Sampling::Sampling(const SamplingConfig& config, std::uint64_t sequence, const std::function<bool(std::int32_t)>& breaks)
    : config_(config), random_(config.seed, Purpose::sample, sequence), breaks_(&breaks), surprise_(2 * config.mirostat_ent) {}

// Tokens of the near past with what their logits become.
std::vector<std::pair<std::int32_t, double>> Sampling::penalties(std::span<const float> logits) const {
  std::vector<std::pair<std::int32_t, double>> changed;
  if (config_.repeat_penalty == 1 && config_.presence_penalty == 0 && config_.frequency_penalty == 0) return changed;
  std::map<std::int32_t, int> counts;
  for (const std::int32_t token : last(past_, config_.repeat_last_n)) ++counts[token];
  for (const auto& [token, count] : counts) {
    const double logit = logits[token];
    changed.emplace_back(token, (logit > 0 ? logit / config_.repeat_penalty : logit * config_.repeat_penalty) -
                                    count * config_.frequency_penalty - config_.presence_penalty);
  }
  return changed;
}

// Tokens that once followed what the text ends with now, with what their logits lose: base^(length of the repetition -
// allowed length) times the multiplier. How far each place's text and the end agree is the Z-function of the text reversed
// (Gusfield, 1997, section 1.4), so the work is linear.
std::vector<std::pair<std::int32_t, double>> Sampling::dry() const {
  if (config_.dry_multiplier == 0) return {};
  const auto text = last(past_, config_.dry_penalty_last_n);
  std::size_t size = 0;  // what follows the last breaker
  while (size < text.size() && !(*breaks_)(text[text.size() - 1 - size])) ++size;
  const std::size_t n = text.size();
  const auto reversed = [&](std::size_t i) { return text[n - 1 - i]; };
  std::vector<std::size_t> same(n, 0);  // same[i]: how many tokens up to n - 1 - i agree with those up to the end
  for (std::size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) same[i] = std::min(right - i, same[i - left]);
    while (i + same[i] < n && reversed(same[i]) == reversed(i + same[i])) ++same[i];
    if (i + same[i] > right) left = i, right = i + same[i];
  }
  std::map<std::int32_t, std::size_t> longest;
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t length = std::min(same[i], size);
    if (length >= static_cast<std::size_t>(config_.dry_allowed_length) && length > 0) {
      std::size_t& most = longest[text[n - i]];  // the token after that place
      most = std::max(most, length);
    }
  }
  std::vector<std::pair<std::int32_t, double>> losses;
  for (const auto& [token, length] : longest) {
    const double power = std::min(static_cast<double>(length) - config_.dry_allowed_length, 200.0);
    losses.emplace_back(token, config_.dry_multiplier * std::pow(config_.dry_base, power));
  }
  return losses;
}

void Sampling::temper(std::vector<Choice>& choices) const {
  double temperature = config_.temp;
  if (config_.dynatemp_range > 0 && choices.size() > 1) {
    const double low = std::max(0.0, temperature - config_.dynatemp_range), high = temperature + config_.dynatemp_range;
    double entropy = 0;
    for (const double p : probabilities(choices)) entropy -= p > 0 ? p * std::log(p) : 0;
    temperature = low + (high - low) * std::pow(entropy / std::log(static_cast<double>(choices.size())), config_.dynatemp_exponent);
  }
  if (temperature > 0) {
    for (Choice& c : choices) c.logit /= temperature;
  } else {
    keep_top_k(1, choices);
  }
}

bool Sampling::acts(const std::string& sampler) const {
  return (sampler == "top_n_sigma" && config_.top_n_sigma > 0) || (sampler == "top_k" && config_.top_k > 0) ||
         (sampler == "typ_p" && config_.typical < 1) || (sampler == "top_p" && config_.top_p < 1) ||
         (sampler == "min_p" && config_.min_p > 0) ||
         (sampler == "xtc" && config_.xtc_probability > 0 && config_.xtc_threshold <= 0.5) ||
         (sampler == "temperature" && config_.temp > 0);
}

void Sampling::apply(const std::string& sampler, std::vector<Choice>& choices) {
  if (!acts(sampler)) return;
  if (sampler == "top_n_sigma") keep_top_n_sigma(config_.top_n_sigma, choices);
  if (sampler == "top_k") keep_top_k(static_cast<std::size_t>(config_.top_k), choices);
  if (sampler == "typ_p") keep_typical(config_.typical, choices);
  if (sampler == "top_p") keep_top_p(config_.top_p, choices);
  if (sampler == "min_p") keep_min_p(config_.min_p, choices);
  if (sampler == "xtc" && random_.uniform(draws_++) < config_.xtc_probability) exclude_top(config_.xtc_threshold, choices);
  if (sampler == "temperature") temper(choices);
}

// What the first sampler of the chain chooses from. The list of all tokens is long, and top_k, which comes first as a rule,
// needs none.
std::vector<Choice> Sampling::possible(std::span<const float> logits) const {
  std::size_t most = logits.size();
  if (config_.mirostat == 0) {
    const auto first = std::find_if(config_.samplers.begin(), config_.samplers.end(), [this](const std::string& s) { return acts(s); });
    if (first != config_.samplers.end() && *first == "top_k") most = static_cast<std::size_t>(config_.top_k);
  }
  std::vector<Choice> choices;
  if (most < logits.size()) {
    choices = most_probable(logits, most);
  } else {
    choices.reserve(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (logits[i] > -INFINITY) choices.push_back({static_cast<std::int32_t>(i), logits[i]});
  }
  if (choices.empty()) choices.push_back({0, 0});
  return choices;
}

std::int32_t Sampling::mirostat(std::vector<Choice>& choices) {
  temper(choices);
  std::sort(choices.begin(), choices.end(), more_probable);
  const std::vector<double> p = probabilities(choices);
  std::size_t kept = 1;
  while (kept < p.size() && -std::log2(p[kept]) <= surprise_) ++kept;
  choices.resize(kept);
  const std::size_t at = draw(choices, random_.uniform(draws_++));
  surprise_ -= config_.mirostat_lr * (-std::log2(probabilities(choices)[at]) - config_.mirostat_ent);
  return choices[at].token;
}

Chosen Sampling::choose(std::span<float> logits, const Summary& summary, std::int32_t best) {
  Chosen chosen;
  if (best > 0)
    for (const Choice& c : most_probable(logits, static_cast<std::size_t>(best)))
      chosen.best.emplace_back(c.token, static_cast<float>(c.logit - summary.log_sum));

  std::vector<std::pair<std::int32_t, float>> before;  // logits that the edits below change
  const auto set = [&](std::int32_t token, double logit) {
    before.emplace_back(token, logits[token]);
    logits[token] = static_cast<float>(logit);
  };
  for (const auto& [token, bias] : config_.logit_bias)
    if (token >= 0 && static_cast<std::size_t>(token) < logits.size()) set(token, logits[token] + bias);
  for (const std::string& sampler : config_.samplers) {
    if (sampler == "penalties")
      for (const auto& [token, logit] : penalties(logits)) set(token, logit);
    if (sampler == "dry")
      for (const auto& [token, loss] : dry()) set(token, logits[token] - loss);
  }

  const auto original = [&](std::int32_t token) {
    for (const auto& [changed, logit] : before)
      if (changed == token) return logit;
    return logits[token];
  };
  if (config_.temp <= 0 && config_.mirostat == 0) {
    chosen.token = before.empty() ? summary.most_likely
                                  : static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  } else {
    std::vector<Choice> choices = possible(logits);
    if (config_.mirostat == 2) {
      chosen.token = mirostat(choices);
    } else {
      for (const std::string& sampler : config_.samplers) apply(sampler, choices);
      chosen.token = choices[draw(choices, random_.uniform(draws_++))].token;
    }
  }
  chosen.log_probability = static_cast<float>(original(chosen.token) - summary.log_sum);
  accept(chosen.token);
  return chosen;
}

}  // namespace glossa
