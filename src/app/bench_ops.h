// bench_ops.h -- times the kernels that a step of training is made of, one by one, on the shapes of a preset.
#pragma once
#include <string>

namespace glossa::app {

struct OpsBench {
  std::string preset = "encdec-base";
  bool bf16 = false, json = false;
  int runs = 10;
};

void bench_ops(const OpsBench& options);

}  // namespace glossa::app
