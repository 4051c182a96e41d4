#include "data/block_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace glossa {
namespace {

constexpr std::uint64_t kCuts = std::uint64_t{1} << 62;  // streams apart from those that order blocks
constexpr std::int32_t kNoLabel = -100;

// Sequences that are laid end to end.
class BatchBuilder {
 public:
  // Tokens [begin, end) of the data, which lie within one document.
  void add(const TokenDataset& data, std::uint64_t begin, std::uint64_t end, std::int32_t last_label) {
    const std::size_t at = ids_.size(), count = static_cast<std::size_t>(end - begin);
    ids_.resize(at + count);
    data.copy(begin, end, ids_.data() + at);
    labels_.insert(labels_.end(), ids_.begin() + static_cast<std::ptrdiff_t>(at) + 1, ids_.end());
    labels_.push_back(last_label);
    lengths_.push_back(static_cast<std::int32_t>(count));
  }
  CausalBatch take() const {
    return {{Tensor::of(ids_), Sequences::of_lengths(lengths_)}, Tensor::of(labels_)};
  }

 private:
  std::vector<std::int32_t> ids_, labels_, lengths_;
};

}  // namespace

BlockPlan::BlockPlan(TokenDataset data, const BlockOptions& options)
    : data_(std::move(data)), options_(options) {
  check(data_.size() > 0, Code::empty, "no tokens to make batches of");
  check(options.block_size > 0 && options.max_tokens >= options.block_size, Code::bad_value,
        "blocks of {} tokens do not go into batches of {}", options.block_size, options.max_tokens);
}

std::uint64_t BlockPlan::first_block(std::uint64_t epoch) const {
  const auto size = static_cast<std::uint64_t>(options_.block_size);
  const std::uint64_t first =
      options_.shuffle ? size - Philox(options_.seed, Purpose::shuffle, kCuts | epoch).below(0, size) : size;
  return std::min(first, data_.size());
}

std::uint64_t BlockPlan::blocks(std::uint64_t epoch) const {
  const auto size = static_cast<std::uint64_t>(options_.block_size);
  return 1 + (data_.size() - first_block(epoch) + size - 1) / size;
}

std::uint64_t BlockPlan::batches(std::uint64_t epoch) const {
  const auto most = static_cast<std::uint64_t>(options_.max_tokens / options_.block_size);
  return (blocks(epoch) + most - 1) / most;
}

CausalBatch BlockPlan::batch(std::uint64_t epoch, std::uint64_t index) const {
  const std::uint64_t all = blocks(epoch), first = first_block(epoch), count = batches(epoch);
  const auto size = static_cast<std::uint64_t>(options_.block_size);
  const KeyedPermutation order(all, options_.seed, epoch);
  // As even as the number of blocks allows: a remnant of a batch would weigh as much as a full one.
  const std::uint64_t share = all / count, more = all % count;
  const std::uint64_t from = index * share + std::min(index, more), to = from + share + (index < more);
  BatchBuilder batch;
  for (std::uint64_t i = from; i < to; ++i) {
    const std::uint64_t block = options_.shuffle ? order(i) : i;
    std::uint64_t begin = block == 0 ? 0 : first + (block - 1) * size;
    const std::uint64_t end = std::min(first + block * size, data_.size());
    for (std::uint64_t next = data_.document_from(begin + 1); begin < end; ++next) {
      const std::uint64_t document_end = next < data_.documents() ? data_.start(next) : data_.size();
      const std::uint64_t stop = std::min(document_end, end);
      std::int32_t label = options_.end >= 0 ? options_.end : kNoLabel;
      if (stop < document_end) data_.copy(stop, stop + 1, &label);
      batch.add(data_, begin, stop, label);
      begin = stop;
    }
  }
  data_.check_intact();
  return batch.take();
}

BatchPosition BlockPlan::after(BatchPosition position) const {
  if (++position.batch >= batches(position.epoch)) position = {position.epoch + 1, 0};
  return position;
}

void BlockPlan::check_position(BatchPosition position) const {
  check(position.batch < batches(position.epoch), Code::run_state,
        "the position is batch {} of an epoch, which has {}: the data, train.max_tokens or data.block_size "
        "have changed",
        position.batch, batches(position.epoch));
}

std::int64_t counted_labels(const CausalBatch& batch) {
  const auto labels = batch.labels.span<std::int32_t>();
  return std::count_if(labels.begin(), labels.end(), [](std::int32_t label) { return label >= 0; });
}

}  // namespace glossa
