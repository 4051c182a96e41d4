// kv_cache.h -- keys and values already computed, in rows that sequences refer to by number. A hypothesis is a list of
// rows, so beams are reordered, forked and dropped by editing lists; nothing is copied.
#pragma once
#include <vector>

#include "nn/batch.h"

namespace glossa {

class KvCache {
 public:
  // `width`: of keys and of values, each.
  KvCache(int layers, std::int64_t width, Device device, DType dtype = DType::f32)
      : width_(width), device_(device), dtype_(dtype), layers_(layers) {}

  // A free row, owned once. Rows may be owned by several sequences: `share` adds an owner, `release` takes one away.
  std::int32_t take();
  void share(std::int32_t row) { ++owners_[row]; }
  void release(std::int32_t row);
  std::int64_t rows_in_use() const { return static_cast<std::int64_t>(owners_.size() - free_.size()); }

  // [rows, 2 * width]: keys, then values. Valid until the next `take` that grows it.
  Tensor& layer(int index) { return layers_[index]; }
  std::int64_t width() const { return width_; }
  // Makes room for all rows handed out so far; called by models before they write.
  void reserve();

 private:
  std::int64_t width_;
  Device device_;
  DType dtype_;
  std::vector<Tensor> layers_;
  std::vector<std::int32_t> owners_, free_;
};

// Which rows of a cache the sequences of a step attend to.
struct CachedKeys {
  Sequences keys;
  Tensor rows;  // i32 [keys.tokens()]
};

// One step of decoding: some new tokens for each sequence, given its past.
struct DecodeStep {
  Tokens tokens;
  Tensor positions;   // i32 [tokens]
  Tensor new_rows;    // i32 [tokens]: rows of `self` that the new keys and values go to
  CachedKeys past;    // for each sequence of `tokens`: its rows, the new ones last
  Sequences groups;   // tokens once more, grouped by source sentence: all hypotheses of one share its memory
  CachedKeys memory;  // for each group: the rows of its source in the memory cache
};

}  // namespace glossa
