// perplexity.h -- how surprised a language model is by a text.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/causal.h"
#include "text/vocabulary.h"

namespace glossa {

struct PerplexityOptions {
  std::int64_t context = 512;
  // 0: the text is cut into pieces of `context` tokens, and of each the later half is scored, as llama.cpp does. Else windows
  // of `context` tokens begin every `stride` tokens, and of each what no window before had is scored, as Hugging Face's
  // guide does.
  std::int64_t stride = 0;
  Token bos = -1;  // put in the place of each piece's first token, if not negative (not with `stride`)
  std::int64_t batch_tokens = 2048;
};

struct ScoredToken {
  std::int64_t position;  // in the text
  float surprise;         // in nats
};

// Scores `tokens`; `report` is called for each batch, in order. Error(bad_value) if the text is shorter than a piece.
void score_tokens(const CausalModel& model, std::span<const Token> tokens, const PerplexityOptions& options,
                  const std::function<void(std::span<const ScoredToken>)>& report);

}  // namespace glossa
