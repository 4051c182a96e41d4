// sampler.h -- draws a next token: temperature, top-k, nucleus, min-p and typical sampling, in Hugging Face's
// order.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "generate/generation_config.h"

namespace glossa {

// A possible next token and its logit.
struct Choice {
  std::int32_t token;
  double logit;
};

// Steps of which chains of sampling are made. Each leaves at least one choice, and the others in some order.
void keep_top_k(std::size_t k, std::vector<Choice>& choices);
void keep_top_p(double top_p, std::vector<Choice>& choices);    // most probable first
void keep_min_p(double min_p, std::vector<Choice>& choices);
void keep_typical(double mass, std::vector<Choice>& choices);
// The k most probable of the tokens that are possible at all, most probable first.
std::vector<Choice> most_probable(std::span<const float> logits, std::size_t k);
// softmax of the logits.
std::vector<double> probabilities(const std::vector<Choice>& choices);
// Most probable first; ties by token, so that the order is one.
bool more_probable(const Choice& a, const Choice& b);

// Reduces `choices` (any order; minus infinity: impossible) to those that the configuration leaves, each step
// acting on the probabilities that the one before left, and divides logits by the temperature:
//   top_k      the k most probable
//   top_p      Holtzman et al. (2020): the fewest most probable whose probabilities sum to p
//   min_p      Nguyen et al. (2024): those at least p times as probable as the most probable
//   typical_p  Meister et al. (2023): the fewest whose surprise is nearest to the entropy and that sum to p
void filter(const GenerationConfig& config, std::vector<Choice>& choices);

// The index of one of `choices`, by their probabilities; `uniform` in [0, 1).
std::size_t draw(const std::vector<Choice>& choices, double uniform);

}  // namespace glossa
