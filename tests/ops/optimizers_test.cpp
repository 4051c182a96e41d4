#include <gtest/gtest.h>

#include "cases.h"
#include "checkpoint/tensor_directory.h"

// Optimizers against those of torch and transformers, over four steps (tools/make_goldens.py).
namespace glossa::test {
namespace {

constexpr Device kCpu{Device::cpu}, kReference{Device::reference};

class Optimizers : public testing::TestWithParam<std::tuple<Device, const char*>> {
 protected:
  Tensor golden(const std::string& name) const {
    return directory_.find(kind() + "." + name, DType::f32).to(std::get<Device>(GetParam()));
  }
  std::string kind() const { return std::get<1>(GetParam()); }
  bool matrix() const { return kind() == "matrix"; }

  // Four updates by `step(weight, gradient, number from 1)`.
  template <class Step>
  void compare(const std::string& name, Step&& step) {
    const Tensor first = golden("weight");
    Tensor weight = first.like(first.shape());
    Backend::of(first.device()).copy(first, weight);
    for (int i = 0; i < 4; ++i) step(weight, golden("gradient" + std::to_string(i)), i + 1);
    EXPECT_LE(relative_error(weight, golden(name)), 1e-6);
  }
  Tensor zeros(const Shape& shape) const {
    return Tensor::zeros(shape, DType::f32, std::get<Device>(GetParam()));
  }
  Backend& backend() const { return Backend::of(std::get<Device>(GetParam())); }

  TensorDirectory directory_{std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/optimizers/golden.safetensors"};
};

TEST_P(Optimizers, AdamWFollowsTorch) {
  Tensor m = zeros(golden("weight").shape()), v = zeros(m.shape());
  compare("adamw", [&](Tensor& w, const Tensor& g, int step) {
    backend().adamw(
        w, g, m, v,
        {.learning_rate = 0.01f, .beta2 = 0.98f, .epsilon = 1e-9f, .weight_decay = 0.1f, .step = step});
  });
}

TEST_P(Optimizers, SgdFollowsTorch) {
  for (const auto& [name, momentum, nesterov] :
       {std::tuple{"sgd", 0.0f, false}, {"momentum", 0.9f, false}, {"nesterov", 0.9f, true}}) {
    Tensor velocity = zeros(golden("weight").shape());
    compare(name, [&, mu = momentum, n = nesterov](Tensor& w, const Tensor& g, int) {
      backend().sgd(w, g, velocity, {.learning_rate = 0.1f, .momentum = mu, .nesterov = n});
    });
  }
}

TEST_P(Optimizers, AdafactorFollowsTransformers) {
  const Shape shape = golden("weight").shape();
  Tensor row = zeros({shape[0]}), column = matrix() ? zeros({shape[1]}) : Tensor();
  compare("adafactor", [&](Tensor& w, const Tensor& g, int step) {
    backend().adafactor(w, g, row, column, {.learning_rate = 0.05f, .step = step});
  });
}

INSTANTIATE_TEST_SUITE_P(Golden, Optimizers,
                         testing::Combine(testing::Values(kCpu, kReference),
                                          testing::Values("matrix", "vector")),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param) == kCpu ? "cpu_" : "reference_") +
                                  std::get<1>(of.param);
                         });

}  // namespace
}  // namespace glossa::test
