#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "tensor/blocks.h"

namespace glossa {
namespace {

// Rows of a block type are whole blocks.
void check_blocks(const Shape& shape, DType dtype) {
  if (!is_quantised(dtype)) return;
  const std::int64_t block = block_of(dtype).elements;
  check(shape.rank() > 0 && shape[shape.rank() - 1] % block == 0, Code::shape,
        "a tensor of {} needs a last dimension that is a multiple of {}, not shape {}", name_of(dtype), block,
        to_string(shape));
}

}  // namespace

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
  check_blocks(shape, dtype);
  const BlockSize block = block_of(dtype);
  const auto at = static_cast<std::int64_t>(byte_offset);
  check(at % block.bytes == 0, Code::shape, "offset {} is not a multiple of the size of {}", byte_offset,
        name_of(dtype));
  check(byte_offset + static_cast<std::size_t>(bytes_of(dtype, shape.elements())) <= storage->bytes,
        Code::shape, "a tensor of shape {} does not fit its storage of {} bytes", to_string(shape),
        storage->bytes);
  Tensor t;
  t.storage_ = std::move(storage);
  t.offset_ = at / block.bytes * block.elements;
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
  check_blocks(shape, dtype);
  // Blocks take less than two bytes for an element.
  std::int64_t most = is_quantised(dtype) ? 2 : static_cast<std::int64_t>(size_of(dtype));
  for (std::int64_t d : shape)
    check(!__builtin_mul_overflow(most, d, &most), Code::memory, "a tensor of shape {} exceeds 64 bits",
          to_string(shape));
  return from(allocate(static_cast<std::size_t>(bytes_of(dtype, shape.elements())), device), shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  std::memset(t.raw(), 0, t.bytes());
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
  check_blocks(shape, dtype_);
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
  if (axis == rank() - 1 && is_quantised(dtype_))
    check(begin % block_of(dtype_).elements == 0 && end % block_of(dtype_).elements == 0, Code::shape,
          "slice [{}, {}) of a row cuts the blocks of {} elements of {}", begin, end,
          block_of(dtype_).elements, name_of(dtype_));
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
  const auto row = static_cast<std::size_t>(bytes_of(dtype_, cols()));
  const auto* from = static_cast<const char*>(raw());
  auto* to = static_cast<char*>(t.raw());
  // Odometer over the leading dimensions; the last one is always dense.
  std::array<std::int64_t, Shape::kMost> at{};
  for (std::int64_t r = 0, n = rows(); r < n; ++r) {
    std::int64_t offset = 0;
    for (int i = 0; i + 1 < rank(); ++i) offset += at[i] * strides_[i];
    std::memcpy(to + static_cast<std::size_t>(r) * row, from + bytes_of(dtype_, offset), row);
    for (int i = rank() - 2; i >= 0 && ++at[i] == shape_[i]; --i) at[i] = 0;
  }
  return t;
}

Tensor Tensor::to(Device device) const {
  if (!storage_ || device == this->device()) return *this;
  check_unrecorded();
  Tensor t = empty(shape_, dtype_, device);
  const Tensor source = contiguous();
  std::memcpy(t.raw(), source.raw(), bytes());
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
    default:
      fail(Code::internal, "{} has no elements of its own", name_of(dtype));
  }
}

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>)
    return To::from(static_cast<float>(x));
  else
    return static_cast<To>(x);
}

// Elements that are converted at a time through f32: whole blocks of every type, and few enough for the cache.
constexpr std::int64_t kPiece = 4096;

// More than any block type can hold (q6_k: 65504 * 127 * 32), and little enough for the sums of the searches.
constexpr float kMostInBlocks = 0x1p28f;

// [begin, end) of a dense tensor as floats.
void read_floats(const Tensor& x, std::int64_t begin, std::int64_t end, float* values) {
  const void* const from = static_cast<const char*>(x.raw()) + bytes_of(x.dtype(), begin);
  if (is_quantised(x.dtype())) return decode(x.dtype(), from, values, end - begin);
  with_type(x.dtype(), [&](auto type) {
    const auto* elements = static_cast<const decltype(type)*>(from);
    for (std::int64_t i = 0; i < end - begin; ++i) values[i] = static_cast<float>(elements[i]);
  });
}

void write_floats(const Tensor& y, std::int64_t begin, std::int64_t end, const float* values) {
  void* const to = static_cast<char*>(y.raw()) + bytes_of(y.dtype(), begin);
  if (!is_quantised(y.dtype()))
    return with_type(y.dtype(), [&](auto type) {
      auto* elements = static_cast<decltype(type)*>(to);
      for (std::int64_t i = 0; i < end - begin; ++i) elements[i] = converted<decltype(type)>(values[i]);
    });
  for (std::int64_t i = 0; i < end - begin; ++i)
    check(std::fabs(values[i]) <= kMostInBlocks, Code::nonfinite,
          "value {} of a tensor is {}, and {} holds no such number", begin + i, values[i],
          name_of(y.dtype()));
  encode(y.dtype(), values, to, end - begin);
  const std::int64_t bad = nonfinite_block(y.dtype(), to, end - begin);
  check(bad < 0, Code::nonfinite, "the values of a tensor from {} on are too large for the scales of {}",
        begin + bad, name_of(y.dtype()));
}

}  // namespace

Tensor Tensor::to(DType dtype) const {
  if (!storage_ || dtype == dtype_) return *this;
  check_unrecorded();
  if (is_quantised(dtype) || is_quantised(dtype_))
    check((is_quantised(dtype) || is_floating(dtype)) && (is_quantised(dtype_) || is_floating(dtype_)),
          Code::shape, "a tensor of {} cannot become one of {}", name_of(dtype_), name_of(dtype));
  const Tensor source = contiguous();
  Tensor t = empty(shape_, dtype, device());
  if (is_quantised(dtype) || is_quantised(dtype_)) {
    parallel_for(elements(), kPiece, [&](std::int64_t begin, std::int64_t end) {
      std::array<float, kPiece> values;
      read_floats(source, begin, end, values.data());
      write_floats(t, begin, end, values.data());
    });
    return t;
  }
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
