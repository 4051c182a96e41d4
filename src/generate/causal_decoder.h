// causal_decoder.h -- a decoder-only language model as a search sees it: hypotheses begin with their prompts, and there are no
// sources.
#pragma once
#include "generate/decoder.h"
#include "nn/causal.h"

namespace glossa {

class CausalDecoder final : public Decoder {
 public:
  // The model must outlive this.
  explicit CausalDecoder(const CausalModel& model, const CacheTypes& cache = {}) : model_(model), cache_(model.make_cache(cache)) {}

  Device device() const override { return {}; }
  std::int64_t vocabulary() const override { return model_.vocabulary(); }
  std::int64_t positions() const override { return model_.longest(); }
  bool reads_sources() const override { return false; }
  void remember(std::span<const std::span<const std::int32_t>>, std::span<std::vector<std::int32_t>* const>) override {}
  void forget(std::vector<std::int32_t>&) override {}
  Tensor alignments(const Seq2SeqBatch& batch) const override;  // Error(bad_value): there is nothing to attend to
  void share(std::span<const std::int32_t> rows) override;
  void release(std::span<const std::int32_t> rows) override;
  std::int64_t rows_in_use() const override { return cache_.rows_in_use(); }
  Tensor step(std::span<const StepLine> lines) override;

 private:
  const CausalModel& model_;
  KvCache cache_;
};

}  // namespace glossa
