// cached_decoder.h -- an encoder-decoder model as a search sees it, or several that vote: rows have the same numbers in every
// model's caches.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "generate/decoder.h"
#include "models/transformer.h"

namespace glossa {

class CachedDecoder final : public Decoder {
 public:
  // Models with one vocabulary and the same weight in the vote. They must outlive this.
  explicit CachedDecoder(std::vector<const Transformer*> models);

  Device device() const override { return device_; }
  std::int64_t vocabulary() const override;
  std::int64_t positions() const override;
  bool reads_sources() const override { return true; }
  void remember(std::span<const std::span<const std::int32_t>> sources, std::span<std::vector<std::int32_t>* const> rows) override;
  void forget(std::vector<std::int32_t>& memory_rows) override;
  Tensor alignments(const Seq2SeqBatch& batch) const override;  // the mean of the models'
  void share(std::span<const std::int32_t> rows) override;
  void release(std::span<const std::int32_t> rows) override;
  std::int64_t rows_in_use() const override { return self_[0].rows_in_use() + memory_[0].rows_in_use(); }
  // Of several models, the logarithm of the mean of their probabilities.
  Tensor step(std::span<const StepLine> lines) override;

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
