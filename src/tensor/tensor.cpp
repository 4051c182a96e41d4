#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

namespace glossa {

Shape::Shape(std::span<const std::int64_t> dims) {
  check(dims.size() <= kMost, Code::shape, "a tensor may have at most {} dimensions, not {}", kMost, dims.size());
  for (std::int64_t d : dims) {
    check(d >= 0, Code::shape, "a dimension cannot be {}", d);
    dims_[rank_++] = d;
  }
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(begin(), end(), other.begin());
}

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (int i = 0; i < shape.rank(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

Tensor Tensor::from(std::shared_ptr<Storage> storage, const Shape& shape, DType dtype, std::size_t byte_offset) {
  check(byte_offset % size_of(dtype) == 0, Code::shape, "offset {} is not a multiple of the size of {}", byte_offset,
        name_of(dtype));
  check(byte_offset + static_cast<std::size_t>(shape.elements()) * size_of(dtype) <= storage->bytes, Code::shape,
        "a tensor of shape {} does not fit its storage of {} bytes", to_string(shape), storage->bytes);
  Tensor t;
  t.storage_ = std::move(storage);
  t.offset_ = static_cast<std::int64_t>(byte_offset / size_of(dtype));
  t.shape_ = shape;
  t.dtype_ = dtype;
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    t.strides_[i] = stride;
    stride *= shape[i];
  }
  return t;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  for (std::int64_t d : shape)
    check(!__builtin_mul_overflow(bytes, d, &bytes), Code::memory, "a tensor of shape {} exceeds 64 bits", to_string(shape));
  return from(allocate(static_cast<std::size_t>(bytes), device), shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  std::memset(t.raw(), 0, static_cast<std::size_t>(t.elements()) * size_of(dtype));
  return t;
}

bool Tensor::dense() const {
  std::int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != stride) return false;
    stride *= shape_[i];
  }
  return true;
}

std::int64_t Tensor::row_stride() const {
  if (rank() < 2) return cols();
  // Leading dimensions must nest without gaps of their own, dimensions of one aside.
  std::int64_t stride = -1, covered = 0;
  for (int i = rank() - 2; i >= 0; --i) {
    if (shape_[i] == 1) continue;
    if (stride < 0) {
      stride = strides_[i];
      covered = stride * shape_[i];
    } else {
      check(strides_[i] == covered, Code::shape, "a view of shape {} cannot be read as a matrix", to_string(shape_));
      covered *= shape_[i];
    }
  }
  return stride < 0 ? cols() : stride;
}

Tensor Tensor::view(const Shape& shape) const {
  check(shape.elements() == elements(), Code::shape, "cannot view shape {} as {}", to_string(shape_), to_string(shape));
  Tensor t = *this;
  t.shape_ = shape;
  if (dense()) {
    std::int64_t stride = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      t.strides_[i] = stride;
      stride *= shape[i];
    }
    return t;
  }
  // Dense but for the rows being apart: a part of a matrix [rows, a * b] read as [rows, a, b], or the reverse.
  check(rank() > 0 && shape.rank() > 0 && shape[0] == shape_[0] && (shape_[0] == 0 || slice(0, 0, 1).dense()), Code::shape,
        "cannot view a strided {} as {}", to_string(shape_), to_string(shape));
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i > 0; --i) {
    t.strides_[i] = stride;
    stride *= shape[i];
  }
  t.strides_[0] = strides_[0];
  return t;
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t end) const {
  check(axis >= 0 && axis < rank() && 0 <= begin && begin <= end && end <= shape_[axis], Code::shape,
        "slice [{}, {}) along axis {} of shape {}", begin, end, axis, to_string(shape_));
  Tensor t = *this;
  t.offset_ += begin * strides_[axis];
  t.shape_[axis] = end - begin;
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.slot_ = -1;
  return t;
}

Tensor Tensor::contiguous() const {
  if (dense()) return *this;
  check_unrecorded();
  Tensor t = empty(shape_, dtype_, device());
  const std::size_t size = size_of(dtype_), row = static_cast<std::size_t>(cols()) * size;
  const auto* from = static_cast<const char*>(raw());
  auto* to = static_cast<char*>(t.raw());
  // Odometer over the leading dimensions; the last one is always dense.
  std::array<std::int64_t, Shape::kMost> at{};
  for (std::int64_t r = 0, n = rows(); r < n; ++r) {
    std::int64_t offset = 0;
    for (int i = 0; i + 1 < rank(); ++i) offset += at[i] * strides_[i];
    std::memcpy(to + static_cast<std::size_t>(r) * row, from + offset * static_cast<std::int64_t>(size), row);
    for (int i = rank() - 2; i >= 0 && ++at[i] == shape_[i]; --i) at[i] = 0;
  }
  return t;
}

Tensor Tensor::to(Device device) const {
  if (!storage_ || device == this->device()) return *this;
  check_unrecorded();
  Tensor t = empty(shape_, dtype_, device);
  const Tensor source = contiguous();
  std::memcpy(t.raw(), source.raw(), static_cast<std::size_t>(elements()) * size_of(dtype_));
  return t;
}

namespace {

template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64: return f(double{});
    case DType::f32: return f(float{});
    case DType::f16: return f(float16{});
    case DType::bf16: return f(bfloat16{});
    case DType::i64: return f(std::int64_t{});
    case DType::i32: return f(std::int32_t{});
    case DType::u8: return f(std::uint8_t{});
  }
}

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>)
    return To::from(static_cast<float>(x));
  else
    return static_cast<To>(x);
}

}  // namespace

Tensor Tensor::to(DType dtype) const {
  if (!storage_ || dtype == dtype_) return *this;
  check_unrecorded();
  const Tensor source = contiguous();
  Tensor t = empty(shape_, dtype, device());
  const std::int64_t n = elements();
  with_type(dtype_, [&](auto from) {
    with_type(dtype, [&](auto to) {
      const auto* x = source.data<decltype(from)>();
      auto* y = t.data<decltype(to)>();
      for (std::int64_t i = 0; i < n; ++i) y[i] = converted<decltype(to)>(x[i]);
    });
  });
  return t;
}

Tensor Tensor::place() const {
  Tensor t = *this;
  t.storage_.reset();
  return t;
}

Tensor Tensor::placed_in(const Tensor& other_base, std::int64_t base_offset) const {
  Tensor t = *this;
  t.storage_ = other_base.storage_;
  t.offset_ = other_base.offset_ + offset_ - base_offset;
  t.dtype_ = other_base.dtype_;
  t.slot_ = -1;
  return t;
}

void Tensor::check_type(DType wanted) const {
  check(storage_ != nullptr, Code::shape, "an absent tensor was read");
  check(dtype_ == wanted, Code::shape, "a tensor of {} was read as {}", name_of(dtype_), name_of(wanted));
}

void Tensor::check_dense() const {
  check(dense(), Code::shape, "a strided view of shape {} was read as one run of elements", to_string(shape_));
}

void Tensor::check_unrecorded() const {
  check(slot_ < 0, Code::internal, "a copy of a recorded tensor of shape {} would lose its gradient", to_string(shape_));
}

}  // namespace glossa
