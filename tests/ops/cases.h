// cases.h -- THE table of how ops are called, a line each. From it: parity of devices and instruction sets,
// gradients against differences, equal bits for any number of threads. An op of ops.h that has no line here
// fails a test.
#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "ops/ops.h"

namespace glossa::test {

// Inputs with gradients are made from their shapes; everything else about a call is in `run`, which must not
// depend on the device beyond passing it on.
struct Case {
  std::string op, what;
  std::vector<Shape> inputs;
  std::function<Tensor(const std::vector<Tensor>& inputs, Device device)> run;
  bool smooth = true;  // false: has kinks, and differences are taken with small steps
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.op << ", " << c.what;
}

const std::vector<Case>& cases();

// Reproducible normal numbers, f32 values whatever `dtype` is.
Tensor random(const Shape& shape, DType dtype, Device device, std::uint64_t seed);
std::vector<Tensor> random_inputs(const Case& c, DType dtype, Device device);

// The result, and the gradient of every input for a random gradient of the result, under a tape with fixed
// dropout.
struct Outcome {
  Tensor y;
  std::vector<Tensor> gradients;
};
Outcome outcome(const Case& c, DType dtype, Device device);

// Largest difference of elements as a share of the largest magnitude in `wanted`; infinite where one is not
// finite and the other is not the same.
double relative_error(const Tensor& found, const Tensor& wanted);
bool same_bits(const Tensor& a, const Tensor& b);

}  // namespace glossa::test
