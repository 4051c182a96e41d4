#include "data/batch_loader.h"

#include <algorithm>

#include "base/error.h"

namespace glossa {
namespace {

// The sentences of one batch with their ends, as flat runs.
class BatchBuilder {
 public:
  BatchBuilder(std::size_t pairs, const SentenceEnds& ends) : ends_(ends) {
    source_lengths_.reserve(pairs), target_lengths_.reserve(pairs);
  }
  void add(std::span<const std::int32_t> source, std::span<const std::int32_t> target) {
    source_.insert(source_.end(), source.begin(), source.end());
    source_.push_back(ends_.end);
    inputs_.push_back(ends_.start);
    inputs_.insert(inputs_.end(), target.begin(), target.end());
    labels_.insert(labels_.end(), target.begin(), target.end());
    labels_.push_back(ends_.end);
    source_lengths_.push_back(static_cast<std::int32_t>(source.size() + 1));
    target_lengths_.push_back(static_cast<std::int32_t>(target.size() + 1));
  }
  Seq2SeqBatch take() const {
    return {.source = {Tensor::of(source_), Sequences::of_lengths(source_lengths_)},
            .target = {Tensor::of(inputs_), Sequences::of_lengths(target_lengths_)},
            .labels = Tensor::of(labels_)};
  }

 private:
  SentenceEnds ends_;
  std::vector<std::int32_t> source_, inputs_, labels_, source_lengths_, target_lengths_;
};

struct SentencePair {
  std::vector<std::int32_t> source, target;
  void read(const PairDataset& data, std::uint64_t pair) {
    const PairLengths lengths = data.lengths(pair);
    source.resize(lengths.source), target.resize(lengths.target);
    data.copy_source(pair, source.data());
    data.copy_target(pair, target.data());
  }
};

// A stream of its own for each side of each pair in each epoch.
std::uint64_t stream_of(std::uint64_t epoch, std::uint64_t pair, std::uint64_t pairs, std::uint64_t side) {
  return (epoch * pairs + pair) * 2 + side;
}

}  // namespace

Seq2SeqBatch make_batch(const PairDataset& data, std::span<const std::uint64_t> pairs,
                        const SentenceEnds& ends) {
  BatchBuilder batch(pairs.size(), ends);
  SentencePair ids;
  for (const std::uint64_t pair : pairs) {
    ids.read(data, pair);
    batch.add(ids.source, ids.target);
  }
  return batch.take();
}

BatchLoader::BatchLoader(PairDataset data, const LoaderOptions& options, BatchPosition from)
    : data_(std::move(data)),
      options_(options),
      cursor_(BatchPlan(data_, options.batches), from),
      position_(from) {
  check(options_.gradient_accumulation_steps > 0, Code::bad_value,
        "train.gradient_accumulation_steps must be positive, not {}", options_.gradient_accumulation_steps);
  check(!options_.reencode || data_.has_text(), Code::internal, "data without text cannot be encoded again");
  steps_.emplace([this] { return make_step(); }, options_.steps_ahead);
}

TranslationStep BatchLoader::next() {
  TranslationStep step = steps_->next();
  position_ = step.next;
  return step;
}

Seq2SeqBatch BatchLoader::reencoded(std::span<const std::uint64_t> pairs, std::uint64_t epoch) const {
  BatchBuilder batch(pairs.size(), options_.ends);
  SentencePair ids;
  std::vector<std::int32_t> other;
  const auto encode = [&](std::string_view text, std::uint64_t pair, std::uint64_t side,
                          std::vector<std::int32_t>& sentence) {
    other.clear();
    options_.reencode(text, stream_of(epoch, pair, data_.size(), side), other);
    if (static_cast<std::int64_t>(other.size()) <= options_.max_length) std::swap(sentence, other);
  };
  for (const std::uint64_t pair : pairs) {
    ids.read(data_, pair);
    encode(data_.source_text(pair), pair, 0, ids.source);
    encode(data_.target_text(pair), pair, 1, ids.target);
    batch.add(ids.source, ids.target);
  }
  return batch.take();
}

TranslationStep BatchLoader::make_step() {
  TranslationStep step;
  for (std::int64_t i = 0; i < options_.gradient_accumulation_steps; ++i) {
    const std::uint64_t epoch = cursor_.position().epoch;
    const std::span<const std::uint64_t> pairs = cursor_.next();
    Seq2SeqBatch batch =
        options_.reencode ? reencoded(pairs, epoch) : make_batch(data_, pairs, options_.ends);
    step.source_tokens += batch.source.ids.elements();
    step.target_tokens += batch.labels.elements();
    step.sentences += static_cast<std::int64_t>(pairs.size());
    step.pairs.emplace_back(pairs.begin(), pairs.end());
    step.batches.push_back(std::move(batch));
  }
  data_.check_intact();
  step.next = cursor_.position();
  return step;
}

}  // namespace glossa
