// batch_loader.h -- batches as the model takes them, made ahead of the trainer by a thread of their own.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "data/batch_plan.h"
#include "data/read_ahead.h"
#include "nn/batch.h"

namespace glossa {

struct SentenceEnds {
  std::int32_t start = 0;  // the decoder's first input
  std::int32_t end = 0;    // the last token of every source and of every target
};

// One batch, ragged: the source with its end token; the target behind the start token; as labels the target
// with its end token.
Seq2SeqBatch make_batch(const PairDataset& data, std::span<const std::uint64_t> pairs,
                        const SentenceEnds& ends);

// Encodes a sentence another way in each epoch (BPE-dropout): appends ids, a pure function of the text and
// the stream. Called from the loader's thread.
using Reencode =
    std::function<void(std::string_view text, std::uint64_t stream, std::vector<std::int32_t>& ids)>;

struct LoaderOptions {
  BatchOptions batches = {};
  SentenceEnds ends = {};
  std::int64_t gradient_accumulation_steps = 1;  // batches in a step
  Reencode reencode = {};                        // absent: the ids as they are; needs data with text
  std::int64_t max_length = 256;                 // a sentence that reencode makes longer keeps its ids
  std::size_t steps_ahead = 4;                   // that wait, ready, for the trainer
};

// What one update of the weights learns from.
struct TranslationStep {
  std::vector<Seq2SeqBatch> batches;
  std::vector<std::vector<std::uint64_t>> pairs;                     // of each batch: indices of the data
  std::int64_t source_tokens = 0, target_tokens = 0, sentences = 0;  // tokens with those that end a sentence
  BatchPosition next;                                                // where to go on after this step
};

// Endless: one epoch follows the other, and a step may hold the last batches of one and the first of the
// next. What comes depends on data, options and position only. One consumer.
class BatchLoader {
 public:
  BatchLoader(PairDataset data, const LoaderOptions& options, BatchPosition from = {});

  TranslationStep next();
  BatchPosition position() const { return position_; }  // of the next step's first batch

 private:
  TranslationStep make_step();
  Seq2SeqBatch reencoded(std::span<const std::uint64_t> pairs, std::uint64_t epoch) const;

  PairDataset data_;
  LoaderOptions options_;
  BatchCursor cursor_;      // the thread's
  BatchPosition position_;  // the consumer's
  std::optional<ReadAhead<TranslationStep>> steps_;  // last: its thread uses the others
};

}  // namespace glossa
