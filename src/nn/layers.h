// layers.h -- the few layers everything is made of: plain structs of parameters.
#pragma once
#include "nn/parameter.h"
#include "ops/ops.h"

namespace glossa {

struct LinearOptions {
  bool bias = true;
  Init init = {};
};

struct Linear {
  Parameter weight, bias;
  Linear(const Scope& s, std::int64_t in, std::int64_t out, const LinearOptions& options = {})
      : weight(s.parameter("weight", {out, in}, options.init)),
        bias(options.bias ? s.parameter("bias", {out}, {Init::zeros}) : Parameter()) {}
  Linear(Parameter w, Parameter b) : weight(std::move(w)), bias(std::move(b)) {}
  // Several linear layers of the checkpoint as one: `scope / name` each, outputs side by side, `outs[i]` of them.
  static Linear stacked(const Scope& s, const std::vector<std::string>& names, std::int64_t in,
                        const std::vector<std::int64_t>& outs, const LinearOptions& options = {});
  Tensor operator()(const Tensor& x, const Epilogue& end = {}) const {
    return weight.pieces().empty() ? linear(x, weight, bias, end) : linear(x, weight.pieces(), bias, end);
  }
};

struct LayerNorm {
  Parameter weight, bias;
  double eps;
  LayerNorm(const Scope& s, std::int64_t width, double epsilon = 1e-5)
      : weight(s.parameter("weight", {width}, {Init::ones})), bias(s.parameter("bias", {width}, {Init::zeros})), eps(epsilon) {}
  Tensor operator()(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }
};

// `from_one`: the checkpoint keeps gains as their distance from one, as Gemma's do.
struct RmsNorm {
  Parameter weight;
  double eps;
  bool from_one;
  RmsNorm(const Scope& s, std::int64_t width, double epsilon, bool gains_from_one = false)
      : weight(s.parameter("weight", {width}, {gains_from_one ? Init::zeros : Init::ones})), eps(epsilon), from_one(gains_from_one) {}
  Tensor operator()(const Tensor& x) const { return rms_norm(x, weight, eps, from_one ? 1 : 0); }
};

}  // namespace glossa
