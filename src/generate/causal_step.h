// causal_step.h -- one pass of a language model over new tokens of many texts, whose keys and values so far lie in a cache.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/causal.h"

namespace glossa {

// How many tokens two texts begin with in common.
inline std::size_t same_beginning(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

class CausalStep {
 public:
  // `cache` must outlive this.
  explicit CausalStep(KvCache& cache) : cache_(&cache) {}

  // Tokens that come after those whose rows of the cache are `rows`; they get rows too, which are appended.
  void read(std::span<const std::int32_t> tokens, std::vector<std::int32_t>& rows);
  // The logits after the token read last are wanted. Their row among all that are wanted.
  std::int64_t want();
  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }

  Tensor hidden(const CausalModel& model) const;  // [tokens, width], after all tokens
  Tensor logits(const CausalModel& model) const;  // f32 [wanted, vocabulary]; nothing if none are

 private:
  KvCache* cache_;
  std::vector<std::int32_t> ids_, positions_, lengths_, new_rows_, counts_, past_rows_, past_counts_, wanted_;
};

}  // namespace glossa
