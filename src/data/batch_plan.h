// batch_plan.h -- which pairs form which batch, as a pure function of the lengths, the options and the epoch:
// the same for any number of threads, and known at any place without what came before. A place in the data is
// two numbers.
//
// An epoch visits all pairs in the order of a keyed permutation, cut into windows. Within a window pairs are
// sorted by length and cut into batches of at most max_tokens, as even as one budget for all makes them; the
// batches of the window are visited in an order that is permuted again. So each pair comes exactly once in an
// epoch.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/pair_dataset.h"

namespace glossa {

struct BatchOptions {
  std::int64_t max_tokens = 4096;  // the longer side of each pair, with its end token, summed over a batch
  std::uint64_t seed = 42;
  bool shuffle = true;             // false: in the order of the data, but for the sorting
  bool sort_by_length = true;      // within a window
  std::uint64_t window = 1 << 18;  // pairs, at most 2^22; 32 bytes of memory each
};

struct BatchPosition {
  std::uint64_t epoch = 0, batch = 0;  // of the batch that comes next
  bool operator==(const BatchPosition&) const = default;
};

// The batches of one window, in the order of visiting.
struct BatchWindow {
  std::vector<std::uint64_t> pairs;   // indices of pairs, batch after batch
  std::vector<std::uint64_t> starts;  // batch b is pairs[starts[b]] to pairs[starts[b + 1]]

  std::uint64_t size() const { return starts.size() - 1; }
  std::span<const std::uint64_t> operator[](std::uint64_t b) const {
    return std::span(pairs).subspan(starts[b], starts[b + 1] - starts[b]);
  }
};

class BatchPlan {
 public:
  // A pair of more than max_tokens is a batch of its own. Error(empty) for no pairs.
  BatchPlan(PairDataset data, const BatchOptions& options);
  std::uint64_t windows() const;  // of an epoch
  BatchWindow window(std::uint64_t epoch, std::uint64_t index) const;
  std::int64_t cost(std::uint64_t pair) const;  // the longer side with its end token
  const PairDataset& data() const { return data_; }
  const BatchOptions& options() const { return options_; }

 private:
  PairDataset data_;
  BatchOptions options_;
};

// Walks a plan from any place on, epoch after epoch.
class BatchCursor {
 public:
  // Error(run_state) when the epoch has no such batch: the data or the options are not those the position is
  // of.
  BatchCursor(BatchPlan plan, BatchPosition from);
  BatchPosition position() const { return position_; }
  std::span<const std::uint64_t> next();  // the pairs of the batch at the position; good until the next call

 private:
  BatchPlan plan_;
  BatchPosition position_;
  BatchPosition window_first_;      // the first batch of the window at hand
  std::uint64_t window_index_ = 0;  // within its epoch
  BatchWindow window_;
};

// How full the batches of an epoch are.
struct FillStatistics {
  std::uint64_t batches = 0, pairs = 0;
  std::uint64_t source_tokens = 0, target_tokens = 0;  // with end tokens
  std::uint64_t least_pairs = 0, most_pairs = 0;       // in a batch
  double budget_share = 0;                             // mean share of max_tokens that a batch uses
  double padded_share = 0;  // share of real tokens if the same batches were padded to rectangles
  std::string summary() const;
};
FillStatistics fill_statistics(const BatchPlan& plan, std::uint64_t epoch = 0);

}  // namespace glossa
