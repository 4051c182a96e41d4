// block_plan.h -- which tokens form which batch of language modelling, as a pure function of the data's
// length, the options and the epoch: a place in the data is two numbers.
//
// The documents, each led by the token of beginnings, are one run of tokens; the token that ends a document
// is not among them, but what its last one is to predict. An epoch cuts the run into blocks of block_size, at
// places that are drawn for it, and visits these in the order of a keyed permutation, as many in each batch
// as max_tokens holds. Within a block each document, or the piece of one, is a sequence of its own: its
// positions begin at 0, and it attends to nothing before it. So what follows each token is predicted exactly
// once in an epoch, nothing is padded, and no document sees another.
#pragma once
#include <cstdint>
#include <vector>

#include "data/batch_plan.h"
#include "data/token_dataset.h"
#include "nn/causal.h"

namespace glossa {

struct BlockOptions {
  std::int64_t block_size = 256, max_tokens = 4096;
  std::uint64_t seed = 42;
  bool shuffle = true;    // false: in the order of the data, and always cut alike
  std::int32_t end = -1;  // the token after a document's last; -1: that is predicted by nothing
};

class BlockPlan {
 public:
  BlockPlan(TokenDataset data, const BlockOptions& options);
  std::uint64_t batches(std::uint64_t epoch) const;
  CausalBatch batch(std::uint64_t epoch, std::uint64_t index) const;
  // The position after this one.
  BatchPosition after(BatchPosition position) const;
  // Error(run_state) unless there is such a batch: the data or the options are not those the position is of.
  void check_position(BatchPosition position) const;
  const BlockOptions& options() const { return options_; }

 private:
  std::uint64_t first_block(std::uint64_t epoch) const;  // its tokens
  std::uint64_t blocks(std::uint64_t epoch) const;
  TokenDataset data_;
  BlockOptions options_;
};

// How many labels of a batch count.
std::int64_t counted_labels(const CausalBatch& batch);

}  // namespace glossa
