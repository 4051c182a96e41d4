// decoder.h -- what a search asks of models: the next token's logits for many hypotheses at once. Hypotheses hold rows of the
// models' caches by number.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "nn/batch.h"

namespace glossa {

// A hypothesis in a step: the tokens that the caches do not have yet (all of a prompt, then one).
struct StepLine {
  std::span<const std::int32_t> tokens;  // the whole hypothesis
  std::vector<std::int32_t>* rows;       // those of its tokens that are in the caches; `step` adds those of the others
  std::span<const std::int32_t> memory;  // rows of its sentence; lines of one sentence stand next to each other
  bool new_sentence;                     // the first line of its sentence
};

class Decoder {
 public:
  virtual ~Decoder() = default;

  virtual Device device() const = 0;
  virtual std::int64_t vocabulary() const = 0;  // of the tokens that are generated
  virtual std::int64_t positions() const = 0;   // how many tokens source and hypothesis may have
  // Whether there are sources: hypotheses then begin with a start token, and attend to theirs.
  virtual bool reads_sources() const = 0;

  // Encodes sentences together; `rows[i]` becomes the rows of sentence i.
  virtual void remember(std::span<const std::span<const std::int32_t>> sources,
                        std::span<std::vector<std::int32_t>* const> rows) = 0;
  virtual void forget(std::vector<std::int32_t>& memory_rows) = 0;
  // From each target token to each source token of its sentence, [target tokens, longest source].
  virtual Tensor alignments(const Seq2SeqBatch& batch) const = 0;

  // One more owner of the rows, and one less.
  virtual void share(std::span<const std::int32_t> rows) = 0;
  virtual void release(std::span<const std::int32_t> rows) = 0;
  virtual std::int64_t rows_in_use() const = 0;

  // f32 [lines, vocabulary]: logits after the last token of each line. Each line's are what they would be alone.
  virtual Tensor step(std::span<const StepLine> lines) = 0;
};

}  // namespace glossa
