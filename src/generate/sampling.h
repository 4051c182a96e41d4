// sampling.h -- how a language model's next token is chosen, in the words of llama.cpp: a chain of samplers in an order
// that may be given, each of which makes tokens less likely or impossible.
//
//   penalties    repetition (Keskar et al., 2019), presence and frequency, of the last tokens
//   dry          of tokens that would go on with a repetition (DRY, p-e-w, 2024)
//   top_n_sigma  logits at least n standard deviations of all below the best go (Tang et al., 2024)
//   top_k, typ_p, top_p, min_p   see sampler.h
//   xtc          by chance, all likely tokens but the least of them go (XTC, p-e-w, 2024)
//   temperature  logits are divided by it; perhaps by one that the entropy chooses
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "generate/sampler.h"

namespace glossa {

// Defaults are llama.cpp's.
struct SamplingConfig {
  std::vector<std::string> samplers = {"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"};
  double temp = 0.8;  // 0 and less: the most likely token, whatever the other samplers leave
  double dynatemp_range = 0, dynatemp_exponent = 1;  // temperatures from temp - range to temp + range, by the entropy
  std::int32_t top_k = 40;                           // 0: all
  double top_p = 0.95, min_p = 0.05, typical = 1, top_n_sigma = -1;
  double xtc_probability = 0, xtc_threshold = 0.1;
  std::int32_t repeat_last_n = 64;  // tokens that penalties look back at; -1: all
  double repeat_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  double dry_multiplier = 0, dry_base = 1.75;
  std::int32_t dry_allowed_length = 2, dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  std::int32_t mirostat = 0;  // 2: Basu et al. (2021), version 2, in the place of all samplers but penalties, dry and temperature
  double mirostat_lr = 0.1, mirostat_ent = 5;
  std::vector<std::pair<std::int32_t, double>> logit_bias = {};
  std::uint64_t seed = 42;

  void validate() const;  // Error(bad_value)
};

// What was chosen, and how likely it was before any sampler.
struct Chosen {
  std::int32_t token = 0;
  float log_probability = 0;
  std::vector<std::pair<std::int32_t, float>> best = {};  // the most likely tokens, if asked for: token, log-probability
};

// For samplers without dry, which ask for no token.
inline const std::function<bool(std::int32_t)> kNothingBreaks = [](std::int32_t) { return false; };

// The choices for one sequence. The same seed, sequence and logits give the same tokens, whatever runs beside them.
class Sampling {
 public:
  // `breaks`: whether a token ends what dry compares. It must outlive this.
  Sampling(const SamplingConfig& config, std::uint64_t sequence, const std::function<bool(std::int32_t)>& breaks);

  void accept(std::int32_t token) { past_.push_back(token); }  // of the prompt
  // Chooses from a row of logits, which it changes, and accepts what it chose. `most_likely`: the first of the largest of
  // them; `log_sum`: log of the sum of their exponentials. `best`: how many to report.
  struct Summary {
    std::int32_t most_likely;
    float log_sum;
  };
  Chosen choose(std::span<float> logits, const Summary& summary, std::int32_t best = 0);

 private:
  std::vector<std::pair<std::int32_t, double>> penalties(std::span<const float> logits) const;
  std::vector<std::pair<std::int32_t, double>> dry() const;
  bool acts(const std::string& sampler) const;  // on choices: changes them or draws a number
  std::vector<Choice> possible(std::span<const float> logits) const;
  void apply(const std::string& sampler, std::vector<Choice>& choices);
  void temper(std::vector<Choice>& choices) const;
  std::int32_t mirostat(std::vector<Choice>& choices);

  SamplingConfig config_;
  Philox random_;
  std::uint64_t draws_ = 0;
  const std::function<bool(std::int32_t)>* breaks_;
  std::vector<std::int32_t> past_;
  double surprise_;  // mirostat's mu
};

}  // namespace glossa
