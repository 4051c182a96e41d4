// compare_models.h -- how far the predictions of one language model are from those of another.
#pragma once
#include <cstdint>
#include <span>

#include "nn/causal.h"
#include "text/vocabulary.h"

namespace glossa {

struct ModelComparison {
  std::int64_t predictions = 0;   // places in the text
  double largest_difference = 0;  // of two logits
  double mean_kl = 0,
         largest_kl = 0;  // divergence from the first model's distribution to the second's, in nats
  double agreement = 0;   // share of places where both hold the same token the likeliest
  double first_perplexity = 0, second_perplexity = 0;
};

// Reads `tokens` in pieces of `context` with both models. Of vocabularies of different size the tokens that
// both have are compared. Error(bad_value) for fewer than two tokens, Error(tokenizer) for one that a model
// does not have.
ModelComparison compare_models(const CausalModel& first, const CausalModel& second,
                               std::span<const Token> tokens, std::int64_t context);

}  // namespace glossa
