// kernels.h -- calls of kernels that are made on several devices and must come out alike.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cases.h"

namespace glossa::test {

// Makes inputs on the device in question, the same for all.
struct On {
  Device device;
  Backend& backend() const { return Backend::of(device); }
  Tensor numbers(const Shape& shape, std::uint64_t seed) const {
    return random(shape, DType::f32, device, seed);
  }
  // Columns [3, 3 + cols) of a wider matrix, so that rows lie apart.
  Tensor part(std::int64_t rows, std::int64_t cols, std::uint64_t seed) const {
    return numbers({rows, cols + 8}, seed).slice(1, 3, 3 + cols);
  }
  Tensor positive(const Shape& shape, std::uint64_t seed) const {
    Tensor x = numbers(shape, seed);
    for (float& v : x.span<float>()) v = v * v + 0.01f;
    return x;
  }
  Tensor i32(const std::vector<std::int32_t>& values) const { return Tensor::of(values, device); }
  Tensor f32(const std::vector<float>& values, const Shape& shape) const {
    return Tensor::of(std::span<const float>(values), shape, device);
  }
  Tensor number(double value) const { return Tensor::of(std::vector<double>{value}, device); }
  Sequences lengths(const std::vector<std::int32_t>& all) const { return Sequences::of_lengths(all, device); }
};

struct Kernel {
  std::string name, what;
  std::function<std::vector<Tensor>(const On&)> run;  // outputs
  double tolerance = 3e-6;
};

std::vector<Kernel> attention_kernels();

}  // namespace glossa::test
