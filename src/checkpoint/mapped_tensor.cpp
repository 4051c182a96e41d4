#include "checkpoint/mapped_tensor.h"

#include <cstring>

namespace glossa {
namespace {

template <class Narrow>
void widen(Bytes from, std::int32_t* to) {
  for (std::size_t i = 0; i < from.size() / sizeof(Narrow); ++i) {
    Narrow value;
    std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
    to[i] = value;
  }
}

// Of an element, or of the scales within a block.
std::size_t alignment_of(DType type) {
  return is_quantised(type) ? alignof(float16) : size_of(type);
}

}  // namespace

Tensor tensor_of(std::shared_ptr<Storage> storage, const Shape& shape, DType type) {
  if (reinterpret_cast<std::uintptr_t>(storage->data) % alignment_of(type) == 0)
    return Tensor::from(std::move(storage), shape, type);
  Tensor copy = Tensor::empty(shape, type);
  if (storage->bytes > 0) std::memcpy(copy.raw(), storage->data, storage->bytes);
  return copy;
}

Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, Bytes bytes, const Shape& shape,
                     DType type) {
  auto storage = std::make_shared<Storage>();
  storage->data = const_cast<std::byte*>(bytes.data());
  storage->bytes = bytes.size();
  storage->owner = std::const_pointer_cast<MappedFile>(file);
  storage->frozen = storage->mapped = true;
  return tensor_of(std::move(storage), shape, type);
}

Tensor widened_tensor(Bytes bytes, std::size_t size, const Shape& shape) {
  Tensor copy = Tensor::empty(shape, DType::i32);
  if (size == 2)
    widen<std::int16_t>(bytes, copy.data<std::int32_t>());
  else
    widen<std::int8_t>(bytes, copy.data<std::int32_t>());
  return copy;
}

}  // namespace glossa
