// square.h -- small matrices in f64, and ops whose gradients are known by heart.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "nn/parameter.h"
#include "ops/ops.h"

namespace glossa::test {

inline constexpr Device kReference{Device::reference};

inline Tensor ones(const Shape& shape) {
  Tensor x = Tensor::empty(shape, DType::f64, kReference);
  Backend::of(kReference).fill(x, 1);
  return x;
}
inline Tensor counting(const Shape& shape, double first = 1) {
  Tensor x = ones(shape);
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data<double>()[i] = first + static_cast<double>(i);
  return x;
}
inline Tensor identity(std::int64_t n) {
  Tensor x = Tensor::zeros({n, n}, DType::f64, kReference);
  for (std::int64_t i = 0; i < n; ++i) x.data<double>()[i * n + i] = 1;
  return x;
}
inline std::vector<double> values(const Tensor& x) {
  const Tensor dense = x.contiguous();
  const auto all = dense.span<double>();
  return {all.begin(), all.end()};
}
inline std::vector<std::int32_t> rows(std::int32_t n) {
  std::vector<std::int32_t> all;
  for (std::int32_t i = 0; i < n; ++i) all.push_back(i);
  return all;
}
// The identity as an op of its own: a matrix product.
inline Tensor through(const Tensor& x, double factor = 1) {
  Tensor w = identity(x.cols());
  Backend::of(kReference).scale(w, factor, w);
  return linear(x, w, {});
}
inline Tensor plus(const Tensor& a, const Tensor& b) {
  return linear(a, identity(a.cols()), {}, {.residual = b});
}
// A parameter list with one square matrix.
struct Square {
  ParameterList list{{.device = kReference, .dtype = DType::f64}};
  Parameter w;
  explicit Square(std::int64_t n) : w(list.scope().parameter("w", {n, n})) {}
  Tensor gradient() const { return w.leaf().gradient; }
};

inline std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace glossa::test
