#include "nn/kv_cache.h"

#include <algorithm>

#include "base/error.h"

namespace glossa {

Tensor positions_of(const Sequences& sequences, std::int32_t first) {
  const auto starts = sequences.starts.span<std::int32_t>();
  Tensor positions = Tensor::empty({sequences.tokens()}, DType::i32, sequences.starts.device());
  auto* out = positions.data<std::int32_t>();
  for (std::int32_t s = 0; s < sequences.count; ++s)
    for (std::int32_t t = starts[s]; t < starts[s + 1]; ++t) out[t] = first + t - starts[s];
  return positions;
}

std::int32_t KvCache::take() {
  if (free_.empty()) {
    owners_.push_back(1);
    return static_cast<std::int32_t>(owners_.size()) - 1;
  }
  const std::int32_t row = free_.back();
  free_.pop_back();
  owners_[row] = 1;
  return row;
}

void KvCache::release(std::int32_t row) {
  if (--owners_[row] == 0) free_.push_back(row);
}

KvCache::KvCache(int layers, std::int64_t heads, std::int64_t dim, Device device, DType own, const CacheTypes& types)
    : width_(heads * dim), device_(device), keys_(types.keys.value_or(own)), values_(types.values.value_or(own)), layers_(layers) {
  for (const DType type : {keys_, values_})
    check(dim % block_of(type).elements == 0, Code::bad_value, "a cache of {} needs heads of a multiple of {} numbers; those of this model have {}",
          name_of(type), block_of(type).elements, dim);
}

void KvCache::grow(Tensor& rows, DType type) {
  const auto wanted = static_cast<std::int64_t>(owners_.size());
  const std::int64_t have = rows ? rows.size(0) : 0;
  if (rows && have >= wanted) return;
  Tensor larger = Tensor::empty({std::max<std::int64_t>({wanted, have + have / 2, 256}), width_}, type, device_);
  if (have > 0) {
    Tensor beginning = larger.slice(0, 0, have);
    Backend::of(device_).copy(rows, beginning);
  }
  rows = larger;
  if (have > 0) release_unused_memory();  // nobody wants a block of the former size
}

void KvCache::reserve() {
  for (Layer& layer : layers_) grow(layer.keys, keys_), grow(layer.values, values_);
}

void KvCache::write(int index, const Tensor& keys, const Tensor& values, const Tensor& rows) {
  Layer& layer = layers_[index];
  Backend::of(device_).scatter_rows(keys.to(keys_), rows, layer.keys);
  Backend::of(device_).scatter_rows(values.to(values_), rows, layer.values);
}

}  // namespace glossa
