// causal_golden.h -- the small random language models of tests/golden.
#pragma once
#include <memory>
#include <string>

#include "checkpoint/tensor_directory.h"
#include "models/all.h"

namespace glossa::test {

struct CausalGolden {
  TensorDirectory weights;
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  explicit CausalGolden(const std::string& name)
      : weights(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/model.safetensors"),
        parameters({.source = [this](const std::string& n) { return weights.find(n); }, .training = false}),
        model(make_causal_model(read_json(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/config.json"), name, parameters)) {}
};

}  // namespace glossa::test
