#include "data/batch_plan.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace glossa {
namespace {

constexpr std::uint64_t kMostWindow = std::uint64_t{1} << 22;
constexpr std::uint64_t kBatchOrder = std::uint64_t{1}
                                      << 63;  // streams apart from those that order the pairs

// Where batches begin when each takes what fits into `most`. With `starts` absent they are only counted.
std::uint64_t cut(std::span<const std::int64_t> costs, std::int64_t most,
                  std::vector<std::uint64_t>* starts) {
  std::uint64_t batches = 0;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (i == 0 || sum + costs[i] > most) {
      ++batches, sum = 0;
      if (starts) starts->push_back(i);
    }
    sum += costs[i];
  }
  if (starts) starts->push_back(costs.size());
  return batches;
}

// The least budget that needs no more batches than `most` does: otherwise the last batch of a window would be
// a remnant, and its few sentences would weigh as much as a full batch.
std::int64_t even_budget(std::span<const std::int64_t> costs, std::int64_t most) {
  const std::uint64_t batches = cut(costs, most, nullptr);
  const std::int64_t total = std::accumulate(costs.begin(), costs.end(), std::int64_t{0});
  std::int64_t low = std::min(most, total / static_cast<std::int64_t>(batches)), high = most;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (cut(costs, middle, nullptr) <= batches)
      high = middle;
    else
      low = middle + 1;
  }
  return high;
}

// Orders by the longer side, then the source, then the place in the permutation.
std::uint64_t sort_key(PairLengths lengths, std::uint64_t place) {
  constexpr std::uint64_t kMost = (1 << 21) - 1;
  return std::min<std::uint64_t>(std::max(lengths.source, lengths.target), kMost) << 43 |
         std::min<std::uint64_t>(lengths.source, kMost) << 22 | place;
}

}  // namespace

BatchPlan::BatchPlan(PairDataset data, const BatchOptions& options)
    : data_(std::move(data)), options_(options) {
  check(data_.size() > 0, Code::empty, "no pairs to make batches of");
  check(options.max_tokens > 0, Code::bad_value, "train.max_tokens must be positive, not {}",
        options.max_tokens);
  check(options.window > 0 && options.window <= kMostWindow, Code::bad_value,
        "a window of {} pairs, and it must be 1 to {}", options.window, kMostWindow);
}

std::uint64_t BatchPlan::windows() const {
  return (data_.size() + options_.window - 1) / options_.window;
}

std::int64_t BatchPlan::cost(std::uint64_t pair) const {
  const PairLengths lengths = data_.lengths(pair);
  return std::int64_t{std::max(lengths.source, lengths.target)} + 1;
}

BatchWindow BatchPlan::window(std::uint64_t epoch, std::uint64_t index) const {
  const std::uint64_t begin = index * options_.window, end = std::min(data_.size(), begin + options_.window);
  const KeyedPermutation order(data_.size(), options_.seed, epoch);
  struct Item {
    std::uint64_t key, pair;
  };
  std::vector<Item> items(end - begin);
  for (std::uint64_t i = begin; i < end; ++i) {
    const std::uint64_t pair = options_.shuffle ? order(i) : i;
    items[i - begin] = {sort_key(data_.lengths(pair), i - begin), pair};
  }
  if (options_.sort_by_length)
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.key < b.key; });

  std::vector<std::int64_t> costs(items.size());
  std::transform(items.begin(), items.end(), costs.begin(),
                 [&](const Item& item) { return cost(item.pair); });
  std::vector<std::uint64_t> starts;
  const std::uint64_t batches = cut(costs, even_budget(costs, options_.max_tokens), &starts);

  BatchWindow window;
  window.pairs.reserve(items.size());
  window.starts.push_back(0);
  const KeyedPermutation visits(batches, options_.seed, kBatchOrder | (epoch * windows() + index));
  for (std::uint64_t b = 0; b < batches; ++b) {
    const std::uint64_t from = options_.shuffle ? visits(b) : b;
    for (std::uint64_t i = starts[from]; i < starts[from + 1]; ++i) window.pairs.push_back(items[i].pair);
    window.starts.push_back(window.pairs.size());
  }
  return window;
}

BatchCursor::BatchCursor(BatchPlan plan, BatchPosition from)
    : plan_(std::move(plan)),
      position_(from),
      window_first_{from.epoch, 0},
      window_(plan_.window(from.epoch, 0)) {
  while (from.batch - window_first_.batch >= window_.size()) {
    window_first_.batch += window_.size();
    check(++window_index_ < plan_.windows(), Code::run_state,
          "the position is batch {} of an epoch, which has {}: the data or train.max_tokens have changed",
          from.batch, window_first_.batch);
    window_ = plan_.window(from.epoch, window_index_);
  }
}

std::span<const std::uint64_t> BatchCursor::next() {
  if (position_.epoch != window_first_.epoch || position_.batch - window_first_.batch == window_.size()) {
    window_index_ = position_.epoch != window_first_.epoch ? 0 : window_index_ + 1;
    window_first_ = position_;
    window_ = plan_.window(position_.epoch, window_index_);
  }
  const std::uint64_t b = position_.batch++ - window_first_.batch;
  if (b + 1 == window_.size() && window_index_ + 1 == plan_.windows()) position_ = {position_.epoch + 1, 0};
  return window_[b];
}

FillStatistics fill_statistics(const BatchPlan& plan, std::uint64_t epoch) {
  FillStatistics s;
  s.least_pairs = UINT64_MAX;
  double padded = 0, used = 0;
  for (std::uint64_t w = 0; w < plan.windows(); ++w) {
    const BatchWindow window = plan.window(epoch, w);
    for (std::uint64_t b = 0; b < window.size(); ++b) {
      std::uint64_t source = 0, target = 0;
      for (const std::uint64_t pair : window[b]) {
        const PairLengths lengths = plan.data().lengths(pair);
        source = std::max<std::uint64_t>(source, lengths.source + 1);
        target = std::max<std::uint64_t>(target, lengths.target + 1);
        s.source_tokens += lengths.source + 1, s.target_tokens += lengths.target + 1;
        used += static_cast<double>(plan.cost(pair));
      }
      const std::uint64_t pairs = window[b].size();
      padded += static_cast<double>((source + target) * pairs);
      s.pairs += pairs;
      s.least_pairs = std::min(s.least_pairs, pairs), s.most_pairs = std::max(s.most_pairs, pairs);
    }
    s.batches += window.size();
  }
  s.budget_share = used / static_cast<double>(s.batches) / static_cast<double>(plan.options().max_tokens);
  s.padded_share = static_cast<double>(s.source_tokens + s.target_tokens) / padded;
  return s;
}

std::string FillStatistics::summary() const {
  return fmt::format(
      "{} batches of {} to {} pairs; {} source and {} target tokens; batches use {:.1f} % of max_tokens; "
      "padded to rectangles "
      "they would be {:.1f} % full",
      batches, least_pairs, most_pairs, source_tokens, target_tokens, 100 * budget_share, 100 * padded_share);
}

}  // namespace glossa
