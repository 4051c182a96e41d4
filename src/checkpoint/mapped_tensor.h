// mapped_tensor.h -- bytes of a mapped file as a tensor.
#pragma once
#include <cstdint>
#include <memory>

#include "base/file.h"
#include "tensor/tensor.h"

namespace glossa {

// A view of memory that others own, to be kept from writing; a copy where it is misaligned for the type.
Tensor tensor_of(std::shared_ptr<Storage> storage, const Shape& shape, DType type);

// The same of `bytes` that lie in `file`, which the view keeps mapped.
Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, Bytes bytes, const Shape& shape,
                     DType type);

// Whole numbers of 1 or 2 bytes, which no tensor has, as a tensor of i32.
Tensor widened_tensor(Bytes bytes, std::size_t size, const Shape& shape);

}  // namespace glossa
