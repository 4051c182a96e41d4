#include "nn/kv_cache.h"

#include <algorithm>

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

void KvCache::reserve() {
  const auto wanted = static_cast<std::int64_t>(owners_.size());
  for (Tensor& layer : layers_) {
    const std::int64_t have = layer ? layer.size(0) : 0;
    if (layer && have >= wanted) continue;
    Tensor larger = Tensor::empty({std::max<std::int64_t>({wanted, have + have / 2, 256}), 2 * width_}, dtype_, device_);
    if (have > 0) {
      Tensor beginning = larger.slice(0, 0, have);
      Backend::of(device_).copy(layer, beginning);
    }
    layer = larger;
    if (have > 0) release_unused_memory();  // nobody wants a block of the former size
  }
}

}  // namespace glossa
