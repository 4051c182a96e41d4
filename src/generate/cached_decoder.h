// cached_decoder.h -- the next token's logits for many hypotheses at once, from one model or from several
// that vote. Hypotheses hold rows of the caches by number, the same rows in every model's caches.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "models/transformer.h"

namespace glossa {

// A hypothesis in a step: the tokens that the caches do not have yet (all of a prompt, then one).
struct StepLine {
  std::span<const std::int32_t> tokens;  // the whole hypothesis
  std::vector<std::int32_t>*
      rows;  // those of its tokens that are in the caches; `step` adds those of the others
  std::span<const std::int32_t>
      memory;         // rows of its sentence; lines of one sentence stand next to each other
  bool new_sentence;  // the first line of its sentence
};

class CachedDecoder {
 public:
  // Models with one vocabulary and the same weight in the vote. They must outlive this.
  explicit CachedDecoder(std::vector<const Transformer*> models);

  std::int64_t vocabulary() const;  // of the target
  std::int64_t positions() const;   // how many tokens source and target may have
  const std::vector<const Transformer*>& models() const { return models_; }

  // Encodes sentences together; `rows[i]` becomes the rows of sentence i.
  void remember(std::span<const std::span<const std::int32_t>> sources,
                std::span<std::vector<std::int32_t>* const> rows);
  void forget(std::vector<std::int32_t>& memory_rows);

  // One more owner of the rows, and one less.
  void share(std::span<const std::int32_t> rows);
  void release(std::span<const std::int32_t> rows);
  std::int64_t rows_in_use() const { return self_[0].rows_in_use() + memory_[0].rows_in_use(); }

  // f32 [lines, vocabulary]: logits after the last token of each line; of several models, the logarithm of
  // the mean of their probabilities. Each line's are what they would be alone.
  Tensor step(std::span<const StepLine> lines);

 private:
  static std::int32_t take(std::vector<KvCache>& caches);
  Tensor logits_of(std::size_t model, const DecodeStep& step, const Tensor& last);

  std::vector<const Transformer*> models_;
  Device device_;
  std::vector<KvCache> self_, memory_;  // one for each model
  // Of the step being built; kept for their memory.
  std::vector<std::int32_t> ids_, positions_, new_rows_, new_counts_, past_rows_, past_counts_, group_counts_,
      memory_rows_, memory_counts_, last_;
};

}  // namespace glossa
