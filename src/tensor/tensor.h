// tensor.h -- a typed, shaped, reference-counted view of memory on some device.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/storage.h"

namespace glossa {

// At most four dimensions, in place: shapes are made and compared all the time.
class Shape {
 public:
  static constexpr int kMost = 4;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t& operator[](int i) { return dims_[i]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::int64_t elements() const {
    std::int64_t n = 1;
    for (std::int64_t d : *this) n *= d;
    return n;
  }
  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, kMost> dims_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);  // "[3, 4]"

// Cheap to copy: copies share the memory. The last dimension is always dense; of a block type it is a
// multiple of the block. Sizes, strides and offsets count elements, whatever the type. Not thread-safe for
// writing.
class Tensor {
 public:
  Tensor() = default;  // "no tensor": false, and accepted wherever an input is optional
  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
  template <class T>
  static Tensor of(std::span<const T> values, const Shape& shape, Device device = {});
  template <class T>
  static Tensor of(const std::vector<T>& values, Device device = {}) {
    return of(std::span<const T>(values), {static_cast<std::int64_t>(values.size())}, device);
  }
  // A view of memory that somebody else owns: a mapped checkpoint, say.
  static Tensor from(std::shared_ptr<Storage> storage, const Shape& shape, DType dtype, std::size_t byte_offset = 0);
  // The same kind of memory: dtype and device of this tensor.
  Tensor like(const Shape& shape) const { return empty(shape, dtype_, device()); }

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  std::int64_t size(int axis) const { return shape_[axis < 0 ? axis + rank() : axis]; }
  std::int64_t elements() const { return shape_.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(bytes_of(dtype_, elements())); }  // dense
  std::int64_t cols() const { return rank() ? shape_[rank() - 1] : 1; }  // the last dimension
  std::int64_t rows() const {                                           // product of all others
    std::int64_t n = 1;
    for (int i = 0; i + 1 < rank(); ++i) n *= shape_[i];
    return n;
  }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device : Device{}; }
  std::int64_t stride(int axis) const { return strides_[axis]; }
  // Elements from one row to the next when read as a matrix [rows, cols]; throws if no single stride does it.
  std::int64_t row_stride() const;
  bool dense() const;

  Tensor view(const Shape& shape) const;                               // same memory, other shape; dense tensors, or
                                                                       // all but the first dimension of others
  Tensor slice(int axis, std::int64_t begin, std::int64_t end) const;  // same memory, part of it
  Tensor detach() const;                                               // same memory, unknown to the tape
  // These have no gradient, so copying what a tape recorded is an Error: detach() it first.
  Tensor to(Device device) const;  // a copy; the same memory if already there
  // A copy; the same memory if already so. Into and out of block types through f32, from floating-point types
  // alone; Error(nonfinite) if a value, or the scale that it asks for, cannot be held by the block type.
  Tensor to(DType dtype) const;
  Tensor contiguous() const;       // dense; a copy only if it is not

  // The address of the first element. T must be the element type, or the block of the block type.
  template <class T>
  T* data() const {
    constexpr DType kType = DTypeOf<std::remove_const_t<T>>::value;
    check_type(kType);
    return static_cast<T*>(storage_->data) + offset_ / block_of(kType).elements;
  }
  void* raw() const { return static_cast<char*>(storage_->data) + bytes_of(dtype_, offset_); }
  // All elements, or blocks, of a dense tensor of type T.
  template <class T>
  std::span<T> span() const {
    check_dense();
    constexpr std::int64_t kBlock = block_of(DTypeOf<std::remove_const_t<T>>::value).elements;
    return {data<T>(), static_cast<std::size_t>(elements() / kBlock)};
  }
  template <class T>
  T item() const {
    check(elements() == 1, Code::shape, "item() of a tensor of shape {}", to_string(shape_));
    return *data<T>();
  }

  const std::shared_ptr<Storage>& storage() const { return storage_; }
  std::int64_t offset() const { return offset_; }  // of the first element in its storage, in elements
  std::int64_t slot() const { return slot_; }      // which tape keeps its gradient, and where; -1: none
  void set_slot(std::int64_t slot) { slot_ = slot; }
  Tensor place() const;  // shape, strides, offset and slot without the memory
  // This tensor's place applied to other memory: how the gradient of a view is a view of the gradient.
  Tensor placed_in(const Tensor& other_base, std::int64_t base_offset) const;

 private:
  void check_type(DType wanted) const;
  void check_dense() const;
  void check_unrecorded() const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;
  Shape shape_;
  std::array<std::int64_t, Shape::kMost> strides_{};
  DType dtype_ = DType::f32;
  std::int64_t slot_ = -1;
};

template <class T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape, Device device) {
  check(static_cast<std::int64_t>(values.size()) == shape.elements(), Code::shape, "{} values for a tensor of shape {}",
        values.size(), to_string(shape));
  Tensor t = empty(shape, DTypeOf<T>::value, device);
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace glossa

// Messages take shapes as they are, so that nothing is written where nothing is wrong.
template <>
struct fmt::formatter<glossa::Shape> : fmt::formatter<std::string> {
  auto format(const glossa::Shape& shape, format_context& context) const {
    return fmt::formatter<std::string>::format(glossa::to_string(shape), context);
  }
};
