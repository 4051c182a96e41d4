// rows.h -- what the kernels of the CPU share: tensors as rows of f32, how rows are shared out among threads, and scratch
// memory. Work is cut by size alone, never by the number of threads, so that results do not depend on it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/tensor.h"

namespace glossa::cpu {

// A tensor read as [count, cols], rows `stride` apart.
struct Rows {
  float* data = nullptr;
  std::int64_t count = 0, cols = 0, stride = 0;

  Rows() = default;
  explicit Rows(const Tensor& x) : data(x.data<float>()), count(x.rows()), cols(x.cols()), stride(x.row_stride()) {}
  float* operator[](std::int64_t r) const { return data + r * stride; }
};

// About 10 us of a memory-bound kernel: less is not worth another thread's attention.
constexpr std::int64_t kTaskElements = 16384;

// Calls f(begin, end) for ranges of rows, each of about `elements` elements: of nearly as many rows each, so that threads end
// together where there are few.
template <class F>
void for_rows(std::int64_t count, std::int64_t cols, F&& f, std::int64_t elements = kTaskElements) {
  if (count <= 0) return;
  const std::int64_t most = std::max<std::int64_t>(elements / std::max<std::int64_t>(cols, 1), 1), parts = (count + most - 1) / most;
  parallel_tasks(parts, [&](std::int64_t part) { f(count * part / parts, count * (part + 1) / parts); });
}

// Memory of one thread that only grows, aligned to a cache line.
class ScratchFloats {
 public:
  float* get(std::int64_t count) {
    if (count > count_) {
      data_.reset();
      count_ = 0;
      const auto bytes = (static_cast<std::size_t>(count) * sizeof(float) + 4095) / 4096 * 4096;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      check(data_ != nullptr, Code::memory, "no memory for {} bytes of scratch", bytes);
      count_ = count;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  std::int64_t count_ = 0;
};

// Sums over rows in a fixed tree: rows are cut into at most kMost shards by their number alone; each adds up its own in
// order, into `width` numbers that begin as zeros; add_to() adds the shards in order.
class RowSums {
 public:
  static constexpr std::int64_t kMost = 16;

  RowSums(std::int64_t rows, std::int64_t width)
      : rows_(rows), width_(width), shards_(std::clamp<std::int64_t>(rows / 32, 1, kMost)) {
    thread_local ScratchFloats scratch;
    sums_ = scratch.get(shards_ * width);
    std::fill_n(sums_, shards_ * width, 0.0f);
  }
  // Calls f(sums, begin, end) for each shard's rows.
  template <class F>
  void run(F&& f) {
    parallel_tasks(shards_, [&](std::int64_t s) { f(sums_ + s * width_, rows_ * s / shards_, rows_ * (s + 1) / shards_); });
  }
  void add_to(float* y, std::int64_t first, std::int64_t count) const {
    for (std::int64_t c = 0; c < count; ++c) {
      float sum = 0;
      for (std::int64_t s = 0; s < shards_; ++s) sum += sums_[s * width_ + first + c];
      y[c] += sum;
    }
  }

 private:
  std::int64_t rows_, width_, shards_;
  float* sums_;
};

}  // namespace glossa::cpu
