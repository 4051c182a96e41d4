// golden.h -- comparison of a model with what Hugging Face's computed (tests/golden), on every device and instruction set.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "backend/cpu/cpu_features.h"
#include "batches.h"
#include "checkpoint/tensor_directory.h"

namespace glossa::test {

struct How {
  const char* name;
  Device device;
  DType dtype;
  std::optional<cpu::InstructionSet> set = {};
  bool bf16 = false;
  // Of logits, losses and the course of training; and of gradients.
  double tolerance = 2e-5, gradient_tolerance = 1e-4;
};

inline std::vector<How> hows() {
  // The goldens are f32: 6e-8 is their own rounding.
  std::vector<How> all{{"reference_f64", kReference, DType::f64, {}, false, 5e-7, 5e-7}};
  for (const auto set : cpu::supported_instruction_sets()) {
    all.push_back({cpu::name_of(set).data(), kCpu, DType::f32, set});
    // Rounding moves sums near 0 across a relu, and with one of them goes the gradient of a row.
    if (set == cpu::InstructionSet::avx512_bf16)
      all.push_back({"bf16", kCpu, DType::f32, set, true, 2e-2, 2e-1});
  }
  return all;
}

inline void expect_close(double found, double wanted, double tolerance) {
  EXPECT_NEAR(found, wanted, tolerance * std::fabs(wanted));
}

// Every gradient of the parameters against `gradient.NAME` of the golden file.
inline void expect_gradients(const ParameterList& parameters, const TensorDirectory& golden, const How& how) {
  double most = 0;  // biases of keys have a gradient of zero, but for rounding
  std::set<std::string> wanted, found;
  for (const std::string& name : golden.names())
    if (name.starts_with("gradient.")) wanted.insert(name), most = std::max(most, largest(golden.find(name)));
  for (const auto& [name, gradient] : parameters.gradients()) {
    found.insert("gradient." + name);
    EXPECT_LE(relative_error(gradient, golden.find("gradient." + name), 1e-2 * most), how.gradient_tolerance) << name;
  }
  EXPECT_EQ(found, wanted);
}

// Ten steps of AdamW with clipping, each loss against `training.losses` (TRAINING in tools/make_goldens.py).
inline void expect_training(ParameterList& parameters, const TensorDirectory& golden, const How& how,
                            const std::function<Tensor()>& loss_of) {
  const Tensor wanted = golden.find("training.losses");
  struct Moments {
    Tensor m, v;
  };
  std::vector<Moments> moments;
  for (const Parameter& p : parameters.all())
    moments.push_back({Tensor::zeros(p.value().shape(), how.dtype, how.device), Tensor::zeros(p.value().shape(), how.dtype, how.device)});
  Backend& backend = Backend::of(how.device);
  for (std::int64_t step = 0; step < wanted.elements(); ++step) {
    parameters.clear_gradients();
    Tape tape({.step = static_cast<std::uint64_t>(step)});
    const Tensor loss = loss_of();
    expect_close(at(loss, 0), at(wanted, step), 2 * how.tolerance * static_cast<double>(step + 1));
    tape.backward(loss);
    double squares = 0;
    for (const Parameter& p : parameters.all())
      if (p.trainable()) squares += backend.sum_of_squares(p.leaf().gradient);
    const auto scale = static_cast<float>(std::min(1.0, 1 / (std::sqrt(squares) + 1e-6)));  // as torch clips
    for (std::size_t i = 0; i < moments.size(); ++i) {
      const Parameter& p = parameters.all()[i];
      if (!p.trainable()) continue;
      Tensor weight = p.value();
      backend.adamw(weight, p.leaf().gradient, moments[i].m, moments[i].v,
                    {.learning_rate = 3e-3f, .beta2 = 0.98f, .weight_decay = 0.01f, .gradient_scale = scale, .step = step + 1});
    }
  }
}

// What INSTANTIATE_TEST_SUITE_P wants of pairs of a folder's name and a How.
inline std::string golden_name(const testing::TestParamInfo<std::tuple<const char*, How>>& info) {
  std::string name = std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace glossa::test
