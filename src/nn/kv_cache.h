// kv_cache.h -- keys and values already computed, in rows that sequences refer to by number. A hypothesis is a list of
// rows, so beams are reordered, forked and dropped by editing lists; nothing is copied.
#pragma once
#include <optional>
#include <vector>

#include "nn/batch.h"

namespace glossa {

// Of what keys and values become when they are put away; absent: what the model computes in. Narrow types and block types
// take less memory and time to read.
struct CacheTypes {
  std::optional<DType> keys = {}, values = {};
};

class KvCache {
 public:
  struct Layer {
    Tensor keys, values;  // [rows, heads * dim]
  };

  // `heads`: of keys and of values, of `dim` numbers each, which the model computes in `own`. Error(bad_value) if heads are no
  // whole blocks of a type.
  KvCache(int layers, std::int64_t heads, std::int64_t dim, Device device, DType own, const CacheTypes& types = {});

  // A free row, owned once. Rows may be owned by several sequences: `share` adds an owner, `release` takes one away.
  std::int32_t take();
  void share(std::int32_t row) { ++owners_[row]; }
  void release(std::int32_t row);
  std::int64_t rows_in_use() const { return static_cast<std::int64_t>(owners_.size() - free_.size()); }

  // Valid until `reserve` has to grow it.
  const Layer& layer(int index) const { return layers_[index]; }
  // Makes room for all rows handed out so far; called by models before they write.
  void reserve();
  // Puts keys and values [tokens, heads * dim] into rows i32 [tokens].
  void write(int layer, const Tensor& keys, const Tensor& values, const Tensor& rows);

 private:
  void grow(Tensor& rows, DType type);

  std::int64_t width_;
  Device device_;
  DType keys_, values_;
  std::vector<Layer> layers_;
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
