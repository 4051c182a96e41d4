#include "generate/cached_decoder.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace glossa {
namespace {

// sum += exp(logits - their log-sum-exp), by rows; f32 [rows, vocabulary].
void add_probabilities(const Tensor& logits, Tensor& sum) {
  const std::int64_t rows = logits.rows(), cols = logits.cols();
  Tensor best = logits.like({rows, 1}), index = Tensor::empty({rows, 1}, DType::i32, logits.device()),
         whole = logits.like({rows});
  Backend::of(logits.device()).top_k(logits, 1, best, index, whole);
  parallel_for(rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = logits.data<float>() + r * cols;
      const float lse = whole.data<float>()[r];
      float* y = sum.data<float>() + r * cols;
      for (std::int64_t i = 0; i < cols; ++i) y[i] += std::exp(x[i] - lse);
    }
  });
}

void to_log_of_mean(Tensor& sum, std::size_t count) {
  const std::int64_t cols = sum.cols();
  parallel_for(sum.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (float* y = sum.data<float>() + begin * cols; y != sum.data<float>() + end * cols; ++y)
      *y = std::log(*y / static_cast<float>(count));
  });
}

}  // namespace

CachedDecoder::CachedDecoder(std::vector<const Transformer*> models) : models_(std::move(models)) {
  check(!models_.empty(), Code::usage, "decoding needs a model");
  for (const Transformer* model : models_) {
    self_.push_back(model->make_cache());
    memory_.push_back(model->make_cache());
    check(model->config().target_vocab_size() == vocabulary(), Code::bad_value,
          "models of an ensemble need one vocabulary: one has {} target tokens, another {}", vocabulary(),
          model->config().target_vocab_size());
  }
  device_ = models_[0]->device();
}

std::int64_t CachedDecoder::vocabulary() const {
  return models_[0]->config().target_vocab_size();
}

std::int64_t CachedDecoder::positions() const {
  std::int64_t least = models_[0]->longest();
  for (const Transformer* model : models_) least = std::min(least, model->longest());
  return least;
}

// All caches hand out the same row, since they are always asked alike.
std::int32_t CachedDecoder::take(std::vector<KvCache>& caches) {
  const std::int32_t row = caches[0].take();
  for (std::size_t m = 1; m < caches.size(); ++m) caches[m].take();
  return row;
}

void CachedDecoder::share(std::span<const std::int32_t> rows) {
  for (KvCache& cache : self_)
    for (std::int32_t row : rows) cache.share(row);
}

void CachedDecoder::release(std::span<const std::int32_t> rows) {
  for (KvCache& cache : self_)
    for (std::int32_t row : rows) cache.release(row);
}

void CachedDecoder::forget(std::vector<std::int32_t>& rows) {
  for (KvCache& cache : memory_)
    for (std::int32_t row : rows) cache.release(row);
  rows.clear();
}

void CachedDecoder::remember(std::span<const std::span<const std::int32_t>> sources,
                             std::span<std::vector<std::int32_t>* const> rows) {
  ids_.clear(), memory_rows_.clear(), memory_counts_.clear();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    ids_.insert(ids_.end(), sources[i].begin(), sources[i].end());
    memory_counts_.push_back(static_cast<std::int32_t>(sources[i].size()));
    for (std::size_t t = 0; t < sources[i].size(); ++t) rows[i]->push_back(take(memory_));
    memory_rows_.insert(memory_rows_.end(), rows[i]->begin(), rows[i]->end());
  }
  const Tokens tokens{Tensor::of(ids_, device_), Sequences::of_lengths(memory_counts_, device_)};
  const Tensor where = Tensor::of(memory_rows_, device_);
  for (std::size_t m = 0; m < models_.size(); ++m) models_[m]->remember(tokens, where, memory_[m]);
}

Tensor CachedDecoder::alignments(const Seq2SeqBatch& batch) const {
  Tensor sum = models_[0]->alignments(batch);
  for (std::size_t m = 1; m < models_.size(); ++m) Backend::of(device_).add(sum, models_[m]->alignments(batch), sum);
  if (models_.size() > 1) Backend::of(device_).scale(sum, 1.0 / static_cast<double>(models_.size()), sum);
  return sum;
}

Tensor CachedDecoder::logits_of(std::size_t model, const DecodeStep& step, const Tensor& last) {
  Tensor hidden = models_[model]->step(step, self_[model], memory_[model]);
  if (last) {
    Tensor some = hidden.like({last.size(0), hidden.cols()});
    Backend::of(device_).gather_rows(hidden, last, some);
    hidden = some;
  }
  return models_[model]->logits(hidden).to(DType::f32);
}

Tensor CachedDecoder::step(std::span<const StepLine> lines) {
  for (auto* list : {&ids_, &positions_, &new_rows_, &new_counts_, &past_rows_, &past_counts_, &group_counts_,
                     &memory_rows_, &memory_counts_, &last_})
    list->clear();
  for (const StepLine& line : lines) {
    const std::size_t known = line.rows->size(), count = line.tokens.size() - known;
    for (std::size_t t = known; t < line.tokens.size(); ++t) {
      ids_.push_back(line.tokens[t]);
      positions_.push_back(static_cast<std::int32_t>(t));
      line.rows->push_back(take(self_));
      new_rows_.push_back(line.rows->back());
    }
    last_.push_back(static_cast<std::int32_t>(ids_.size()) - 1);
    new_counts_.push_back(static_cast<std::int32_t>(count));
    past_rows_.insert(past_rows_.end(), line.rows->begin(), line.rows->end());
    past_counts_.push_back(static_cast<std::int32_t>(line.rows->size()));
    if (line.new_sentence) {
      group_counts_.push_back(0);
      memory_rows_.insert(memory_rows_.end(), line.memory.begin(), line.memory.end());
      memory_counts_.push_back(static_cast<std::int32_t>(line.memory.size()));
    }
    group_counts_.back() += static_cast<std::int32_t>(count);
  }
  const DecodeStep step{
      .tokens = {Tensor::of(ids_, device_), Sequences::of_lengths(new_counts_, device_)},
      .positions = Tensor::of(positions_, device_),
      .new_rows = Tensor::of(new_rows_, device_),
      .past = {Sequences::of_lengths(past_counts_, device_), Tensor::of(past_rows_, device_)},
      .groups = Sequences::of_lengths(group_counts_, device_),
      .memory = {Sequences::of_lengths(memory_counts_, device_), Tensor::of(memory_rows_, device_)}};
  const Tensor last = ids_.size() > lines.size() ? Tensor::of(last_, device_) : Tensor();
  if (models_.size() == 1) return logits_of(0, step, last);
  Tensor sum = Tensor::zeros({static_cast<std::int64_t>(lines.size()), vocabulary()}, DType::f32, device_);
  for (std::size_t m = 0; m < models_.size(); ++m) add_probabilities(logits_of(m, step, last), sum);
  to_log_of_mean(sum, models_.size());
  return sum;
}

}  // namespace glossa
