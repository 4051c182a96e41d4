#include "generate/causal_decoder.h"

#include "generate/causal_step.h"

namespace glossa {

Tensor CausalDecoder::alignments(const Seq2SeqBatch&) const {
  fail(Code::bad_value, "a model without an encoder attends to no source, so there is no coverage to count");
}

void CausalDecoder::share(std::span<const std::int32_t> rows) {
  for (const std::int32_t row : rows) cache_.share(row);
}

void CausalDecoder::release(std::span<const std::int32_t> rows) {
  for (const std::int32_t row : rows) cache_.release(row);
}

Tensor CausalDecoder::step(std::span<const StepLine> lines) {
  CausalStep step(cache_);
  for (const StepLine& line : lines) {
    step.read(line.tokens.subspan(line.rows->size()), *line.rows);
    step.want();
  }
  return step.logits(model_);
}

}  // namespace glossa
