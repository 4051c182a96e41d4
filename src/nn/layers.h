// layers.h -- the few layers everything is made of: plain structs of parameters.
#pragma once
#include "nn/parameter.h"
#include "ops/ops.h"

namespace glossa {

struct Linear {
  Parameter weight, bias;
  Linear(const Scope& s, std::int64_t in, std::int64_t out)
      : weight(s.parameter("weight", {out, in})), bias(s.parameter("bias", {out}, {Init::zeros})) {}
  Linear(Parameter w, Parameter b) : weight(std::move(w)), bias(std::move(b)) {}
  // Several linear layers of the checkpoint as one: `scope / name` each, outputs side by side.
  static Linear stacked(const Scope& s, std::initializer_list<std::string_view> names, std::int64_t in, std::int64_t out);
  Tensor operator()(const Tensor& x, const Epilogue& end = {}) const { return linear(x, weight, bias, end); }
};

struct LayerNorm {
  Parameter weight, bias;
  double eps;
  LayerNorm(const Scope& s, std::int64_t width, double epsilon = 1e-5)
      : weight(s.parameter("weight", {width}, {Init::ones})), bias(s.parameter("bias", {width}, {Init::zeros})), eps(epsilon) {}
  Tensor operator()(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }
};

}  // namespace glossa
